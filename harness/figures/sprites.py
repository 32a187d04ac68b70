"""Sprite sheets: many small pictures in one palette PNG, each a third of a kilobyte.

A page shows one picture of a sheet as the background of an element, moved by its column and row.
"""

from __future__ import annotations

import base64
import io
import zlib
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image

from harness.records import Floats, Ints

COLUMNS = 20
"""Pictures beside one another on a sheet, at most."""

_INSIDE, _BEYOND = 51, 6

_beyond = 1.1 * 1.25 ** np.arange(_BEYOND)
LEVELS: Floats = np.r_[-_beyond[::-1], np.linspace(-1, 1, _INSIDE), _beyond]
"""What the colours of a heat sheet stand for, in units of the map's limit.

Inside the limit they are evenly spaced, with one at 0. Beyond it they look alike, saturated, and still
differ: so a sheet can be coloured anew on another scale, and what one scale cut off is there for the other.
"""


def _palette() -> Ints:
    inside = mpl.colormaps["RdBu_r"](np.linspace(0, 1, _INSIDE))[:, :3]
    darker = 1 - 0.03 * np.arange(1, _BEYOND + 1)[:, None]
    below, above = inside[0] * darker[::-1], inside[-1] * darker
    return np.asarray(np.round(255 * np.concatenate([below, inside, above])), dtype=np.int64)


PALETTE = _palette()
"""The colours of `LEVELS`: int [levels, 3], each another."""

GREYS = 32
"""Grey levels of a sheet of images."""

COLOURS = 128
"""Colours of a sheet of images that are not grey; one number of the palette is kept for what is empty."""

_WIDEST = 8192
"""Points across a sheet at most: browsers draw no picture of any width."""


@dataclass(frozen=True)
class Sheet:
    """Many pictures in one.

    Attributes:
        uri: The PNG as a data address.
        columns: Pictures beside one another; the n-th stands in column n mod columns, row n div columns.
        rows: Pictures below one another.
    """

    uri: str
    columns: int
    rows: int


def heat_sheet(maps: Floats, limits: Floats | float) -> Sheet:
    """Signed maps in `PALETTE`, diverging around 0.

    Args:
        maps: float [n, rows, columns]; what is NaN stays empty.
        limits: Where each map's scale ends, float [n], over 0; or one limit for all.
    """
    borders = (LEVELS[1:] + LEVELS[:-1]) / 2
    return _sheet(np.searchsorted(borders, maps / np.reshape(limits, (-1, 1, 1))), PALETTE, np.isnan(maps))


def picture_sheet(pictures: Floats) -> Sheet:
    """Pictures in `GREYS` levels of grey, or in the `COLOURS` that stand best for them.

    Args:
        pictures: float [n, rows, columns], in colour [n, rows, columns, 3]; what is outside [0, 1] is cut,
            what is NaN stays empty.
    """
    empty = np.isnan(pictures).reshape(*pictures.shape[:3], -1).any(axis=3)
    cut = np.clip(np.where(np.isnan(pictures), 0, pictures), 0, 1)
    if pictures.ndim == 3:
        greys = np.round(np.linspace(0, 255, GREYS)).astype(np.int64)
        levels = np.round(cut * (GREYS - 1)).astype(np.int64)
        return _sheet(levels, np.repeat(greys[:, None], 3, axis=1), empty)
    rows = np.round(255 * cut).astype(np.uint8).reshape(len(cut), -1, 3)
    found = Image.fromarray(rows).quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    palette = np.reshape(found.getpalette() or [], (-1, 3))[:COLOURS].astype(np.int64)
    return _sheet(np.asarray(found).reshape(empty.shape).astype(np.int64), palette, empty)


def _sheet(indices: Ints, palette: Ints, empty: Any) -> Sheet:
    count, height, width = indices.shape
    columns = min(COLUMNS, max(1, _WIDEST // width))
    rows = max(1, -(-count // columns))
    cells = np.zeros((rows * columns, height, width), dtype=np.uint8)
    see_through: dict[str, Any] = {}
    if np.any(empty):
        indices = np.where(empty, len(palette), indices)
        see_through["transparency"] = len(palette)
        palette = np.concatenate([palette, np.full((1, 3), 255)])
    cells[:count] = indices
    pixels = cells.reshape(rows, columns, height, width).transpose(0, 2, 1, 3)
    image = Image.fromarray(np.ascontiguousarray(pixels.reshape(rows * height, columns * width)), mode="P")
    image.putpalette(palette.astype(np.uint8).tobytes())
    stream = io.BytesIO()
    # noise has no repeats to look for: runs alone make it smaller, and in a fiftieth of the time
    image.save(stream, format="PNG", compress_level=9, compress_type=zlib.Z_RLE, **see_through)
    return Sheet(
        f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}", columns=columns, rows=rows
    )
