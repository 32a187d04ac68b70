"""The tutorial `docs/tour.ipynb`: that what it ships is whole, and that its cells still say it."""

from __future__ import annotations

import ast
import base64
import io
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from PIL import Image

import harness
from tools import execute_tour as tour

LARGEST = 400_000
"""Bytes of the file: everybody who clones the repository fetches it."""

PICTURES = {"draw-rows": 1, "encode": 1, "figures": 3, "drawn": 2, "own-maps": 1}
"""The pictures that each cell shows."""


@pytest.fixture
def shipped() -> Any:
    """The notebook as it ships."""
    return tour.read(tour.PAGE)


def code_of(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def by_name(notebook: Any, name: str) -> Any:
    return next(cell for cell in notebook.cells if cell.id == name)


def pictures(cell: Any) -> list[Image.Image]:
    shown = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in shown]


def noisy(size: tuple[int, int] = (300, 200)) -> str:
    """A smooth picture of many colours, as base64 of a PNG."""
    across, down = np.linspace(0, 255, size[0]), np.linspace(0, 255, size[1])
    red, green = np.meshgrid(across, down)
    whole = np.stack([red, green, 255 - red], axis=-1).astype(np.uint8)
    written = io.BytesIO()
    Image.fromarray(whole).save(written, "PNG")
    return base64.b64encode(written.getvalue()).decode()


def test_it_is_a_notebook_with_named_cells(shipped: Any) -> None:
    """It follows the format, 4.5, and each cell's id is a word of its own."""
    nbformat.validate(shipped)
    assert (shipped.nbformat, shipped.nbformat_minor) == (4, 5)
    names = [cell.id for cell in shipped.cells]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z-]+", name) for name in names)


def test_its_cells_were_run_once_from_top_to_bottom(shipped: Any) -> None:
    """Counts go from 1 without a gap, and no cell failed or complained."""
    cells = code_of(shipped)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = {output.output_type for cell in cells for output in cell.outputs}
    assert kinds == {"display_data", "execute_result"}


def test_its_pictures_ship_on_white_paper(shipped: Any) -> None:
    """Each figure is there, opaque, its paper white in a dark notebook too, and not blank."""
    assert {cell.id: len(pictures(cell)) for cell in code_of(shipped) if pictures(cell)} == PICTURES
    for picture in (one for cell in code_of(shipped) for one in pictures(cell)):
        points = np.asarray(picture.convert("RGBA"))
        assert (points[..., 3] == 255).all()
        assert points[0, 0].tolist() == [255, 255, 255, 255]
        assert points[..., :3].min() < 30


def test_nothing_tells_of_a_machine(shipped: Any) -> None:
    """No path, no address in memory, no version of the interpreter, no time of execution."""
    text = nbformat.writes(shipped)
    assert not re.findall(r"/(?:home|root|tmp|work|usr|Users|private)/|[A-Z]:\\\\|0x[0-9a-f]{6,}", text)
    assert shipped.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert all(cell.metadata == {} for cell in shipped.cells)


def test_it_is_small() -> None:
    """It stays under its limit."""
    assert tour.PAGE.stat().st_size < LARGEST


def test_it_asks_for_public_names_alone(shipped: Any) -> None:
    """What it takes of the harness is in `harness.__all__`, and it imports nothing from inside."""
    used, imported = set(), set()
    for node in ast.walk(ast.parse("\n".join(cell.source for cell in code_of(shipped)))):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "harness"
        ):
            used.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            imported.add(str(node.module))
        elif isinstance(node, ast.Import):
            imported |= {one.name for one in node.names}
    assert used <= set(harness.__all__)
    assert {one for one in imported if one.startswith("harness")} == {"harness"}
    taught = {"load_dataset", "train_autoencoder", "train_classifier", "explain", "draw_explanation"}
    assert taught | {"run", "judge", "open_run", "render"} <= used


