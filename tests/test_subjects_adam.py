"""The functional optimiser against torch's own class."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from harness.subjects.adam import Adam

SHAPES, RATE = ((5, 3), (5,), (2, 4)), 0.01
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def tensors(seed: int, dtype: torch.dtype = torch.float64, device: str = "cpu") -> list[Tensor]:
    """Random tensors of the shapes."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype).to(device) for shape in SHAPES]


def state(optimizer: Adam) -> Iterator[Tensor]:
    """All that a step may change."""
    yield from (*optimizer.weights, *optimizer.first_moments, *optimizer.second_moments, *optimizer.counts)


@pytest.mark.parametrize("device", DEVICES)
def test_steps_are_those_of_the_class(device: str) -> None:
    """Twenty steps in float64 are those of `torch.optim.Adam`'s plain loop, but for rounding."""
    ours, theirs = tensors(0, device=device), tensors(0, device=device)
    optimizer, other = Adam(ours, RATE), torch.optim.Adam(theirs, lr=RATE, foreach=False)
    for number in range(1, 21):
        gradients = tensors(number, device=device)
        for weight, gradient in zip(theirs, gradients, strict=True):
            weight.grad = gradient
        optimizer.step(gradients)
        other.step()
    for mine, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, their, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_steps_are_those_of_the_fused_class_to_the_bit(dtype: torch.dtype, device: str) -> None:
    """Twenty steps equal those of `torch.optim.Adam(fused=True)` bit by bit, in either precision."""
    ours, theirs = tensors(0, dtype, device), tensors(0, dtype, device)
    optimizer, other = Adam(ours, RATE), torch.optim.Adam(theirs, lr=RATE, fused=True)
    for number in range(1, 21):
        gradients = tensors(number, dtype, device)
        for weight, gradient in zip(theirs, gradients, strict=True):
            weight.grad = gradient
        optimizer.step(gradients)
        other.step()
    assert all(torch.equal(mine, their) for mine, their in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("device", DEVICES)
def test_decay_and_a_rate_that_changes_are_those_of_the_class(device: str) -> None:
    """Twenty steps with other rates and a decay of some weights are those of `torch.optim.AdamW`."""
    ours, theirs = tensors(0, device=device), tensors(0, device=device)
    rate = torch.zeros((), dtype=torch.float32, device=device)
    optimizer = Adam(ours, rate, decays=[0.5, 0.0, 0.5])
    groups = [{"params": theirs[::2], "weight_decay": 0.5}, {"params": theirs[1:2], "weight_decay": 0.0}]
    other = torch.optim.AdamW(groups, lr=RATE, foreach=False)
    for number in range(1, 21):
        rate.fill_(2.0**-number)  # exact in either precision
        for group in other.param_groups:
            group["lr"] = 2.0**-number
        gradients = tensors(number, device=device)
        for weight, gradient in zip(theirs, gradients, strict=True):
            weight.grad = gradient
        optimizer.step(gradients)
        other.step()
    for mine, their in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, their, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
def test_a_part_takes_the_step_and_the_rest_stays(device: str) -> None:
    """Rows named move as in a step of all rows; the others, and their moments, stay as they were."""
    whole, part = (Adam(tensors(0, device=device), RATE) for _ in range(2))
    gradients = tensors(1, device=device)
    before = [tensor.clone() for tensor in state(part)]
    rows = [slice(3), slice(2, 5), slice(None)]
    whole.step(gradients)
    part.step([gradient[one] for gradient, one in zip(gradients, rows, strict=True)], rows)
    for now, moved, old, one in zip(state(part), state(whole), before, rows * 3, strict=False):
        left = torch.ones(len(now), dtype=torch.bool)
        left[one] = False
        assert torch.equal(now[one], moved[one])
        assert torch.equal(now[left], old[left])


@pytest.mark.parametrize("device", DEVICES)
def test_a_step_that_must_not_be_taken_leaves_no_trace(device: str) -> None:
    """Where `found_inf` is 1 nothing moves and nothing is counted; where it is 0 the step is a plain one."""
    optimizer, plain = (Adam(tensors(0, device=device), RATE, [0.5, 0.0, 0.0]) for _ in range(2))
    for one in (optimizer, plain):
        one.step(tensors(1, device=device))
    before = [tensor.clone() for tensor in state(optimizer)]
    bad = [torch.full_like(gradient, torch.nan) for gradient in tensors(2, device=device)]
    optimizer.step(bad, found_inf=torch.ones((), device=device, dtype=torch.float32))
    assert all(torch.equal(*pair) for pair in zip(state(optimizer), before, strict=True))
    optimizer.step(tensors(2, device=device), found_inf=torch.zeros((), device=device, dtype=torch.float32))
    plain.step(tensors(2, device=device))
    assert all(torch.equal(*pair) for pair in zip(state(optimizer), state(plain), strict=True))


def strided(tensor: Tensor) -> Tensor:
    """The same numbers, in another order in memory."""
    return tensor.T.contiguous().T if tensor.dim() > 1 else torch.stack([tensor, tensor], dim=1)[:, 0]


def test_the_order_of_a_gradient_in_memory_does_not_matter() -> None:
    """A transposed gradient is taken for what it is; weights that are not contiguous are refused."""
    ours, other = (Adam(tensors(0), RATE) for _ in range(2))
    ours.step(tensors(1))
    other.step([strided(gradient) for gradient in tensors(1)])
    assert all(torch.equal(*pair) for pair in zip(state(ours), state(other), strict=True))
    with pytest.raises(ValueError, match="must be contiguous"):
        Adam([strided(weight) for weight in tensors(0)], RATE)


@pytest.mark.parametrize("setting", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_a_step_is_the_same_whatever_is_set(setting: Callable[[], torch.no_grad]) -> None:
    """Under any mode of autograd and another default precision, the step is the same, and leaves no graph."""
    ours, other = (Adam(tensors(0), RATE) for _ in range(2))
    ours.step(tensors(1))
    torch.set_default_dtype(torch.float64)
    try:
        with setting():
            other = Adam([weight.clone().requires_grad_() for weight in tensors(0)], RATE)
            other.step(tensors(1))
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(torch.equal(*pair) for pair in zip(state(ours), state(other), strict=True))
    assert all(weight.grad_fn is None for weight in other.weights)


@pytest.mark.thorough
def test_it_does_not_import_the_compiler() -> None:
    """A step leaves torch's compiler where it is, which the class imports when it is made."""
    code = (
        "import sys, torch; from harness.subjects.adam import Adam; "
        "Adam([torch.ones(2)], 0.1).step([torch.ones(2)]); sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
