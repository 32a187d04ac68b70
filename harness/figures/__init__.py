"""Draw: the only importer of matplotlib and seaborn. Figures come from numbers, and leave as SVG text."""

from __future__ import annotations

from harness.figures.charts import agreement_matrix, intervals, training_curves
from harness.figures.forest import Margin, forest
from harness.figures.pictures import class_means, explanation, heat_limit
from harness.figures.sprites import LEVELS, PALETTE, Sheet, grey_sheet, heat_sheet
from harness.figures.theme import INK, LINE, SERIES, svg

__all__ = [
    "INK",
    "LEVELS",
    "LINE",
    "Margin",
    "PALETTE",
    "SERIES",
    "Sheet",
    "agreement_matrix",
    "class_means",
    "explanation",
    "forest",
    "grey_sheet",
    "heat_limit",
    "heat_sheet",
    "intervals",
    "svg",
    "training_curves",
]
