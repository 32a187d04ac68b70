"""Runs of the gate on clean seeds and on planted faults, in this process or through the real command."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from harness import config as configuration
from harness import measurements, pipeline
from harness.artifacts.directories import RunDirectory
from harness.criteria import diagnosis
from harness.errors import HarnessError
from harness.judging import verdicts
from harness.pipeline import probes
from harness.pipeline.work import Silence
from harness.runs import Run
from tests.gate_quality import explainers
from tests.gate_quality.explainers import FLAGS as FEW
from tests.gate_quality.faults import FAULTS, LADDERS, PLANTED, Fault

FLAGS: Mapping[str, Any] = {"dataset": "fashion-mnist-mini", "device": "cpu"}
"""The embedded data under the reference recipe."""

FAULT_FLAGS: Mapping[str, Any] = {"samples_per_class": 10}
"""Fewer samples where only red or green is asked."""

NETWORKS = ("autoencoder", "classifier")
"""The cache's stages that clean runs and runs with a fault share."""

Result = dict[str, Any]


def known_faults() -> dict[str, Fault]:
    """Every fault by its id, those of the ladders among them."""
    return {one.id: one for ladder in LADDERS.values() for one in ladder.values()} | {
        one.id: one for one in (*FAULTS, *explainers.FAULTS)
    }


@contextmanager
def only_what_is_gated(settings: configuration.Config) -> Iterator[None]:
    """Leave out probes and measurements that no gate asks for: they change no verdict, and take time."""
    bases = {one.measurement.split(".")[0] for one in settings.criteria if one.gate}
    bases |= {"dead_units"}  # which verdicts name as their cause
    wanted = {name: one for name, one in measurements.measurements.items() if name in bases}
    gated = {name: one for name, one in probes.PROBES.items() if name in ("integrity", "curves")}
    with (
        mock.patch.object(measurements.measurements, "_entries", wanted),
        mock.patch.object(probes, "PROBES", gated),
    ):
        yield


@contextmanager
def output_of(shared: Path, *, trains: bool) -> Iterator[Path]:
    """A folder for one run with a fault, with the clean networks at hand unless the fault is in training.

    Nothing that a fault touched can reach another run's cache.
    """
    with tempfile.TemporaryDirectory(dir=shared.parent) as folder:
        output = Path(folder) / "artifacts"
        if not trains:
            for stage in NETWORKS:
                (shared / "cache" / stage).mkdir(parents=True, exist_ok=True)
                (output / "cache").mkdir(parents=True, exist_ok=True)
                (output / "cache" / stage).symlink_to(shared / "cache" / stage, target_is_directory=True)
        yield output


def judged(
    output: Path,
    seeds: tuple[int, ...],
    flags: Mapping[str, Any],
    plant: AbstractContextManager[object],
    *,
    breaks: bool = False,
) -> Result:
    """A run in this process, and its verdict."""
    torch.set_num_threads(1)
    asked = {**FLAGS, "seeds": ",".join(map(str, seeds)), **flags, "output": output}
    settings = configuration.load(flags=asked, folder=output.parent)
    with plant:
        work = pipeline.prepare(settings, Silence())
        # a run that broke off is judged too
        with only_what_is_gated(settings), suppress(HarnessError):
            pipeline.execute(work)
        verdict = verdicts.judge(work.run)
    return _result(work.run, verdict, breaks=breaks)


def _result(run: RunDirectory, verdict: Mapping[str, Any], *, breaks: bool = False) -> Result:
    failure = verdict["failure"]
    if failure is not None and failure["stage"] == PLANTED:
        raise RuntimeError(f"the fault could not be planted: {failure['message']}")
    if (failure is not None) != breaks:
        told = (
            f"broke off in stage {failure['stage']}: {failure['message']}" if failure else "did not break off"
        )
        raise RuntimeError(f"the run {told}; that says nothing of the gate")
    gates = [one for one in verdict["criteria"] if one.gate]
    return {
        "verdict": verdict["verdict"],
        "by": [one.id for one in gates if one.verdict != "pass"],
        "sentence": diagnosis.sentence(verdict),
        "gates": {one.id: {"estimate": one.estimate, "margin_se": one.margin_se} for one in gates},
        "run": str(run.path),
    }


