"""Models by name and factories of one's own: what is built, what is refused, and what they have."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from harness.attributions import sanity
from harness.config.parameters import Model
from harness.errors import ConfigurationError
from harness.forms import Form
from harness.subjects import catalogue
from harness.subjects.models import Flat, PixelClassifier

NETS = """
from torch import nn

def build(*, shape, classes, width=4):
    channels, rows, columns = shape
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Flatten(),
                         nn.Linear(width * rows * columns, classes))

def any_of_them(**keywords):
    return build(shape=keywords["shape"], classes=keywords["classes"])

def without_shape(classes): ...

def a_list(*, shape, classes):
    return [nn.Linear(2, 2)]

def needy(*, shape, classes, depth, width=4): ...

def failing(*, shape, classes):
    raise KeyError("one\\ntwo")
"""


def form(shape: tuple[int, ...] = (6, 8), kind: str = "image", baseline: float = 0.0) -> Form:
    record = {"shape": shape, "kind": kind, "scale": 1.0, "baseline": baseline or "zero"}
    return Form.of_record(record, None)


def build(given: Form | None = None, seed: int = 0, classes: int = 3, **table: Any) -> torch.nn.Module:
    return catalogue.build(Model(**table), given or form(), classes, seed)


@pytest.fixture
def nets(tmp_path: Path) -> Path:
    (tmp_path / "own_nets.py").write_text(NETS)
    return tmp_path


@pytest.fixture(autouse=True)
def _forgotten() -> Any:
    yield
    sys.modules.pop("own_nets", None)


def test_a_factory_of_ones_own_is_found_in_a_folder(nets: Path) -> None:
    """With its keywords; the folder is searched during the import alone."""
    before = list(sys.path)
    model = build(model="own_nets:build", model_dir=nets, settings={"width": 2})
    assert sys.path == before
    assert model(torch.rand(2, 48)).shape == (2, 3)
    assert isinstance(model, Flat)
    assert next(model.parameters()).shape[0] == 2
    assert build(model="own_nets:any_of_them", model_dir=nets, settings={"more": 1})(
        torch.rand(2, 48)
    ).shape == (
        2,
        3,
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"model": "k-spars"}, "unknown model 'k-spars': did you mean 'k-sparse'"),
        (
            {"model": "own_nets:build", "settings": {"widht": 2}},
            "unknown keyword 'widht'.*did you mean 'width'",
        ),
        ({"model": "own_nets:build", "settings": {"shape": 2}}, "unknown keyword 'shape'"),
        ({"model": "own_nets:needy"}, "must be given 'depth', .*; set depth in the table .model.settings"),
        (
            {"model": "own_nets:failing"},
            r"at own_nets.py, line 20: 'one\\ntwo'; it was called with shape=\(1, 6, 8\), classes=3$",
        ),
        ({"model": "own_nets"}, "named as module:function, such as 'own_nets:build'"),
        ({"model": "own_nets.py"}, "named as module:function, such as 'own_nets:build'"),
        (
            {"model": "own_nets:without_shape"},
            "must take the keyword 'shape'; write it as: def without_shape",
        ),
        ({"model": "own_nets:a_list"}, r"must give a torch.nn.Module .*\(got list\)"),
    ],
)
def test_what_is_no_model_is_refused_in_one_line(nets: Path, table: dict[str, Any], said: str) -> None:
    """With the places looked in, a suggestion, or what was got."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        build(**table, model_dir=nets)
    assert "\n" not in str(caught.value)


def test_a_baseline_is_added_at_the_door() -> None:
    """The model sees the values; the rows that come are deviations from the baseline."""
    plain, shifted = (build(form(baseline=value), model="convolutional") for value in (0.0, 0.25))
    inputs = torch.rand(4, 48)
    assert torch.allclose(shifted(inputs - 0.25), plain(inputs), atol=1e-6)


@pytest.mark.parametrize("name", ["k-sparse", "relu-l1", "vae"])
def test_a_code_of_deviations_is_that_of_the_inputs(name: str) -> None:
    """The same codes, logits, errors, atoms and loss; its weights are those of a model of the inputs."""
    table: dict[str, Any] = {"model": name, "k": 3, "code_width": 16}
    plain, shifted = (build(form(baseline=value), **table) for value in (0.0, 0.25))
    assert isinstance(plain, PixelClassifier)
    assert isinstance(shifted, PixelClassifier)
    inputs = torch.rand(4, 48)
    assert torch.allclose(shifted(inputs - 0.25), plain(inputs), atol=1e-6)
    codes = plain.encode(inputs)
    assert torch.allclose(shifted.encode(inputs - 0.25), codes, atol=1e-6)
    assert torch.allclose(shifted.decode(codes) + 0.25, plain.decode(codes), atol=1e-6)
    assert catalogue.capabilities_of(shifted) == catalogue.capabilities_of(plain)
    for made, other in zip(
        catalogue.parts_of(shifted).items(), catalogue.parts_of(plain).items(), strict=True
    ):
        assert made[0] == other[0]
        assert made[1].state_dict().keys() == other[1].state_dict().keys()
    losses = []
    for model, given in ((plain, inputs), (shifted, inputs - 0.25)):
        torch.manual_seed(0)
        own = getattr(model.autoencoder, "loss", None)
        losses.append((own(given) if own else (model.autoencoder(given) - given).square().mean()).detach())
    assert torch.allclose(losses[0], losses[1], atol=1e-6)
    named = [[layer for layer, *_ in sanity.randomised(model, 0)] for model in (plain, shifted)]
    assert named[0] == named[1]


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_weights_of_a_file_are_loaded(tmp_path: Path, ending: str) -> None:
    """Of both kinds; nothing in them is executed."""
    given, model = (catalogue.own_of(build(seed=seed, model="convolutional")) for seed in (1, 0))
    path = tmp_path / f"best.{ending}"
    if ending == "pth":
        torch.save(given.state_dict(), path)
    else:
        safetensors.torch.save_file(given.state_dict(), path)
    catalogue.load(model, path)
    assert all(
        torch.equal(one, other) for one, other in zip(model.parameters(), given.parameters(), strict=True)
    )


def test_a_folder_is_no_file_of_weights(tmp_path: Path) -> None:
    """It is told what it is."""
    with pytest.raises(ConfigurationError, match=r"must be a file \(got a folder\)"):
        catalogue.load(torch.nn.Linear(2, 2), tmp_path)


def test_layers_are_called_as_their_factory_knows_them(nets: Path) -> None:
    """Whatever wraps the model; so `--layer` takes them."""
    own = build(model="own_nets:build", model_dir=nets)
    assert catalogue.own_layers_of(own) == ["0", "3"]
    assert catalogue.layers_of(own) == ["model.0", "model.3"]
    assert catalogue.own_layers_of(build(model="mlp")) == catalogue.layers_of(build(model="mlp"))


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    """By name; a wrapper's prefix is told, and not taken off."""
    model = catalogue.own_of(build(model="convolutional"))
    with pytest.raises(ConfigurationError, match="there is no such file"):
        catalogue.load(model, tmp_path / "best.pth")
    torch.save({f"module.{name}": one for name, one in model.state_dict().items()}, tmp_path / "best.pth")
    with pytest.raises(ConfigurationError, match=r"begin with 'module\.', a wrapper's"):
        catalogue.load(model, tmp_path / "best.pth")
    torch.save(catalogue.own_of(build(model="mlp")).state_dict(), tmp_path / "best.pth")
    with pytest.raises(ConfigurationError, match="weights of another network"):
        catalogue.load(model, tmp_path / "best.pth")
