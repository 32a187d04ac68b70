"""The run directory and the cache hold whole files or none."""

from __future__ import annotations

import json
import os
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness import artifacts
from harness.artifacts import Cache, Folder, RunDirectory, key_of, share
from harness.errors import ConfigurationError, OutputError, RunError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def fill(cache: Cache, key: str = "k", text: str = "made") -> Folder:
    with cache.making("stage", key) as folder:
        folder.write_text("sub/file.txt", text)
    return Folder(cache.path / "stage" / key)


def test_a_run_directory_bears_time_and_commit(tmp_path: Path) -> None:
    """A run's folder is `runs/<UTC time>-<commit>`."""
    run = RunDirectory.create(tmp_path, "abc123", NOW)
    assert run.path == tmp_path / "runs" / "20260102T030405Z-abc123"


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    """Two runs of the same second and commit have a folder each (fault 36)."""
    assert len({RunDirectory.create(tmp_path, "abc", NOW).path for _ in range(3)}) == 3


def test_an_output_that_cannot_hold_a_run_is_refused(tmp_path: Path) -> None:
    """An output folder that cannot be written to is refused by name (fault 33)."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="file: cannot be written to"):
        RunDirectory.create(tmp_path / "file", "abc")


def test_latest_points_to_the_newest_run(tmp_path: Path) -> None:
    """`latest` is a relative link to the run that was linked last."""
    first, second = (RunDirectory.create(tmp_path, commit, NOW) for commit in ("one", "two"))
    first.link_latest()
    second.link_latest()
    assert (tmp_path / "latest").resolve() == second.path.resolve()
    assert not (tmp_path / "latest").readlink().is_absolute()


def test_an_older_run_does_not_take_latest_back(finished: RunDirectory) -> None:
    """Judging an old run again leaves `latest` at the newer run that has a verdict."""
    output = finished.path.parent.parent
    finished.link_latest()
    old = RunDirectory.create(output, "abc", NOW)
    old.link_latest()
    assert (output / "latest").resolve() == finished.path.resolve()


def test_a_latest_that_is_no_link_is_refused(tmp_path: Path) -> None:
    """A folder in the place of the link is refused before any work (fault 33)."""
    (tmp_path / "latest").mkdir()
    with pytest.raises(OutputError, match="latest: must be a link"):
        RunDirectory.create(tmp_path, "abc")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """A folder without `environment.json` is no run directory."""
    with pytest.raises(ConfigurationError, match="is no run directory"):
        RunDirectory.open(tmp_path)


def test_a_write_that_breaks_off_leaves_the_old_file(tmp_path: Path) -> None:
    """A file that was there stays whole when its successor breaks off, and nothing else is left."""
    folder = Folder(tmp_path)
    folder.write_text("file", "old")
    with pytest.raises(RuntimeError, match="power cut"), folder.writing("file") as stream:
        stream.write(b"ne")
        raise RuntimeError("power cut")
    assert (tmp_path / "file").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), np.float64("nan")])
def test_json_holds_no_nan(tmp_path: Path, number: float) -> None:
    """A number that is not finite is never written to JSON."""
    with pytest.raises(ValueError, match="null and a reason"):
        Folder(tmp_path).write_json("file.json", {"deep": [{"value": number}]})
    assert not list(tmp_path.iterdir())


def test_json_bears_the_schema_version(tmp_path: Path) -> None:
    """Every JSON file bears the schema version, and numpy's numbers are plain in it."""
    Folder(tmp_path).write_json("file.json", {"n": np.int64(3), "x": np.float32(0.5)})
    assert json.loads((tmp_path / "file.json").read_text()) == {"schema": 1, "n": 3, "x": 0.5}


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    """A file of a newer schema is not guessed at."""
    (tmp_path / "file.json").write_text('{"schema": 99}')
    with pytest.raises(RunError, match=r"file\.json: schema 99 is newer"):
        Folder(tmp_path).read_json("file.json")


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"schema": null}'])
def test_damaged_json_is_refused_by_name(tmp_path: Path, content: str) -> None:
    """A truncated or foreign JSON file is an error that names it."""
    (tmp_path / "file.json").write_text(content)
    with pytest.raises(RunError, match=r"file\.json: damaged"):
        Folder(tmp_path).read_json("file.json")