def clean(shared: Path, seed: int, dataset: str = str(FLAGS["dataset"])) -> Result:
    """A clean seed."""
    result = judged(shared, (seed,), {"dataset": dataset}, nullcontext())
    shutil.rmtree(result.pop("run"))
    return result


def tell(text: str) -> None:
    """What a task says of itself, in a process of its own."""
    print(f"         {text}", flush=True)


def crossed(shared: Path, seeds: tuple[int, ...]) -> Result:
    """What several seeds make of the same images: where the simulations take their variances from."""
    result = judged(shared, seeds, {}, nullcontext())
    run = Run(RunDirectory.open(Path(result.pop("run"))))
    evidence = run.evidence()
    return result | {
        "agreement": run.per_sample("agreement").tolist(),
        "labels": evidence.labels.tolist(),
        "squared_errors": evidence.squared_errors.tolist(),
        "squared_deviations": evidence.squared_deviations.tolist(),
    }


def planted(shared: Path, name: str, seed: int, flags: Mapping[str, Any] = FAULT_FLAGS) -> Result:
    """A fault in a run in this process."""
    fault = known_faults()[name]
    with output_of(shared, trains=fault.trains) as output:
        asked = {**fault.flags, **flags}
        result = judged(output, (seed,), asked, fault.plant(), breaks=fault.breaks)
    del result["run"]
    return result


def unspoiled(shared: Path, name: str, seed: int, flags: Mapping[str, Any] = FEW) -> Result:
    """A method with nothing planted, in the run that its faults are planted in."""
    with output_of(shared, trains=False) as output:
        result = judged(output, (seed,), {**explainers.flags_of(name), **flags}, nullcontext())
    del result["run"]
    return result


def through_the_command(shared: Path, name: str, seed: int, flags: Mapping[str, Any] = FAULT_FLAGS) -> Result:
    """A fault in a run of the real command, in a process of its own; its exit code counts."""
    fault = known_faults()[name]
    with output_of(shared, trains=fault.trains) as output:
        asked = {**FLAGS, "seeds": seed, **fault.flags, **flags, "output": output}
        command = [sys.executable, "-m", "tests.gate_quality.planted", name, "validate", "--quiet"]
        for key, value in asked.items():
            command += [f"--{key.replace('_', '-')}", str(value)]
        done = subprocess.run(
            command,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        runs = sorted((output / "runs").glob("*/verdict.json"))
        if len(runs) != 1:
            raise RuntimeError(f"{name}: the command judged {len(runs)} runs:\n{done.stdout}{done.stderr}")
        run = RunDirectory.open(runs[0].parent)
        result = _result(run, run.read_verdict() or {}, breaks=fault.breaks)
    del result["run"]
    expected = verdicts.EXIT_CODES[result["verdict"]]
    if done.returncode != expected:
        raise RuntimeError(f"{name}: exit code {done.returncode} where the verdict asks for {expected}")
    return result | {"exit_code": done.returncode}


def stored(folder: Path, name: str, key: str) -> Result | None:
    """A result of an earlier, perhaps broken-off measurement of the same code."""
    path = folder / f"{name}.json"
    if not path.is_file():
        return None
    found: Result = json.loads(path.read_text(encoding="utf-8"))
    return found["result"] if found["key"] == key else None


def store(folder: Path, name: str, key: str, result: Result) -> None:
    """Keep a result; whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    staged = folder / f".{name}.{os.getpid()}"
    staged.write_text(json.dumps({"key": key, "result": result}), encoding="utf-8")
    staged.replace(folder / f"{name}.json")
