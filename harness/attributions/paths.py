"""The straight paths of images through a top-k code: what happens between its switches, and at them.

Along the path from x0 to x the code goes on continuously but where a unit takes another's place among the k.
There the logit jumps, and no gradient sees it. The path in code space is closed here by straight lines from
each code before a switch to the one after it: a line without gaps, along which

    f_y(x) - f_y(x0) = sum over pieces of  int dg_y/dz (z) dz

holds exactly, g being the classifier on codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.attributions.method import CHUNK_SIZE
from harness.attributions.points import chunks_of
from harness.environment import state
from harness.environment.state import clean
from harness.errors import InputError
from harness.subjects.models import PixelClassifier, hooked, largest
from harness.subjects.sparse import gradients as sparse
from harness.subjects.sparse.structure import rectifier_layers, slope, some_of
from harness.subjects.sparse.switches import NOBODY, Switches, switches

PLACES = 200
"""Evenly spaced places of a path at which the logit is asked for a picture."""

SAME = {torch.float32: 1e-5, torch.float64: 1e-9}
"""By how much, in parts of the largest, a code may differ from the k largest of its lines."""


@dataclass(frozen=True, eq=False)
class Lines:
    """The paths of n images as lines of pre-activations, and where the choice of the k changes.

    Attributes:
        offsets: float [n, units], h at the baseline.
        rates: float [n, units], by how much h changes up to the image.
        switches: The changes.
    """

    offsets: Tensor
    rates: Tensor
    switches: Switches


@dataclass(frozen=True, eq=False)
class Jumps:
    """What switches add to the logit, by the two units that change places.

    Attributes:
        image: int64 [jumps], the image's number.
        event: int64 [jumps], which of the image's changes it is.
        units: int64 [jumps, 2], who leaves, and who enters.
        parts: float [jumps, 2], what each of them adds; the sum of both is the jump.
    """

    image: Tensor
    event: Tensor
    units: Tensor
    parts: Tensor


class Code:
    """A code of the k largest of a linear encoder's units, and the classifier on it.

    Args:
        model: A `PixelClassifier`, evaluating.
        images: float [n, pixels]; the model is held against its structure at a few of them.
        targets: int64 [n].

    Raises:
        InputError: the model has no such code.
    """

    def __init__(self, model: nn.Module, images: Tensor, targets: Tensor) -> None:
        autoencoder = getattr(model, "autoencoder", None)
        encoder, k = getattr(autoencoder, "encoder", None), getattr(autoencoder, "k", None)
        if not isinstance(model, PixelClassifier) or not isinstance(encoder, nn.Linear) or k is None:
            raise InputError(
                "switches of a code: the model must be a linear encoder, a code of its k largest units, and "
                f"a classifier on it (got {type(model).__name__})"
            )
        self.k, self.weight, self.classifier = int(k), encoder.weight.detach(), model.classifier
        self.structure = sparse.believed(model, images, targets)
        self._autoencoder: Any = autoencoder

    def lines(self, images: Tensor) -> Lines:
        """The lines of images [n, pixels].

        Raises:
            InputError: the model's codes are not the k largest of lines.
        """
        (start, first), (end, last) = self._coded(torch.zeros_like(images[:1])), self._coded(images)
        rates = end - start
        few = some_of(images)
        between, halfway = self._coded(few / 2)
        weighted = F.linear(few.to(rates), self.weight.to(rates))
        slack = SAME[images.dtype] * float(torch.maximum(end.abs(), start.abs()).amax())
        if not (
            torch.allclose(some_of(rates) / 2 + start, between, rtol=0, atol=slack)
            and torch.allclose(weighted, some_of(rates), rtol=0, atol=slack)
            and all(map(self._is_choice, (start, end, between), (first, last, halfway)))
        ):
            raise InputError(
                "switches of a code: codes must be the k largest of what the encoder gives, rectified, and "
                "that linear in the image; the model computes something else"
            )
        offsets, rates = start.expand_as(rates).to(images), rates.to(images)
        chosen = (first > 0).expand_as(rates), last > 0
        return Lines(offsets, rates, switches(offsets, rates, self.k, *chosen))

    def _coded(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the encoder gives of images, and their codes.

        Of a network as it is written in float64: what is active is then the same in any company.
        """
        if self.structure is not None:
            encoder = self.structure.encoder
            h = F.linear(images.double(), encoder.weight.double(), encoder.bias.double())
            rectified = h.relu()
            return h, rectified * largest(rectified, self.k)
        seen: list[Tensor] = []
        with hooked(self._autoencoder.encoder, lambda found: seen.append(found.clone())):
            codes = self._autoencoder.encode(images)
        return seen[0], codes

    def _is_choice(self, h: Tensor, codes: Tensor) -> bool:
        """Whether codes are the k largest of relu(h), whoever is chosen among equals."""
        active, slack = codes > 0, SAME[h.dtype] * h.abs().amax(dim=1)
        least = h.masked_fill(~active, torch.inf).amin(dim=1)
        most = h.masked_fill(active, -torch.inf).amax(dim=1)
        full = active.sum(dim=1) >= self.k
        return bool(
            ((codes - active * h).abs().amax(dim=1) <= slack).all()
            and (active.sum(dim=1) <= self.k).all()
            and (most <= torch.where(full, least, 0.0) + slack).all()
        )

    def slopes(self, codes: Tensor, units: Tensor, targets: Tensor) -> Tensor:
        """dg_y/dz of some units at codes that are 0 beyond them: float [rows, some].

        Args:
            codes: float [rows, some].
            units: int64 [some].
            targets: int64 [rows], the classes y.
        """
        if not len(codes):
            return codes
        if self.structure is not None:
            return sparse.slopes_of_codes(self.structure, codes, units, targets)
        return slope(self.classifier, self._whole(codes, units), targets)[:, units]

    def logits(self, codes: Tensor, units: Tensor, targets: Tensor) -> Tensor:
        """g_y at the same codes: float [rows]."""
        found: Tensor = self.classifier(self._whole(codes, units))
        return found.gather(1, targets[:, None])[:, 0]

    def _whole(self, codes: Tensor, units: Tensor) -> Tensor:
        """Codes of some units with the others at 0: float [rows, units]."""
        return codes.new_zeros(len(codes), len(self.weight)).index_copy_(1, units, codes)


