"""A network with its non-linear modules frozen to what they did between an input and the baseline.

DeepLift (Shrikumar, Greenside and Kundaje 2017) takes each unit for a line: y + m (h - h(x)), with
m = (y - y0) / (h(x) - h(x0)). Where these modules are all that is not linear, the frozen network is affine,
and its slope is DeepLift's map. Where it is not, something else in the network is not linear: in a function,
in a module of another kind, in one that is used twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from harness.text import listed

SAME = {torch.float32: 1e-6, torch.float64: 1e-12}
"""Inputs of a unit that differ by less than this count as equal, and its derivative is its multiplier."""

AFFINE = 1e-3
"""By what part of its largest logit a frozen network may fail to be affine."""

WIDE = 3.0
"""The standard deviation, on inputs in [0, 1], of steps along which it is asked."""

UNITS = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus)
"""Modules that treat each unit by itself."""

POOLS: dict[type[nn.Module], Callable[..., Any]] = {
    nn.MaxPool1d: F.max_pool1d_with_indices,
    nn.MaxPool2d: F.max_pool2d_with_indices,
    nn.MaxPool3d: F.max_pool3d_with_indices,
}
"""Modules that take the largest unit of a window."""

BENT = re.compile(
    r"a?(max|min)(imum)?|(adaptive_)?max_pool.*|clamp.*|topk|sort|kthvalue|relu.*|\w*elu_?|silu|mish|hard\w+"
    r"|\w*sigmoid_?|tanh\w*|soft\w+|log\w*|exp\w*|threshold_?|\w+_norm|\w*attention\w*|abs\w*|sqrt|square|pow"
)
"""Names of functions that are not linear, to tell which it was."""


def is_frozen(module: nn.Module) -> bool:
    """Whether a module is of a kind that is taken for lines; no pool is whose windows overlap."""
    if type(module) not in POOLS:
        return type(module) in UNITS
    pool: Any = module
    axes = _axes(pool)
    size, stride, dilation = (
        (one,) * axes if isinstance(one, int) else one
        for one in (pool.kernel_size, pool.stride, pool.dilation)
    )
    return all(one == 1 for one in dilation) and all(a <= b for a, b in zip(size, stride, strict=True))


def _axes(pool: nn.Module) -> int:
    return 1 + list(POOLS).index(type(pool))


@dataclass(frozen=True, eq=False)
class _Line:
    """What a module's units do from now on: `found` + `rate` (h - `at`), with h at `places` of a pool."""

    rate: Tensor
    at: Tensor
    found: Tensor
    places: Tensor | None
    axes: int

    def __call__(self, h: Tensor) -> Tensor:
        h = h.unflatten(0, (-1, len(self.found)))  # [copies, n, ...]
        if self.places is not None:
            h = _taken(h, self.places.expand(len(h), *self.places.shape), self.axes)
        return (self.found + self.rate * (h - self.at)).flatten(0, 1)


class Frozen:
    """A model frozen between given inputs and the baseline 0, as a function of points.

    Args:
        model: Flat rows to logits, evaluating. Its hooks are there only while it is asked.
        images: float [n, features].

    Attributes:
        twice: Names of the non-linear modules that are used more than once for an input.
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        self.model = model
        self._lines: dict[nn.Module, list[_Line]] = {}

        def keep(module: nn.Module, given: Tensor, found: Tensor) -> None:
            self._lines.setdefault(module, []).append(_line(module, given, found.detach()))

        with self._hooked(keep):
            model(torch.cat([images, torch.zeros_like(images)]))
        self.twice = [name for name, part in model.named_modules() if len(self._lines.get(part, ())) > 1]

    def __call__(self, points: Tensor) -> Tensor:
        """The logits of points (float [copies x n, features]), copy after copy of the inputs."""
        lines = {module: iter(found) for module, found in self._lines.items()}
        with self._hooked(lambda module, given, _found: next(lines[module])(given)):
            found: Tensor = self.model(points)
        return found

    @contextmanager
    def _hooked(self, asked: Callable[[nn.Module, Tensor, Tensor], Tensor | None]) -> Iterator[None]:
        """While it lasts, what a module was given and gives goes to `asked`, whose answer replaces it."""
        given: dict[nn.Module, Tensor] = {}

        def before(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            given[module] = inputs[0].clone()  # a module may change it in place

        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            for part in filter(is_frozen, self.model.modules()):
                stack.callback(part.register_forward_pre_hook(before).remove)
                hook = part.register_forward_hook(lambda part, _, found: asked(part, given.pop(part), found))
                stack.callback(hook.remove)
            yield


def _line(module: nn.Module, given: Tensor, found: Tensor) -> _Line:
    """A module's line through what it did at inputs, and at the baselines that stand after them."""
    (x, x0), (y, y0) = given.chunk(2), found.chunk(2)
    places, axes = None, 0
    if type(module) in POOLS:
        axes = _axes(module)
        places = _places(module, given, y >= y0)
        x, x0 = _taken(x, places, axes), _taken(x0, places, axes)
        slope = torch.ones_like(y)
    else:
        slope = _derivative(module, x)
    still = (x - x0).abs() < SAME[x.dtype]
    rate = torch.where(still, slope, (y - y0) / torch.where(still, 1.0, x - x0))
    return _Line(rate, x, y, places, axes)


