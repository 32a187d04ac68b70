"""Whether there is a GPU for the tests marked `gpu`, and what is asked of one.

`python -m tests.gpu` prints why there is none, or nothing.
"""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path

from harness import environment
from harness.errors import DeviceError


@functools.cache
def missing() -> str:
    """Why no GPU can be computed on; empty where one can."""
    try:
        environment.choose_device("cuda")
    except DeviceError as error:
        return f"needs a GPU: {str(error).split('; use ')[0]}"
    return ""


def required() -> bool:
    """Whether the environment promises a GPU, so that doing without one is an error."""
    return os.environ.get("HARNESS_GPU") == "required"


def numbers_of(run: Path) -> dict[str, str]:
    """SHA-256 of all files of a run directory that hold nothing but what was computed, by name."""
    files = [run / "estimates.json", *run.rglob("*.npz"), *run.rglob("*.pth")]
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    print(missing())
