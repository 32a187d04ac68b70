"""The whole pipeline on the played device, thrice: twice alike, then with an operation that CUDA refuses.

Run as a process of its own: `python -m tests.played.pipeline FOLDER` prints what happened as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from harness import config, environment, pipeline
from harness.artifacts.directories import RunDirectory
from harness.attributions import integrity
from harness.judging import verdicts
from harness.subjects import stacked
from tests.gpu import numbers_of
from tests.played import device as played
from tests.played.tape import CUDA

SETTINGS: dict[str, Any] = dict(
    dataset="fashion-mnist-mini",
    seeds=(0, 1),
    code_width=64,
    k=16,
    epochs=1,
    classifier_epochs=3,
    batch_size=128,
    learning_rate=0.003,
    samples_per_class=3,
    confidence=0.3,
    attribution_steps=3,
    smoothgrad_samples=2,
    resamples=100,
)
"""A network just good enough that every criterion can be judged."""


def recorded(step: stacked.Step, device: torch.device) -> stacked.Step:
    """As on a GPU."""
    return stacked.Recorded(step, device, CUDA)


def run(output: Path, **flags: Any) -> RunDirectory:
    """The computing stages, on whatever device is chosen."""
    settings = config.load(flags=SETTINGS | flags | {"output": output}, folder=output.parent)
    return RunDirectory.open(pipeline.run(settings))


def main(folder: Path) -> dict[str, Any]:
    """All three runs; the last one finds its networks in the cache of the second."""
    if absent := played.begin():
        return {"absent": absent}
    found: dict[str, Any] = {}
    on_it = mock.patch.object(environment, "choose_device", return_value=played.DEVICE)
    with on_it, mock.patch.object(stacked, "recorded", recorded), played.Machine():
        runs = [run(folder / name) for name in ("first", "second")]
        found["sorted"] = [str(one) for one in played.SORTED if played.LOG.operations[str(one)]]
        found["operations"], found["graphs"] = played.LOG.operations.total(), CUDA.graphs
        with mock.patch.object(integrity, "_median", lambda error: error.median(dim=1).values):
            try:
                run(folder / "second", samples_per_class=4)  # what was asked already is not asked again
            except RuntimeError as error:
                found["blocked"] = str(error)
    found["digests"] = [numbers_of(one.path) for one in runs]
    verdicts.judge(runs[0])
    found["criteria"] = {
        one["id"]: one["estimate"]
        for one in json.loads((runs[0].path / "verdict.json").read_text())["criteria"]
    }
    found["verdict"] = json.loads((runs[0].path / "verdict.json").read_text())["verdict"]
    blocked = sorted((folder / "second" / "runs").iterdir())[-1]
    found["failed_stage"] = json.loads((blocked / "failure.json").read_text())["stage"]
    return found


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
