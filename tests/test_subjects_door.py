"""The door: each refusal in one line, and what a model merely lacks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness import datasets
from harness.config import Config
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


CODES = """
from torch import nn

class Code(nn.Linear):
    def encode(self, rows):
        return self(rows)

    def decode(self, codes):
        return codes[:, :16]

def load():
    return Code(16, 16)

def broken():
    return open("nowhere.pth")

def something():
    return nn.Linear(8, 8)
"""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"code": "own_codes:load"}, r"a code stands at a layer \(got no layer\); name it by --layer"),
        ({"layer": "0"}, r"a code stands at a layer \(got no code\); name it by --code"),
        (
            {"layer": "0", "code": "own_codes:load", "recipe": "reference"},
            "from the layer of a trained model",
        ),
        ({"layer": "00", "code": "own_codes:load"}, "there is no '00': did you mean '0'"),
        ({"layer": "5", "code": "own_codes:load"}, "must take what layer 'model.5' gives"),
        ({"layer": "0", "code": "own_codes:lode"}, "own_codes has no 'lode': did you mean 'load'"),
        ({"layer": "0", "code": "own_codes:broken"}, "cannot be made: FileNotFoundError"),
        ({"layer": "0", "code": "own_codes:something"}, r"with encode and decode \(got Linear\)"),
        ({"model": "relu-l1", "settings": {"l1": -1.0}}, "cannot be made: ValueError: l1 must be a number"),
    ],
)
def test_a_code_that_cannot_be_meant_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], said: str
) -> None:
    """In one line with the mend."""
    (tmp_path / "own_codes.py").write_text(CODES)
    monkeypatch.delitem(sys.modules, "own_codes", raising=False)
    recipe = changed.pop("recipe", "none")
    table = {"model": "convolutional", "model_dir": str(tmp_path)} | changed
    config = Config.model_validate({"model": table, "recipe": recipe})
    with pytest.raises(ConfigurationError, match=said):
        door.look(config, datasets.load("fashion-mnist-mini", None), torch.device("cpu"))
    monkeypatch.delitem(sys.modules, "own_codes", raising=False)


def test_what_a_code_is_stands_in_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its place among the layers is behind its layer; what it cannot give is not there."""
    (tmp_path / "own_codes.py").write_text(CODES)
    monkeypatch.delitem(sys.modules, "own_codes", raising=False)
    table = {"model": "convolutional", "model_dir": str(tmp_path), "layer": "0", "code": "own_codes:load"}
    config = Config.model_validate({"model": table, "recipe": "none"})
    record = door.look(config, datasets.load("fashion-mnist-mini", None), torch.device("cpu"))
    assert record.capabilities == ("code", "decoder", "float64", "gradient", "rows")
    assert record.layers == ("model.model.0", "code", "model.model.2", "model.model.5", "model.model.8")
    assert (record.code_width, record.layer, record.code) == (16, "0", "own_codes:load")
    monkeypatch.delitem(sys.modules, "own_codes", raising=False)
