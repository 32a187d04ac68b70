"""Recorded steps against plain ones on the played device, and with faults planted in the recorder.

Run as a process of its own: `python -m tests.played.recorder` prints what was found as JSON.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import torch
from torch import nn

from harness import environment
from harness.errors import TrainingDiverged
from harness.subjects import interpretable, stacked
from harness.subjects.models import Classifier, KSparseAutoencoder
from tests.played import device as played
from tests.played.tape import CUDA

PIXELS, SEEDS = 12, (3, 4)
PARTS = interpretable.Parts(auxiliary=2, patience=3, annealing=2.0)
KINDS = ("autoencoder", "classifier", "interpretable autoencoder", "interpretable classifier")
SIZES = {
    "divides": (24, 8, 3),
    "does not divide": (22, 8, 3),
    "odd batches only after the first": (11, 10, 6),
    "one batch": (8, 8, 6),
    "fewer than a batch": (5, 8, 6),
    "one image": (1, 8, 5),
    "no epochs": (24, 8, 0),
}
"""Images, images a batch, and epochs."""

Recorder = Callable[[stacked.Step, torch.device], stacked.Step]
Change = tuple[str, str]

FAULTS: dict[str, tuple[Change, ...]] = {
    "result not cloned": (("self.result.clone()", "self.result"),),
    "batch not copied in": (("self.batch.copy_(batch)", "pass"),),
    "recorded on the caller's batch": (("self.step(self.batch)", "self.step(batch)"),),
    "not replayed": (("self.graph.replay()", "pass"),),
    "odd batch replayed": ((" or batch.shape != self.batch.shape", ""),),
    "odd batch recorded anew": (
        (" or batch.shape != self.batch.shape", ""),
        ("if self.graph is None:", "if self.graph is None or batch.shape != self.batch.shape:"),
        (
            "self.graph = self.cuda.CUDAGraph()",
            "self.graph, self.batch = self.cuda.CUDAGraph(), batch.clone()",
        ),
    ),
    "a stream for each batch": (
        ("self.side.wait_stream(", "self.side = self.cuda.Stream(); self.side.wait_stream("),
    ),
    "on the current device": (("with self.cuda.device(self.device):", "if True:"),),
    "stream of the current device": (("with cuda.device(device):", "if True:"),),
    "side stream does not wait": (("self.side.wait_stream(self.cuda.current_stream())", "pass"),),
    "side stream not waited for": (("self.cuda.current_stream().wait_stream(self.side)", "pass"),),
    "host read": (("result = self.step(batch)", "result = self.step(batch); float(result.sum())"),),
    "host read while recording": (
        ("self.step(self.batch)", "self.step(self.batch); float(self.result.sum())"),
    ),
    "host copy while recording": (
        ("self.step(self.batch)", "self.step(self.batch) + torch.ones(1).to(self.device)"),
    ),
}
"""What is planted: a text of the recorder, and what stands in its place."""


def with_fault(changes: tuple[Change, ...]) -> type[stacked.Recorded]:
    """The recorder with some of its text changed."""
    text = inspect.getsource(stacked.Recorded)
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"{old!r} must stand once in the recorder (stands {text.count(old)} times)")
        text = text.replace(old, new)
    names = dict(vars(stacked))
    exec(text, names)
    found: type[stacked.Recorded] = names["Recorded"]
    return found


def models(kind: str) -> list[nn.Module]:
    """One network for each seed, on the device."""
    made: list[nn.Module] = []
    for seed in SEEDS:
        with environment.seeded(seed):
            if kind.endswith("autoencoder"):
                made.append(KSparseAutoencoder(k=3, pixels=PIXELS, code_width=8))
            else:
                made.append(
                    Classifier(
                        8 if kind.startswith("interpretable") else PIXELS,
                        hidden=(6, 5),
                        classes=3,
                        dropout=0.5,
                    )
                )
    return [one.to(played.DEVICE) for one in made]


def trained(kind: str, recorder: Recorder, n: int, size: int, epochs: int, bad: int | None = None) -> Any:
    """Records and weights after training, and how it was done: waits an epoch, graphs and streams.

    Args:
        kind: Of `KINDS`.
        recorder: What makes a recorded step of a step.
        n: Images.
        size: Images a batch.
        epochs: Passes.
        bad: An image that is not a number.
    """
    networks = models(kind)
    images = torch.rand(n, PIXELS, generator=torch.Generator().manual_seed(0))
    if bad is not None:
        images[bad] = torch.inf
    images = images.to(played.DEVICE)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    recipe: dict[str, Any] = dict(epochs=epochs, batch_size=size, learning_rate=0.01)
    labels = torch.arange(n) % 3  # on the CPU
    before = CUDA.graphs, CUDA.streams
    records: list[Any] = []
    with mock.patch.object(stacked, "recorded", recorder), environment.seeded(7):
        if kind == "autoencoder":
            log = stacked.train_autoencoders(networks, images, generators, **recipe)
        elif kind == "interpretable autoencoder":
            log = interpretable.train_autoencoders(networks, images, generators, parts=PARTS, **recipe)
        elif kind == "interpretable classifier":
            encoders = models("autoencoder")
            log = interpretable.train_classifiers(
                networks, encoders, images, labels, generators, parts=PARTS, **recipe
            )
        else:
            codes = images.expand(len(SEEDS), -1, -1)
            log = stacked.train_classifiers(networks, codes, labels, generators, **recipe)
        played.LOG.waits.clear()
        try:
            records += [[(one.loss, one.accuracy) for one in epoch] for epoch in log]
        except TrainingDiverged as error:
            records.append(str(error))
        waits = played.LOG.waits.total()
    weights = [[parameter.detach().tolist() for parameter in network.parameters()] for network in networks]
    after = CUDA.graphs, CUDA.streams
    return {"records": records, "weights": weights}, {
        "waits": waits,
        "graphs": after[0] - before[0],
        "streams": after[1] - before[1],
    }


def plainly(step: stacked.Step, device: torch.device) -> stacked.Step:
    """No recorder."""
    return step


def difference(
    kind: str, recorder: type[stacked.Recorded], sizes: tuple[int, int, int], bad: int | None = None
) -> str:
    """What is wrong with recorded steps; empty where they are the plain ones, and taken as they should be."""
    epochs = sizes[2]
    plain, waited = trained(kind, plainly, *sizes, bad=bad)
    try:
        ours, how = trained(kind, lambda step, device: recorder(step, device, CUDA), *sizes, bad=bad)
    except RuntimeError as error:
        CUDA.pending.clear()
        return f"{type(error).__name__}: {error}"
    if bad is None and (waited["waits"], how["waits"]) != (epochs, epochs):
        return f"the host waits {waited['waits']} and {how['waits']} times in {epochs} epochs"
    if how["graphs"] > 1 or how["streams"] != 1:
        return f"{how['graphs']} graphs and {how['streams']} streams in one training"
    return "" if json.dumps(ours) == json.dumps(plain) else "other losses, accuracies or weights"


def main() -> dict[str, Any]:
    """What is wrong, by what was tried."""
    if absent := played.begin():
        return {"absent": absent}
    with played.Machine(), environment.deterministic():
        right = stacked.Recorded
        found: dict[str, Any] = {
            "sizes": {
                f"{kind}: {name}": difference(kind, right, sizes)
                for kind in KINDS
                for name, sizes in SIZES.items()
            },
            "diverging": {
                f"{kind}: image {bad}": difference(kind, right, (44, 8, 2), bad)
                for kind in KINDS
                for bad in (0, 7, 43)
            },
            "faults": {
                name: difference("classifier", with_fault(changes), SIZES["does not divide"])
                for name, changes in FAULTS.items()
            },
        }
        found["message"] = trained("autoencoder", plainly, 44, 8, 1, bad=7)[0]["records"][-1]
    return found


if __name__ == "__main__":
    print(json.dumps(main()))
