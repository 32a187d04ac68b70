"""One self-contained page a run, made of sections by name."""

from __future__ import annotations

# importing the contents registers the sections
from harness.report import (  # noqa: F401  # noqa: F401
    agreement,
    changes,
    forest,
    gallery,
    gate,
    model,
    pictures,
    record,
    sparse_code,
    switches,
    validity,
)
from harness.report.page import ORDER, Chart, Section, draw, render, section, sections

__all__ = ["ORDER", "Chart", "Section", "draw", "render", "section", "sections"]
