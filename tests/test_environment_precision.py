"""Full precision inside, and every setting of both interfaces given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from harness import environment
from harness.environment.precision import full_precision

BACKENDS: Any = torch.backends
KINDS: dict[str, Any] = {
    "products on a GPU": BACKENDS.cuda.matmul,
    "convolutions on a GPU": BACKENDS.cudnn.conv,
    "recurrent layers on a GPU": BACKENDS.cudnn.rnn,
    "products on the CPU": BACKENDS.mkldnn.matmul,
    "convolutions on the CPU": BACKENDS.mkldnn.conv,
    "recurrent layers on the CPU": BACKENDS.mkldnn.rnn,
}


def _older(precision: str) -> Callable[[], None]:
    return lambda: torch.set_float32_matmul_precision(precision)


def _newer(node: Any, precision: str) -> Callable[[], None]:
    return lambda: setattr(node, "fp32_precision", precision)


def _older_of_cudnn(*, allowed: bool) -> Callable[[], None]:
    return lambda: setattr(BACKENDS.cudnn, "allow_tf32", allowed)


SETTINGS: dict[str, tuple[Callable[[], object], ...]] = {
    "none": (),
    "older, highest": (_older("highest"),),
    "older, high": (_older("high"),),
    "older, medium": (_older("medium"),),
    "products on a GPU": (_newer(BACKENDS.cuda.matmul, "tf32"),),
    "products on the CPU": (_newer(BACKENDS.mkldnn.matmul, "bf16"),),
    "everything": (_newer(BACKENDS, "tf32"),),
    "everything, bfloat16": (_newer(BACKENDS, "bf16"),),
    "all of CUDA": (_newer(BACKENDS.cudnn, "tf32"),),
    "all of the CPU": (lambda: BACKENDS.mkldnn.set_flags(_fp32_precision="bf16"),),
    "everything, but not products": (_newer(BACKENDS, "tf32"), _newer(BACKENDS.cuda.matmul, "ieee")),
    "convolutions on a GPU, exact": (_newer(BACKENDS.cudnn.conv, "ieee"),),
    "convolutions on a GPU, rounded": (_newer(BACKENDS.cudnn.conv, "tf32"),),
    "recurrent layers on a GPU, rounded": (_newer(BACKENDS.cudnn.rnn, "tf32"),),
    "convolutions on the CPU": (_newer(BACKENDS.mkldnn.conv, "bf16"),),
    "recurrent layers on the CPU": (_newer(BACKENDS.mkldnn.rnn, "bf16"),),
    "older, convolutions exact": (_older_of_cudnn(allowed=False),),
    "older, convolutions rounded": (_older_of_cudnn(allowed=True),),
    "both of convolutions": (_older_of_cudnn(allowed=True), _newer(BACKENDS.cudnn.conv, "ieee")),
    "both interfaces": (_older("medium"), _newer(BACKENDS.cuda.matmul, "ieee")),
    "both the other way": (_newer(BACKENDS, "tf32"), _older("high")),
}
"""What a caller may have set, in order."""


def state() -> dict[str, object]:
    """What each part of both interfaces says; the older may refuse to."""
    found: dict[str, object] = {
        "all": BACKENDS.fp32_precision,
        "cuda": BACKENDS.cudnn.fp32_precision,
        "cpu": BACKENDS.mkldnn.fp32_precision,
    }
    for backend, kinds in ((BACKENDS.cuda, ["matmul"]), (BACKENDS.cudnn, ["conv", "rnn"])):
        found |= {f"{backend.__name__}.{kind}": getattr(backend, kind).fp32_precision for kind in kinds}
    found |= {
        f"cpu.{kind}": getattr(BACKENDS.mkldnn, kind).fp32_precision for kind in ("matmul", "conv", "rnn")
    }
    try:
        found["older"] = torch.get_float32_matmul_precision()
    except RuntimeError:
        found["older"] = "refused"
    try:
        found["older, of cuDNN"] = BACKENDS.cudnn.allow_tf32
    except RuntimeError:
        found["older, of cuDNN"] = "refused"
    return found


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Each test starts from torch's own settings, and leaves them."""

    def reset() -> None:
        torch.set_float32_matmul_precision("highest")
        BACKENDS.mkldnn.set_flags(_fp32_precision="none")
        for node in (*KINDS.values(), BACKENDS.cudnn, BACKENDS):
            node.fp32_precision = "none"
        BACKENDS.cudnn.allow_tf32 = True  # torch's own setting

    reset()
    yield
    reset()


@pytest.mark.parametrize("name", SETTINGS)
def test_products_are_exact_inside_and_all_comes_back(name: str) -> None:
    """Inside both interfaces agree on full precision; after it, also by an error, each says what it said."""
    for setting in SETTINGS[name]:
        setting()
    before = state()
    with full_precision():
        assert torch.get_float32_matmul_precision() == "highest"
        assert {name: one.fp32_precision for name, one in KINDS.items()} == dict.fromkeys(KINDS, "ieee")
        assert not BACKENDS.cuda.matmul.allow_tf32
        assert not BACKENDS.cudnn.allow_tf32
    assert state() == before
    with pytest.raises(KeyError), full_precision():
        raise KeyError("any")
    assert state() == before


@pytest.mark.parametrize("name", SETTINGS)
def test_what_was_inherited_still_is(name: str) -> None:
    """What a caller sets above the products afterwards reaches them as if the block had not been there."""

    def changed() -> dict[str, object]:
        BACKENDS.fp32_precision = "tf32"
        first = state()
        BACKENDS.mkldnn.set_flags(_fp32_precision="none")
        BACKENDS.cudnn.fp32_precision = BACKENDS.fp32_precision = "none"
        return first | {f"{key}, nothing above": value for key, value in state().items()}

    for setting in SETTINGS[name]:
        setting()
    with full_precision():
        pass
    after = changed()
    torch.set_float32_matmul_precision("highest")
    for node in KINDS.values():
        node.fp32_precision = "none"
    BACKENDS.cudnn.allow_tf32 = True
    for setting in SETTINGS[name]:
        setting()
    assert after == changed()


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [torch.nn.Conv1d, torch.nn.Conv2d])
def test_a_gpus_convolutions_are_exact(kind: Callable[..., torch.nn.Module]) -> None:
    """A convolution on a GPU is not rounded to TF32, whose 10 bits would err by over 2^-13 of the largest."""
    with environment.seeded(0):
        layer, sides = kind(32, 64, 3), (16,) * (2 if kind is torch.nn.Conv2d else 1)
        inputs = torch.randn(64, 32, *sides)
    with torch.no_grad(), environment.deterministic():
        exact = layer.double()(inputs.double())
        found = layer.float().cuda()(inputs.cuda()).cpu()
    assert float((found - exact).abs().max()) < 2**-15 * float(exact.abs().max())
