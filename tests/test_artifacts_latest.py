"""The latest run is the one that was begun last, whatever its name, the clock or a file system say."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime, timezone
from pathlib import Path

import pytest

from harness.artifacts import latest
from harness.artifacts.directories import RunDirectory
from harness.errors import ConfigurationError, OutputError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def a_run(output: Path, commit: str = "abc", now: datetime = NOW) -> RunDirectory:
    """A run directory with its number, and no more."""
    run = RunDirectory.create(output, commit, now)
    number = latest.next_sequence(output / "runs")
    run.write_json("environment.json", {"run_id": run.path.name, "sequence": number})
    return run


def at(output: Path) -> str | None:
    named = latest.named(output / "latest")
    return None if named is None else named.name


def test_it_names_the_run_by_a_relative_link(tmp_path: Path) -> None:
    """So the output folder may be moved."""
    run = a_run(tmp_path)
    run.link_latest()
    assert (tmp_path / "latest").readlink() == Path("runs") / run.path.name
    assert RunDirectory.open(tmp_path / "latest").path == run.path.resolve()


def test_it_goes_by_the_number_not_by_the_name(tmp_path: Path) -> None:
    """Neither `-10` after `-9` nor a clock that was ahead once keeps it (fault 42)."""
    ahead = a_run(tmp_path, now=datetime(2099, 1, 1, tzinfo=timezone.utc))
    ahead.link_latest()
    for _ in range(10):
        run = a_run(tmp_path)
        run.link_latest()
        assert at(tmp_path) == run.path.name
    ahead.link_latest()  # judged again
    assert at(tmp_path) == run.path.name == "20260102T030405Z-abc-10"
    (tmp_path / "latest").unlink()
    ahead.link_latest()
    assert at(tmp_path) is None


def test_runs_of_before_have_no_number(tmp_path: Path) -> None:
    """A run without a number, or with one that is none, is older than any that has one."""
    odd: object
    for odd in ({}, {"sequence": None}, {"sequence": 10**30}, {"sequence": -1}, []):
        run = RunDirectory.create(tmp_path, "abc", NOW)
        (run / "environment.json").write_text(json.dumps(odd))
        assert latest.sequence_of(run.path) == 0
    (run / "environment.json").write_text('{"a":' + "[" * 100_000)
    assert latest.sequence_of(run.path) == 0
    assert latest.next_sequence(tmp_path / "runs") == 1
    assert latest.next_sequence(tmp_path / "nothing") == 1


def test_a_run_that_begins_takes_it_away(tmp_path: Path) -> None:
    """Until the run stands there is none: never another night's (fault 55)."""
    a_run(tmp_path).link_latest()
    RunDirectory.create(tmp_path, "abc", NOW)
    assert not os.path.lexists(tmp_path / "latest")
    with pytest.raises(
        ConfigurationError, match="the last run was refused before it began; name an earlier one"
    ):
        RunDirectory.open(tmp_path / "latest")


def test_where_only_sweeps_ran_a_point_is_named(tmp_path: Path) -> None:
    """No run was refused there: the runs are those of points; with one beside them the word is as ever."""
    point = tmp_path / "sweeps/points/0a1b"
    a_run(point).link_latest()
    (tmp_path / "sweeps/points/0000/runs").mkdir(parents=True)  # begun, and killed before its run
    with pytest.raises(
        ConfigurationError, match=r"only sweeps ran here; name a point's run, such as"
    ) as told:
        RunDirectory.open(tmp_path / "latest")
    assert str(point / "latest") in str(told.value)
    assert RunDirectory.open(point / "latest").path.parent == point / "runs"
    RunDirectory.create(tmp_path, "abc", NOW)
    with pytest.raises(ConfigurationError, match="the last run was refused"):
        RunDirectory.open(tmp_path / "latest")


@pytest.mark.parametrize("target", ["latest", "../elsewhere", "nowhere", "runs", "runs/../..", "/"])
def test_a_link_to_something_else_is_no_obstacle(tmp_path: Path, target: str) -> None:
    """A loop, a place outside of `runs`, nothing at all: it names no run, and is replaced."""
    run = a_run(tmp_path / "artifacts")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "artifacts/latest").symlink_to(target)
    assert at(tmp_path / "artifacts") is None
    with pytest.raises(ConfigurationError, match="names no run in"):
        RunDirectory.open(tmp_path / "artifacts/latest")
    run.link_latest()
    assert at(tmp_path / "artifacts") == run.path.name


