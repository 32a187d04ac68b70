"""The reference is what the code says: pages written of it, and pages held against a real run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import typer

from harness import cli
from harness.artifacts.directories import RunDirectory
from harness.cli.schemas import FOLDER
from tests.test_report import rendered  # noqa: F401 - a fixture
from tools.write_reference import COMMAND, REFERENCE, ROOT, commands, written

# the fixture of another module is a name of this one
# ruff: noqa: F811

PAGE = REFERENCE / "run-directory.md"


def rows(path: Path) -> list[list[str]]:
    """The cells of every row of a page's tables, heads left out."""
    lines = path.read_text(encoding="utf-8").replace("\\|", "").splitlines()
    tables = [line.strip("| ").split(" | ") for line in lines if line.startswith("| `")]
    return [[cell.strip() for cell in cells] for cells in tables]


def pattern(name: str) -> str:
    """A listed name, what stands in angle brackets open."""
    return "".join("[^/]+" if part.startswith("<") else re.escape(part) for part in re.split("(<.*?>)", name))


def listed(section: str = "") -> list[str]:
    """Every file that the page lists; without those of a section."""
    found = []
    for part in re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        lines = [line.split(" | ")[0] for line in part.splitlines() if line.startswith("| `")]
        if not part.startswith("Arrays") and not (section and part.startswith(section)):
            found += [name for line in lines for name in re.findall("`(.*?)`", line)]
    return found


def test_what_is_written_is_what_the_code_says() -> None:
    """Pages, and the schemas in the package."""
    for path, text in written().items():
        there = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert there == text, f"{path.relative_to(ROOT)} is not what the code says: {COMMAND}"
    assert set(FOLDER.iterdir()) <= written().keys()


def test_every_command_tells_its_exit_codes() -> None:
    """In the order of the list that it is in, whichever; and no other command is told."""
    whole = typer.main.get_command(cli.app)
    told = [cells[0].strip("`") for cells in rows(REFERENCE / "exit-codes.md")]
    assert sorted(told) == sorted(name for name, _ in commands(whole))


def test_the_page_lists_the_files_of_a_run(rendered: RunDirectory) -> None:
    """Each of them, and none that is not there but those that only some runs have."""
    there = [
        path.relative_to(rendered.path).as_posix()
        for path in rendered.path.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    ]
    named = [pattern(name) for name in listed()]
    assert [name for name in there if not any(re.fullmatch(one, name) for one in named)] == []
    always = listed("Only where there is one")
    assert [one for one in always if not any(re.fullmatch(pattern(one), name) for name in there)] == []


def test_the_page_lists_the_arrays_of_a_run(rendered: RunDirectory) -> None:
    """By file, name, type and shape; a side of one name is everywhere as long."""
    told = [cells for cells in rows(PAGE) if len(cells) == 5]
    sides: dict[str, int] = {}
    met: set[tuple[str, ...]] = set()
    for path in sorted(rendered.path.rglob("*.npz")):
        name = path.relative_to(rendered.path).as_posix().replace("/untrained/", "/attributions/")
        for array, values in rendered.read_arrays(path.relative_to(rendered.path).as_posix()).items():
            fit = [
                (file, key, kind, shape)
                for file, key, kind, shape, _ in told
                if re.fullmatch(pattern(file.strip("`")), name)
                and re.fullmatch(pattern(key.strip("`")), array)
                and kind == ("text" if values.dtype.kind == "U" else str(values.dtype))
                and len(re.findall(r"\w+", shape)) == values.ndim
            ]
            exact = [one for one in fit if "<" not in one[1]] or fit
            assert len(exact) == 1, f"{name}: {array} {values.dtype} {values.shape}"
            met.add(exact[0])
            for side, length in zip(re.findall(r"\w+", exact[0][3]), values.shape, strict=True):
                if side in ("values", "parts"):
                    continue
                assert sides.setdefault(side, length) == length, f"{name}: {array}: {side}"
    assert {tuple(cells[:4]) for cells in told} == met
    assert sides["n"] == len(np.unique(rendered.read_arrays("samples.npz")["indices"]))
