"""The computing half as one entry of the cache: what it gives, and when it is not used."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness import attributions, config, datasets, environment, measurements, pipeline
from harness.artifacts.directories import RunDirectory
from harness.artifacts.sealing import OWN
from harness.attributions import Method
from harness.config import Config
from harness.config.parameters import THROUGH_CAPTUM
from harness.datasets import published
from harness.environment import repository
from harness.errors import HarnessError, Refused, TrainingDiverged
from harness.judging import verdicts
from harness.pipeline import computed
from harness.pipeline.started import Silence

MakeConfig = Callable[..., Config]


class Notes(Silence):
    """Keeps what was told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.warned: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def warn(self, text: str) -> None:
        self.warned.append(text)


class Computing(Exception):
    """A run went to its stages."""


@pytest.fixture
def no_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be computed by stages."""

    def refuse(*_: object) -> None:
        raise Computing

    monkeypatch.setattr(pipeline, "prepare", refuse)


def files(run: RunDirectory) -> dict[str, bytes]:
    """What was computed: everything but what each run has of its own."""
    paths = [path for path in sorted(run.path.rglob("*")) if path.is_file() and path.name not in OWN]
    return {str(path.relative_to(run.path)): path.read_bytes() for path in paths}


def by_stages(settings: Config) -> RunDirectory:
    """The run directory of a run that goes stage by stage, whatever the cache holds as a whole."""
    work = pipeline.prepare(settings, Silence())
    pipeline.execute(work)
    return work.run


def entry(settings: Config) -> Path:
    """The only entry of the cache."""
    (path,) = (settings.output / "cache" / computed.STAGE).iterdir()
    return path


def test_all_of_it_is_what_the_stages_give(small_config: MakeConfig, no_stages: None) -> None:
    """A run that changes only how it is judged takes every file, to the byte that of a run by stages."""
    looser = [one.model_copy(update={"gate": False}) for one in small_config().criteria]
    settings = small_config(strict=True, title="another").model_copy(update={"criteria": tuple(looser)})
    taken = RunDirectory.open(pipeline.run(settings))
    stored = RunDirectory(entry(settings)).read_provenance()
    assert files(taken)
    assert taken.read_config() == settings
    assert taken.read_json("stages.json")["taken_from"] == stored.run_id
    mine = taken.read_provenance()
    assert mine.run_id == taken.path.name != stored.run_id
    assert mine.created >= stored.created
    assert (mine.device, mine.versions, mine.flags) == (stored.device, stored.versions, stored.flags)
    assert (mine.commit, mine.code) == (repository.look().commit, environment.code_digest())


@pytest.mark.thorough
def test_verdict_and_files_are_those_of_a_run_by_stages(small_config: MakeConfig) -> None:
    """Numbers, maps, weights and the judgement do not tell whether the run was taken as a whole."""
    notes, settings = Notes(), small_config()
    taken, staged = RunDirectory.open(pipeline.run(settings, notes)), by_stages(settings)
    assert any("classifier taken from an earlier run" in line for line in notes.said)
    assert any("--fresh trains anew" in line for line in notes.said)
    assert files(taken) == files(staged)
    assert staged.read_json("stages.json")["taken_from"] is None
    first, second = verdicts.judge(taken), verdicts.judge(staged)
    assert first["criteria"] == second["criteria"]
    assert set(first) == set(second)


def test_the_entry_stands_when_the_run_is_changed(small_config: MakeConfig) -> None:
    """Files that are replaced in a run directory stay what they were in the cache."""
    settings = small_config()
    first = RunDirectory.open(pipeline.run(settings))
    before = files(first)
    first.write_text("metrics.csv", "another")
    assert files(RunDirectory.open(pipeline.run(settings))) == before


@pytest.mark.thorough
@pytest.mark.parametrize("damage", ["edited", "provenance", "added", "missing"])
def test_a_damaged_entry_is_not_used_and_that_is_said(small_config: MakeConfig, damage: str) -> None:
    """Whatever differs from what was sealed, the stages' own entries serve, and a new whole is stored."""
    settings, notes = small_config(), Notes()
    place = entry(settings)
    before = files(RunDirectory(place / "run"))
    victim = place / {"provenance": "environment.json", "added": "run/seed-0/sanity/more.npz"}.get(
        damage, "run/metrics.csv"
    )
    content = victim.read_bytes() + b" " if victim.exists() else b""
    victim.unlink(missing_ok=True)
    if damage != "missing":
        victim.write_bytes(content)
    run = RunDirectory.open(pipeline.run(settings, notes))
    assert ["the stored computed cannot be used" in line for line in notes.warned] == [True]
    assert run.read_json("stages.json")["taken_from"] is None
    assert files(run) == before
    assert RunDirectory.open(pipeline.run(settings)).read_json("stages.json")["taken_from"] == run.path.name