@dataclass(frozen=True, eq=False)
class Explained:
    """What the paths of a chunk of images add to their logits.

    Attributes:
        chunk: Which images.
        weight: float [units, pixels], the encoder's.
        lines: The paths.
        slopes: float [n, units], the mean of dg_y/dz between switches, 0 of a unit while it is not active.
        jumps: What each switch adds.
    """

    chunk: slice
    weight: Tensor
    lines: Lines
    slopes: Tensor
    jumps: Jumps


@dataclass(frozen=True, eq=False)
class PathLogits:
    """The logit along the paths of n images, and by how much it jumps where the code changes.

    Attributes:
        positions: float [n, events], a in [0, 1]; 1 after a path's last change.
        leaving: int64 [n, events], the unit that leaves, or `NOBODY`.
        entering: int64 [n, events], the unit that enters, or `NOBODY`.
        levels: float [n, events], the value at which the two change places; 0 where the code does not jump.
        before: float [n, events], f_y just before each jump; 0 where there is none.
        jumps: float [n, events], f_y just after it less f_y just before; 0 where there is none.
        along: float [n, places], f_y at evenly spaced places, the first at x0 and the last at x.
    """

    positions: Tensor
    leaving: Tensor
    entering: Tensor
    levels: Tensor
    before: Tensor
    jumps: Tensor
    along: Tensor


