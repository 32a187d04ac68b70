"""The mean gradient over many points of an image, for a k-sparse code and a rectifier network on it.

The points of image x are p_s = a_s x + e_s: a path's steps (e = 0), or noisy copies (a = 1). Three savings,
all exact:

*One product with the encoder serves every point*, since h(p_s) = a_s (W x) + (W e_s + b); the noise is
shared by all images, so W e_s is computed once.

*Gradients are added up in code space* and go back through the encoder once: with m_s the units active at
p_s and g the classifier,

    sum_s w_s df_y/dx (p_s) = [ sum_s w_s m_s * dg_y/dz (z_s) ] W

*Only candidates are looked at.* Over the points of an image each h_j lies between bounds known in advance,
as h is linear in a_s. A unit whose upper bound is under the k-th largest lower bound can never be among the
k, nor can one that is never above 0. Images of one class share most of their candidates, so they stand
together.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from harness.subjects.models import largest
from harness.subjects.sparse.structure import Structure, agree, holds, slope, some_of
from harness.subjects.sparse.structure import structure_of as structure_of

POINTS = {"cpu": 1024, "cuda": 65536}
"""Points that are computed at once: what fits the caches of a core, what fills a GPU."""

SLACK = 1e-5
"""By how much, relative, a bound is widened, so that rounding never excludes a candidate."""


def believed(model: nn.Module, images: Tensor, targets: Tensor) -> Structure | None:
    """The structure of a model that it was held against at a few of the images; None of any other model.

    Args:
        model: Images to logits, in evaluation mode.
        images: float [n, pixels].
        targets: int64 [n], the classes y.
    """
    structure = structure_of(model)
    return structure if structure is not None and proven(model, structure, images, targets) else None


def proven(
    model: nn.Module, structure: Structure, images: Tensor, targets: Tensor, gradients: Tensor | None = None
) -> bool:
    """Whether a structure gives a model's gradients, as autograd has them, at a few of the images.

    Args:
        model: Images to logits, in evaluation mode.
        structure: What it seems to be.
        images: float [n, pixels].
        targets: int64 [n], the classes y.
        gradients: What the structure gives at the images, float [n, pixels]; computed if left out.
    """
    if not len(images):
        return True
    some, classes = some_of(images), some_of(targets)
    plain = slope(model, some, classes)
    if not bool(plain.isfinite().all()):  # of weights that are no numbers, autograd shows every one
        return False
    if gradients is None:
        one = some.new_ones(1)
        fast = mean_gradient(structure, some, classes, one, None, one)
    else:
        fast = some_of(gradients)
    return holds(agree(fast, plain), lambda: structure.undecided(some))


@torch.no_grad()
def mean_gradient(
    structure: Structure,
    images: Tensor,
    targets: Tensor,
    scales: Tensor,
    shifts: Tensor | None,
    weights: Tensor,
) -> Tensor:
    """The weighted sum over points s of df_y/dx at scales[s] x + shifts[s], float [n, pixels].

    Args:
        structure: The network's.
        images: float [n, pixels].
        targets: int64 [n], the classes y.
        scales: float [points].
        shifts: float [points, pixels], or None where all are 0.
        weights: float [points].
    """
    order = torch.argsort(targets, stable=True)
    images, targets = images[order], targets[order]
    encoder, bias, k, layers = structure.encoder.weight, structure.encoder.bias, structure.k, structure.layers
    along = images @ encoder.T  # W x, [n, width]
    offsets = bias[None] if shifts is None else torch.addmm(bias, shifts, encoder.T)  # W e + b
    candidates = _candidates(along, scales, offsets, k)
    first = layers[0].weight.T.contiguous()
    rest = [layer.weight.T.contiguous() for layer in layers[1:-1]]
    biases = [layer.bias[:, None] for layer in layers]
    last = layers[-1].weight.index_select(0, targets).T.contiguous()  # each image's class's row, [hidden, n]
    total = along.new_zeros(along.shape[1], len(images))
    size = max(1, POINTS.get(images.device.type, POINTS["cuda"]) // len(weights))
    for start in range(0, len(images), size):
        block = slice(start, start + size)
        units = candidates[block].any(dim=0).nonzero()[:, 0]
        part = along[block].index_select(1, units)[:, None]
        h = torch.addcmul(offsets.index_select(1, units), scales[:, None], part)  # [images, points, units]
        codes = _codes(h.flatten(0, 1), k)  # [units, images x points]
        active = codes.amax(dim=1).nonzero()[:, 0]
        units, codes = units[active], codes.index_select(0, active)
        slope = _slope(codes, [first.index_select(0, units), *rest], biases, last[:, block])
        slope = slope.mul_(codes.sign_()).unflatten(1, (-1, len(weights)))
        total[:, block].index_add_(0, units, slope @ weights)
    used = total.any(dim=1).nonzero()[:, 0]
    maps = torch.empty_like(images)
    maps[order] = total[used].T @ encoder[used]
    return maps


def slopes_of_codes(structure: Structure, codes: Tensor, units: Tensor, targets: Tensor) -> Tensor:
    """dg_y/dz of some units at codes that are 0 beyond them: float [rows, some].

    Args:
        structure: The network's.
        codes: float [rows, some].
        units: int64 [some].
        targets: int64 [rows], the classes y.
    """
    layers = structure.layers
    weights = [layers[0].weight.index_select(1, units).T.contiguous()]
    weights += [layer.weight.T.contiguous() for layer in layers[1:-1]]
    last = layers[-1].weight.index_select(0, targets).T.contiguous()
    return _slope(codes.T.contiguous(), weights, [layer.bias[:, None] for layer in layers], last).T


def _candidates(along: Tensor, scales: Tensor, offsets: Tensor, k: int) -> Tensor:
    """The units that may be active at some point of each image: bool [n, width]."""
    ends = along * scales.min(), along * scales.max()
    lowest = torch.minimum(*ends).add_(offsets.amin(dim=0))
    highest = torch.maximum(*ends).add_(offsets.amax(dim=0))
    least = lowest.topk(k, dim=1, sorted=False).values.amin(dim=1, keepdim=True)  # of the k-th largest
    return (highest >= least * (1 - SLACK)) & (highest > 0)


def _codes(h: Tensor, k: int) -> Tensor:
    """The codes of pre-activations [points, units], units first: float [units, points]."""
    k = min(k, h.shape[1])
    if h.device.type != "cpu":
        return largest(h, k).mul_(h.relu()).T.contiguous()
    values, units = h.topk(k, dim=1, sorted=False)  # a CPU scatters values 3 % of integrated gradients faster
    return torch.zeros_like(h).scatter_(1, units, values.relu_()).T.contiguous()


def _slope(codes: Tensor, weights: list[Tensor], biases: list[Tensor], last: Tensor) -> Tensor:
    """dg_y/dz of a rectifier network at each code, float [units, images x points].

    Args:
        codes: float [units, images x points].
        weights: Of each layer but the last, float [inputs, outputs].
        biases: Of each layer, float [outputs, 1].
        last: The last layer's row for each image's class, float [hidden, images].
    """
    gates, values = [], codes
    for weight, bias in zip(weights, biases, strict=False):
        values = torch.addmm(bias, weight.T, values).relu_()
        gates.append(values)
    slope = last[:, :, None]
    for number, (weight, gate) in enumerate(zip(reversed(weights), reversed(gates), strict=True)):
        opened = gate.sign_()
        if number == 0:
            opened = opened.unflatten(1, (last.shape[1], -1))
        slope = weight @ opened.mul_(slope).flatten(1)
    return slope
