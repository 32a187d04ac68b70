"""Ask the model whether an explanation follows it: without the pixels named, without its weights, nearby.

*Faithfulness* (Petsiuk, Das and Saenko 2018): taking the pixels away that a map ranks highest should make
the class improbable soon, giving them to an empty image should make it probable soon. *Randomisation*
(Adebayo et al. 2018): a map that survives new weights explains no weights. *Stability* (Yeh et al. 2019): a
map that an invisible change turns over explains that change.

A k-sparse network's encoder is linear, and the two curves are each other's complement: with R_i the part
of W x that the first i steps remove, deletion is at W x + b - R_i and insertion at b + R_i. So both take one
product with the encoder, and only over pixels that are not 0.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.environment.state import clean
from harness.subjects.catalogue import layers_of
from harness.subjects.models import start_anew
from harness.subjects.sparse import gradients as sparse
from harness.subjects.sparse.structure import Structure, logits_of

STEPS = 40
"""A curve's steps: 2.5 % of all pixels each, rounded to whole pixels."""

DRAWS = 10
"""Perturbations of an image that its stability is asked at."""

ROWS = {"cpu": 2048, "cuda": 65536}
"""Occluded images in memory at once; bounds the memory, changes no number."""

Explain = Callable[[Tensor, Tensor], Tensor]
"""`(images, targets) -> maps`, in the method's own space."""


