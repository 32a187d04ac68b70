"""Guided backpropagation: captum's, for functions too, and no explanation."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop
from torch import Tensor, nn

from harness import attributions
from harness.config.parameters import CONTROL_METHODS
from harness.errors import InputError
from harness.measurements import MethodMaps, measurements
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier
from tests.evidence import an_evidence
from tests.test_subjects_frozen import Functional, images, networks

TARGETS = torch.arange(5) % 3


def made(model: nn.Module, x: Tensor | None = None) -> Tensor:
    return attributions.attribute(model, images() if x is None else x, TARGETS, "guided_backprop").own


@pytest.mark.parametrize("name", ["convolutional", "pooled"])
def test_it_is_captums(name: str) -> None:
    """Of networks whose rectifiers are modules; those that work in place too."""
    model = networks()[name].eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum's, of its hooks
        theirs = GuidedBackprop(model).attribute(images().requires_grad_(), target=TARGETS).detach()
    torch.testing.assert_close(made(model), theirs)
    gradients = attributions.attribute(model, images(), TARGETS, "gradients").own
    assert not torch.allclose(made(model), gradients, atol=1e-4)


RECTIFIERS = {
    "torch": torch.relu,
    "functional": F.relu,
    "functional, in place": lambda h: F.relu(h, inplace=True),
    "method": lambda h: h.relu(),
    "method, in place": lambda h: h.relu_(),
    "bound": lambda h: h.clamp(min=0),
    "least": lambda h: torch.clamp_min(h, 0.0),
}


class Called(Functional):
    """Its rectifier is any function."""

    kind = "torch"

    def forward(self, inputs: Tensor) -> Tensor:
        return self.second(RECTIFIERS[self.kind](self.first(inputs)))  # type: ignore[no-any-return,no-untyped-call]


@pytest.mark.parametrize("kind", RECTIFIERS)
def test_a_rectifier_is_guided_however_it_is_called(kind: str) -> None:
    """Where captum sees modules alone and gives the plain gradient."""
    torch.manual_seed(0)
    model = Called()
    model.kind = kind
    as_modules = nn.Sequential(model.first, nn.ReLU(), model.second)
    assert torch.equal(made(model), made(as_modules))


def test_neither_batch_nor_chunk_changes_a_map() -> None:
    """Each row by itself, and no hook or mode is left."""
    torch.manual_seed(0)
    model = PixelClassifier(KSparseAutoencoder(10, 144, 40), Classifier(40, (16,), 3)).eval()
    whole = made(model)
    parts = attributions.attribute(model, images(), TARGETS, "guided_backprop", {"chunk_size": 2}).own
    torch.testing.assert_close(parts, whole)
    x = torch.ones(2, requires_grad=True)
    (-x.relu()).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [-1, -1]


def test_a_model_without_rectifiers_is_refused() -> None:
    """Its guided gradient were its gradient."""
    with pytest.raises(InputError, match="must have rectifiers"):
        made(networks()["perceptron"].eval())


def test_controls_are_known_without_torch() -> None:
    """The list that the command asks is that of the methods themselves."""
    assert set(CONTROL_METHODS) == {name for name, one in attributions.methods.items() if one.control}


def test_a_control_stands_among_the_controls_and_nowhere_else() -> None:
    """Its own correlation with the methods is told; no other number knows of it."""
    plain = an_evidence()
    drawn = np.random.default_rng(5).standard_normal(plain.images.shape).astype(np.float32)
    control = MethodMaps(drawn, "sensitivity", drawn, plain.labels, plain.indices, control=True)
    beside = dataclasses.replace(
        plain,
        maps={**plain.maps, "guided_backprop": control},
        untrained={**plain.untrained, "guided_backprop": control},
    )
    for name, measure in measurements.items():
        before, after = ({one.name: one for one in measure(evidence)} for evidence in (plain, beside))
        assert set(after) - set(before) == (
            {"control_maps.guided_backprop"} if name == "control_maps" else set()
        )
        for one in before:
            np.testing.assert_array_equal(after[one].values, before[one].values)
    told = {one.name: one for one in measurements["control_maps"](beside)}["control_maps.guided_backprop"]
    assert told.title == "Guided backprop"
    assert np.isfinite(told.values).all()
