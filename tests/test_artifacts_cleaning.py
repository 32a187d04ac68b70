"""What no run needs is shown and removed, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

from harness.artifacts import cleaning
from harness.artifacts.cache import Cache
from harness.artifacts.directories import RunDirectory
from tests.test_artifacts_staging import killed_in


def an_output(tmp_path: Path) -> Path:
    """A folder with a run that uses one entry of two, both of last year, and a third of today."""
    for key in ("used", "unused", "young"):
        cache = Cache(tmp_path)
        with cache.making("stage", key) as made:
            made.write_text("file", "x" * 1000)
        if key != "young":
            os.utime(tmp_path / "cache/stage" / key, (0, 0))
    run = RunDirectory.create(tmp_path, "abc")
    run.write_json("stages.json", {"duration_s": {}, "taken_from": None, "cache": ["stage/used"]})
    return tmp_path


def test_what_no_run_uses_is_found_and_removed(tmp_path: Path) -> None:
    """An entry that no run names and that is not of today goes, whole; the others stay."""
    output = an_output(tmp_path)
    (found,) = cleaning.needless(output)
    assert found.path == output / "cache/stage/unused"
    assert found.why == "no run here uses it"
    assert found.size > 1000
    assert cleaning.clean([found]) == []
    assert sorted(path.name for path in (output / "cache/stage").iterdir()) == ["used", "young"]
    assert cleaning.needless(output) == []


def test_leftovers_are_found_wherever_they_are(tmp_path: Path) -> None:
    """In the output folder, the cache, its stages, a run, and the parts of a run that did not end (57)."""
    output = an_output(tmp_path)
    (run,) = (output / "runs").iterdir()
    (run / "seed-0").mkdir()
    places = [output, output / "cache", output / "cache/stage", run, run / "seed-0"]
    for place in places:
        killed_in(place)
    found = [one for one in cleaning.needless(output) if "gone" in one.why]
    assert sorted({one.path.parent for one in found}) == sorted(places)
    assert len(found) == 2 * len(places)
    cleaning.clean(found)
    assert not list(output.rglob(".*"))


def test_leftovers_of_points_are_found_too(tmp_path: Path) -> None:
    """Of an interrupted run of a point as of any, in the folders of sweeps, and what its run uses stays."""
    output = an_output(tmp_path)
    point = output / "sweeps/points/0a1b"
    begun = RunDirectory.create(point, "abc")
    begun.write_json("stages.json", {"duration_s": {}, "taken_from": None, "cache": ["stage/unused"]})
    run = begun.path
    (run / "seed-0").mkdir()
    (output / "sweeps/mine").mkdir()
    places = [point.parent, point, run, run / "seed-0", output / "sweeps/mine"]
    for place in places:
        killed_in(place)
    found = cleaning.needless(output)
    assert sorted({one.path.parent for one in found}) == sorted(places)
    assert {one.why for one in found} == {"left by a process that is gone"}
    assert len(found) == 2 * len(places)
    assert cleaning.clean(found) == []
    assert not list(output.rglob(".*"))
    assert run.is_dir()


def test_a_run_whose_record_is_damaged_hinders_nobody(tmp_path: Path) -> None:
    """Its entries are then nobody's, as those of a run that is gone; the run itself is never removed."""
    output = an_output(tmp_path)
    (run,) = (output / "runs").iterdir()
    (run / "stages.json").write_text("{")
    assert {one.path.name for one in cleaning.needless(output)} == {"used", "unused"}
    cleaning.clean(cleaning.needless(output))
    assert run.is_dir()


def test_what_no_run_made_is_left_alone(tmp_path: Path) -> None:
    """Folders without seals, or sealed for another name, and links, are somebody's own."""
    outside = tmp_path / "outside/pictures"
    outside.mkdir(parents=True)
    own = tmp_path / "output/cache/models/bert"
    own.mkdir(parents=True)
    foreign = tmp_path / "output/cache/stage/abc"
    foreign.mkdir(parents=True)
    (foreign / "seals.json").write_text('{"schema": 1, "key": "another", "files": {"a": "b"}}')
    (tmp_path / "output/cache/mine").symlink_to(tmp_path / "outside")
    for path in (own, outside, foreign):
        os.utime(path, (0, 0))
    assert cleaning.needless(tmp_path / "output") == []


def test_an_empty_folder_needs_no_cleaning(tmp_path: Path) -> None:
    """Where nothing is, nothing is found."""
    assert cleaning.needless(tmp_path / "nothing") == []
