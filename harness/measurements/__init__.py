"""What is measured on each image, or once a run: one decorated function a subject."""

from __future__ import annotations

# importing a module registers its measurements; their order here is that of every table
from harness.measurements import evidence, model, agreement, controls, integrity, maps  # isort: skip  # noqa: F401
from harness.measurements import switches  # isort: skip  # noqa: F401
from harness.measurements import validity, location, truth  # isort: skip  # noqa: F401
from harness.measurements.agreement import TOP_SHARE, correlations, top_pixels
from harness.measurements.controls import edges
from harness.measurements.evidence import CONTROL_METHOD, Evidence, MethodMaps, measurements

__all__ = [
    "CONTROL_METHOD",
    "TOP_SHARE",
    "Evidence",
    "MethodMaps",
    "correlations",
    "edges",
    "measurements",
    "top_pixels",
]
