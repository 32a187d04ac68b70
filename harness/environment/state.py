"""Put the caller's global settings aside while the harness computes, and give them back after.

A notebook may have switched gradients off, entered inference mode, chosen float64, another device or
autocast, or let numpy raise at every rounding. None of that may change a number of the harness, and none of
it may be lost to the caller: every public door computes inside `clean`.
"""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from harness.environment.precision import full_precision

if TYPE_CHECKING:
    import torch
    from torch import nn

T = TypeVar("T")


@contextmanager
def clean() -> Iterator[None]:
    """Numpy's and torch's settings as a fresh process has them; what was set is given back after.

    Gradients are on and inference mode is off, the default type is float32 and the default device the CPU,
    autocast is off, float32 products are exact, numpy warns as it does by itself. Torch is looked at where it
    is loaded, and never loaded. Serves as a decorator too.
    """
    with ExitStack() as stack:
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        if "torch" in sys.modules:
            _clean_torch(stack)
        yield


def _clean_torch(stack: ExitStack) -> None:
    """Torch's part of `clean`, each setting with what gives it back."""
    import torch

    # what is called inside may set these by calls that end with no block
    stack.callback(torch.set_default_dtype, torch.get_default_dtype())
    before = torch.get_default_device(), torch.get_num_threads(), torch.get_deterministic_debug_mode()
    stack.callback(_give_back, *before, torch.is_anomaly_enabled())
    torch.set_default_dtype(torch.float32)
    stack.enter_context(torch.inference_mode(mode=False))
    stack.enter_context(torch.enable_grad())
    if torch.get_default_device().type != "cpu":
        stack.enter_context(torch.device("cpu"))
    for kind in ("cpu", "cuda"):
        if torch.is_autocast_enabled(kind):
            stack.enter_context(torch.autocast(kind, enabled=False))
    stack.enter_context(full_precision())


def _give_back(device: torch.device, threads: int, deterministic: int, anomaly: bool) -> None:
    """What has no block of its own in torch, where it is not what it was."""
    import torch

    if torch.get_default_device() != device:
        torch.set_default_device(None if device.type == "cpu" else device)
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
    if torch.get_deterministic_debug_mode() != deterministic:
        torch.set_deterministic_debug_mode(deterministic)
    if torch.is_anomaly_enabled() != anomaly:
        torch.autograd.set_detect_anomaly(anomaly)


@contextmanager
def evaluation(model: nn.Module) -> Iterator[None]:
    """A model in evaluation mode, its dropout off; each part's mode, and what is frozen, given back after."""
    modes = [(module, module.training) for module in model.modules()]
    frozen = [(one, one.requires_grad) for one in model.parameters()]
    model.eval()
    try:
        yield
    finally:
        for parameter, trained in frozen:
            parameter.requires_grad_(trained)
        for module, training in modes:
            # by its own method, which may do more than set the mode; the parts of a part follow it
            if module.training != training:
                module.train(training)


_END: Any = object()


def stepwise(steps: Generator[T, None, None] | Iterator[T]) -> Iterator[T]:
    """The same steps, each taken inside `clean`; between them the caller has its own settings."""
    while True:
        with clean():
            found = next(steps, _END)
        if found is _END:
            return
        yield found
