"""A second device, played by the CPU: its numbers are true, and it refuses what a GPU refuses.

A tensor of it is a shell around one on the CPU. It refuses operations on tensors of both devices, a generator
of the CPU's, and what CUDA refuses in deterministic mode, and then also convolutions that CUDA would round to
TF32; and it counts where the host waits. What it cannot see: streams and kernels that race, memory, cuBLAS
and its rounding, drivers.

It is begun once in a process, which it changes for good; so whatever uses it is a process of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
DEVICE = torch.device("privateuseone:0")

Operation = Callable[..., Any]
Arguments = tuple[tuple[Any, ...], dict[str, Any]]


def _always(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return True


def _of_floats(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return bool((kwargs.get("dtype") or args[0].dtype).is_floating_point)


def _with_weights(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return len(args) > 1 and args[1] is not None


def _not_of_sums(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return args[4] not in ("sum", "mean")


REFUSED: dict[Operation, Callable[[tuple[Any, ...], dict[str, Any]], bool]] = {
    aten.median.dim: _always,
    aten.median.dim_values: _always,
    aten.nanmedian.dim: _always,
    aten.kthvalue.default: _always,
    aten.histc.default: _always,
    aten.put.default: _always,
    aten.put_.default: _always,
    aten.nll_loss2d_forward.default: _always,
    aten.cumsum.default: _of_floats,
    aten.bincount.default: _with_weights,
    aten.scatter_reduce.two: _not_of_sums,
    aten.scatter_reduce_.two: _not_of_sums,
}
"""What CUDA refuses in deterministic mode, torch 2.10 to 2.15, and of which arguments."""

SORTED = {aten.scatter.src, aten.scatter_.src}
"""What CUDA sorts in deterministic mode, with copies to and from the host."""

WAITS = {
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.equal.default,
    aten.masked_select.default,
}
"""What makes the host wait for the device."""

COPIES = {aten._to_copy.default, aten.copy_.default}
INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
"""What takes indices that are still on the CPU."""

DRAWS = {aten.bernoulli_.float, aten.uniform_.default, aten.normal_.default, aten.random_.default}

CONVOLUTIONS = {aten.convolution.default, aten.convolution_backward.default}
"""What CUDA rounds to TF32 unless it is told not to."""


class Recording(Protocol):
    """Whoever takes down the operations on the device instead of letting them pass."""

    def take(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The operation's result."""


class Log:
    """What passed on the device: operations, and where the host waited for it, by name."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.recording: Recording | None = None


LOG = Log()


class Played(Tensor):
    """A tensor on the device; its numbers are in `held`, on the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Played:
        made: Played = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=DEVICE,
        )
        return made

    def __init__(self, inner: Tensor) -> None:
        self.held = inner

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Played({self.held})"

    def tolist(self) -> Any:
        return self.cpu().tolist()

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Operation, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return dispatch(func, args, kwargs or {})


class Machine(TorchDispatchMode):
    """While it is entered, the device is there."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, func: Operation, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return dispatch(func, args, kwargs or {})


def begin() -> str:
    """Make the device known to torch; the reason where this torch has no such interface, else nothing."""
    try:
        from torch.utils.backend_registration import _setup_privateuseone_for_python_backend
    except ImportError:
        return f"torch {torch.__version__} cannot register a device from Python"
    _setup_privateuseone_for_python_backend("played")  # unnamed, autograd takes CUDA for what accelerates
    torch.tensor = _made  # type: ignore[assignment]  # torch's own makes it without asking a mode
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a parameter's shell is another object
    return ""


def _made(data: Any, *, device: Any = None, _own: Callable[..., Tensor] = torch.tensor, **how: Any) -> Tensor:
    """`torch.tensor`: on the CPU, then moved."""
    made = _own(data, **how)
    return made if device is None else made.to(device)


def dispatch(operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operation wherever it belongs: on the CPU, on the device, or into what is being recorded."""
    asked = kwargs.get("device")
    makes = asked is not None and torch.device(asked).type == DEVICE.type
    if not makes and not any(isinstance(one, Played) for one in tensors_of(args, kwargs)):
        return operation(*args, **kwargs)
    if LOG.recording is not None:
        return LOG.recording.take(operation, args, kwargs)
    return compute(operation, args, kwargs)


