"""How exactly torch computes with float32: read, set and given back through both of its interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def full_precision() -> Iterator[None]:
    """Products and convolutions of float32 are computed in float32 inside; what was set is given back after.

    Torch has two interfaces for it. The newer is a tree - everything, a backend, its kinds of operations - in
    which 'none' inherits; the older refuses to be read where the newer says otherwise. By default a GPU's
    convolutions and recurrent layers are rounded to TF32, of 10 bits, unless a level above says otherwise.
    That default cannot be set by name, so it is given back as TF32.
    """
    import torch

    backends: Any = torch.backends
    with _nothing_inherited():
        kinds = [(one, one.fp32_precision) for one in _kinds()]
    of_cudnn = _older_of_cudnn()
    backends.cudnn.allow_tf32 = False
    for kind, _ in kinds:
        kind.fp32_precision = "ieee"
    older = torch.get_float32_matmul_precision()  # can be read now
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(older)
        backends.cudnn.allow_tf32 = of_cudnn
        for kind, own in kinds:
            kind.fp32_precision = own


def _kinds() -> list[Any]:
    """The leaves of the newer interface, of a GPU and of the CPU."""
    import torch

    backends: Any = torch.backends
    cuda, cudnn, cpu = backends.cuda, backends.cudnn, backends.mkldnn
    return [cuda.matmul, cudnn.conv, cudnn.rnn, cpu.matmul, cpu.conv, cpu.rnn]


def _older_of_cudnn() -> bool:
    """Whether the older interface lets convolutions be rounded; it raises where the newer differs.

    Leaves the newer at TF32.
    """
    import torch

    cudnn: Any = torch.backends.cudnn
    cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "tf32"
    try:
        return bool(cudnn.allow_tf32)
    except RuntimeError:  # they differ
        return False


@contextmanager
def _nothing_inherited() -> Iterator[None]:
    """Inside, the precision of each kind of operation is its own setting."""
    import torch

    backends: Any = torch.backends
    everything, backends.fp32_precision = backends.fp32_precision, "none"
    cuda, backends.cudnn.fp32_precision = backends.cudnn.fp32_precision, "none"
    *_, cpu = backends.mkldnn.set_flags(_fp32_precision="none")  # as a property it sets everything
    yield
    backends.mkldnn.set_flags(_fp32_precision=cpu)
    backends.cudnn.fp32_precision = cuda
    backends.fp32_precision = everything
