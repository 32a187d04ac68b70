"""One theme for every chart, and the way a figure leaves: as SVG text that follows the page's colours.

Text and lines are drawn in two stand-in colours that leave as CSS (`currentColor`, `var(--line)`), so a
figure inside a page follows the page's light or dark theme. All that it looks like stands in attributes,
none in styles, which some servers forbid to the pages that they show.
"""

from __future__ import annotations

import base64
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import RendererSVG
from matplotlib.figure import Figure
from PIL import Image

INK, LINE, PAGE = "#010203", "#040506", "#070809"
_EVERYWHERE = (
    'font-family="\'DejaVu Sans\', Verdana, sans-serif" image-rendering="pixelated" '
    'stroke-linejoin="round" stroke-linecap="butt"'
)
POINTS, MARGIN, PIXELS = 72, 6, 96
"""Points an inch, in which SVG is drawn, and those around a figure; a reader's pixels an inch."""

_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
_STAND_INS = {INK: "currentColor", LINE: "var(--line, #c9ccd1)", PAGE: "var(--page, Canvas)"}

SERIES = ("#3d7fc1", "#c8742b", "#3a9a6a", "#a35fae", "#b8892b", "#c4577a", "#5f8f9c", "#8a7a5a")
"""Colours of series: each at least 3:1 on white and on the dark page."""

THEME: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "harness",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.monospace": ["DejaVu Sans Mono"],
    "font.size": 10,
    "text.parse_math": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "figure.facecolor": "white",
    "legend.frameon": False,
    "image.composite_image": False,
}


_SHOWN = {
    *("axes", "figure", "font", "grid", "hatch", "image", "legend", "lines", "markers", "patch", "path"),
    *("errorbar", "savefig", "scatter", "svg", "text", "xaxis", "xtick", "yaxis", "ytick"),
}
_BARE = {key: value for key, value in mpl.rcParamsDefault.items() if key.split(".")[0] in _SHOWN}
"""Matplotlib's own settings of all that a figure shows, whatever the user's are."""


@contextmanager
def themed() -> Iterator[None]:
    """Inside the block figures are made in the theme."""
    with mpl.rc_context(_BARE | THEME), warnings.catch_warnings():  # type: ignore[arg-type]
        # text leaves as text: the reader's fonts draw what the measuring font lacks
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def list_rows(axes: Axes, names: Sequence[str], *, top: float) -> None:
    """Named rows one under another, the first at 0; above it there is room from `top`."""
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(len(names) - 0.4, top)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def mark_threshold(axes: Axes, threshold: float | None) -> None:
    """A dashed line above the rows' first, with its number; nothing where there is none."""
    if threshold is not None:
        axes.axvline(threshold, color=INK, linewidth=1, linestyle="--")
        axes.annotate(
            f"threshold {threshold:g}", (threshold, -0.75), (3, 0), textcoords="offset points", fontsize=8
        )


def svg(figure: Figure, name: str) -> str:
    """The figure as SVG text for a page: ids made unique by `name`, the same bytes for the same figure.

    Its size is the one that it was drawn at; a page may say another.
    """
    text, box = _drawn(figure)
    # what is written comes from outside: it is put aside while tags are rewritten
    written: list[str] = []
    text = re.sub(r"(<text[^>]*>)([^<]*)", lambda found: found[1] + _aside(found[2], written), text)
    for stand_in, css in _STAND_INS.items():
        text = text.replace(stand_in, css)
    text = re.sub(r' style="([^"]*)"', lambda found: attributes_of(found[1]), text)
    # of the ids only those stay that something refers to: equal pictures bear equal ids
    needed = {part for pair in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text) for part in pair}
    text = re.sub(
        r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in needed else "", text
    )
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(
        r"(data:image/png;base64,)([A-Za-z0-9+/=\s]+)", lambda found: found[1] + _packed(found[2]), text
    )
    for part in (
        r' transform="rotate\(-?0 [^)]*\)"',
        r'<g>\s*<path d="[^"]*" fill="none"/>\s*</g>',
        r"<defs>\s*<style.*?</style>\s*</defs>",
    ):
        text = re.sub(part, "", text)
    text = re.sub(r' (?:d|x|y)="[^"]*"|translate\([^)]*\)', lambda found: _short(found[0]), text)
    text = re.sub("\0([0-9]+)\0", lambda found: written[int(found[1])], text)
    width, height = (part * PIXELS / POINTS for part in box[2:])
    size = f'width="{width:.0f}" height="{height:.0f}"'
    sight = f'viewBox="{" ".join(f"{part:.2f}" for part in box)}"'
    names = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return re.sub(r" *\n\s*", "\n", f"<svg {size} {sight} {_EVERYWHERE} {names}>{text.strip()}")


