"""A float64 copy is believed where it computes in float64; maps are told right from wrong without one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness import attributions
from harness.measurements.integrity import TOLERANCE
from harness.subjects.models import Convolutional
from harness.subjects.precision import KINK, in_precision, is_exact

Where = Callable[["Network", Tensor], Tensor]
PIXELS, N = 144, 100


class Network(nn.Module):
    """A convolutional network on 12 x 12 pixels, into which something is put."""

    def __init__(self, inside: Where) -> None:
        super().__init__()
        self.network = Convolutional((1, 12, 12), 4, width=8, dropout=0.0)
        self.inside = inside

    def forward(self, images: Tensor) -> Tensor:
        """The logits of rows of 144 pixels."""
        return self.inside(self, images.unflatten(1, (1, 12, 12)))


def whole(self: Network, images: Tensor) -> Tensor:
    logits: Tensor = self.network(images)
    return logits


def in_the_middle(self: Network, images: Tensor) -> Tensor:
    hidden = self.network[:5](images)
    logits: Tensor = self.network[5:](hidden.float().to(hidden.dtype))
    return logits


def made_inside(self: Network, images: Tensor) -> Tensor:
    mean = torch.full((1, 1, 12, 1), 0.1)
    logits: Tensor = self.network(torch.matmul(images - 0.1, torch.eye(12)) + 0 * mean)
    return logits


INEXACT: dict[str, Where] = {
    "inputs": lambda self, images: whole(self, images.float()),
    "inputs, rounded": lambda self, images: whole(self, images.float().to(images.dtype)),
    "middle": in_the_middle,
    "made inside": made_inside,
    "logits": lambda self, images: whole(self, images).float(),
    "logits, rounded": lambda self, images: whole(self, images).float().double().to(images.dtype),
    "another": lambda self, images: whole(self, images) * (2 if images.dtype == torch.float64 else 1),
}


def made(inside: Where) -> Network:
    with torch.random.fork_rng():
        torch.manual_seed(4)
        return Network(inside).eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.rand(N, PIXELS, generator=generator) * (torch.rand(N, PIXELS, generator=generator) < 0.6)


def test_a_model_that_computes_in_float64_is_exact(images: Tensor) -> None:
    """Also where its inputs are flat, so that pooling windows are ties, or where it is a constant."""
    assert is_exact(made(whole), images[:2])
    pooled = nn.Sequential(nn.Unflatten(1, (1, 12, 12)), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 3))
    assert is_exact(pooled.eval(), torch.tensor([[0.0], [0.25]]).expand(2, PIXELS))
    assert is_exact(nn.Sequential(nn.Linear(PIXELS, 3), nn.Threshold(9.0, 0.0)).eval(), images[:2])


@pytest.mark.parametrize("kind", INEXACT)
def test_a_float32_anywhere_inside_is_found(kind: str, images: Tensor) -> None:
    """Whether the copy fails, gives other logits, or only rounds."""
    assert not is_exact(made(INEXACT[kind]), images[:2])


def test_both_halves_mean_the_same_tolerance() -> None:
    """The judging half knows no torch, and so names it again."""
    assert {f"torch.{name}": value for name, value in TOLERANCE.items()} == pytest.approx(
        {str(name): value for name, value in KINK.items()}
    )


METHODS = ("gradients", "integrated_gradients", "smoothgrad")


def passed(model: nn.Module, images: Tensor, targets: Tensor, maps: Tensor, name: str) -> float:
    """The share of maps that are held to satisfy their definition, in float32."""
    answers = attributions.identity_errors(
        model, images, targets, maps, name, {}, seed=3, precision=torch.float32
    )
    assert answers is not None
    return float((answers.errors <= TOLERANCE["float32"]).double().mean())


@pytest.mark.thorough
@pytest.mark.parametrize("name", METHODS)
def test_in_float32_right_maps_pass_and_wrong_ones_do_not(name: str, images: Tensor) -> None:
    """At the gate's 95 %: maps of another class, of another sign, and of two steps in place of fifty fail."""
    model = made(INEXACT["inputs"])
    with torch.no_grad():
        first, second = model(images).topk(2, dim=1).indices.T
    right = attributions.attribute(model, images, first, name).own
    assert passed(model, images, first, right, name) >= 0.95
    wrong = {
        "class": attributions.attribute(model, images, second, name).own,
        "sign": -right,
        "order": right.flip(dims=[1]),
    }
    if name == "integrated_gradients":
        wrong["endpoint"] = images * attributions.attribute(model, images, first, "gradients").own
    for kind, maps in wrong.items():
        assert passed(model, images, first, maps, name) <= 0.3, kind


def test_a_model_that_is_in_a_precision_is_no_copy() -> None:
    """A copy is made of a model that trains, or of other numbers; the model itself is left as it is."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5)).double().eval()
    assert in_precision(model, torch.float64) is model
    other = in_precision(model, torch.float32)
    kinds = [next(one.parameters()).dtype for one in (other, model)]
    assert kinds == [torch.float32, torch.float64]
    model[1].train()
    asked = in_precision(model, torch.float64)
    assert asked is not model
    assert (model[1].training, asked.get_submodule("1").training) == (True, False)