def compute(operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operation on the device, or between it and the CPU."""
    refuse(operation, args, kwargs)
    LOG.operations[str(operation)] += 1
    if waits(operation, args, kwargs):
        LOG.waits[str(operation)] += 1
    inner_args, inner_kwargs = on_cpu(args, kwargs)
    found = operation(*inner_args, **inner_kwargs)
    if to_host(operation, args, kwargs):
        return args[0] if operation is aten.copy_.default else found
    shells = {id(one.held): one for one in tensors_of(args, kwargs) if isinstance(one, Played)}
    return _each(found, Tensor, lambda one: shells[id(one)] if id(one) in shells else Played(one))


def refuse(operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise what a GPU raises."""
    there, here = _by_place(tensors_of(args, kwargs))
    if there and here and operation not in COPIES:
        indices = tuple(args[1]) if operation in INDEXED and isinstance(args[0], Played) else ()
        if any(all(one is not index for index in indices) for one in here):
            raise RuntimeError(f"{operation}: expected all tensors on one device, found {DEVICE} and cpu")
    if (
        there
        and torch.are_deterministic_algorithms_enabled()
        and operation in REFUSED
        and REFUSED[operation](args, kwargs)
    ):
        raise RuntimeError(f"{operation} does not have a deterministic implementation on the played device")
    if there and operation in CONVOLUTIONS and torch.are_deterministic_algorithms_enabled():
        cudnn: Any = torch.backends.cudnn
        precision = cudnn.conv.fp32_precision
        if precision in ("tf32", "bf16"):
            raise RuntimeError(f"{operation} rounds float32 to {precision}")
    if there and operation in DRAWS and kwargs.get("generator") is not None:
        raise RuntimeError(f"{operation}: expected a generator of {DEVICE}, found one of the cpu")


def waits(operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether the host waits for the device."""
    masks = operation in INDEXED and any(
        isinstance(one, Tensor) and one.dtype in (torch.bool, torch.uint8) for one in args[1] or ()
    )
    return operation in WAITS or masks or to_host(operation, args, kwargs)


def to_host(operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether it copies from the device to the CPU."""
    if operation is aten.copy_.default:
        return not isinstance(args[0], Played)
    asked = kwargs.get("device")
    return operation is aten._to_copy.default and asked is not None and torch.device(asked).type == "cpu"


def from_host(operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether it copies from the CPU to the device."""
    return operation in COPIES and bool(_by_place(tensors_of(args, kwargs))[1])


def on_cpu(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
    """The same arguments as the CPU computes with."""
    device = {"device": torch.device("cpu")} if kwargs.get("device") is not None else {}
    return _each(args, Played, _held), {k: _each(v, Played, _held) for k, v in kwargs.items()} | device


def _held(shell: Played) -> Tensor:
    return shell.held


def _each(value: Any, kind: type[Tensor], change: Callable[[Any], Any]) -> Any:
    """The same, with each tensor of a kind changed; torch's own trees take most of a run's time."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_each(one, kind, change) for one in value)
    return value


def tensors_of(*values: Any) -> list[Tensor]:
    """All tensors among arguments or results."""
    found: list[Tensor] = []
    for one in values:
        if isinstance(one, Tensor):
            found.append(one)
        elif isinstance(one, (list, tuple)):
            found += tensors_of(*one)
        elif isinstance(one, dict):
            found += tensors_of(*one.values())
    return found


def _by_place(tensors: Iterable[Tensor]) -> tuple[list[Played], list[Tensor]]:
    """Those on the device; those on the CPU, but for single numbers, which go anywhere."""
    there: list[Played] = []
    here: list[Tensor] = []
    for one in tensors:
        if isinstance(one, Played):
            there.append(one)
        elif one.dim():
            here.append(one)
    return there, here