@clean()
def curves(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    orders: Mapping[str, Tensor],
    *,
    chunk_size: int = 512,
) -> tuple[Tensor, Tensor]:
    """Deletion and insertion: the probability of y as pixels leave the image, or enter the baseline 0.

    Pixels go by their value in the order's map, the highest first, and at equal values the first pixel
    first, so neither batch nor order of the images changes a curve.

    Args:
        model: Images to logits.
        images: float32 [n, pixels], in [0, 1].
        targets: int64 [n], the classes y.
        orders: float32 [n, pixels] by name: signed contribution maps, or what they are compared with.
        chunk_size: Images in memory at once, at the most; changes no curve.

    Returns:
        Softmax of y after 0, 1, ..., 40 steps, of deletion and of insertion: float32 [orders, n, 41] each.
    """
    model = copy.deepcopy(model).eval()
    structure = sparse.believed(model, images, targets)
    n, pixels = images.shape
    counts = (torch.arange(STEPS + 1, device=images.device) * pixels / STEPS).round().long()
    found = images.new_empty(2, len(orders), n, STEPS + 1)
    rows = ROWS.get(images.device.type, ROWS["cuda"])
    size = max(1, min(chunk_size, rows // (2 * (STEPS + 1))))
    with torch.no_grad():
        for number, order in enumerate(orders.values()):
            for start in range(0, n, size):
                part = slice(start, start + size)
                ranked = order[part].argsort(dim=1, descending=True, stable=True)
                shares = _shares(model, structure, images[part], ranked, counts)
                chosen = targets[part][None, :, None, None].expand(2, -1, STEPS + 1, 1)
                found[:, number, part] = shares.gather(3, chosen)[..., 0]
    return found[0], found[1]


def _shares(
    model: nn.Module, structure: Structure | None, images: Tensor, ranked: Tensor, counts: Tensor
) -> Tensor:
    """The softmax without, and then with nothing but, the first pixels: float32 [2, n, points, classes].

    A step over pixels that are the baseline already changes nothing, and is not computed again.
    """
    before = F.pad((images.gather(1, ranked) != 0).cumsum(dim=1), (1, 0))  # pixels that count, up to a place
    before = before[:, counts]
    differs = F.pad(before.diff(dim=1) > 0, (1, 0), value=True)  # [n, points]
    if structure is not None:
        h = _pre_activations(structure.encoder, images, ranked, before, differs)
        logits = logits_of(h, structure.k, structure.layers)
    else:
        logits = model(_occluded(images, ranked, counts, differs))
    place = differs.flatten().cumsum(dim=0).sub_(1).unflatten(0, differs.shape)
    shares: Tensor = logits.softmax(dim=1).unflatten(0, (2, -1))
    return shares[:, place]


def _occluded(images: Tensor, ranked: Tensor, counts: Tensor, differs: Tensor) -> Tensor:
    """The images without, and then with nothing but, their first pixels: float32 [2 x points, pixels]."""
    first = ranked.argsort(dim=1)[:, None] < counts[:, None]  # [n, points, pixels]
    return torch.cat([(images[:, None] * ~first)[differs], (images[:, None] * first)[differs]])


def _pre_activations(
    encoder: nn.Linear, images: Tensor, ranked: Tensor, before: Tensor, differs: Tensor
) -> Tensor:
    """The same images' h, without making the images: float32 [2 x points, code width]."""
    values = images.gather(1, ranked)
    there = values != 0
    totals = before[:, -1].cumsum(dim=0) - before[:, -1]
    steps = F.embedding_bag(
        ranked[there],
        encoder.weight.T.contiguous(),
        (totals[:, None] + before[:, :-1]).flatten(),
        mode="sum",
        per_sample_weights=values[there],
    ).unflatten(0, (len(images), -1))
    removed = steps.new_zeros(len(images), differs.shape[1], steps.shape[2])
    for point in range(steps.shape[1]):
        torch.add(removed[:, point], steps[:, point], out=removed[:, point + 1])
    left = (removed[:, -1:] - removed)[differs]
    return torch.cat([left, removed[differs]]).add_(encoder.bias)


@clean()
def max_sensitivity(
    explain: Explain,
    images: Tensor,
    targets: Tensor,
    *,
    radius: float = 0.02,
    draws: int = DRAWS,
    generator: torch.Generator,
) -> Tensor:
    """Max-sensitivity (Yeh et al. 2019, definition 2): the largest max over e of |m(x + e) - m(x)| / |m(x)|.

    Norms are Euclidean, e is uniform in the L-infinity ball, and the class explained stays. The draws are
    shared by all images, so neither batch nor order changes a number. Nothing is clipped to [0, 1].

    Args:
        explain: The method.
        images: float32 [n, pixels], in [0, 1].
        targets: int64 [n], the classes explained.
        radius: Of the ball, on pixels in [0, 1].
        draws: How many e.
        generator: Draws them, on the CPU.

    Returns:
        float32 [n], 0 at best; NaN or infinite where the map is 0.
    """
    noise = radius * (2 * torch.rand(draws, images.shape[1], generator=generator) - 1)
    maps = explain(images, targets)
    largest, size = torch.zeros_like(maps[:, 0]), torch.linalg.vector_norm(maps, dim=1)
    for one in noise.to(images):
        change = torch.linalg.vector_norm(explain(images + one, targets) - maps, dim=1)
        largest = torch.maximum(largest, change)
    return largest.div_(size)


def randomised(model: nn.Module, seed: int) -> Iterator[tuple[str, nn.Module, nn.Module]]:
    """The model with new weights, layer by layer from the output backwards (Adebayo et al. 2018).

    A layer's new weights are its initial ones, drawn from the seed and the same in both models; of a part
    that has no way to start anew, its own numbers in another order. A decoder has no part in the logits and
    keeps its weights; `unchanged` names the layers for which neither gives others.

    Args:
        model: Images to logits; it is left as it is.
        seed: Draws the weights.

    Yields:
        The layer's name; the model with this layer and all after it new; the model with this layer alone
        new.
    """
    cascading = model
    generator = torch.Generator().manual_seed(seed)
    for name in reversed(_read_layers(model)):
        draw = int(torch.randint(2**62, (), generator=generator))
        cascading, alone = _with_new(cascading, name, draw), _with_new(model, name, draw)
        if _differ(model.get_submodule(name), alone.get_submodule(name)):
            yield _shown(name), cascading, alone


def count_renewed(model: nn.Module) -> int:
    """How many layers `randomised` names."""
    return len(_read_layers(model)) - len(unchanged(model))


def unchanged(model: nn.Module) -> list[str]:
    """The layers that `randomised` cannot name: nothing else can be drawn for them, as for a row of ones."""

    def stays(layer: nn.Module) -> bool:
        fresh = copy.deepcopy(layer)
        start_anew(fresh, 0)
        return not _differ(layer, fresh)

    return [_shown(name) for name in _read_layers(model) if stays(model.get_submodule(name))]


def _read_layers(model: nn.Module) -> list[str]:
    return [name for name in layers_of(model) if not _is_unread(model, name)]


def _shown(layer: str) -> str:
    return re.sub(r"^(autoencoder\.(inner\.)?|(model\.)+)", "", layer)


def _differ(one: nn.Module, other: nn.Module) -> bool:
    both = zip(one.parameters(recurse=False), other.parameters(recurse=False), strict=True)
    return any(not torch.equal(mine, others) for mine, others in both)


def _is_unread(model: nn.Module, layer: str) -> bool:
    """Whether a layer has no part in the logits: what an autoencoder decodes with, or learns by, alone."""
    unread = getattr(getattr(model, "autoencoder", None), "UNREAD", ("decoder",))
    return any(f"{layer}.".startswith(f"autoencoder.{one}.") for one in unread)


def _with_new(model: nn.Module, name: str, seed: int) -> nn.Module:
    """A copy of the model in which a layer starts anew."""
    changed = copy.deepcopy(model)
    start_anew(changed.get_submodule(name), seed)
    return changed
