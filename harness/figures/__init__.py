"""Draw: the only importer of matplotlib. Figures come from numbers, and leave as SVG text."""

from __future__ import annotations

import harness.figures.alone  # noqa: F401 - loads matplotlib, before any module below does
from harness.figures.charts import NUMBERED, agreement_matrix, class_table, confusion, intervals
from harness.figures.curves import Line, Panel, counts, firing, lines, reliability, training_curves
from harness.figures.forest import Margin, forest
from harness.figures.heat import heat_limit, heat_limits
from harness.figures.layouts import LANE, Layout
from harness.figures.paths import Steps, path
from harness.figures.pictures import atoms, class_means, deletion, explanation, side_by_side
from harness.figures.spreads import Column, beside, distributions, ranges
from harness.figures.sprites import LEVELS, PALETTE, Sheet, heat_sheet, picture_sheet
from harness.figures.standing import Tonight, standing
from harness.figures.strips import Axis, Kind, Levels, Nights, Span, sparkline, strip, strip_key, timeline
from harness.figures.sweeps import COURSES, Along, Course, Shift, courses, courses_key, plane, shifts
from harness.figures.theme import INK, LINE, SERIES, svg
from harness.figures.trades import Traded, trade_off

__all__ = [
    "COURSES",
    "INK",
    "LANE",
    "LEVELS",
    "LINE",
    "NUMBERED",
    "PALETTE",
    "SERIES",
    "Along",
    "Axis",
    "Column",
    "Course",
    "Kind",
    "Layout",
    "Levels",
    "Line",
    "Margin",
    "Nights",
    "Panel",
    "Sheet",
    "Shift",
    "Span",
    "Steps",
    "Tonight",
    "Traded",
    "agreement_matrix",
    "atoms",
    "beside",
    "class_means",
    "class_table",
    "confusion",
    "counts",
    "courses",
    "courses_key",
    "deletion",
    "distributions",
    "explanation",
    "firing",
    "forest",
    "heat_limit",
    "heat_limits",
    "heat_sheet",
    "intervals",
    "lines",
    "path",
    "picture_sheet",
    "plane",
    "ranges",
    "reliability",
    "shifts",
    "side_by_side",
    "sparkline",
    "standing",
    "strip",
    "strip_key",
    "svg",
    "timeline",
    "trade_off",
    "training_curves",
]
