"""The canary: one network that is the same every night, and what it makes of a frozen list of images.

It is computed afresh, in a folder of its own inside the run: no entry of the cache serves it, and on a GPU it
is trained in a stack of its own, for others in a stack change how it rounds. What it is the same as, and what
not, the history tells.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from harness.artifacts.cache import Cache
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder, digest_of_values
from harness.artifacts.forms import keep
from harness.artifacts.model import MODEL
from harness.artifacts.staging import Staged
from harness.errors import RunError
from harness.history.documents import CANARY
from harness.pipeline import inspection, networks, probes
from harness.pipeline.explanations import attribute, freeze, select
from harness.pipeline.numbers import measure
from harness.pipeline.work import Work, weights_digest
from harness.records import Ints


def canary(seed: int, frozen: Ints | None = None, weights: Folder | None = None) -> Callable[[Work], None]:
    """The stage that computes it into `canary/` of the run.

    Args:
        seed: The network's seed.
        frozen: int64 [n], positions in the test set; None takes the network's own choice.
        weights: A folder of stored weights to take in place of training.
    """

    def stage(work: Work) -> None:
        work.progress.say(f"canary: seed {seed} {'as stored' if weights else 'trained afresh'}")
        with Staged(work.run.path) as scratch:
            inner = _alone(work, seed, scratch)
            made = networks.train if weights is None else networks.stored(weights)
            chosen = select if frozen is None else freeze(frozen)
            for part in (made, inspection.inspect, chosen, attribute, probes.probe, measure):
                part(inner)
            inner.cache.close()
            _write_down(inner, seed)

    return stage


def _alone(work: Work, seed: int, scratch: Path) -> Work:
    """A work of one seed, whose run is a folder in the other's, and whose cache is nobody's."""
    sequence = work.config.statistics.model_copy(update={"until_decided": False})
    inner = Work(
        config=work.config.model_copy(update={"seeds": (seed,), "statistics": sequence}),
        device=work.device,
        capabilities=work.capabilities,
        dataset=work.dataset,
        run=RunDirectory(work.run / CANARY),
        cache=Cache(scratch, fresh=True, tell=work.progress.warn),
        progress=work.progress,
        train_images=work.train_images,
        test_images=work.test_images,
    )
    inner.run.write_config(inner.config)
    inner.run.write_provenance(work.run.read_provenance())
    inner.run.write_json(MODEL, work.run.read_json(MODEL))
    keep(inner.run, work.dataset.form)
    return inner


def _write_down(work: Work, seed: int) -> None:
    """`canary.json`: the digests that tell two nights apart, and how many images it names rightly."""
    if work.selection is None:
        raise RunError("the canary explained nothing")
    run, indices, labels = work.run, work.selection.indices, work.selection.labels
    folder = run.seed(seed)
    logits = folder.read_arrays("predictions.npz")["logits"]
    maps = {
        name: folder.read_arrays(f"attributions/{name}.npz")["maps"]
        for name in work.config.attribution.methods
    }
    measured = sorted((run / "measurements").glob("*.npz"))
    values = {
        f"{path.stem}.{name}": array
        for path in measured
        for name, array in run.read_arrays(f"measurements/{path.name}").items()
    }
    right = logits[indices].argmax(axis=1) == labels
    run.write_json(
        "canary.json",
        {
            "seed": seed,
            "frozen": hashlib.sha256(indices.astype(np.int64).tobytes()).hexdigest(),
            "digests": {
                "weights": weights_digest(work.networks[seed]),
                "predictions": _digest({"logits": logits}),
                "maps": _digest(maps),
                "measurements": _digest(values),
            },
            "right": int(right.sum()),
            "images": len(indices),
        },
    )


def _digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of arrays by name, to the bit."""
    return digest_of_values(
        {
            name: hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
            for name, array in arrays.items()
        }
    )