def test_fresh_finds_nothing(small_config: MakeConfig, no_stages: None) -> None:
    """With `--fresh` a run goes to its stages."""
    pipeline.run(small_config())
    with pytest.raises(Computing):
        pipeline.run(small_config(fresh=True))


def test_a_run_that_broke_off_is_not_stored(small_config: MakeConfig) -> None:
    """What ended in an error leaves no entry."""
    settings = small_config(learning_rate=1e30)
    known = entry(settings)
    with pytest.raises(TrainingDiverged):
        pipeline.run(settings)
    assert entry(settings) == known


@pytest.mark.thorough
def test_what_changed_while_it_was_computed_is_not_stored(
    small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the key at the end is not that at the start, nobody knows what the files depend on."""
    settings = small_config(chunk_size=511)
    known = entry(settings)
    begun = pipeline.begin(settings, Silence())
    monkeypatch.setattr(environment, "computing_digest", lambda: "edited meanwhile")
    begun.finish()
    assert entry(settings) == known


@pytest.mark.thorough
def test_warnings_are_given_again(small_config: MakeConfig) -> None:
    """Who takes what an earlier run computed is warned of what its user was warned of."""
    settings = small_config(confidence=0.97, minimum_per_class=2)
    first, second = Notes(), Notes()
    before = pipeline.run(settings, first)
    pipeline.run(settings, second)
    assert first.warned
    assert second.warned == [f"{text} (said of {before.name})" for text in first.warned]


# what the key depends on


def another(value: Any) -> Any:
    """A value of the same kind that differs."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return (*value, 7) if isinstance(value, tuple) else f"{value} another"


def key(settings: Config, data: datasets.Dataset, threads: int | None = None) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # values of no valid kind are told of by pydantic
        return computed.key_of_all(settings, data, threads)


@pytest.fixture(scope="module")
def mini() -> datasets.Dataset:
    return datasets.fashion_mnist_mini(None)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "table"), [(name, table) for name, table, _ in config.settings()])
def test_every_setting_is_in_the_key_unless_it_plays_no_part(
    mini: datasets.Dataset, name: str, table: str | None
) -> None:
    """A setting that is not declared free of what is computed gives another key."""
    plain = Config()
    inner = plain if table is None else getattr(plain, table)
    changed = inner.model_copy(update={name: another(getattr(inner, name))})
    settings = changed if table is None else plain.model_copy(update={table: changed})
    assert (key(settings, mini) == key(plain, mini)) is ((table or name) in computed.FREE)


def test_what_is_free_of_the_key_is_a_setting() -> None:
    """Nothing is left out of the key that the configuration does not have."""
    assert set(Config.model_fields) > computed.FREE


def test_criteria_are_in_the_key_where_they_say_how_many_are_explained(mini: datasets.Dataset) -> None:
    """Until gates are decided, thresholds decide how many samples are explained."""

    def keys(until_decided: bool) -> set[str]:
        tables = [{"id": "accuracy", "threshold": threshold} for threshold in (0.7, 0.8)]
        statistics = {"until_decided": until_decided}
        return {
            key(Config.model_validate({"criteria": [table], "statistics": statistics}), mini)
            for table in tables
        }

    assert len(keys(until_decided=False)) == 1
    assert len(keys(until_decided=True)) == 2