@clean()
def jumps_of(
    model: nn.Module, images: Tensor, targets: Tensor, *, places: int = PLACES, chunk_size: int = CHUNK_SIZE
) -> PathLogits:
    """Every jump of f_y on the path of each image, from two passes of the classifier, and f_y on the way.

    Args:
        model: As in `switch_aware_integrated_gradients`.
        images: float [n, pixels].
        targets: int64 [n], the classes y.
        places: Where the model itself is asked.
        chunk_size: Images in memory at once.

    Raises:
        InputError: the model has no such code.
    """
    at = torch.linspace(0, 1, places, dtype=images.dtype, device=images.device)
    along, found = images.new_empty(len(images), places), []
    with state.evaluation(model), torch.no_grad():
        model.requires_grad_(requires_grad=False)  # given back after
        code = Code(model, images, targets)
        for chunk in chunks_of(images, targets, chunk_size):
            y = targets[chunk, None]
            for number, place in enumerate(at):
                along[chunk, number] = model(place * images[chunk]).gather(1, y)[:, 0]
            lines = code.lines(images[chunk])
            before, jumps = (torch.zeros_like(lines.switches.levels) for _ in range(2))
            for block in _blocks(lines, targets[chunk], 1):
                path = Paths(code, lines, block, targets[chunk][block], split_kinks=False)
                event, first, second = path.logits()
                before[event], jumps[event] = first, second - first
            found.append([*lines.switches[:4], before, jumps])
    if not found:
        none = images.new_empty(0, 0)
        return PathLogits(none, none.long(), none.long(), none, none, none, along)
    most = max(one[0].shape[1] for one in found)
    nothing = (1.0, NOBODY, NOBODY, 0.0, 0.0, 0.0)
    joined = [
        torch.cat([F.pad(one, (0, most - one.shape[1]), value=no) for one in parts])
        for parts, no in zip(zip(*found, strict=True), nothing, strict=True)
    ]
    return PathLogits(*[*joined, along])


@clean()
def explained(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    cuts: int,
    across: int,
    split_kinks: bool = False,
    chunk_size: int = CHUNK_SIZE,
) -> list[Explained]:
    """What the path of each image adds to its logit, chunk by chunk.

    Args:
        model: As in `switch_aware_integrated_gradients`; images, targets, and `split_kinks` too.
        images: float [n, pixels].
        targets: int64 [n].
        cuts: Equal parts into which a path is cut beside its switches.
        across: Midpoints on the line across a switch.
        split_kinks: Whether both are split at the classifier's kinks.
        chunk_size: Images in memory at once.
    """
    with state.evaluation(model), torch.no_grad():
        model.requires_grad_(requires_grad=False)  # given back after
        code, found = Code(model, images, targets), []
        for chunk in chunks_of(images, targets, chunk_size):
            lines = code.lines(images[chunk])
            slopes, jumps = images.new_zeros(lines.offsets.shape), []
            for block in _blocks(lines, targets[chunk], cuts):
                path = Paths(code, lines, block, targets[chunk][block], split_kinks)
                slopes[block[:, None], path.units] = path.slopes(cuts)
                jumps.append(path.jumps(across))
            all_jumps = [torch.cat(one) for one in zip(*jumps, strict=True)]
            found.append(Explained(chunk, code.weight, lines, slopes, Jumps(*all_jumps)))
    return found


