"""Whether there is a GPU for the tests marked `gpu` and for their benchmark."""

from __future__ import annotations

import functools
import os

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
