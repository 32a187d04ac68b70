"""Networks frozen between an input and the baseline, and what they do not show."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.subjects.frozen import Frozen, hidden
from harness.subjects.models import Classifier, Convolutional, Flat, KSparseAutoencoder, PixelClassifier


def of_images(*layers: nn.Module) -> nn.Sequential:
    """Of flat rows of 12 x 12 pixels."""
    return nn.Sequential(nn.Unflatten(1, (1, 12, 12)), *layers)


def networks() -> dict[str, nn.Module]:
    """Networks whose modules are all that is not linear."""
    torch.manual_seed(0)
    return {
        "convolutional": Flat(Convolutional((1, 12, 12), 3), (1, 12, 12)),
        "perceptron": nn.Sequential(
            nn.Linear(144, 20), nn.Tanh(), nn.Linear(20, 9), nn.ELU(), nn.Linear(9, 3)
        ),
        "pooled": of_images(
            nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3),
            nn.BatchNorm2d(6), nn.Softplus(), nn.MaxPool2d(2), nn.Sigmoid(), nn.Flatten(), nn.Linear(24, 3),
        ),
        "series": nn.Sequential(
            nn.Unflatten(1, (2, 72)), nn.Conv1d(2, 4, 3), nn.MaxPool1d(2), nn.LeakyReLU(), nn.Flatten(),
            nn.Linear(140, 3),
        ),
    }  # fmt: skip


class Functional(nn.Module):
    """One whose relu is a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(144, 20), nn.Linear(20, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.second(F.relu(self.first(inputs)))  # type: ignore[no-any-return]


class Repeated(nn.Module):
    """One whose relu is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.between, self.second = nn.Linear(144, 20), nn.Linear(20, 20), nn.Linear(20, 3)
        self.bend = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        return self.second(self.bend(self.between(self.bend(self.first(inputs)))))  # type: ignore[no-any-return]


def unseen() -> dict[str, tuple[nn.Module, str]]:
    """Networks that hold something else, and what is said of it."""
    torch.manual_seed(0)
    return {
        "function": (Functional(), "relu"),
        "twice": (Repeated(), "module 'bend' is used more than once"),
        "top-k": (PixelClassifier(KSparseAutoencoder(10, 144, 40), Classifier(40, (16,), 3)), "relu, topk"),
        "kind": (nn.Sequential(nn.Linear(144, 20), nn.GELU(), nn.Linear(20, 3)), "gelu in '1'"),
        "norm": (nn.Sequential(nn.Linear(144, 20), nn.LayerNorm(20), nn.Linear(20, 3)), "layer_norm in '1'"),
        "overlap": (
            of_images(nn.Conv2d(1, 4, 3), nn.MaxPool2d(3, 2), nn.Flatten(), nn.Linear(64, 3)),
            "max_pool2d in '2'",
        ),
    }


def images(n: int = 5) -> Tensor:
    """With a dark ground."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, 144, generator=generator) * (torch.rand(n, 144, generator=generator) < 0.6)


@pytest.mark.parametrize("name", networks())
def test_a_frozen_network_is_affine_through_both_ends(name: str) -> None:
    """It gives the logits of the input and of the baseline, and lies on a line between them."""
    model, x = networks()[name].double().eval(), images().double()
    frozen = Frozen(model, x)
    with torch.no_grad():
        ends = model(x), model(0 * x)
    found = frozen(torch.cat([x, 0 * x, 0.3 * x])).unflatten(0, (3, -1))
    torch.testing.assert_close(found[0], ends[0])
    torch.testing.assert_close(found[1], ends[1])
    torch.testing.assert_close(found[2], 0.3 * ends[0] + 0.7 * ends[1])
    assert hidden(model.float(), images()) == ""
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


@pytest.mark.parametrize("name", unseen())
def test_what_is_not_linear_beside_the_modules_is_named(name: str) -> None:
    """Functions, modules of other kinds, and those used twice; no hook is left."""
    model, said = unseen()[name]
    assert said in hidden(model.eval(), images())
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())
