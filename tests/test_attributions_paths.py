"""What happens on the straight paths of images: the jumps of the logit, and the logit itself."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from harness.attributions.paths import PLACES, explained, jumps_of
from harness.errors import InputError
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier
from harness.subjects.sparse.switches import NOBODY
from tests.test_attributions_switched import network_of

TARGETS = torch.arange(12) % 5


@pytest.fixture(scope="module")
def network() -> PixelClassifier:
    """Whose code switches."""
    return network_of(1).double()


@pytest.fixture(scope="module")
def images() -> Tensor:
    """With a dark ground."""
    generator = torch.Generator().manual_seed(2)
    drawn = torch.rand(2, 12, 64, generator=generator, dtype=torch.float64)
    return drawn[0] * (drawn[1] < 0.6)


@torch.no_grad()
def logits_of(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    found: Tensor = model(images).gather(1, targets[:, None])[:, 0]
    return found


def test_jumps_and_the_continuous_part_are_the_whole_change(network: PixelClassifier, images: Tensor) -> None:
    """What slopes add between switches, split at every kink, and what jumps add: f_y(x) - f_y(x0)."""
    found = jumps_of(network, images, TARGETS)
    (path,) = explained(network, images, TARGETS, steps=5, across=1, split_kinks=True)
    slopes = (path.slopes * path.lines.rates).sum(dim=1)
    change = logits_of(network, images, TARGETS) - logits_of(network, images * 0, TARGETS)
    torch.testing.assert_close(slopes + found.jumps.sum(dim=1), change, rtol=1e-9, atol=1e-12)
    assert float(found.jumps.sum(dim=1).abs().median()) > 0.05 * float(change.abs().median())


def test_each_jump_is_what_the_model_does_just_before_and_just_after() -> None:
    """5 pixels, 8 units, k = 2, by brute force: the network itself a hair to both sides of each place."""
    torch.manual_seed(4)
    tiny = (
        PixelClassifier(KSparseAutoencoder(2, 5, 8), Classifier(8, hidden=(6, 5), classes=3)).eval().double()
    )
    images, targets = torch.rand(12, 5, dtype=torch.float64), torch.arange(12) % 3
    found = jumps_of(tiny, images, targets)
    for image, event in (found.levels > 0).nonzero().tolist():
        place, y = found.positions[image, event], targets[image : image + 1]
        before, after = (
            logits_of(tiny, (place + step) * images[image : image + 1], y)[0] for step in (-1e-9, 1e-9)
        )
        torch.testing.assert_close(found.before[image, event], before, rtol=0, atol=1e-6)
        torch.testing.assert_close(found.jumps[image, event], after - before, rtol=0, atol=1e-6)
        with torch.no_grad():
            codes = [
                tiny.autoencoder.encode((place + step) * images[image : image + 1])[0]
                for step in (-1e-9, 1e-9)
            ]
        leaving, entering = int(found.leaving[image, event]), int(found.entering[image, event])
        level = found.levels[image, event]
        for code, there, gone in ((codes[0], leaving, entering), (codes[1], entering, leaving)):
            torch.testing.assert_close(code[there], level, rtol=0, atol=1e-6)
            assert float(code[gone]) == 0
    assert int((found.levels > 0).sum()) >= 8


def test_the_logit_along_the_path_is_the_models(network: PixelClassifier, images: Tensor) -> None:
    """At evenly spaced places, from the baseline to the image."""
    found = jumps_of(network, images, TARGETS)
    assert found.along.shape == (12, PLACES)
    for number in (0, 57, PLACES - 1):
        at = logits_of(network, images * (number / (PLACES - 1)), TARGETS)
        torch.testing.assert_close(found.along[:, number], at, rtol=0, atol=1e-9)


def test_where_nothing_switches_there_are_no_jumps(images: Tensor) -> None:
    """All units kept: those that pass 0 are changes, and jump nowhere."""
    found = jumps_of(network_of(2, k=40).double(), images, TARGETS)
    assert not bool(found.jumps.any() | found.levels.any() | found.before.any())
    assert bool((found.leaving != NOBODY).any())
    none = jumps_of(network_of(2).double(), images[:0], TARGETS[:0])
    assert none.jumps.shape == (0, 0)
    assert none.along.shape == (0, PLACES)


def test_chunks_change_nothing_but_how_rows_are_filled(network: PixelClassifier, images: Tensor) -> None:
    """Short rows end in changes of nobody at the path's end."""
    whole, parts = jumps_of(network, images, TARGETS), jumps_of(network, images, TARGETS, chunk_size=5)
    for name, one in vars(whole).items():
        torch.testing.assert_close(getattr(parts, name), one, rtol=1e-9, atol=1e-12)
    rows = (whole.leaving == NOBODY) & (whole.entering == NOBODY)
    assert bool(rows.any())
    assert bool((whole.positions[rows] == 1).all())


def test_another_readout_and_weights_that_learn_are_left_as_they_were(
    network: PixelClassifier, images: Tensor
) -> None:
    """A readout that is no rectifier network is asked as well; the caller's model keeps its state."""
    other = copy.deepcopy(network).train()
    torch.manual_seed(0)
    other.classifier = nn.Sequential(nn.Linear(40, 16), nn.Tanh(), nn.Linear(16, 5)).double()
    found = jumps_of(other, images, TARGETS)
    assert bool(found.jumps.any())
    assert other.training
    assert all(one.requires_grad for one in other.parameters())


def test_a_model_without_such_a_code_is_refused(images: Tensor) -> None:
    """In one sentence that says what the model must be."""
    with pytest.raises(InputError, match="switches of a code: the model must be a linear encoder"):
        jumps_of(nn.Sequential(nn.Linear(64, 5)).double(), images, TARGETS)
