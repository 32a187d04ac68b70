"""What torch tells of a GPU before it is used: why there is none, and the workspace that makes cuBLAS repeat.

Nothing here wakes a GPU that torch has not woken, but the question why there is none.
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.text import clean

NOTHING_THERE = (
    "built without CUDA",
    "Found no NVIDIA driver",
    "No CUDA GPUs are available",
    "no CUDA-capable device is detected",
)
"""Torch's reasons why a machine without a GPU has none; whatever else keeps a GPU from use is told."""


def why_absent() -> str:
    """Why there is no CUDA device, in torch's words; empty where there is one.

    That a driver is too old for the build, torch tells by a warning, once in a process; it tells it by an
    error whenever it is to begin.
    """
    import torch

    if torch.cuda.is_available():
        return ""
    if torch.version.cuda is None:
        return "built without CUDA"
    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError, torch.cuda.DeferredCudaCallError) as error:
        return in_one_line(error)
    return "torch gives no reason"


def driver(root: Path = Path("/")) -> str:
    """The version of the GPU's driver, as the system tells it; empty where it does not."""
    try:
        told = (root / "proc/driver/nvidia/version").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"\b\d+\.\d+(\.\d+)?\b", told)
    return found.group() if found else ""


def in_one_line(message: object) -> str:
    """What torch says, without its advice on debugging."""
    text = str(message).split("\nSearch for ")[0].split("\nCUDA kernel errors ")[0]
    return clean(" ".join(text.split())).rstrip(".")


WORKSPACES = {":4096:8": 32 * 2**20, ":16:8": 128 * 2**10}
"""The configurations under which cuBLAS is deterministic (its documentation, 'Results reproducibility'), and
their bytes."""

_begun: set[str] = set()
"""The configurations under which this process's first use of CUDA was prepared."""


@contextmanager
def workspace() -> Iterator[None]:
    """A workspace of cuBLAS's inside under which it is deterministic; the environment is given back after.

    The variable counts when torch reads it, at its first product on a GPU. Later the size is set by itself:
    another one may be another algorithm, and other last digits.
    """
    import torch

    name = "CUBLAS_WORKSPACE_CONFIG"
    inherited = os.environ.get(name)
    chosen = inherited if inherited in WORKSPACES else ":4096:8"
    size: Any = getattr(torch.backends.cuda, "cublas_workspace_size", None)
    late = torch.cuda.is_initialized()
    before = size() if late and size is not None else WORKSPACES[chosen]
    os.environ[name] = chosen
    try:
        if not late:
            _begun.add(chosen)
        elif before != WORKSPACES[chosen]:
            size(WORKSPACES[chosen])
        elif size is None and inherited != chosen and chosen not in _begun:
            torch._C._cuda_clearCublasWorkspaces()
            warnings.warn(
                f"the GPU was used before {name}={chosen} was set, and torch {torch.__version__} may keep "
                "the workspace of then: start Python with it for the same last digits everywhere",
                stacklevel=5,
            )
        yield
    finally:
        if before != WORKSPACES[chosen]:
            size(before)
        if inherited is None:
            del os.environ[name]
        else:
            os.environ[name] = inherited