def test_without_links_it_is_a_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a file system that has none a file names the run; it is read as a link is, and replaced."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    first = a_run(tmp_path)
    first.link_latest()
    assert (tmp_path / "latest").read_text() == f"runs/{first.path.name}\n"
    second = a_run(tmp_path)
    second.link_latest()
    assert RunDirectory.open(tmp_path / "latest").path == second.path.resolve()
    monkeypatch.undo()
    a_run(tmp_path).link_latest()
    assert (tmp_path / "latest").is_symlink()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_text_that_came_of_a_link_is_read(tmp_path: Path, end: str) -> None:
    """As git writes one where there are no links."""
    run = a_run(tmp_path)
    (tmp_path / "latest").write_bytes(f"runs/{run.path.name}{end}".encode())
    assert at(tmp_path) == run.path.name
    latest.withdraw(tmp_path)
    assert not (tmp_path / "latest").exists()


def test_a_copy_of_the_run_in_its_place_goes(finished: RunDirectory) -> None:
    """A CI's store made a folder of the link: the run itself is there, and the next run works."""
    output = finished.path.parent.parent
    shutil.copytree(finished.path, output / "latest")
    latest.withdraw(output)
    assert not (output / "latest").exists()
    assert RunDirectory.open(finished.path).amiss() == []


def test_a_copy_of_a_part_goes_too(finished: RunDirectory) -> None:
    """Also of a run that was killed, or that the store took without its weights."""
    output = finished.path.parent.parent
    (finished / "manifest.json").unlink()
    shutil.copytree(finished.path, output / "latest", ignore=shutil.ignore_patterns("weights"))
    latest.withdraw(output)
    assert not (output / "latest").exists()
    assert (finished / "seed-0/weights/encoder.pth").is_file()


def test_a_copy_without_its_run_becomes_it(finished: RunDirectory) -> None:
    """Where the runs were not stored, the copy is the run."""
    output, name = finished.path.parent.parent, finished.path.name
    finished.path.rename(output / "latest")
    latest.withdraw(output)
    assert not (output / "latest").exists()
    assert RunDirectory.open(output / "runs" / name).amiss() == []


def test_another_state_of_the_run_is_not_thrown_away(finished: RunDirectory) -> None:
    """A folder that differs from the run is somebody's to look at."""
    output = finished.path.parent.parent
    shutil.copytree(finished.path, output / "latest")
    (finished / "metrics.csv").write_text("edited")
    with pytest.raises(OutputError, match="another state of"):
        latest.withdraw(output)
    assert (output / "latest/metrics.csv").is_file()


@pytest.mark.parametrize("run_id", ["../../x", "a/b", "", None, 3])
def test_a_foreign_folder_is_left_alone(tmp_path: Path, run_id: object) -> None:
    """What is no run, or bears a name that leads elsewhere, is refused before any work (faults 11, 33)."""
    (tmp_path / "artifacts/latest").mkdir(parents=True)
    (tmp_path / "artifacts/latest/environment.json").write_text(json.dumps({"run_id": run_id}))
    with pytest.raises(OutputError, match="is a folder, and no run; move it"):
        RunDirectory.create(tmp_path / "artifacts", "abc")
    assert (tmp_path / "artifacts/latest").is_dir()


def test_a_foreign_file_is_left_alone(tmp_path: Path) -> None:
    """A file of somebody's own is refused, not replaced."""
    (tmp_path / "latest").write_text("my notes")
    with pytest.raises(OutputError, match="is a file that names no run"):
        RunDirectory.create(tmp_path, "abc")
    assert (tmp_path / "latest").read_text() == "my notes"


def test_a_second_measurement_is_never_the_latest(tmp_path: Path) -> None:
    """Though it is begun after its night."""
    night, again = a_run(tmp_path), a_run(tmp_path)
    night.write_json("night.json", {"id": "000001-abcdef", "kind": "night", "of": None})
    again.link_latest()  # until it is known what it is
    again.write_json("night.json", {"id": "000002-abcdef", "kind": "confirmation", "of": "000001-abcdef"})
    night.link_latest()
    again.link_latest()
    assert at(tmp_path) == night.path.name
