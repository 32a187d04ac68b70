"""A sweep on a scheduler of Dask with its workers, as on processes here: the same to the last digit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import harness
from harness import sweeps
from harness.artifacts.directories import RunDirectory
from tests.cluster import Cluster, cluster
from tests.test_sweeps import Heard

TINY: dict[str, Any] = dict(
    dataset="tiny.npz",
    epochs=2,
    classifier_epochs=30,
    samples_per_class=3,
    confidence=0.1,
    batch_size=16,
    code_width=64,
    k=16,
    attribution_steps=4,
    smoothgrad_samples=2,
    methods="gradients,integrated_gradients",
    resamples=100,
    seeds="0",
    device="cpu",
)
"""Flags of a run whose computing takes about a second."""


def tiny_data(path: Path) -> None:
    """Real images, a few."""
    whole = harness.load_dataset("fashion-mnist-mini")
    np.savez_compressed(
        path,
        train_images=whole.train_images[:600].reshape(-1, 28, 28),
        train_labels=whole.train_labels[:600],
        test_images=whole.test_images[:300].reshape(-1, 28, 28),
        test_labels=whole.test_labels[:300],
    )


def contents(run: Path) -> Mapping[str, object]:
    """What a run computed: every array, all weights and estimates."""
    found: dict[str, object] = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run).as_posix()
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                for key in arrays:
                    found[f"{name}:{key}"] = (arrays[key].dtype, arrays[key].shape, arrays[key].tobytes())
        elif path.suffix in (".pth", ".safetensors") or path.name in ("estimates.json", "selection.csv"):
            found[name] = path.read_bytes()
    return found


def alike(one: sweeps.Sweep, other: sweeps.Sweep) -> None:
    """The same points, each with the same numbers in files of its own."""
    assert [row.point.id for row in one.rows] == [row.point.id for row in other.rows]
    for ours, theirs in zip(one.rows, other.rows, strict=True):
        assert (ours.state, ours.verdict, ours.exit_code) == ("finished", theirs.verdict, theirs.exit_code)
        assert ours.run is not None
        assert theirs.run is not None
        assert ours.run != theirs.run
        assert RunDirectory.open(ours.run).amiss() == []
        here, there = contents(ours.run), contents(theirs.run)
        assert len(here) > 20
        assert "estimates.json" in here
        assert [name for name in here.keys() | there.keys() if here.get(name) != there.get(name)] == []
        assert ours.estimates == theirs.estimates


def ran(cluster: Cluster | None, output: str, values: list[int], **flags: Any) -> sweeps.Sweep:
    """A sweep along k in the working folder: on a cluster, or here."""
    on = "processes" if cluster is None else cluster.engine
    plan = sweeps.plan({"k": values}, flags=TINY | {"output": output} | flags, on=on)
    return sweeps.run(plan, Heard())


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two workers in folders and homes of their own; the asker is in another, with its data."""
    (tmp_path / "asker").mkdir()
    (tmp_path / "home").mkdir()
    tiny_data(tmp_path / "asker" / "tiny.npz")
    monkeypatch.chdir(tmp_path / "asker")
    with cluster(tmp_path / "cluster", HOME=str(tmp_path / "home"), OMP_NUM_THREADS="3") as made:
        yield made


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*:UserWarning:distributed", "ignore:.*:ResourceWarning")
def test_on_workers_that_see_the_askers_files(started: Cluster) -> None:
    """As here, to the last digit, whatever threads the workers have; nothing is sent back."""
    alike(ran(started, "there", [16, 24]), ran(None, "here", [16, 24]))
    assert not list(Path("../home").rglob("*.npz"))


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/cwd").exists(), reason="no path here that each process sees otherwise"
)
@pytest.mark.filterwarnings("ignore:.*:UserWarning:distributed", "ignore:.*:ResourceWarning")
def test_on_workers_that_do_not(started: Cluster) -> None:
    """They are sent the data once, and hand each run back whole; their own folders hold no point after."""
    output, data = "/proc/self/cwd/there", "/proc/self/cwd/tiny.npz"  # in a worker, in its own folder
    found = ran(started, output, [16, 24], dataset=data)
    alike(found, ran(None, "here", [16, 24], dataset=data))
    assert len(list(Path("../home/.cache/harness/data").rglob("tiny.npz"))) == 1
    for place in Path("../cluster").glob("worker-*"):
        assert not (place / "there").exists()
    again = ran(started, output, [16, 24], dataset=data, fresh=True)
    assert not {row.run for row in again.rows} & {row.run for row in found.rows}
    alike(again, found)
