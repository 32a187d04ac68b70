"""A harness that tests tonight whether a model's explanations may still be trusted.

What notebooks and scripts need, by name; each is imported when it is first asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False  # a `typing.py` may lie in the working folder, which `python -m` puts first
if TYPE_CHECKING:
    from typing import Any

    from harness import config, datasets, figures, runs
    from harness.attributions import attribute as attribute
    from harness.attributions import explain as explain
    from harness.config import Config as Config
    from harness.errors import HarnessError as HarnessError
    from harness.errors import Refused as Refused
    from harness.judging.verdicts import judge as judge
    from harness.pipeline import run as run
    from harness.pipeline.reopened import load_network as load_network
    from harness.report import render as render
    from harness.runs import Run as Run
    from harness.subjects.models import Classifier as Classifier
    from harness.subjects.models import KSparseAutoencoder as KSparseAutoencoder
    from harness.subjects.models import PixelClassifier as PixelClassifier
    from harness.subjects.training import train_autoencoder as train_autoencoder
    from harness.subjects.training import train_classifier as train_classifier
    from harness.sweeps import sweep as sweep

    load_config = config.load
    load_dataset = datasets.load
    draw_explanation = figures.explanation
    open_run = runs.Run.open

__version__ = "0.2.0"

_HOMES = {
    "Classifier": "subjects.models",
    "Config": "config",
    "HarnessError": "errors",
    "KSparseAutoencoder": "subjects.models",
    "PixelClassifier": "subjects.models",
    "Refused": "errors",
    "Run": "runs",
    "attribute": "attributions",
    "draw_explanation": "figures:explanation",
    "explain": "attributions",
    "judge": "judging.verdicts",
    "load_config": "config:load",
    "load_dataset": "datasets:load",
    "load_network": "pipeline.reopened",
    "open_run": "runs:Run.open",
    "render": "report",
    "run": "pipeline",
    "sweep": "sweeps",
    "train_autoencoder": "subjects.training",
    "train_classifier": "subjects.training",
}
"""The module of each public name, and the path inside it where it bears another name there."""

__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, _, inside = _HOMES[name].partition(":")
    found: Any = import_module(f"{__name__}.{module}")
    for part in (inside or name).split("."):
        found = getattr(found, part)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
