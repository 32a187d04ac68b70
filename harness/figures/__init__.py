"""Draw: the only importer of matplotlib and seaborn. Figures come from numbers, and leave as SVG text."""

from __future__ import annotations

from harness.figures.charts import agreement_matrix, intervals, training_curves
from harness.figures.pictures import class_means, explanation, heat_limit
from harness.figures.theme import INK, LINE, SERIES, svg

__all__ = [
    "INK",
    "LINE",
    "SERIES",
    "agreement_matrix",
    "class_means",
    "explanation",
    "heat_limit",
    "intervals",
    "svg",
    "training_curves",
]
