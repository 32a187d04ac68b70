"""How exactly torch multiplies float32: read, set and given back through both of its interfaces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def full_precision() -> Iterator[None]:
    """Products of float32 are computed in float32 inside; what was set is given back after.

    Torch has two interfaces for it. The newer is a tree - everything, a backend, its products - in which
    'none' inherits; the older refuses to be read where the newer says otherwise.
    """
    import torch

    backends: Any = torch.backends
    with _nothing_inherited():
        products = [(one, one.fp32_precision) for one in (backends.cuda.matmul, backends.mkldnn.matmul)]
    for product, _ in products:
        product.fp32_precision = "ieee"
    older = torch.get_float32_matmul_precision()  # can be read now
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(older)
        for product, own in products:
            product.fp32_precision = own


@contextmanager
def _nothing_inherited() -> Iterator[None]:
    """Inside, each product's precision is its own setting."""
    import torch

    backends: Any = torch.backends
    everything, backends.fp32_precision = backends.fp32_precision, "none"
    cuda, backends.cudnn.fp32_precision = backends.cudnn.fp32_precision, "none"
    *_, cpu = backends.mkldnn.set_flags(_fp32_precision="none")  # as a property it sets everything
    yield
    backends.mkldnn.set_flags(_fp32_precision=cpu)
    backends.cudnn.fp32_precision = cuda
    backends.fp32_precision = everything