_FONT = re.compile(r"(?:(italic|oblique) )?(?:(small-caps) )?(?:([0-9]+) )?([0-9.]+px) (.+)")


def attributes_of(style: str) -> str:
    """A style's properties as attributes, less those that stand once for all, on the figure's element."""
    properties = dict(re.findall(r"([a-z-]+): ([^;]+)", style))
    # older matplotlibs write a font as one property, which is no attribute
    if font := _FONT.fullmatch(properties.pop("font", "")):
        names = ("font-style", "font-variant", "font-weight", "font-size", "font-family")
        properties |= {name: value for name, value in zip(names, font.groups(), strict=True) if value}
    # what DejaVu was measured with, any sans-serif of the reader may show
    if properties.get("font-family", "").startswith("'DejaVu Sans'"):
        del properties["font-family"]
    properties.pop("image-rendering", None)
    return "".join(f' {name}="{value}"' for name, value in properties.items())


def _short(place: str) -> str:
    """Coordinates to a hundredth of a point, more than anybody sees; of straight lines each named once."""
    place = re.sub(r"(\.\d\d)\d+", r"\1", place)
    # numbers after a curve's would be taken for another curve's
    return place if "C" in place or "Q" in place else place.replace(" \nL ", " ")


def _aside(text: str, written: list[str]) -> str:
    written.append(text)
    return f"\0{len(written) - 1}\0"


class _Unclipped(RendererSVG):
    """Draws lines beyond the figure's sides, such as those of a legend below it, which the box shows too."""

    def _convert_path(self, *given: Any, **named: Any) -> Any:
        return super()._convert_path(*given, **named | {"clip": None})  # type: ignore[no-untyped-call]


def _drawn(figure: Figure) -> tuple[str, tuple[float, float, float, float]]:
    """What stands inside the figure's SVG element, and the box that shows all of it and a margin: its left,
    its top, its width, its height.

    It is drawn once, and its extent asked of the same renderer, which knows every text's size by then;
    `savefig(bbox_inches="tight")` draws twice, and takes nearly twice as long.
    """
    stream, before, canvas = io.StringIO(), (figure.dpi, figure.get_facecolor()), cast("Any", _Unclipped)
    try:
        figure.dpi = POINTS
        figure.set_facecolor("none")  # in a notebook ink needs its paper; the page has its own
        width, height = figure.get_size_inches() * POINTS
        with themed():
            renderer = canvas(width, height, stream, image_dpi=POINTS, metadata=_NO_METADATA)
            figure.draw(renderer)
            extent = figure.get_tightbbox(renderer)
            renderer.finalize()
    finally:
        figure.dpi = before[0]
        figure.set_facecolor(before[1])
    left, bottom, right, top = np.array(extent.extents) * POINTS + (-MARGIN, -MARGIN, MARGIN, MARGIN)
    box = (float(left), float(height - top), float(right - left), float(top - bottom))
    text = stream.getvalue()
    return text[text.index(">", text.index("<svg")) + 1 :], box


def _packed(code: str) -> str:
    """An embedded PNG's pixels in fewer bytes: as indices into a palette, where 256 colours do."""
    image = Image.open(io.BytesIO(base64.b64decode(code))).convert("RGBA")
    found, indices = np.unique(np.array(image).view(np.uint32), return_inverse=True)
    if len(found) > 256:
        return code
    colours = found.view(np.uint8).reshape(-1, 4)
    packed = Image.fromarray(indices.astype(np.uint8).reshape(image.height, image.width), mode="P")
    packed.putpalette(np.ascontiguousarray(colours[:, :3]).tobytes())
    stream = io.BytesIO()
    opaque = bool((colours[:, 3] == 255).all())
    transparency = {} if opaque else {"transparency": colours[:, 3].tobytes()}
    packed.save(stream, format="PNG", optimize=True, **transparency)
    return base64.b64encode(stream.getvalue()).decode()