def test_its_links_lead_somewhere(shipped: Any) -> None:
    """Each page that it names lies beside it."""
    text = "\n".join(cell.source for cell in shipped.cells if cell.cell_type == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert links
    assert [one for one in links if not (tour.PAGE.parent / one).is_file()] == []


def test_another_number_is_told(shipped: Any) -> None:
    """Numbers that are near are the same; one that is not, other words, a lost output or cell are told."""
    assert tour.differences(shipped, shipped) == []
    (number,) = re.findall(r"accuracy': ([\d.]+)", tour.told(by_name(shipped, "predict")))

    def changed(text: str, name: str = "predict", was: str = number) -> list[str]:
        other = deepcopy(shipped)
        output = by_name(other, name).outputs[-1]
        output.data["text/plain"] = output.data["text/plain"].replace(was, text)
        return tour.differences(shipped, other)

    assert changed(f"{float(number) + 0.02:.3f}") == []
    assert changed(f"{float(number) - 0.1:.3f}") == [
        f"predict: {float(number) - 0.1:.3f} where {number} ships"
    ]
    (error,) = re.findall(r"pixel': ([\d.]+)", tour.told(by_name(shipped, "encode")))
    assert len(changed(f"{float(error) * 1.1:.4f}", "encode", error)) == 1
    (words,) = changed("many")
    assert words.startswith("predict: ")
    lost = deepcopy(shipped)
    by_name(lost, "figures").outputs.pop()
    assert [one.split(":")[0] for one in tour.differences(shipped, lost)] == ["figures"]
    lost.cells = [cell for cell in lost.cells if cell.id != "show-verdict"]
    assert len(tour.differences(shipped, lost)) > 1


def test_what_tells_of_a_machine_goes(shipped: Any) -> None:
    """Times, versions and addresses are taken away, pictures get a palette, and what cells say stays."""
    raw = deepcopy(shipped)
    raw.metadata.language_info.version = "3.12.1"
    cell = by_name(raw, "show-verdict")
    cell.metadata = nbformat.from_dict({"execution": {"iopub.execute_input": "2026-01-01T00:00:00Z"}})
    cell.outputs[0].data["text/plain"] = "<harness.runs.Run object at 0x7f0102030405>"
    cell.outputs[0].metadata = nbformat.from_dict({"needs_background": "light"})
    drawn = by_name(raw, "own-maps")
    drawn.outputs[0].data["image/png"] = noisy()
    done = tour.settled(raw)
    assert "3.12.1" not in str(done)
    cell = by_name(done, "show-verdict")
    assert (cell.metadata, cell.outputs[0].metadata) == ({}, {})
    assert cell.outputs[0].data["text/plain"] == "<harness.runs.Run>"
    (picture,) = pictures(by_name(done, "own-maps"))
    assert (picture.mode, picture.size) == ("P", (300, 200))
    with Image.open(io.BytesIO(base64.b64decode(noisy()))) as whole:
        far = np.abs(np.asarray(picture.convert("RGB"), int) - np.asarray(whole, int))
    assert far.mean() < 20
    assert tour.differences(shipped, done) == []
    assert tour.settled(done) == done


@pytest.mark.thorough
def test_a_cell_that_fails_leaves_the_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool raises what the cell raised, and writes nothing; one whose cells run is written back."""
    place = tmp_path / "some.ipynb"
    monkeypatch.setattr("sys.argv", ["execute_tour", "--notebook", str(place)])
    cell = nbformat.v4.new_code_cell("1 / 0", id="wrong")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), place)
    before = place.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        tour.main()
    assert place.read_bytes() == before
    cell = nbformat.v4.new_code_cell("import os\nos.listdir()", id="right")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), place)
    tour.main()
    assert [tour.told(one) for one in tour.read(place).cells] == ["[]"]


@pytest.mark.slow
def test_its_cells_still_say_what_it_ships(shipped: Any, tmp_path: Path) -> None:
    """From top to bottom in an empty folder: no error, the same words, and the same numbers nearly."""
    fresh = tour.executed(shipped, tmp_path)
    assert tour.differences(shipped, tour.settled(fresh)) == []
    assert [one.name for one in tmp_path.iterdir()] == ["tour-artifacts"]
