"""The models that ship: each is drawn from its seed, gives logits, and has what its parts give it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from harness.subjects import catalogue
from harness.subjects.shipped import models
from tests.test_subjects_catalogue import build, form

CODED = {"code", "decoder", "reconstruction"}
THERE = {
    "k-sparse": CODED | {"k", "atoms"},
    "topk-auxk": CODED | {"k", "atoms"},
    "relu-l1": CODED | {"atoms"},
    "dense": CODED | {"atoms"},
    "vae": CODED,
    "mlp": set(),
    "convolutional": {"places"},
}


@pytest.mark.parametrize("name", THERE)
def test_each_gives_logits_of_flat_rows(name: str) -> None:
    """Drawn from its seed: the same again from the same, others from another."""
    inputs = torch.rand(5, 48)
    first, again, other = (build(seed=seed, model=name, k=3, code_width=16) for seed in (0, 0, 1))
    assert first(inputs).shape == (5, 3)
    assert torch.equal(first(inputs), again(inputs))
    assert not torch.equal(first(inputs), other(inputs))
    assert not first.training


def test_what_each_has_follows_from_its_parts() -> None:
    """What is found at the door comes beside it; none is left out here."""
    found = {name: catalogue.capabilities_of(build(model=name, k=3, code_width=16)) for name in models}
    assert found == THERE


@pytest.mark.parametrize(
    ("shape", "kind"), [((3, 6, 8), "image"), ((2, 20), "series"), ((20,), "series"), ((5, 5), "image")]
)
def test_the_convolutional_network_takes_any_channels_and_series(shape: tuple[int, ...], kind: str) -> None:
    """With an axis of channels put in where there is none."""
    model = build(form(shape, kind), model="convolutional")
    assert model(torch.rand(4, int(np.prod(shape)))).shape == (4, 3)
