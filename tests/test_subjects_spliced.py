"""A code at a layer: the model sees what the code gives back, whoever wrote the code."""

from __future__ import annotations

import copy
import importlib
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.subjects.models import Flat
from harness.subjects.spliced import Spliced, Unfit

WIDTH, UNITS = 6, 10


class Code(nn.Module):
    """A sparse code of bare parameters, as most are."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, UNITS) / 2)
        self.back = nn.Parameter(torch.randn(UNITS, width) / 2)

    def encode(self, rows: Tensor) -> Any:
        return torch.relu(rows @ self.weight)

    def decode(self, codes: Tensor) -> Tensor:
        return codes @ self.back


class OfTuple(Code):
    """As overcomplete: before and after the choice, with batch norm in between."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__(width)
        self.norm = nn.BatchNorm1d(UNITS)

    def encode(self, rows: Tensor) -> Any:
        before = self.norm(rows @ self.weight)
        return before, torch.relu(before)


class OfType(Code):
    """As sae-lens: in a type that it remembers."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__(width)
        self.dtype = torch.float32

    def encode(self, rows: Tensor) -> Any:
        return super().encode(rows.to(self.dtype))


class OfMemory(Code):
    """As sae-lens with normalised activations: it decodes by what it encoded last, once."""

    def encode(self, rows: Tensor) -> Any:
        self.norm = rows.norm(dim=-1, keepdim=True) + 0.1
        return super().encode(rows / self.norm)

    def decode(self, codes: Tensor) -> Tensor:
        norm: Tensor = self.__dict__.pop("norm")
        return norm * super().decode(codes)


class Rescaling(Code):
    """As dictionary-learning: its decoder divides by the norms of what it holds."""

    def decode(self, codes: Tensor) -> Tensor:
        return super().decode(codes / (1 + self.back.norm(dim=1)))


class Keeping(Code):
    """As overcomplete: while it evaluates it keeps at hand what it made of its weights."""

    def train(self, mode: bool = True) -> Keeping:
        self.ready = None if mode else 2 * self.back
        return super().train(mode)

    def decode(self, codes: Tensor) -> Tensor:
        return codes @ (2 * self.back if self.ready is None else self.ready)


class OfBatch(Code):
    """As a batch top-k: a choice over the whole batch while it is trained, a threshold after."""

    def encode(self, rows: Tensor) -> Any:
        codes = super().encode(rows)
        least = codes.flatten().sort().values[-3 * len(rows)] if self.training else torch.tensor(0.3)
        return codes * (codes > least)


class Attending(nn.Module):
    """Tokens [n, 4, 6] in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.block, self.head = nn.Linear(5, WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        """With a connection around the block."""
        tokens = self.tokens(inputs)
        return self.head((tokens + self.block(tokens)).mean(dim=1))  # type: ignore[no-any-return]


def rows() -> nn.Module:
    return nn.Sequential(nn.Linear(20, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 3))


def channels() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, WIDTH, 3), nn.ReLU(), nn.Flatten(), nn.Linear(WIDTH * 6, 3))


CODES = [Code, OfTuple, OfType, OfMemory, Rescaling, OfBatch, Keeping]


def spliced(code: nn.Module, kind: str = "rows") -> Spliced:
    made: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], str]] = {
        "rows": (rows, (20,), "0"),
        "channels": (channels, (1, 4, 5), "0"),
        "tokens": (Attending, (4, 5), "block"),
    }
    model, shape, layer = made[kind]
    return Spliced(Flat(model(), shape), f"model.{layer}", code.eval(), torch.zeros(1, 20)).eval()


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("kind", ["rows", "channels", "tokens"])
def test_the_rest_sees_what_the_code_gives_back(code: type[Code], kind: str) -> None:
    """The logits are those of the model whose layer was replaced by hand, and rows do not touch."""
    inputs, model = torch.randn(7, 20), spliced(code(), kind)
    plain = copy.deepcopy(model.model)
    assert isinstance(plain, Flat)
    place = {"rows": "0", "channels": "0", "tokens": "block"}[kind]

    def replaced(_module: Any, _inputs: Any, found: Tensor) -> Tensor:
        by_place = found.movedim(1, -1) if kind == "channels" else found
        flat = by_place.reshape(-1, WIDTH)
        given = model.code.encode(flat)  # type: ignore[operator]
        back = model.code.decode(given[-1] if isinstance(given, tuple) else given)  # type: ignore[operator]
        back = back.reshape(by_place.shape)
        return back.movedim(-1, 1) if kind == "channels" else back  # type: ignore[no-any-return]

    untouched = plain(inputs)
    plain.model.get_submodule(place).register_forward_hook(replaced)
    torch.testing.assert_close(model(inputs), plain(inputs))
    assert not torch.allclose(model(inputs), untouched)
    alone = torch.cat([model(one[None]) for one in inputs])
    torch.testing.assert_close(alone, model(inputs))
    assert not model.model.get_submodule(model.layer)._forward_hooks


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("kind", ["rows", "channels", "tokens"])
def test_codes_lead_to_the_logits(code: type[Code], kind: str) -> None:
    """readout(encode(x), x) is f(x); other codes give other logits; a gradient passes through both."""
    inputs, model = torch.randn(7, 20, requires_grad=True), spliced(code(), kind)
    codes = model.encode(inputs)
    places = {"rows": (), "channels": (6,), "tokens": (4,)}[kind]
    assert codes.shape == (7, *places, UNITS)
    assert model.encoded(inputs).shape == (7, *places, WIDTH)
    torch.testing.assert_close(model.readout(codes, inputs), model(inputs))
    assert not torch.allclose(model.readout(2 * codes + 1, inputs), model(inputs))
    (slope,) = torch.autograd.grad(model(inputs).sum(), inputs)
    assert slope.any()


