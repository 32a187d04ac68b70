"""A number that is stored is taken again only where the very source that made it is there."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import pytest

from harness import attributions, environment, measurements
from harness.environment import sources


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the harness's source, whose digest is taken in place of the harness's own."""
    original, folder = sources.PACKAGE, tmp_path / "harness"
    for path in original.rglob("*.py"):
        copy = folder / path.relative_to(original)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    monkeypatch.setattr(sources, "PACKAGE", folder)
    return folder


def test_the_digest_changes_with_one_byte_of_the_source(source: Path) -> None:
    """A comment more in any module is another digest of the whole, and of that module alone."""
    whole, models, training = (
        sources.code_digest(*names) for names in ((), ("subjects/models",), ("subjects/training",))
    )
    with (source / "subjects/models.py").open("a") as stream:
        stream.write("#")
    assert sources.code_digest() != whole
    assert sources.code_digest("subjects/models") != models
    assert sources.code_digest("subjects/training") == training


@pytest.mark.thorough
def test_the_digest_covers_each_module(source: Path) -> None:
    """No module of the harness can change without the digest of the whole changing."""
    whole = sources.code_digest()
    for path in sorted(source.rglob("*.py")):
        text = path.read_bytes()
        path.write_bytes(text + b"#")
        assert sources.code_digest() != whole, path.relative_to(source)
        path.write_bytes(text)
    assert sources.code_digest() == whole


@pytest.mark.thorough
def test_what_only_shows_has_no_part_in_the_gates_digest(source: Path) -> None:
    """A change of any other module is another gate; one of the report is not."""
    gate = sources.gate_digest()
    assert gate != sources.code_digest()
    for path in sorted(source.rglob("*.py")):
        text = path.read_bytes()
        path.write_bytes(text + b"#")
        name = path.relative_to(source).with_suffix("").as_posix()
        shows = sources.is_one_of(name, sources.SHOWING)
        assert (sources.gate_digest() == gate) is shows, path.relative_to(source)
        path.write_bytes(text)


def test_what_shows_is_there(source: Path) -> None:
    """Every module that is left out of the gate's digest exists."""
    for name in sources.SHOWING:
        assert (source / name).is_dir() or (source / f"{name}.py").is_file(), name


def test_a_module_inside_a_package_has_a_digest(source: Path) -> None:
    """A module in a package of the harness is named with its package, and counts for the whole."""
    whole = sources.code_digest()
    (source / "package").mkdir()
    inner = source / "package" / "module.py"
    inner.write_text("one = 1")
    first = sources.code_digest("package/module")
    inner.write_text("one = 2")
    assert sources.code_digest("package/module") != first
    assert sources.code_digest() != whole


def test_the_digest_depends_on_which_module_holds_what(source: Path) -> None:
    """Two modules that swap their contents give another digest."""
    names = ("subjects/models", "subjects/training")
    whole, both = sources.code_digest(), sources.code_digest(*names)
    models, training = (source / f"{name}.py" for name in names)
    texts = models.read_bytes(), training.read_bytes()
    models.write_bytes(texts[1])
    training.write_bytes(texts[0])
    assert sources.code_digest() != whole
    assert sources.code_digest(*names) != both


def test_the_digest_is_that_of_the_source_not_of_the_place(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same source elsewhere has the same digest, so that a run can be compared with another machine's."""
    here = sources.code_digest()
    moved = source.rename(source.parent / "moved")
    monkeypatch.setattr(sources, "PACKAGE", moved)
    assert sources.code_digest() == here


# what a function does, by its sources


def same_twice(function: object) -> bool:
    return sources.source_digest(function) == sources.source_digest(function)


def own(values: list[int]) -> list[int]:
    """A function of somebody's own."""
    return values


class Own:
    """An object that can be called."""

    def __call__(self, values: list[int]) -> list[int]:
        return values

    def method(self, values: list[int]) -> list[int]:
        """A bound method."""
        return values


def test_what_somebody_wrote_is_never_taken_for_the_same() -> None:
    """What it calls and sees is not in its file: a function, a partial, an object, one without a file."""
    space: dict[str, Any] = {}
    exec("def made(x):\n    return x\n", space)
    held = (
        own,
        functools.partial(own),
        functools.lru_cache(own),
        Own(),
        Own().method,
        space["made"],
        print,
        5,
    )
    for function in (*held, functools.wraps(environment.command)(lambda: own([]))):
        assert not same_twice(function)


@pytest.mark.parametrize(
    "registry", [attributions.methods, measurements.measurements], ids=["maps", "measured"]
)
def test_all_that_is_shipped_can_be_taken_from_the_cache(registry: Any) -> None:
    """Its file tells all that a version of the harness does."""
    for entry in registry.values():
        parts = [getattr(entry, part, None) for part in ("maps", "sensitivity", "identity")]
        for function in filter(None, parts if any(parts) else [entry]):
            assert same_twice(function)
