"""The door: each refusal in one line, and what a model merely lacks."""

from __future__ import annotations

import sys
import warnings
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
    company = torch.rand(20, FEATURES, generator=torch.Generator().manual_seed(4))
    return door.capabilities("own", model, other, inputs, CLASSES, company)


def noisy(logits: Tensor) -> Tensor:
    return logits + torch.rand(())


REFUSED: dict[str, tuple[Callable[[Tensor], object], str]] = {
    "a tuple": (lambda logits: (logits, logits), r"must give logits alone \(got tuple\)"),
    "too few": (lambda logits: logits[:, :2], r"must give logits \[n, 3\] \(got \[2, 2\] of 2 inputs\)"),
    "no batch": (lambda logits: logits.sum(), r"must give logits \[n, 3\]"),
    "not finite": (lambda logits: logits / 0, "must give finite logits"),
    "whole numbers": (lambda logits: logits.long(), r"must give logits as floats \(got int64\)"),
    "a choice over many": (
        lambda logits: logits * (logits >= logits.flatten().sort().values[-min(6, logits.numel())]),
        "must treat each input by itself",
    ),
    "an end of the process": (lambda _: sys.exit(1), "does not take the inputs: SystemExit"),
    "probabilities": (
        lambda logits: logits.softmax(dim=1),
        "must give logits .got probabilities.; leave the soft",
    ),
    "log-probabilities": (
        lambda logits: logits.log_softmax(dim=1),
        "must give logits .got logarithms of probabilities.; leave the log-soft",
    ),
    "sigmoids": (torch.sigmoid, r"must give logits .got numbers in \[0, 1\].*; leave the sigmoid out"),
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
    assert asked(lambda logits: logits) == {"gradient", "float64", "modules"}
    assert asked(lambda logits: logits.detach()) == {"float64", "modules"}
    assert asked(lambda logits: torch.round(logits)) == {"float64"}


class Keeping(nn.Module):
    """It keeps what it gave last, with its graph."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.linear = nn.Linear(FEATURES, CLASSES)

    def forward(self, inputs: Tensor) -> Tensor:
        self.last = self.linear(inputs)
        return self.last  # type: ignore[no-any-return]


class Normed(nn.Sequential):
    """Batch norm that stays in training mode."""

    def __init__(self, seed: int) -> None:
        torch.manual_seed(seed)
        super().__init__(nn.Linear(FEATURES, CLASSES), nn.BatchNorm1d(CLASSES))

    def eval(self) -> Normed:
        return self


class Weightless(nn.Module):
    """It learns nothing."""

    def __init__(self, seed: int) -> None:
        super().__init__()

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs[:, :CLASSES]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Keeping, "must be one that can be copied when it was asked .*; let forward keep nothing"),
        (Normed, "must treat each input by itself .*; look for batch norm"),
        (Weightless, r"must have weights \(got none\)"),
    ],
)
def test_a_module_that_cannot_be_judged_is_refused(kind: Callable[[int], nn.Module], said: str) -> None:
    """Before any work, and not when it breaks off."""
    inputs = torch.rand(22, FEATURES, generator=torch.Generator().manual_seed(3))
    with pytest.raises(ConfigurationError, match=said):
        door.capabilities("own", kind(0).eval(), kind(1).eval(), inputs[:2], CLASSES, inputs[2:])


def test_a_compiled_module_is_refused_in_a_line() -> None:
    """Torch refuses to copy it as it is asked here; no traceback."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model, twin = (torch.jit.script(nn.Linear(FEATURES, CLASSES)) for _ in range(2))
    inputs = torch.rand(22, FEATURES)
    with pytest.raises(ConfigurationError, match="model 'own': "):
        door.capabilities("own", model, twin, inputs[:2], CLASSES, inputs[2:])


CODES = """
import torch
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

class Detached(Code):
    def encode(self, rows):
        return super().encode(rows.detach())

class Numb(Code):
    @torch.no_grad()
    def decode(self, codes):
        return 1 * super().decode(codes)

class Rounded(Code):
    def encode(self, rows):
        return super().encode(rows).round()

def detached():
    return Detached(16, 16)

def numb():
    return Numb(16, 16)

def rounded():
    return Rounded(16, 16)

def something():
    return nn.Linear(8, 8)

def lazy(*, shape, classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(classes))

def frozen(*, shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(784, classes)).requires_grad_(False)
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
        ({"layer": "5", "code": "own_codes:load"}, "must take what layer '5' gives"),
        ({"layer": "0", "code": "own_codes:lode"}, "own_codes has no 'lode': did you mean 'load'"),
        ({"layer": "0", "code": "own_codes:broken"}, "cannot be made: FileNotFoundError"),
        ({"layer": "0", "code": "own_codes:detached"}, "code 'own_codes:detached': its encode must let"),
        ({"layer": "0", "code": "own_codes:numb"}, "its decode must let a gradient pass .*; detach nothing"),
        ({"layer": "0", "code": "own_codes:something"}, r"with encode and decode \(got Linear\)"),
        ({"model": "own_codes:lazy"}, r"must know its sizes from the start \(got a lazy 1.weight\)"),
        ({"model": "own_codes:frozen", "recipe": "supervised"}, "must have something to train"),
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
    assert {"code", "decoder", "float64", "gradient", "modules", "places", "rows"} == {*record.capabilities}
    assert record.layers == ("0", "code", "2", "5", "8")
    assert (record.code_width, record.layer, record.code) == (16, "0", "own_codes:load")
    monkeypatch.delitem(sys.modules, "own_codes", raising=False)


def test_a_code_without_a_slope_is_declared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that rounds detaches nothing: the gradient that passes is 0, as of a model that rounds."""
    (tmp_path / "own_codes.py").write_text(CODES)
    monkeypatch.delitem(sys.modules, "own_codes", raising=False)
    table = {"model": "convolutional", "model_dir": str(tmp_path), "layer": "0", "code": "own_codes:rounded"}
    config = Config.model_validate({"model": table, "recipe": "none"})
    record = door.look(config, datasets.load("fashion-mnist-mini", None), torch.device("cpu"))
    assert "gradient" not in record.capabilities
    monkeypatch.delitem(sys.modules, "own_codes", raising=False)