def test_damaged_arrays_are_refused_by_name(tmp_path: Path) -> None:
    """A truncated .npz file is an error that names it, and pickles in one are not loaded."""
    folder = Folder(tmp_path)
    folder.write_arrays("whole.npz", {"a": np.arange(100)})
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:-40])
    np.savez(tmp_path / "pickle.npz", a=np.array([{}], dtype=object))
    for name in ("cut", "pickle"):
        with pytest.raises(RunError, match=rf"{name}\.npz: damaged"):
            folder.read_arrays(f"{name}.npz")
    with pytest.raises(RunError, match="missing"):
        folder.read_arrays("none.npz")


def test_tables_keep_every_digit_and_odd_names(tmp_path: Path) -> None:
    """A table is written with all digits, and a class called `None` or `NA` comes back as such."""
    folder = Folder(tmp_path)
    table = pd.DataFrame({"class": ["None", "NA", 'a "b", c'], "x": [0.1 + 0.2, 1 / 3, 1e-300]})
    folder.write_table("t.csv", table)
    assert "0.30000000000000004" in (tmp_path / "t.csv").read_text()
    pd.testing.assert_frame_equal(folder.read_table("t.csv"), table, rtol=1e-15)


def test_keys_know_every_part() -> None:
    """A key depends on every value and name, not on the order of names."""
    base = {"a": 1, "b": [1.5, "x"], "c": {"d": None}}
    same = key_of({"c": {"d": None}, "b": [1.5, "x"], "a": 1})
    others = [base | {"a": 2}, base | {"b": [1.5, "y"]}, base | {"e": 0}, base | {"c": {"d": 0}}]
    assert key_of(base) == same
    assert len({key_of(base), *map(key_of, others)}) == 5


def test_an_entry_is_found_again(tmp_path: Path) -> None:
    """What was made under a key is found under it, and under no other."""
    cache = Cache(tmp_path)
    fill(cache)
    found = cache.find("stage", "k")
    assert found is not None
    assert (found / "sub/file.txt").read_text() == "made"
    assert cache.find("stage", "other") is None
    assert cache.find("other", "k") is None


def test_an_entry_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    """An entry whose making was interrupted does not exist, and leaves nothing behind."""
    cache = Cache(tmp_path)
    with pytest.raises(KeyboardInterrupt), cache.making("stage", "k") as folder:
        folder.write_text("file", "half")
        raise KeyboardInterrupt
    assert cache.find("stage", "k") is None
    assert not list((tmp_path / "cache" / "stage").iterdir())


@pytest.mark.parametrize(
    "damage", ["truncated", "foreign", "missing", "added", "unsealed", "renamed", "odd", "empty"]
)
def test_a_damaged_entry_is_thrown_away(tmp_path: Path, damage: str) -> None:
    """An entry that is truncated, foreign or of another key is not used (faults 28, 29)."""
    cache = Cache(tmp_path)
    entry = fill(cache)
    file = entry / "sub/file.txt"
    if damage == "truncated":
        file.write_text("ma")
    elif damage == "foreign":
        file.write_text("else")
    elif damage == "missing":
        file.unlink()
    elif damage == "added":
        (entry / "sub/more.txt").write_text("never sealed")
    elif damage in ("odd", "empty"):
        (entry / artifacts.SEALS).write_text("[]" if damage == "odd" else '{"key": "k", "files": {}}')
    elif damage == "unsealed":
        (entry / artifacts.SEALS).unlink()
    else:
        seals = entry / artifacts.SEALS
        seals.write_text(seals.read_text().replace('"key": "k"', '"key": "of another configuration"'))
    assert cache.damaged("stage", "k")
    assert cache.find("stage", "k") is None
    assert not entry.path.exists()


def test_fresh_finds_nothing_and_replaces(tmp_path: Path) -> None:
    """A fresh cache finds no entry, and what it makes replaces the old one."""
    fill(Cache(tmp_path))
    fresh = Cache(tmp_path, fresh=True)
    assert fresh.find("stage", "k") is None
    fill(fresh, text="anew")
    found = Cache(tmp_path).find("stage", "k")
    assert found is not None
    assert (found / "sub/file.txt").read_text() == "anew"