def _derivative(module: nn.Module, h: Tensor) -> Tensor:
    with torch.enable_grad():
        h = h.detach().requires_grad_()
        slope: Tensor = torch.autograd.grad(type(module).forward(module, h.clone()).sum(), h)[0]
    return slope


def _places(pool: Any, given: Tensor, rises: Tensor) -> Tensor:
    """Which unit of each window changes what the pool gives: the largest of the larger end; int64 [n, ...].

    Where the input's maximum is over the baseline's that is the input's, else the baseline's, so that the
    multiplier lies in 0..1.
    """
    _, found = POOLS[type(pool)](
        given, pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode
    )
    of_input, of_baseline = found.chunk(2)
    return torch.where(rises, of_input, of_baseline)


def _taken(h: Tensor, places: Tensor, axes: int) -> Tensor:
    """The units of h [..., *plane] at places [..., *windows] of its last axes."""
    h = h.flatten(-axes).gather(-1, places.flatten(-axes))
    return h.view(places.shape)


class _Watched(TorchFunctionMode):
    """Notes by name the functions that are not linear, with the module that calls them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.found: list[str] = []
        self._inside: list[tuple[str, nn.Module]] = []

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name, told = self._inside[-1] if self._inside else ("", self.model), getattr(function, "__name__", "")
        if BENT.fullmatch(told) and not is_frozen(name[1]):
            self.found.append(f"{told} in {name[0]!r}" if name[0] else told)
        return function(*args, **(kwargs or {}))

    @contextmanager
    def over(self) -> Iterator[None]:
        """While it lasts, whatever the model calls is noted."""
        with ExitStack() as stack:
            for name, part in self.model.named_modules():
                one = (name, part)
                before = part.register_forward_pre_hook(lambda *_, one=one: self._inside.append(one))
                after = part.register_forward_hook(lambda *_: self._inside.pop() and None)
                for hook in (before, after):
                    stack.callback(hook.remove)
            stack.enter_context(torch.no_grad())
            stack.enter_context(self)
            yield


def hidden(model: nn.Module, images: Tensor) -> str:
    """What of a model is not linear beside modules that are used once each: in words; empty where nothing is.

    Frozen, a model of such modules is affine: f(x) + f(x + v + w) = f(x + v) + f(x + w).

    Args:
        model: Flat rows to logits, evaluating.
        images: float [n, features].
    """
    frozen = Frozen(model, images)
    if frozen.twice:
        return f"module {frozen.twice[0]!r} is used more than once"
    generator = torch.Generator().manual_seed(0)
    v, w = (WIDE * torch.randn(2, images.shape[1], generator=generator)).to(images)
    points = torch.cat([images, images + v + w, images + v, images + w])
    here, far, one, other = frozen(points).unflatten(0, (4, -1))
    largest = torch.stack([here, far, one, other]).abs().max()
    if bool((here + far - one - other).abs().max() <= AFFINE * largest):
        return ""
    watched = _Watched(model)
    with watched.over():
        model(images)
    return listed(dict.fromkeys(watched.found)) or "something beside its modules"
