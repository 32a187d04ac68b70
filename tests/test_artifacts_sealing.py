"""A run's manifest tells what is no longer as it was computed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.artifacts.directories import RunDirectory
from harness.artifacts.sealing import GATED, MANIFEST, OWN, PUBLISHED, Manifest, rests_a_gate_on, seal
from harness.errors import RunError


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A folder of computed and published files, sealed."""
    for name in ("estimates.json", "seed-0/weights/a.pth", "measurements/x.npz", *PUBLISHED, "figures/a.svg"):
        path = tmp_path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
    seal(tmp_path / "run")
    return tmp_path / "run"


def test_all_that_was_computed_is_named(sealed: Path) -> None:
    """Every computed file with its digest, and nothing that judging or rendering writes anew."""
    files = Manifest(sealed).files
    assert set(files) == {"estimates.json", "seed-0/weights/a.pth", "measurements/x.npz"}
    assert files["estimates.json"] == hashlib.sha256(b"content of estimates.json").hexdigest()
    assert Manifest(sealed).damage() == []


def a_pipe(path: Path) -> None:
    """In the file's place, and nobody writes into it."""
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("name", ["estimates.json", "seed-0/weights/a.pth", "measurements/x.npz"])
@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda path: path.unlink(), "missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is not as it was computed"),
        (lambda path: path.write_bytes(path.read_bytes() + b" "), "is not as it was computed"),
        (lambda path: (path.unlink(), path.mkdir()), "is not as it was computed"),
        (lambda path: (path.unlink(), path.symlink_to("nothing")), "is not as it was computed"),
        (lambda path: a_pipe(path), "is not as it was computed"),
    ],
    ids=["missing", "cut", "longer", "folder", "link", "pipe"],
)
def test_each_kind_of_damage_is_named(
    sealed: Path, name: str, change: Callable[[Path], object], what: str
) -> None:
    """Missing, cut, edited or something else: by name, and whether a gate rests on it (fault 51)."""
    change(sealed / name)
    (found,) = Manifest(sealed).damage()
    assert (found.name, found.what) == (name, what)
    assert found.gated is not name.startswith("seed-0")
    assert str(found) == f"{name}: {what}"


@pytest.mark.parametrize("name", [one for one in GATED if not one.endswith("/")])
def test_a_file_that_nobody_computed_is_not_taken_for_one(sealed: Path, name: str) -> None:
    """A record put into a sealed run is told, where a gate would rest on it."""
    if name == "estimates.json":
        return
    (sealed / name).write_text("{}")
    (found,) = Manifest(sealed).damage()
    assert (found.name, found.gated) == (name, True)
    with pytest.raises(RunError, match="is no file of this run's own"):
        Manifest(sealed).check(sealed / name, b"{}")


def test_what_is_read_is_checked_as_it_is_read(sealed: Path) -> None:
    """The content itself is held against the seal; what is published is not."""
    manifest = Manifest(sealed)
    manifest.check(sealed / "estimates.json", b"content of estimates.json")
    manifest.check(sealed / "verdict.json", b"whatever")
    with pytest.raises(RunError, match=r"estimates\.json: is not as it was computed"):
        manifest.check(sealed / "estimates.json", b"edited")


@pytest.mark.parametrize("text", ["", "{}", '{"schema": 1, "files": []}', '{"schema": 1, "files": {"a": 3}}'])
def test_a_damaged_manifest_is_a_line(sealed: Path, text: str) -> None:
    """There is no telling, which is an error that names it (fault 58)."""
    (sealed / MANIFEST).write_text(text)
    with pytest.raises(RunError, match=rf"{MANIFEST}: damaged"):
        Manifest(sealed).damage()


def test_a_run_before_its_end_has_no_seal(tmp_path: Path) -> None:
    """What is being computed is read without one."""
    manifest = Manifest(tmp_path)
    assert not manifest.exists
    assert manifest.digest() is None
    manifest.check(tmp_path / "estimates.json", b"anything")


def test_what_a_gate_rests_on_is_of_the_run_alone() -> None:
    """Records and measurements, not weights or pictures; and no cache may bring a run's records."""
    assert all(map(rests_a_gate_on, ("config.toml", "estimates.json", "measurements/agreement.npz")))
    assert not any(map(rests_a_gate_on, ("seed-0/weights/encoder.pth", "metrics.csv", "stages.json")))
    assert {"config.toml", "environment.json", "verdict.json", MANIFEST} <= OWN


def test_a_finished_run_is_sealed_whole(finished: RunDirectory) -> None:
    """Of a real run every file that is there is sealed or published, and nothing is amiss."""
    there = {
        path.relative_to(finished.path).as_posix() for path in finished.path.rglob("*") if path.is_file()
    }
    assert there - set(finished.manifest.files) <= PUBLISHED | {MANIFEST}
    assert RunDirectory.open(finished.path).amiss() == []
    assert not [name for name in there if Path(name).name.startswith(".")]
