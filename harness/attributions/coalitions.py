"""What a model says of inputs of which groups are left out, for coalitions that all inputs share.

A *coalition* is the set of groups that stay; the others are at the baseline, which is 0. Its value v(S) is
the logit of the class explained. One design is drawn from the seed and serves every image, so neither batch
nor chunk nor order changes a map.

On a k-sparse network the encoder is linear: W x is the sum of what each group adds, so the groups go
through the encoder once, and a coalition adds rows. Coalitions that differ only in groups at the baseline
are one input, and are asked once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.attributions.groups import summed
from harness.environment import state
from harness.subjects.sparse import gradients as sparse
from harness.subjects.sparse.structure import Structure, active, logits_of_active

BLOCK = 8
"""Inputs that go through a k-sparse network's layers together."""

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
        chunk_size: Images in memory at once; a k-sparse network has `ROWS`.
    """
    keep, groups = keep.to(images.device), groups.to(images.device)
    found = images.new_empty(len(images), len(keep))
    with state.evaluation(model):
        structure = sparse.believed(model, images, targets)
        with torch.no_grad():
            if structure is None:
                _by_forward(model, images, targets, keep, groups, found, chunk_size)
            else:
                _by_rows(structure, images, targets, keep, groups, found)
    return found


def _by_forward(
    model: nn.Module, images: Tensor, targets: Tensor, keep: Tensor, groups: Tensor, found: Tensor, size: int
) -> None:
    """Any model: at most `size` inputs in one batch."""
    for one, (gone, place) in enumerate(_distinct(keep, held(images, groups))):
        answers = [model(images[one] * ~part[:, groups])[:, targets[one]] for part in gone.split(size)]
        found[one] = torch.cat(answers)[place]


def _by_rows(
    structure: Structure, images: Tensor, targets: Tensor, keep: Tensor, groups: Tensor, found: Tensor
) -> None:
    """A k-sparse network, from what each group adds to its pre-activations.

    Where few groups leave at a time, what they added is taken from the whole.
    """
    encoder, k, layers = structure.encoder, structure.k, structure.layers
    encoding, columns = encoder.weight.T.contiguous(), layers[0].weight.T.contiguous()
    size, there = ROWS.get(images.device.type, ROWS["cuda"]), held(images, groups)
    for block in range(0, len(images), BLOCK):
        some = images[block : block + BLOCK]
        added, whole = _added(some, encoding, groups), F.linear(some, encoder.weight, encoder.bias)
        kinds = list(_distinct(keep, there[block : block + BLOCK]))
        codes = [
            active(_without(part, added[one], whole[one], encoder.bias), k)
            for one, (gone, _) in enumerate(kinds)
            for part in gone.split(size)
        ]
        values, units = (torch.cat(one).split(size) for one in zip(*codes, strict=True))
        parts = zip(values, units, strict=True)
        logits = torch.cat([logits_of_active(*one, columns, layers) for one in parts])
        by_image = logits.split([len(gone) for gone, _ in kinds])
        for number, (answers, (_, place)) in enumerate(zip(by_image, kinds, strict=True), block):
            found[number] = answers[:, targets[number]][place]


def _without(gone: Tensor, added: Tensor, whole: Tensor, bias: Tensor) -> Tensor:
    """W x + b of an input without the groups that leave, float [coalitions, code width].

    Args:
        gone: bool [coalitions, groups].
        added: What each group adds, float [groups, code width].
        whole: Of the input itself, float [code width].
        bias: float [code width].
    """
    counts = gone.sum(dim=1)
    if int(counts.sum()) * SPARSE >= gone.numel():
        return torch.addmm(bias, (~gone).to(added), added)
    left = F.embedding_bag(gone.nonzero()[:, 1], added, counts.cumsum(0) - counts, mode="sum")
    return torch.sub(whole, left, out=left)


def held(images: Tensor, groups: Tensor) -> Tensor:
    """Whether a group holds anything that is not the baseline: bool [n, groups]."""
    return summed((images != 0).to(images), groups) > 0


def _distinct(keep: Tensor, there: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Of each input, the coalitions that differ in what it holds: the others need no forward pass.

    Args:
        keep: bool [coalitions, groups].
        there: bool [n, groups], which groups an input holds anything in.

    Yields:
        Of each kind which groups leave that hold anything, bool [kinds, groups], and the kind of each
        coalition, int64 [coalitions].
    """
    # equal coalitions have equal sums of these numbers, without rounding, and so stand together once sorted
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randint(2**52 // keep.shape[1], keep.shape[1:], generator=generator).to(keep.device)
    size = ROWS.get(keep.device.type, ROWS["cuda"])
    for some in there.split(BLOCK):
        sums = torch.cat([part.double() @ (numbers.double() * some).T for part in keep.split(size)])
        for one, order in zip(some, sums.T.argsort(dim=1), strict=True):
            gone = one & ~keep[order]
            first = F.pad((gone[1:] != gone[:-1]).any(dim=1), (1, 0), value=True)
            yield gone[first], (first.cumsum(dim=0) - 1)[order.argsort()]


def _added(images: Tensor, encoding: Tensor, groups: Tensor) -> Tensor:
    """What each group adds to W x, from what is not 0: float [n, groups, code width].

    Args:
        images: float [n, features].
        encoding: The encoder's weight, float [features, code width].
        groups: int64 [features].
    """
    order = groups.argsort(stable=True)
    values = images[:, order]
    shown = values != 0
    counts = summed(shown.long(), groups[order])
    ends = counts.flatten().cumsum(0)
    found = F.embedding_bag(
        order.expand_as(shown)[shown],
        encoding,
        ends - counts.flatten(),
        per_sample_weights=values[shown],
        mode="sum",
    )
    added: Tensor = found.unflatten(0, counts.shape)
    return added


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