def _blocks(lines: Lines, targets: Tensor, cuts: int) -> Iterator[Tensor]:
    """The images' numbers, int64, as many as fit the caches; of one class together, as they share units."""
    pieces = lines.switches.positions.shape[1] + cuts
    points = sparse.POINTS.get(targets.device.type, sparse.POINTS["cuda"])
    yield from targets.argsort(stable=True).split(max(1, points // max(1, pieces)))


class Paths:
    """The paths of some images of a chunk, over the units that are ever active on them."""

    def __init__(self, code: Code, lines: Lines, block: Tensor, targets: Tensor, split_kinks: bool) -> None:
        self.code, self.block, self.targets, self.split_kinks = code, block, targets, split_kinks
        found = Switches(*(one[block] for one in lines.switches))
        used = found.first.any(dim=0)
        used[found.entering[found.entering != NOBODY]] = True
        self.units = used.nonzero()[:, 0]
        self.switches, self.active = found, found.active(self.units)
        self.offsets, self.rates = (one[block][:, self.units] for one in (lines.offsets, lines.rates))

    def slopes(self, cuts: int) -> Tensor:
        """The mean of dg_y/dz between switches, 0 of a unit while it is not active: float [images, units]."""
        positions = self.switches.positions
        grid = torch.linspace(0, 1, cuts + 1, dtype=positions.dtype, device=positions.device)
        marks = torch.cat([positions, grid.expand(len(positions), -1)], dim=1).sort(dim=1).values
        lengths = marks.diff(dim=1)
        event = torch.searchsorted(positions, marks[:, :-1] + lengths / 2)
        image, piece = (lengths > 0).nonzero(as_tuple=True)
        active = self.active[image, event[image, piece]]
        start, end = (self._codes(image, marks[image, piece + step]) * active for step in (0, 1))
        each = self._means(start, end, self.targets[image], 1).mul_(active).mul_(lengths[image, piece, None])
        return each.new_zeros(len(positions), len(self.units)).index_add_(0, image, each)

    def jumps(self, across: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What each switch adds, as `Jumps` has it."""
        image, event, own, start, end = self._across()
        slopes = self._means(start, end, self.targets[image], across)
        level = self.switches.levels[image, event, None]
        parts = slopes.gather(1, own).mul_(level)
        parts[:, 0].neg_()
        return self.block[image], event, self.units[own], parts

    def logits(self) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
        """Of each switch that jumps: its image and its event, and f_y just before it and just after."""
        image, event, _, start, end = self._across()
        before, after = (self.code.logits(one, self.units, self.targets[image]) for one in (start, end))
        return (self.block[image], event), before, after

    def _across(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Each switch that jumps: image and event, both units' columns, and the codes on its two sides."""
        found = self.switches
        image, event = (found.levels > 0).nonzero(as_tuple=True)
        units = torch.stack([found.leaving[image, event], found.entering[image, event]], dim=1)
        level, own = found.levels[image, event], torch.searchsorted(self.units, units)
        leaving, entering = own.unbind(dim=1)
        rows = torch.arange(len(image), device=image.device)
        start = self._codes(image, found.positions[image, event]) * self.active[image, event]
        start[rows, leaving] = level
        end = start.clone()
        end[rows, leaving], end[rows, entering] = 0.0, level
        return image, event, own, start, end

    def _codes(self, image: Tensor, places: Tensor) -> Tensor:
        """relu(h) of images, by number, each at its place: float [rows, units]."""
        return torch.addcmul(self.offsets[image], places[:, None], self.rates[image]).clamp_min_(0)

    def _means(self, start: Tensor, end: Tensor, targets: Tensor, points: int) -> Tensor:
        """The mean of dg_y/dz on the line from each code to another: float [rows, units].

        By the midpoint rule, or exactly where it is split at all kinks.
        """
        if self.split_kinks:
            marks = self._kinks(start, end)
            at, weights = (marks[:, 1:] + marks[:, :-1]) / 2, marks.diff(dim=1)
        else:
            at = ((torch.arange(points, device=start.device) + 0.5) / points).to(start).expand(len(start), -1)
            weights = torch.full_like(at, 1 / points)
        codes = torch.lerp(start[:, None], end[:, None], at[:, :, None]).flatten(0, 1)
        slopes = self.code.slopes(codes, self.units, targets.repeat_interleave(at.shape[1]))
        return torch.einsum("rp,rpu->ru", weights, slopes.unflatten(0, at.shape))

    def _kinks(self, start: Tensor, end: Tensor) -> Tensor:
        """Where hidden units pass 0 on the line from each code to another: 0, ..., 1, float [rows, marks]."""
        layers = rectifier_layers(self.code.classifier)
        if layers is None:
            raise InputError("split_kinks: the classifier must be linear layers with relu between them")
        marks = torch.linspace(0, 1, 2, dtype=start.dtype, device=start.device).expand(len(start), -1)
        for depth in range(len(layers) - 1):
            values = torch.lerp(start[:, None], end[:, None], marks[:, :, None])
            for number, layer in enumerate(layers[: depth + 1]):
                weight = layer.weight[:, self.units] if number == 0 else layer.weight
                values = F.linear(values if number == 0 else values.relu(), weight, layer.bias)
            left, right = values[:, :-1], values[:, 1:]
            passes = left * right < 0
            share = left / torch.where(passes, left - right, 1.0)
            place = marks[:, :-1, None] + marks.diff(dim=1)[:, :, None] * share
            place = torch.where(passes, place, 1.0).flatten(1)
            most = int(passes.sum(dim=(1, 2)).max()) if len(place) else 0
            marks = torch.cat([marks, place.sort(dim=1).values[:, :most]], dim=1).sort(dim=1).values
        return marks
