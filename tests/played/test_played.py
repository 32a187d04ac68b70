"""A run on another device than the CPU, and steps that are recorded, held where there is no GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from harness.config.parameters import ATTRIBUTION_METHODS, CONTROL_METHODS, LATER_METHODS
from harness.pipeline import STAGES
from tests.played.recorder import FAULTS, KINDS, SIZES

pytestmark = pytest.mark.thorough

Found = dict[str, Any]


def found_by(module: str, *arguments: str) -> Found:
    """What a program of this folder prints, in a process of its own: it changes torch for good."""
    command = [sys.executable, "-m", f"tests.played.{module}", *arguments]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    found: Found = json.loads(done.stdout.splitlines()[-1])
    if found.get("absent"):
        pytest.skip(found["absent"])
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """The whole pipeline on the played device."""
    return found_by("pipeline", str(tmp_path_factory.mktemp("played")))


@pytest.fixture(scope="module")
def steps() -> Found:
    """Recorded steps against plain ones."""
    return found_by("recorder")


@pytest.fixture(scope="module")
def explained() -> Found:
    """Every method, on the device and on the CPU."""
    return found_by("methods")


def test_every_method_explains_alike_on_another_device(explained: Found) -> None:
    """No method asks for what a GPU refuses; its maps are the CPU's, and as near to its definition."""
    assert {name.split(": ")[1] for name in explained["wrong"]} == {
        *ATTRIBUTION_METHODS,
        *CONTROL_METHODS,
        *LATER_METHODS,
    }
    assert {name: wrong for name, wrong in explained["wrong"].items() if wrong} == {}


def test_a_rounded_convolution_is_found(explained: Found) -> None:
    """Where precision is left as torch has it, the first convolution is refused."""
    assert "rounds float32 to tf32" in explained["rounded"]


def test_every_stage_runs_on_another_device(runs: Found) -> None:
    """Training to measurement pass on the device, and the run is judged on every criterion."""
    assert runs["verdict"] in ("pass", "fail")
    assert all(isinstance(one, float) for one in runs["criteria"].values()), runs["criteria"]
    assert runs["operations"] > 10_000


def test_two_runs_on_another_device_are_equal_to_the_bit(runs: Found) -> None:
    """Every computed file of a run is the same in a second run that computes all again."""
    first, second = runs["digests"]
    assert len(first) > 50
    assert first == second


def test_training_on_another_device_is_recorded(runs: Found) -> None:
    """Both trainings of both runs record one graph each."""
    assert runs["graphs"] == 4


def test_nothing_scatters_what_a_gpu_would_sort(runs: Found) -> None:
    """No stage scatters values: a GPU sorts them, and copies them to the host, to be deterministic."""
    assert runs["sorted"] == []


def test_an_operation_that_cuda_refuses_is_found(runs: Found) -> None:
    """With the median that gives places put back, the run ends in probing, at that operation."""
    assert "probing" in [name for name, _ in STAGES]
    assert runs["failed_stage"] == "probing"
    assert runs["blocked"].startswith("aten.median.dim does not have a deterministic implementation")


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("kind", KINDS)
def test_recorded_steps_are_the_plain_ones(steps: Found, kind: str, name: str) -> None:
    """Losses, accuracies and weights are the same to the bit, and the host waits once an epoch."""
    assert steps["sizes"][f"{kind}: {name}"] == ""


@pytest.mark.parametrize("image", [0, 7, 43])
@pytest.mark.parametrize("kind", KINDS)
def test_recorded_steps_diverge_like_plain_ones(steps: Found, kind: str, image: int) -> None:
    """The same network, epoch and step are named, and the same weights are left."""
    assert steps["diverging"][f"{kind}: image {image}"] == ""
    assert "epoch 1, step" in steps["message"]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_the_recorder_is_found(steps: Found, name: str) -> None:
    """The recorder with this fault planted does not pass for the right one."""
    assert steps["faults"][name] != ""
