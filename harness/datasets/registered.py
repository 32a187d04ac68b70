"""The data sets by name, and what it means that one of them is nowhere."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path

from harness.datasets.data import Dataset
from harness.errors import DataError
from harness.registry import Registry

Loader = Callable[[Path | None], Dataset]
"""A loader takes the folder named by the user, or None, and returns verified data or raises DataError."""

datasets: Registry[Loader] = Registry("dataset", reserved=("auto",))


downloading: ContextVar[bool] = ContextVar("downloading", default=True)
"""Whether what is nowhere may be downloaded: not where somebody only asks what is there."""


class Absent(DataError):
    """The files are nowhere; `download` says why they could not be fetched either."""

    def __init__(self, message: str, download: str = "") -> None:
        super().__init__(message)
        self.download = download