@pytest.mark.thorough
def test_no_library_changes_the_key_by_being_imported() -> None:
    """A run finds the same entry whatever its process has loaded; scikit-learn sets variables of OpenMP."""
    code = (
        "from harness.pipeline import computed; before = computed._processor(); "
        "import captum.attr, dask, pandas, seaborn, sklearn, torchvision; "
        "assert computed._processor() == before, computed._processor()"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("KMP_")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_data_threads_processor_code_and_versions_are_in_the_key(
    mini: datasets.Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other data, threads, CPUs, instruction sets, numerical variables, source or versions: another key."""
    plain = Config()
    found = [key(plain, mini), key(plain, mini, threads=2)]
    found += [
        key(plain, dataclasses.replace(mini, **changed))
        for changed in (
            {"train_labels": np.roll(mini.train_labels, 1)},
            {"classes": tuple("abcdefghij")},
            {"name": "other"},
        )
    ]
    for name in ("OMP_NUM_THREADS", "MKL_CBWR", "ATEN_CPU_CAPABILITY"):
        with monkeypatch.context() as patched:
            patched.setenv(name, "3")
            found.append(key(plain, mini))
    for place, name in (
        (computed, "_processor"),
        (environment, "computing_digest"),
        (environment, "versions"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(place, name, lambda: {"another": "value"})
            found.append(key(plain, mini))
    assert len(set(found)) == len(found)
    assert key(plain, mini) == found[0]


# when it is not used


def foreign(model: object, images: torch.Tensor, targets: torch.Tensor, **_: object) -> torch.Tensor:
    return images


def test_only_what_ships_is_certain(small_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a method, measurement or data set of one's own, on a GPU, or with plugins, stages are computed."""
    assert computed.is_certain(small_config())
    assert not computed.is_certain(small_config(device="cuda"))
    assert not computed.is_certain(small_config(dataset="mine"))
    assert not computed.is_certain(small_config(methods="gradients,mine"))
    assert not computed.is_certain(small_config(group_mask="mask.npy"))
    assert computed.is_certain(small_config(recipe="interpretable"))
    assert not computed.is_certain(small_config(recipe="supervised"))
    for registry, name, added in (
        (attributions.methods, "gradients", Method("gradients", "sensitivity", foreign)),
        (measurements.measurements, "mine", foreign),
        (datasets.datasets, "fashion-mnist", foreign),
    ):
        with monkeypatch.context() as patched:
            patched.setitem(registry._entries, name, added)
            assert not computed.is_certain(small_config()), name
    with monkeypatch.context() as patched:
        point = EntryPoint("mine", "mine", "harness.attributions")
        patched.setattr(
            computed, "entry_points", lambda group: [point] if group == "harness.attributions" else []
        )
        assert not computed.is_certain(small_config())
    with monkeypatch.context() as patched:
        patched.setattr(environment, "choose_device", lambda _, tell: torch.device("meta" if tell else "cpu"))
        assert not computed.is_certain(small_config())
    assert computed.is_certain(small_config())


def test_what_ships_is_named() -> None:
    """The names of methods and data sets that are known without torch are all that are registered."""
    assert computed.METHODS | {*THROUGH_CAPTUM} == set(attributions.methods)
    assert not computed.METHODS & {*THROUGH_CAPTUM}  # what they give rests on a version that no key has
    assert all(map(computed.is_read, ["auto", *datasets.datasets, "photos/", "own.npz"]))
    assert not computed.is_read("mine")


@pytest.mark.parametrize(
    "flags",
    [
        {"methods": "gradient,smoothgrad"},
        {"dataset": "fashion-mnst"},
        {"checks": "no-such-folder"},
        {"engine": "stacked", "encoder_precision": "bfloat16"},
        {"dataset": "fashion-mnist", "data_dir": "empty"},
        {"criteria": True},
        {"output": "taken"},
    ],
    ids=str,
)
def test_what_is_refused_is_refused_alike(
    small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: dict[str, Any]
) -> None:
    """A run that could take everything refuses what a run by stages refuses, in the same words."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published, "SYSTEM_FOLDER", tmp_path / "absent")
    (tmp_path / "taken").write_text("a file")
    if flags.pop("criteria", None):
        table = {"id": "mine", "measurement": "acuracy", "relation": ">=", "threshold": 0.5}
        settings = Config.model_validate(small_config().model_dump() | {"criteria": [table]})
    else:
        settings = small_config(**flags)
    found: list[HarnessError] = []
    for start in (pipeline.prepare, pipeline.begin):
        with pytest.raises(Refused) as caught:
            start(settings, Silence())
        found.append(caught.value)
    assert str(found[0]) == str(found[1])
    assert type(found[0]) is type(found[1])
    assert not (small_config().output / "runs").exists()


# without torch

COMMAND = (
    "import sys\n"
    "from harness import cli\n"
    "sys.argv = ['harness', *sys.argv[1:]]\n"
    "try:\n"
    "    cli.main()\n"
    "finally:\n"
    "    print('LOADED', *sorted({name.split('.')[0] for name in sys.modules}))\n"
)


@pytest.mark.thorough
def test_a_second_validate_imports_nothing_that_computes(
    small_config: MakeConfig, small_flags: dict[str, Any], tmp_path: Path
) -> None:
    """A `validate` that changes only a criterion loads neither torch nor pandas nor scipy, and passes."""
    output = small_config().output
    flags = [
        part for name, value in small_flags.items() for part in (f"--{name.replace('_', '-')}", str(value))
    ]
    (tmp_path / "looser.toml").write_text('[[criteria]]\nid = "accuracy"\nthreshold = 0.7\n')

    def harness(*arguments: str) -> tuple[set[str], RunDirectory, str]:
        known = set((output / "runs").glob("*"))
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments, *flags, "--output", str(output)],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(pipeline.__file__).parents[2])},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (made,) = set((output / "runs").glob("*")) - known
        loaded = next(line for line in done.stdout.splitlines() if line.startswith("LOADED"))
        return set(loaded.split()), RunDirectory(made), done.stdout

    first, staged, _ = harness("run")
    second, taken, printed = harness("validate", "--config", "looser.toml")
    heavy = {"torch", "torchvision", "pandas", "scipy"}
    assert {"torch", "pandas"} <= first
    assert not heavy & second
    assert "classifier taken from an earlier run" in printed
    found = files(taken)
    assert {name: found.get(name) for name in files(staged)} == files(staged)
    assert json.loads((taken / "verdict.json").read_text())["verdict"] == "pass"
