"""The run directory: made exclusively, read with a check."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import shipped
from harness.config import Config
from harness.errors import ConfigurationError, OutputError, RunError

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


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


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    """A folder without `environment.json`, a loop and a name that cannot be one are no run directories."""
    (tmp_path / "loop").symlink_to("loop")
    for path in (tmp_path, tmp_path / "loop", tmp_path / "nothing"):
        with pytest.raises(ConfigurationError, match="is no run directory"):
            RunDirectory.open(path)


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


@pytest.mark.parametrize(
    "change",
    [
        ('"verdict": "pass"', '"verdict": "fail"'),
        ('"announcements": [', '"announcements": ["x", '),
        ('"strict": false', '"strict": true'),
    ],
)
def test_an_edited_verdict_is_not_believed(finished: RunDirectory, change: tuple[str, str]) -> None:
    """Whatever is changed in it by hand, the record's own digest tells (fault 51)."""
    text = (finished / "verdict.json").read_text()
    assert change[0] in text
    (finished / "verdict.json").write_text(text.replace(change[0], change[1], 1))
    with pytest.raises(RunError, match="is not as it was judged; judge the run again"):
        finished.read_verdict()


def test_a_verdict_is_of_one_state_of_the_run(finished: RunDirectory) -> None:
    """It names the manifest that it was given under: another one, or none, and it says nothing."""
    before = finished.read_verdict()
    assert before is not None
    assert before["manifest"] == finished.manifest.digest()
    (finished / "metrics.csv").write_text("edited")
    finished.finish()  # as whoever edits might seal it
    with pytest.raises(RunError, match=r"manifest\.json: is not the one that verdict\.json names"):
        finished.read_verdict()
    (finished / "manifest.json").unlink()
    with pytest.raises(RunError, match=r"manifest\.json: is not the one that verdict\.json names"):
        finished.read_verdict()


TABLES = ("data", "model", "training", "attribution", "selection", "statistics", "report")


@pytest.mark.parametrize("cut", [*TABLES, "criteria", "all"])
def test_a_stored_configuration_is_complete_or_refused(finished: RunDirectory, cut: str) -> None:
    """Cut at any table's border, or emptied, it does not fall back to defaults (fault 52)."""
    text = (finished / "config.toml").read_text()
    end = 0 if cut == "all" else text.index("[[criteria]]" if cut == "criteria" else f"[{cut}]")
    (finished / "config.toml").write_text(text[:end])
    with pytest.raises(RunError, match=r"config\.toml: is not complete, it lacks "):
        finished.read_config()


def test_a_run_of_before_a_key_came_is_whole(tmp_path: Path) -> None:
    """It meant then what the key's value says now."""
    run = RunDirectory(tmp_path)
    run.write_config(Config())
    text = (run / "config.toml").read_text()
    older = re.sub(r'(?m)^model = "k-sparse"\n|^\[model\.settings\]\n|^\[without\]\n', "", text)
    assert older != text
    (run / "config.toml").write_text(older)
    assert run.read_config() == Config()


def test_a_single_key_of_a_stored_configuration_is_missed(finished: RunDirectory) -> None:
    """What it lacks is named, a criterion by its id."""
    text = (finished / "config.toml").read_text()
    for line, name in (("k = 32\n", r"model\.k"), ("strict = false\n", "strict")):
        (finished / "config.toml").write_text(text.replace(line, ""))
        with pytest.raises(RunError, match=f"it lacks {name}:"):
            finished.read_config()
    start = text.index('[[criteria]]\nid = "sparsity"')
    (finished / "config.toml").write_text(text[:start] + text[text.index("[[criteria]]", start + 5) :])
    with pytest.raises(RunError, match=r"it lacks criteria\.sparsity:"):
        finished.read_config()


@pytest.mark.parametrize("name", ["environment.json", "estimates.json", "failure.json", "stages.json"])
@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 1}', '{"schema": 1, "dataset": null}'])
def test_a_record_of_a_wrong_shape_is_a_line(finished: RunDirectory, name: str, text: str) -> None:
    """Each record of a run is read with a check: one line with the path, no riddle (fault 58)."""
    read = {
        "environment.json": finished.read_provenance,
        "estimates.json": finished.read_estimates,
        "failure.json": finished.read_failure,
        "stages.json": finished.read_stages,
    }[name]
    (finished / name).write_text(text)
    with pytest.raises(RunError, match=rf"{name}: damaged \(.*\); compute the run again"):
        read()


@pytest.mark.parametrize("key", ["dataset", "device"])
def test_the_parts_of_a_provenance_are_checked_too(finished: RunDirectory, key: str) -> None:
    """What is read of the data and the device is there, and of its kind."""
    whole = json.loads((finished / "environment.json").read_text())
    for part in whole[key]:
        lacking = {k: v for k, v in whole[key].items() if k != part}
        # runs of earlier harnesses have no digest of the arrays, and nothing but images
        older = ("digest", "kind", "axes", "scale", "unit", "baseline", "names")
        for changed in ([] if part in older else [lacking]) + [whole[key] | {part: [None]}]:
            (finished / "environment.json").write_text(json.dumps(whole | {key: changed}))
            with pytest.raises(RunError, match=r"environment\.json: damaged"):
                finished.read_provenance()


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
    assert (shipped("templates") / "report.html.j2").is_file()
    assert (shipped("validation") / "test_accuracy.py").is_file()
    with pytest.raises(RunError, match="lacks its folder 'nothing'"):
        shipped("nothing")


def test_a_run_keeps_no_password(tmp_path: Path) -> None:
    """Of the database in which its configuration keeps the nights."""
    run = RunDirectory.create(tmp_path, "abc", NOW)
    run.write_config(Config.model_validate({"nightly": {"history": "postgresql://me:word@there/db"}}))
    assert "word" not in (run / "config.toml").read_text()
    assert run.read_config().nightly.history == "postgresql://me:***@there/db"