@pytest.mark.parametrize("code", CODES)
def test_a_copy_in_float64_stands_alone(code: type[Code]) -> None:
    """It gives the same logits, in its own type, and asks its own layer and code."""
    inputs, model = torch.randn(7, 20), spliced(code(), "channels")
    exact = copy.deepcopy(model).double()
    expected = model(inputs)
    torch.testing.assert_close(exact(inputs.double()).float(), expected, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        for one in exact.parameters():
            one.zero_()
    torch.testing.assert_close(model(inputs), expected)
    assert not exact(inputs.double()).any()


class Halved(Code):
    """It gives back another type than it takes."""

    def decode(self, codes: Tensor) -> Tensor:
        return super().decode(codes).half()


@pytest.mark.parametrize(
    ("layer", "code", "kind", "said"),
    [
        (
            "model.0",
            Code(5),
            "rows",
            r"must take what layer '0' gives, \[1, 6\] of one input, in rows of 6 \(last axis\), and give it "
            r"back \(got a code of 5\); name another",
        ),
        (
            "model.1",
            Code(7),
            "channels",
            r"in rows of 3 \(last axis\) or 6 \(channels\) or 36 \(whole\), .*\(got a code of 7\)",
        ),
        ("model.0", Halved(), "rows", r"\(it gives float16 \[1, 6\] of float32 \[1, 6\] back\)"),
        ("model.0", nn.Identity(), "rows", "and give it back"),
        ("model.1", Code(7), "channels", r"\[1, 6, 2, 3\] of one input"),
    ],
)
def test_a_code_that_does_not_fit_is_refused(layer: str, code: nn.Module, kind: str, said: str) -> None:
    """With what the layer gives, and why not."""
    model = Flat(*{"rows": (rows(), (20,)), "channels": (channels(), (1, 4, 5))}[kind])
    with pytest.raises(Unfit, match=said):
        Spliced(model, layer, code, torch.zeros(1, 20))


class Identity(Code):
    """It gives back what it takes, in twice as many units."""

    def encode(self, rows: Tensor) -> Any:
        return torch.cat([rows.relu(), (-rows).relu()], dim=-1)

    def decode(self, codes: Tensor) -> Tensor:
        ahead, behind = codes.chunk(2, dim=-1)
        return ahead - behind


def test_what_changes_the_layers_output_in_place_changes_no_code() -> None:
    """The code is of what the layer gave, and the rest may do with what is given back as it likes."""
    model = nn.Sequential(nn.Linear(20, WIDTH), nn.ReLU(inplace=True), nn.Linear(WIDTH, 3))
    inputs, before = torch.randn(7, 20, requires_grad=True), model[0]
    made = Spliced(Flat(model, (20,)), "model.0", Identity().eval(), torch.zeros(1, 20))
    torch.testing.assert_close(made.encoded(inputs), before(inputs))
    torch.testing.assert_close(made(inputs), model(inputs.clone()))
    torch.autograd.grad(made(inputs).sum(), inputs)
    codes = made.encode(inputs).detach().requires_grad_()
    torch.autograd.grad(made.readout(codes, inputs).sum(), codes)


def test_no_inputs_have_no_codes() -> None:
    """Of a class without a sample."""
    for kind in ("rows", "channels", "tokens"):
        model = spliced(Code(), kind)
        assert model.encode(torch.zeros(0, 20)).shape[-1] == UNITS
        assert model(torch.zeros(0, 20)).shape == (0, 3)


class Twice(nn.Module):
    """A layer that is asked twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(20, 20), nn.Linear(20, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.layer(self.layer(inputs)))  # type: ignore[no-any-return]


@pytest.mark.parametrize(("layer", "calls"), [("model.layer", 2), ("model.attention.out_proj", 0)])
def test_a_layer_that_is_not_called_once_is_refused(layer: str, calls: int) -> None:
    """Its code would be of one of two calls, or of none."""
    model = Twice()
    model.attention = nn.MultiheadAttention(4, 1)
    with pytest.raises(Unfit, match=rf"must be called once a pass \(got {calls} calls\)"):
        Spliced(Flat(model, (20,)), layer, Code(20), torch.zeros(1, 20))


def test_a_layer_that_gives_more_than_one_tensor_is_refused() -> None:
    """A recurrent layer gives a tuple."""

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.GRU(5, WIDTH, batch_first=True), nn.Linear(WIDTH, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.head(self.cell(inputs)[0][:, -1])  # type: ignore[no-any-return]

    with pytest.raises(Unfit, match=r"must give one tensor \[n, ...\] \(got tuple\)"):
        Spliced(Flat(Recurrent(), (4, 5)), "model.cell", Code(), torch.zeros(1, 20))


def installed(module: str) -> Any:
    """A package's module; skipped without it, unless the environment says `HARNESS_CODES=required`."""
    if os.environ.get("HARNESS_CODES") == "required":
        return importlib.import_module(module)
    return pytest.importorskip(module, reason=f"needs {module.split('.')[0]} (nox -s adapters)")


def of_overcomplete() -> list[nn.Module]:
    sae = installed("overcomplete.sae")
    return [
        sae.TopKSAE(WIDTH, nb_concepts=UNITS, top_k=3),
        sae.SAE(WIDTH, nb_concepts=UNITS),
        sae.JumpSAE(WIDTH, nb_concepts=UNITS),
    ]


def of_dictionary_learning() -> list[nn.Module]:
    dictionary = installed("dictionary_learning.dictionary")
    batch = installed("dictionary_learning.trainers.batch_top_k")
    jumping = dictionary.JumpReluAutoEncoder(WIDTH, UNITS)
    with torch.no_grad():
        jumping.threshold.fill_(0.2)
        nn.init.normal_(jumping.W_enc), nn.init.normal_(jumping.W_dec)
    chosen = batch.BatchTopKSAE(WIDTH, UNITS, k=3)
    chosen.threshold.fill_(0.1)
    return [
        dictionary.AutoEncoder(WIDTH, UNITS),
        dictionary.GatedAutoEncoder(WIDTH, UNITS),
        jumping,
        chosen,
    ]


def of_sae_lens() -> list[nn.Module]:
    saes = installed("sae_lens")
    common = {"d_in": WIDTH, "d_sae": UNITS, "dtype": "float32", "device": "cpu"}
    made = [
        saes.StandardSAE(saes.StandardSAEConfig(**common)),
        saes.StandardSAE(saes.StandardSAEConfig(**common, normalize_activations="layer_norm")),
        saes.StandardSAE(saes.StandardSAEConfig(**common, normalize_activations="constant_norm_rescale")),
        saes.TopKSAE(saes.TopKSAEConfig(**common, k=3)),
        saes.JumpReLUSAE(saes.JumpReLUSAEConfig(**common)),
    ]
    with torch.no_grad():
        for one in made:
            for parameter in one.parameters():
                parameter.copy_(torch.randn_like(parameter) / 3)
    return made


@pytest.mark.parametrize("family", [of_overcomplete, of_dictionary_learning, of_sae_lens])
@pytest.mark.parametrize("kind", ["rows", "channels", "tokens"])
def test_the_codes_that_people_have_stand_at_a_layer(
    family: Callable[[], list[nn.Module]], kind: str
) -> None:
    """Each gives the model logits of its own, row by row, in float64 too, and a gradient."""
    for code in family():
        model, inputs = spliced(code, kind), torch.randn(7, 20, requires_grad=True)
        expected = model(inputs)
        alone = torch.cat([model(one[None]) for one in inputs])
        torch.testing.assert_close(alone, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(model.readout(model.encode(inputs), inputs), expected)
        assert torch.autograd.grad(expected.sum(), inputs)[0].any()
        assert model.encode(inputs).shape[-1] == UNITS
        exact = copy.deepcopy(model).double()
        torch.testing.assert_close(exact(inputs.double()).float(), expected, rtol=1e-4, atol=1e-5)
