"""What a model says of inputs of which groups are left out, for coalitions that all inputs share.

A *coalition* is the set of groups that stay; the others are at the baseline, which is 0. Its value v(S) is
the logit of the class explained. One design is drawn from the seed and serves every image, so neither batch
nor chunk nor order changes a map.

On a k-sparse network the encoder is linear: W x is the sum of what each group adds, so the groups go
through the encoder once, and a coalition adds rows.
"""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.attributions.groups import summed
from harness.environment import state
from harness.subjects.sparse import gradients as sparse
from harness.subjects.sparse.structure import Structure, logits_of

BLOCK = 32
"""Inputs whose groups go through the encoder together."""

SPARSE = 8
"""Coalitions in which less than one group in so many is missing are computed from the whole."""

ROWS = {"cpu": 2048, "cuda": 65536}
"""Pre-activations in memory at once; bounds the memory, changes no number."""


def values(
    model: nn.Module, images: Tensor, targets: Tensor, keep: Tensor, groups: Tensor, *, chunk_size: int
) -> Tensor:
    """v(S) of each image and coalition: float [n, coalitions].

    Args:
        model: Images to logits.
        images: float [n, features].
        targets: int64 [n], the classes explained.
        keep: bool [coalitions, groups], which groups stay.
        groups: int64 [features], each feature's group.
        chunk_size: Images in memory at once.
    """
    keep, groups = keep.to(images.device), groups.to(images.device)
    found = images.new_empty(len(images), len(keep))
    with state.evaluation(model):
        structure = sparse.believed(model, images, targets)
        with torch.no_grad():
            if structure is None:
                _by_forward(model, images, targets, keep[:, groups], found, chunk_size)
            else:
                _by_rows(structure, images, targets, keep, groups, found)
    return found


def _by_forward(
    model: nn.Module, images: Tensor, targets: Tensor, keep: Tensor, found: Tensor, size: int
) -> None:
    """Any model: at most `size` inputs in one batch."""
    for one, image in enumerate(images):
        for start in range(0, len(keep), size):
            part = slice(start, start + size)
            found[one, part] = model(image * keep[part])[:, targets[one]]


def _by_rows(
    structure: Structure, images: Tensor, targets: Tensor, keep: Tensor, groups: Tensor, found: Tensor
) -> None:
    """A k-sparse network, from what each group adds to its pre-activations.

    Where few groups leave at a time, what they added is taken from the whole.
    """
    encoder, sizes = structure.encoder, groups.bincount(minlength=keep.shape[1])
    order, weight = groups.argsort(stable=True), encoder.weight.T
    rows = ROWS.get(images.device.type, ROWS["cuda"])
    gone = (~keep).nonzero()
    few = len(gone) * SPARSE < keep.numel()
    if few:
        counts = (~keep).sum(dim=1)
        starts, out = counts.cumsum(0) - counts, gone[:, 1]
    chosen = keep.to(images)
    for block in range(0, len(images), BLOCK):
        some = images[block : block + BLOCK]
        added = _added(some, weight, order, sizes)
        for one in range(len(some)):
            mine, place = added[:, one], block + one
            whole = mine.sum(dim=0) + encoder.bias
            for start in range(0, len(keep), rows):
                part = slice(start, start + rows)
                if few:
                    first = int(starts[start])
                    last = int(starts[start + rows]) if start + rows < len(keep) else len(out)
                    h = whole - F.embedding_bag(out[first:last], mine, starts[part] - first, mode="sum")
                else:
                    h = torch.addmm(encoder.bias, chosen[part], mine)
                logits = logits_of(h, structure.k, structure.layers, narrow=True)
                found[place, part] = logits[:, targets[place]]


def _added(images: Tensor, weight: Tensor, order: Tensor, sizes: Tensor) -> Tensor:
    """What each group adds to W x: float [groups, n, code width].

    Args:
        images: float [n, features].
        weight: float [features, code width].
        order: int64 [features], the features by group.
        sizes: int64 [groups].
    """
    images, weight = images[:, order], weight[order]
    if bool((sizes == sizes[0]).all()):
        shape = len(sizes), int(sizes[0])
        return torch.bmm(images.T.unflatten(0, shape).transpose(1, 2), weight.unflatten(0, shape))
    parts = zip(images.split(sizes.tolist(), dim=1), weight.split(sizes.tolist()), strict=True)
    return torch.stack([one @ columns for one, columns in parts])


def fit(values: Tensor, maps: Tensor, keep: Tensor, groups: Tensor) -> Tensor:
    """R-squared of the model that adds up what the groups of coalitions have, its constant fitted: [n].

    Args:
        values: v(S), float [n, coalitions].
        maps: Contributions, float [n, features].
        keep: bool [coalitions, groups].
        groups: int64 [features].

    Returns:
        float64 [n], 1 at best and under 0 where a constant says more; NaN where the model says one thing.
    """
    sums = summed(maps.double(), groups)
    values, added = values.double(), sums @ keep.to(sums).T
    left = (values - added).var(dim=1)
    found: Tensor = 1 - left / values.var(dim=1)
    return torch.where(values.var(dim=1) == 0, torch.nan, found)


def shapley_kernel(players: int, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """A design for KernelSHAP: bool [coalitions, players] and float64 weights [coalitions] that sum to 1.

    Sizes s and players - s together weigh by the Shapley kernel (players - 1) / (s (players - s)), a
    coalition alike within its size (Lundberg and Lee 2017, theorem 2). From the outermost sizes inwards all
    coalitions are taken while they are fewer than their share of the samples; the others are drawn, each
    with its complement.
    """
    sizes = range(1, players // 2 + 1)
    shares = torch.tensor(
        [(2 - (2 * s == players)) * (players - 1) / (s * (players - s)) for s in sizes], dtype=torch.float64
    )
    shares /= shares.sum()
    rows: list[Tensor] = []
    weights: list[Tensor] = []
    left, taken = samples, 0
    for place, s in enumerate(sizes):
        both = 2 * s != players
        count = math.comb(players, s) * (1 + both)
        if count > left * float(shares[place] / shares[place:].sum()) + 1e-9:
            break
        chosen = torch.tensor(list(itertools.combinations(range(players), s)))
        some = torch.zeros(len(chosen), players, dtype=torch.bool).scatter_(1, chosen, value=True)
        rows += [some, ~some] if both else [some]
        weights.append(torch.full((count,), float(shares[place]) / count, dtype=torch.float64))
        left, taken = left - count, place + 1
    if taken < len(sizes):
        generator = torch.Generator().manual_seed(seed)
        pairs = max(1, left // 2)
        drawn = torch.multinomial(shares[taken:], pairs, replacement=True, generator=generator) + taken + 1
        order = torch.rand(pairs, players, generator=generator).argsort(dim=1).argsort(dim=1)
        some = order < drawn[:, None]
        rows += [some, ~some]
        weights.append(
            torch.full((2 * pairs,), float(shares[taken:].sum()) / (2 * pairs), dtype=torch.float64)
        )
    return torch.cat(rows), torch.cat(weights)


def permutations(players: int, samples: int, seed: int) -> Tensor:
    """Orders in which groups enter, each beside its reverse: int64 [samples, players]."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand((samples + 1) // 2, players, generator=generator).argsort(dim=1)
    return torch.stack([drawn, drawn.flip(1)], dim=1).flatten(0, 1)[:samples]


def masks(players: int, samples: int, seed: int) -> Tensor:
    """LIME's design: every group stays, and then each by a fair coin; bool [samples, players]."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(samples, players, generator=generator) < 0.5
    drawn[0] = True
    return drawn
