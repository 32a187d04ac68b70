"""Every shipped method on the played device, and held to its definition there; then rounded convolutions.

Run as a process of its own: `python -m tests.played.methods` prints what happened as JSON.
"""

from __future__ import annotations

import copy
import json
import math
from contextlib import ExitStack, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from harness import attributions, environment
from harness.environment import state
from harness.errors import InputError
from harness.subjects.models import Classifier, Convolutional, Flat, KSparseAutoencoder, PixelClassifier
from tests.played import device as played

SHAPE = (1, 8, 8)
PIXELS, IMAGES = math.prod(SHAPE), 3
SETTINGS: dict[str, Any] = dict(
    shape=SHAPE,
    axes=("channel", "row", "column"),
    grain=2,
    attribution_steps=4,
    smoothgrad_samples=3,
    expected_gradients_samples=3,
    kernel_shap_samples=200,
    lime_samples=100,
    shapley_permutations=3,
    noise_seed=5,
)

LACKS = {"k-sparse": {"places", "modules"}, "convolutional": {"reconstruction", "code", "k"}}
"""What methods may need that a model does not have."""

SAME = 1e-5
"""Maps that differ by no more than this share of the largest value are the same map."""


def models() -> dict[str, nn.Module]:
    """A k-sparse network, and a convolutional one."""
    with environment.seeded(0):
        coded = PixelClassifier(KSparseAutoencoder(k=4, pixels=PIXELS, code_width=16), Classifier(16))
        return {"k-sparse": coded, "convolutional": Flat(Convolutional(SHAPE, 10, width=4), SHAPE)}


def explained(name: str, model: nn.Module, device: torch.device) -> tuple[Tensor, Tensor]:
    """The maps of some images, computed on a device, and how far each is from its definition."""
    generator = torch.Generator().manual_seed(1)
    images, references = (torch.rand(n, PIXELS, generator=generator) for n in (IMAGES, 7))
    images, model = images.to(device), copy.deepcopy(model).eval().to(device)
    settings = SETTINGS | {"references": references.to(device)}
    targets = torch.arange(IMAGES).to(device)
    maps = attributions.attribute(model, images, targets, name, settings).own
    answers = attributions.identity_errors(model, images, targets, maps, name, settings, seed=2)
    return maps.cpu(), torch.zeros(IMAGES) if answers is None else answers.errors.cpu()


def difference(name: str, model: nn.Module) -> str:
    """What is wrong with a method's maps on the device; empty where they are the CPU's."""
    try:
        there, far = explained(name, model, played.DEVICE)
        here, near = explained(name, model, torch.device("cpu"))
    except (InputError, RuntimeError) as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    if float((there - here).abs().max()) > SAME * float(here.abs().max()):
        return "other maps than on the CPU"
    return "" if torch.allclose(far, near, atol=SAME) else f"is {far.tolist()} from its definition"


def main() -> dict[str, Any]:
    """What is wrong, by model and method."""
    if absent := played.begin():
        return {"absent": absent}
    found: dict[str, Any] = {"wrong": {}}
    with played.Machine():
        for kind, model in models().items():
            for name, method in attributions.methods.items():
                if not method.needs & LACKS[kind]:
                    with environment.deterministic():
                        found["wrong"][f"{kind}: {name}"] = difference(name, model)
        with ExitStack() as stack:
            for module in (environment, state):
                stack.enter_context(mock.patch.object(module, "full_precision", nullcontext))
            stack.enter_context(environment.deterministic())
            found["rounded"] = difference("gradients", models()["convolutional"])
    return found


if __name__ == "__main__":
    print(json.dumps(main()))
