"""Executes the tutorial and writes it back with what its cells show: `docs/tour.ipynb`.

Usage: python -m tools.execute_tour [--notebook FILE]

It runs from top to bottom in an empty folder. What tells of this machine or this hour goes, pictures become
small, and the file is written only where every cell ran. Two minutes on two cores.
"""

from __future__ import annotations

import argparse
import base64
import html
import io
import os
import re
import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from PIL import Image

PAGE = Path(__file__).parents[1] / "docs" / "tour.ipynb"
PATIENCE = 1800
"""Seconds that a cell may take: many, for machines are shared."""

COLOURS = 96
"""Of a picture's palette: few enough for a small file, enough for heatmaps without bands."""

ABSOLUTE, RELATIVE = 0.05, 0.05
"""How far a number may be from the one that ships: on another processor the networks round otherwise, and
other images are chosen."""

FAR_FROM_0 = ("train-autoencoder", "encode")
"""Cells of errors and counts, of which nothing but the relative part is allowed."""

_ADDRESS = re.compile(r" (?:object )?at 0x[0-9a-f]+")
_RUN = re.compile(r"\b\d{8}T\d{6}Z-\w+")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def read(place: Path) -> Any:
    """The notebook of a file."""
    return nbformat.read(place, as_version=4)


def executed(notebook: Any, folder: Path) -> Any:
    """A copy of a notebook whose cells were run from top to bottom in a folder, with a profile of its own.

    Raises:
        CellExecutionError: a cell failed.
    """
    copy = nbformat.from_dict(notebook)
    with tempfile.TemporaryDirectory() as profile:
        client = NotebookClient(copy, timeout=PATIENCE, resources={"metadata": {"path": str(folder)}})
        client.execute(env=os.environ | {"IPYTHONDIR": profile, "MPLCONFIGDIR": profile})
    return copy


def settled(notebook: Any) -> Any:
    """A copy of an executed notebook without what tells of a machine or an hour, its pictures small."""
    copy = nbformat.from_dict(notebook)
    copy.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    for cell in copy.cells:
        cell.metadata = nbformat.from_dict({})
        for output in cell.get("outputs", ()):
            if "metadata" in output:
                output.metadata = nbformat.from_dict({})
            data = output.get("data", {})
            if "text/plain" in data:
                data["text/plain"] = _ADDRESS.sub("", data["text/plain"])
            if "image/png" in data:
                data["image/png"] = small(data["image/png"])
    return copy


def small(picture: str) -> str:
    """A PNG in base64 as one with a palette, in base64; one that has a palette as it is."""
    written = io.BytesIO()
    with Image.open(io.BytesIO(base64.b64decode(picture))) as whole:
        if whole.mode == "P":
            return picture
        few = whole.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        few.save(written, "PNG", optimize=True)
    return base64.b64encode(written.getvalue()).decode()


def told(cell: Any) -> str:
    """All that a cell's outputs say in words and numbers: less tags, addresses and the names of runs."""
    parts = []
    for output in cell.get("outputs", ()):
        data = output.get("data", {"text/plain": output.get("text", "")})
        tagged = re.sub(r"<style.*?</style>|<[^>]*>", " ", data.get("text/html", ""), flags=re.DOTALL)
        parts.append(html.unescape(tagged) or data.get("text/plain", ""))
    return _RUN.sub("(a run)", _ADDRESS.sub("", " ".join(" ".join(parts).split())))


def differences(shipped: Any, fresh: Any) -> list[str]:
    """Where two executions of a notebook say different things: a line for each cell.

    Words must be the same. Numbers may differ by `RELATIVE` of what they are, and by `ABSOLUTE` except in the
    cells `FAR_FROM_0`.
    """
    found: list[str] = []
    nothing: dict[str, Any] = {}
    for old, new in zip_longest(shipped.cells, fresh.cells, fillvalue=nothing):
        before, after = told(old), told(new)
        if _NUMBER.sub("#", before) != _NUMBER.sub("#", after) or _kinds(old) != _kinds(new):
            found.append(f"{old.get('id')}: {after!r} where {before!r} ships")
            continue
        allowed = 0 if old.get("id") in FAR_FROM_0 else ABSOLUTE
        for one, other in zip(_NUMBER.findall(before), _NUMBER.findall(after), strict=True):
            if not abs(float(one) - float(other)) <= allowed + RELATIVE * abs(float(one)):
                found.append(f"{old.get('id')}: {other} where {one} ships")
    return found


def _kinds(cell: Any) -> list[list[str]]:
    return [sorted(output.get("data", output)) for output in cell.get("outputs", ())]


def main() -> None:
    """Execute, and write back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--notebook", type=Path, default=PAGE)
    place = parser.parse_args().notebook
    with tempfile.TemporaryDirectory() as folder:
        notebook = settled(executed(read(place), Path(folder)))
    nbformat.validate(notebook)
    nbformat.write(notebook, place)
    print(f"written: {place}, {place.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
