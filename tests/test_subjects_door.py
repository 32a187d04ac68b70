"""The door: each refusal in one line, and what a model merely lacks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from harness.errors import ConfigurationError
from harness.subjects import door

CLASSES, FEATURES = 3, 8


class Asked(nn.Module):
    """A linear model whose logits a function changes."""

    def __init__(self, change: Callable[[Tensor], object], seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(FEATURES, CLASSES)
        self.change = change

    def forward(self, inputs: Tensor) -> object:
        return self.change(self.linear(inputs))


def asked(change: Callable[[Tensor], object], twin: int = 1) -> frozenset[str]:
    model, other = (Asked(change, seed).eval() for seed in (0, twin))
    inputs = torch.rand(2, FEATURES, generator=torch.Generator().manual_seed(3))
    return door.capabilities("own", model, other, inputs, CLASSES)


def noisy(logits: Tensor) -> Tensor:
    return logits + torch.rand(())


REFUSED: dict[str, tuple[Callable[[Tensor], object], str]] = {
    "a tuple": (lambda logits: (logits, logits), r"must give logits alone \(got tuple\)"),
    "too few": (lambda logits: logits[:, :2], r"must give logits \[n, 3\] \(got \[2, 2\] of 2 inputs\)"),
    "no batch": (lambda logits: logits.sum(), r"must give logits \[n, 3\]"),
    "not finite": (lambda logits: logits / 0, "must give finite logits"),
    "whole numbers": (lambda logits: logits.long(), "must give finite logits"),
    "probabilities": (
        lambda logits: logits.softmax(dim=1),
        "must give logits .got probabilities.; leave the soft",
    ),
    "noise": (noisy, "must give the same logits twice"),
    "rows that touch": (lambda logits: logits - logits.mean(dim=0), "must treat each input by itself"),
    "an error": (lambda logits: logits @ logits, "does not take the inputs: RuntimeError: .*mat1 and mat2"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_judged_is_refused_in_one_line(kind: str) -> None:
    """By the model's name, with what was got and the mend."""
    change, said = REFUSED[kind]
    with pytest.raises(ConfigurationError, match=f"model 'own': .*{said}") as caught:
        asked(change)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_control_that_is_trained_is_refused() -> None:
    """A factory that loads weights gives the same logits from any seed."""
    with pytest.raises(ConfigurationError, match="must start with weights that are drawn"):
        asked(lambda logits: logits, twin=0)


def test_a_gradient_is_found_or_is_not() -> None:
    """A model without one is not refused: who needs it is declared away."""
    assert asked(lambda logits: logits) == {"gradient", "float64"}
    assert asked(lambda logits: logits.detach()) == {"float64"}
    assert asked(lambda logits: torch.round(logits)) == {"float64"}
