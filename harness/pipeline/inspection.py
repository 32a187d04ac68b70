"""What each trained network makes of the whole test set, and of its own code."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import torch

from harness import environment
from harness.artifacts.cache import share
from harness.artifacts.files import Folder, key_of
from harness.errors import SeedsAlike
from harness.pipeline.work import Work, network_digest, to_numpy, weights_digest
from harness.subjects import catalogue, training
from harness.subjects.models import Coded, PixelClassifier


def inspect(work: Work) -> None:
    """What each network makes of the whole test set, and how often its units fire on the training set."""
    for seed, network in work.networks.items():
        key = key_of(
            {
                "network": network_digest(network),
                "data": work.dataset.digest,
                "code": environment.code_digest("subjects", "pipeline/inspection"),
                "torch": torch.__version__,
                "device": environment.device_key(work.device),
            }
        )

        def fill(made: Folder, network: torch.nn.Module = network) -> None:
            arrays = _looked_at(work, network)
            arrays["predictions.npz"]["in_training"] = _in_training(work)
            for name, inner in arrays.items():
                made.write_arrays(name, inner)

        share(work.cache.found_or_made("inspection", key, fill), work.run.seed(seed).path)
    _refuse_twins(work)


def _refuse_twins(work: Work) -> None:
    """Refuse seeds that are one network: they have no spread, and an interval for the recipe would be void.

    Raises:
        SeedsAlike: two seeds have the same autoencoder, the same classifier, or the same predictions of every
            test image.
    """
    found: dict[tuple[str, str], int] = {}
    for seed, network in work.networks.items():
        logits = work.run.seed(seed).read_arrays("predictions.npz", only=("logits",))["logits"]
        alike = {
            **{
                name.removeprefix("full_"): weights_digest(part)
                for name, part in catalogue.parts_of(network).items()
            },
            "predictions": hashlib.sha256(logits.tobytes()).hexdigest(),
        }
        for what, digest in alike.items():
            if (what, digest) in found:
                raise SeedsAlike(
                    f"seeds {found[what, digest]} and {seed} have the same {what}: they are one network, and "
                    "say nothing of the recipe; look at what draws by seed, or name one seed"
                )
            found[what, digest] = seed


def _in_training(work: Work) -> Any:
    """Whether each test image stands in the training set too, pixel for pixel: bool [test]."""
    known = {image.tobytes() for image in work.dataset.train_images}
    return np.array([image.tobytes() in known for image in work.dataset.test_images])


@torch.no_grad()
def _looked_at(work: Work, network: torch.nn.Module) -> dict[str, dict[str, Any]]:
    """The arrays of `predictions.npz`, and of a model that has a code, of `codes.npz`."""
    logits = torch.cat([network(part) for part in work.test_images.split(training.PART)])
    baseline = network(torch.zeros(1, work.test_images.shape[1], device=work.device))[0]
    found = {
        "predictions.npz": {
            "logits": to_numpy(logits),
            "labels": work.dataset.test_labels.astype(np.int64),
            "baseline_logits": to_numpy(baseline),
        }
    }
    return found | ({"codes.npz": _codes(work, network)} if isinstance(network, Coded) else {})


@torch.no_grad()
def _codes(work: Work, network: Coded) -> dict[str, Any]:
    """What the code makes of the test set, and how often its units fire on the training set.

    Of a code that is taken at several places of an input, active units are the mean over places.
    """
    test, train = (images.split(training.PART) for images in (work.test_images, work.train_images))
    active, errors, deviations = [], [], []
    decoded = "decoder" in work.capabilities
    mean = _mean(network, work.train_images)
    for part in test:
        codes = network.encode(part)
        active.append(_per_place((codes != 0).sum(dim=-1)))
        if decoded:
            given = network.encoded(part)
            errors.append(_squares(given - network.decode(codes)))
            deviations.append(_squares(given - mean))
    fired = torch.zeros(codes.shape[-1], dtype=torch.int64, device=work.device)
    for part in train:
        fired += (network.encode(part) != 0).flatten(0, -2).sum(dim=0)
    places = codes.flatten(0, -2).shape[0] // len(codes)  # of one input
    found = {
        "firing_frequency": to_numpy(fired) / (places * len(work.train_images)),
        "l0": to_numpy(torch.cat(active)),
    }
    if "atoms" in work.capabilities:
        found["atoms"] = to_numpy(_atoms_of(network)).astype(np.float16)
    if decoded:
        found["squared_errors"] = to_numpy(torch.cat(errors))
        found["squared_deviations"] = to_numpy(torch.cat(deviations))
    return found


def _atoms_of(network: Any) -> torch.Tensor:
    """The decoder's atoms: [code width, pixels]."""
    return network.autoencoder.atoms  # type: ignore[no-any-return]


def _mean(network: Coded, images: torch.Tensor) -> torch.Tensor:
    """The mean of what is encoded, over images, and over places where there are several: [width]."""
    if isinstance(network, PixelClassifier):
        return images.mean(dim=0)
    total, count = torch.zeros((), dtype=torch.float64, device=images.device), 0
    for part in images.split(training.PART):
        rows = network.encoded(part).flatten(0, -2)
        total, count = total + rows.sum(dim=0, dtype=torch.float64), count + len(rows)
    return (total / count).to(images)


def _squares(values: torch.Tensor) -> torch.Tensor:
    return values.square().flatten(1).sum(dim=1, dtype=torch.float64)


def _per_place(counts: torch.Tensor) -> torch.Tensor:
    return counts if counts.ndim == 1 else counts.mean(dim=1, dtype=torch.float64)