def test_shared_files_stand_without_the_cache(tmp_path: Path) -> None:
    """A run directory is whole after the cache is gone, and holds no seals."""
    cache = Cache(tmp_path)
    entry = fill(cache)
    share(entry, tmp_path / "run")
    share(entry, tmp_path / "run")
    (entry / "sub/file.txt").unlink()
    assert [p.relative_to(tmp_path / "run").as_posix() for p in (tmp_path / "run").rglob("*.*")] == [
        "sub/file.txt"
    ]
    assert (tmp_path / "run/sub/file.txt").read_text() == "made"


def test_sharing_copies_where_links_are_not_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without hard links the files are copied."""

    def refuse(*_: object) -> None:
        raise OSError("no links here")

    entry = fill(Cache(tmp_path))
    monkeypatch.setattr(os, "link", refuse)
    share(entry, tmp_path / "run")
    assert (tmp_path / "run/sub/file.txt").read_text() == "made"


def test_a_verdict_of_another_run_is_refused(finished: RunDirectory) -> None:
    """A verdict that bears another run's id is an error that names both (fault 35)."""
    values = json.loads((finished / "verdict.json").read_text())
    (finished / "verdict.json").write_text(json.dumps(values | {"run_id": "20200101T000000Z-other"}))
    with pytest.raises(RunError, match=r"another run: must be of .* \(got '20200101T000000Z-other'\)"):
        finished.read_verdict()


@pytest.mark.parametrize("change", [{"criteria": [{}]}, {"criteria": None}])
def test_a_damaged_verdict_is_refused(finished: RunDirectory, change: dict[str, object]) -> None:
    """A verdict without its criteria is an error, not an empty verdict."""
    values = json.loads((finished / "verdict.json").read_text())
    (finished / "verdict.json").write_text(json.dumps(values | change))
    with pytest.raises(RunError, match="damaged"):
        finished.read_verdict()


def test_a_finished_run_holds_the_documented_files(finished: RunDirectory) -> None:
    """Every file of the documented layout is there, with its documented keys and columns."""
    seed = finished.seed(0)
    keys = {
        seed / "attributions/gradients.npz": {"maps", "space", "targets", "indices"},
        seed / "codes.npz": {"firing_frequency", "l0", "atoms", "reconstructions"},
        seed / "predictions.npz": {"logits", "labels"},
        finished / "samples.npz": {"images", "indices", "labels"},
    }
    for path, expected in keys.items():
        with np.load(path) as arrays:
            assert expected <= set(arrays.files), path.name
    columns = {
        finished / "samples.csv": "index,label,class,seed,prediction,confidence",
        finished / "metrics.csv": "measurement,seed,estimate,low,high,n,unit",
        seed / "training.csv": "seed,stage,epoch,loss,accuracy,seconds",
    }
    for path, head in columns.items():
        assert path.read_text().splitlines()[0] == head
    for name in ("encoder", "decoder", "full_autoencoder", "classifier"):
        assert (seed / f"weights/{name}.pth").is_file()
    for name in (
        "config.toml",
        "environment.json",
        "estimates.json",
        "verdict.json",
        "junit.xml",
        "summary.md",
    ):
        assert (finished / name).is_file()
    with np.load(seed / "attributions/gradients.npz") as arrays:
        assert arrays["maps"].dtype == np.float32
        assert arrays["maps"].shape == (40, 784)
    with np.load(seed / "codes.npz") as arrays:
        assert arrays["atoms"].dtype == np.float16
        assert arrays["atoms"].shape == (256, 784)
    with np.load(finished / "samples.npz") as arrays:
        assert arrays["images"].dtype == np.uint8


def test_the_configuration_of_a_run_comes_back(finished: RunDirectory) -> None:
    """`config.toml` spells out every default and gives the same configuration again."""
    settings = finished.read_config()
    assert settings.model.k == 32
    assert "smoothgrad_sigma = 0.1" in (finished / "config.toml").read_text()
    assert [one.id for one in settings.criteria][:3] == ["accuracy", "sparsity", "agreement"]


def test_shipped_folders_are_found() -> None:
    """Templates and criteria are found, and a folder that is missing is named."""
    assert (artifacts.shipped("templates") / "report.html.j2").is_file()
    assert (artifacts.shipped("validation") / "test_accuracy.py").is_file()
    with pytest.raises(RunError, match="lacks its folder 'nothing'"):
        artifacts.shipped("nothing")
