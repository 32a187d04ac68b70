"""Ask each map for its own definition, by other means: forward passes alone, in float64 where that works.

Agreement is blind to what all methods share, and better when one copies another. A map m of a gradient
method is a linear function of gradients, so its inner product with a direction v equals a directional
derivative, which central differences give without a gradient: for simple gradients

    <v, m> = [f_y(x + e v) - f_y(x - e v)] / 2e

and likewise along the path, at the noisy copies, and in code space. The networks are piecewise linear, so
the differences are exact but where a kink or a switch of the top-k lies between the two points. What a
method is supposed to be is written here a second time, and shares no code with `attributions`.

An image may lie on a kink itself: where its background is one value, the largest of a pooling window is many.
There is no derivative across such ties, and no map to be held to one. It is then asked along the features
whose values few others have, where most ties stay ties; if that is not enough, along those of them at which
the slopes ahead and behind are one. How many of an image's features these are is told with its error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.environment.state import clean
from harness.subjects.models import largest
from harness.subjects.precision import KINK, SHARES, STEP, in_precision
from harness.subjects.sparse.structure import some_of, structure_of

DIRECTIONS = 3
"""Random directions a sample; the median of their errors counts, so one that meets a kink does not."""

FEATURES = 5
"""Single features, likewise, of a map that is no linear function of gradients; fewer say too little."""

CHUNK = 512
"""Images whose points are in memory at once."""

TOGETHER = 2**16
"""Numbers of the points that are asked in one pass, of few and small images."""

RARE = 0.01
"""A value that over this share of an image's features have, and over `FEATURES`, may be one of ties."""

ALONE = 512
"""The most features of an image that are asked for a derivative one by one."""

ROUNDING = 16
"""How many units of the last place of a logit its difference may be off by."""

Points = Sequence[tuple[float, Tensor | None]]
"""Points a x + e of each image x, as (a, e); of all of them e is None, or of none."""

Logit = Callable[[Tensor], Tensor]
Identity = Callable[..., Tensor]
"""`(model, images, targets, directions, **settings) -> inner products`: what the inner product of a
method's own map with each direction must be (float64 [n, directions])."""


class Answers(NamedTuple):
    """What forward passes say of maps.

    Attributes:
        errors: How far each is from its own definition, relative to its norm: float64 [n], 0 at best.
        along: The share of its features along which it was asked: float64 [n], 1 but at a kink.
    """

    errors: Tensor
    along: Tensor


@clean()
def errors(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    maps: Tensor,
    identity: Identity,
    *,
    seed: int,
    chunk_size: int = CHUNK,
    precision: torch.dtype = torch.float64,
    **settings: Any,
) -> Answers:
    """How far each map is from its own definition.

    The median over random directions v, or single features, of |<v, m> - q| / max(|m|, |q|), with q from
    forward passes.

    Args:
        model: Images to logits; a copy of it in `precision` is asked.
        images: float32 [n, pixels], in [0, 1].
        targets: int64 [n], the classes that are to be explained.
        maps: float32 [n, pixels], in the method's own space.
        identity: The method's.
        seed: Draws the directions.
        chunk_size: Images whose points are in memory at once.
        precision: float64, or float32 of a model that has no float64 copy (`precision.is_exact`).
        settings: The method's declared settings.
    """
    exact = in_precision(model, precision)
    generator = torch.Generator().manual_seed(seed)
    directions = _directions(identity, images.shape[1], generator).to(images.device, precision)
    found = maps.new_empty(len(images), dtype=torch.float64)
    along = torch.ones_like(found)
    with torch.no_grad():
        for start in range(0, len(images), chunk_size):
            part = slice(start, start + chunk_size)
            seen = images[part].to(precision), targets[part]
            found[part] = _relative(maps[part], directions, identity(exact, *seen, directions, **settings))
        for place in (found > KINK[precision]).nonzero()[:, 0].tolist():
            one = slice(place, place + 1)
            image, target = images[one].to(precision), targets[one]
            for features in _with_derivative(exact, image, target, directions, seed):
                found[one] = _least(
                    identity, exact, image, target, maps[one] * features, directions * features, settings
                )
                along[place] = features.double().mean()
                if float(found[place]) <= KINK[precision]:
                    break
    return Answers(found, along)


def along_features(identity: Identity) -> Identity:
    """A decorator: the identity below it is of single features, as a mean of squared gradients is."""
    identity.along_features = True  # type: ignore[attr-defined]
    return identity


def _directions(identity: Identity, features: int, generator: torch.Generator) -> Tensor:
    """Random directions of variance 1 a feature, or some features, as long: float64 [count, features]."""
    if not getattr(identity, "along_features", False):
        return torch.randn(DIRECTIONS, features, generator=generator, dtype=torch.float64)
    some = F.one_hot(torch.randperm(features, generator=generator)[:FEATURES], features)
    return math.sqrt(features) * some.double()


def _least(
    identity: Identity,
    model: nn.Module,
    image: Tensor,
    target: Tensor,
    own: Tensor,
    directions: Tensor,
    settings: Mapping[str, Any],
) -> Tensor:
    """The error of one map [1, features] at the first step of `SHARES` where it is small, or the least.

    A right map is right at one of them: a small one meets fewer kinks, a large one rounds less. A wrong map
    is wrong at each.
    """
    least = own.new_full((1,), torch.inf, dtype=torch.float64)
    for share in SHARES[image.dtype]:
        asked = identity(model, image, target, share * directions, **settings) / share
        least = torch.minimum(least, _relative(own, directions, asked))
        if not bool(least > KINK[image.dtype]):  # or NaN
            break
    return least


def _is_kinked(model: nn.Module, image: Tensor, target: Tensor, directions: Tensor) -> bool:
    """Whether the slopes ahead and behind differ at one image [1, features], along most of the directions."""
    logit, still = logit_of(model, target), image.expand(len(directions), -1)
    size = STEP[image.dtype]
    here, ahead, behind = (logit(still + step * directions) for step in (0, size, -size))
    forward, backward = (ahead - here) / size, (here - behind) / size
    larger = torch.maximum(forward.abs(), backward.abs())
    return int(((forward - backward).abs() > KINK[image.dtype] * larger).sum()) > len(directions) // 2


def _with_derivative(
    model: nn.Module, image: Tensor, target: Tensor, directions: Tensor, seed: int
) -> Iterator[Tensor]:
    """Features of one image [1, features] along which the logit may have a derivative: bool [features].

    First all; on a kink then those whose value at most 1 % of all have, or five of them; of these, at most
    `ALONE` and drawn, then those at which its slopes ahead and behind are one. No more where they are 1 % or
    less of all, or five or fewer: that would hold a map to little.
    """
    yield torch.ones_like(image[0], dtype=torch.bool)
    if not _is_kinked(model, image, target, directions):
        return
    enough = max(RARE * image.shape[1], FEATURES)
    _, place, counts = image[0].unique(return_inverse=True, return_counts=True)
    rare = counts[place] <= enough
    if int(rare.sum()) <= enough:
        return
    yield rare
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(image.shape[1], generator=generator).to(image.device)
    drawn = drawn[rare[drawn]][:ALONE]
    alone = torch.zeros_like(rare)
    alone[drawn] = _has_derivative(model, image, target, drawn)
    if int(alone.sum()) > min(enough, ALONE * RARE):
        yield alone


def _has_derivative(model: nn.Module, image: Tensor, target: Tensor, features: Tensor) -> Tensor:
    """Whether the logit's slopes ahead and behind are one along each feature alone: bool [len(features)]."""
    logit, size = logit_of(model, target), STEP[image.dtype]
    here, parts = logit(image), []
    for part in features.split(CHUNK):
        steps = size * F.one_hot(part, image.shape[1]).to(image)
        forward, backward = (logit(image + steps) - here) / size, (here - logit(image - steps)) / size
        larger = torch.maximum(forward.abs(), backward.abs())
        rounding = ROUNDING * torch.finfo(image.dtype).eps * here.abs() / size
        parts.append((forward - backward).abs() <= KINK[image.dtype] ** 2 * larger + rounding)
    return torch.cat(parts)


def _relative(maps: Tensor, directions: Tensor, asked: Tensor) -> Tensor:
    maps, directions, asked = maps.double(), directions.double(), asked.double()
    scale = torch.maximum(maps.norm(dim=1, keepdim=True), asked.abs())
    # where both are 0 they are equal; NaN stays NaN
    error = (maps @ directions.T - asked).abs() / torch.where(scale == 0, 1.0, scale)
    return _median(error)


def _median(values: Tensor) -> Tensor:
    """The lower median of each row [n, count]; NaN where the row holds one.

    Torch's own gives the place with it, and has no deterministic way to on a GPU.
    """
    middle = values.sort(dim=1).values[:, (values.shape[1] - 1) // 2]  # NaN is sorted to the end
    return torch.where(values.isnan().any(dim=1), torch.nan, middle)


@clean()
def prediction_errors(
    model: nn.Module, images: Tensor, logits: Tensor, precision: torch.dtype = torch.float64
) -> Tensor:
    """How far stored logits are from what the model gives, relative to their largest: float64 [n].

    Whatever changed between prediction and explanation - a stale checkpoint, another k, dropout left on -
    shows here.
    """
    exact = in_precision(model, precision)
    with torch.no_grad():
        given = torch.cat([exact(part.to(precision)) for part in images.split(CHUNK)]).double()
    stored = logits.to(given)
    return (stored - given).abs().amax(dim=1) / given.abs().amax(dim=1).clamp_min(STEP[torch.float64])


class Split:
    """A model as a linear map of pixels and what follows it, so that points on a line share one product.

    f(x) = rest(L x + offset). Of a k-sparse network as it is written, L is the encoder; of any other model
    it is the identity. The function is the same.
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        """It is believed to be a k-sparse network where it gives the model's own logits of a few images."""
        self.model: Any = model
        self.linear = structure_of(model) is not None
        if self.linear and len(images):
            some = some_of(images)
            ours, true = self._rest(self.of(some) + self.offset), model(some)
            self.linear = torch.allclose(ours, true, rtol=1e-9, atol=1e-9, equal_nan=True)

    def of(self, points: Tensor) -> Tensor:
        """L applied to points [..., pixels]."""
        return F.linear(points, self.model.autoencoder.encoder.weight) if self.linear else points

    @property
    def offset(self) -> Tensor:
        """What is added to L x."""
        bias: Tensor = self.model.autoencoder.encoder.bias if self.linear else torch.zeros(())
        return bias

    def logit(self, targets: Tensor) -> Logit:
        """`rest`, as the explained class's logit."""
        return logit_of(self._rest if self.linear else self.model, targets)

    def _rest(self, h: Tensor) -> Tensor:
        codes = largest(h, self.model.autoencoder.k).mul_(h.relu())
        active = codes.any(dim=0).nonzero()[:, 0]  # the others add nothing
        first, *others = self.model.classifier
        hidden = F.linear(codes[:, active], first.weight[:, active], first.bias)
        for layer in others:
            hidden = layer(hidden)
        return hidden


def slopes_along(logit: Logit, points: Tensor, steps: Tensor) -> Tensor:
    """The derivative of the logit at each point along each of its steps, by central differences.

    Args:
        logit: Points [n, width] to the explained class's logit [n]; it may be asked for several copies of
            the points, one after another.
        points: float [n, width]; its type sets the step.
        steps: float [directions, n, width], likewise.

    Returns:
        float [n, directions].
    """
    size = STEP[points.dtype]
    both = torch.cat([points + size * steps, points - size * steps])  # [2 directions, n, width]
    ahead, behind = logit(both.flatten(0, 1)).unflatten(0, both.shape[:2]).chunk(2)
    slopes: Tensor = (ahead - behind) / (2 * size)
    return slopes.T


def logit_of(function: Callable[[Tensor], Tensor], targets: Tensor) -> Logit:
    """The explained class's logit, of several copies of the inputs one after another."""

    def logit(points: Tensor) -> Tensor:
        return function(points).gather(1, targets.repeat(len(points) // len(targets))[:, None])[:, 0]

    return logit


def of_gradients(model: nn.Module, images: Tensor, targets: Tensor, directions: Tensor) -> Tensor:
    """Of df_y/dx: the slope at the image along the direction."""
    return _mean_slope(model, images, targets, directions[:, None], [(1.0, None)])


def of_input_x_gradient(model: nn.Module, images: Tensor, targets: Tensor, directions: Tensor) -> Tensor:
    """Of x df_y/dx: the slope at the image along x times the direction."""
    return _mean_slope(model, images, targets, directions[:, None] * images, [(1.0, None)])


def of_integrated_gradients(
    model: nn.Module, images: Tensor, targets: Tensor, directions: Tensor, *, attribution_steps: int = 50
) -> Tensor:
    """Of x times the mean gradient over the path's midpoints: the mean slope along x times the direction."""
    path = [((number + 0.5) / attribution_steps, None) for number in range(attribution_steps)]
    return _mean_slope(model, images, targets, directions[:, None] * images, path)


def of_smoothgrad(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    *,
    smoothgrad_samples: int = 25,
    smoothgrad_sigma: float = 0.1,
    noise_seed: int = 0,
) -> Tensor:
    """Of the mean gradient over noisy copies: the mean slope at the copies that the seed declares."""
    generator = torch.Generator().manual_seed(noise_seed)
    noise = torch.randn(smoothgrad_samples, images.shape[1], generator=generator).to(images)
    copies = [(1.0, smoothgrad_sigma * one) for one in noise]
    return _mean_slope(model, images, targets, directions[:, None], copies)


def of_expected_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    directions: Tensor,
    *,
    references: Tensor,
    expected_gradients_samples: int = 100,
    noise_seed: int = 0,
) -> Tensor:
    """Of the mean of (x - r) times the gradient on the way from r: the mean slope along (x - r) times v."""
    generator = torch.Generator().manual_seed(noise_seed)
    which = torch.randint(len(references), (expected_gradients_samples,), generator=generator)
    shares = torch.rand(expected_gradients_samples, generator=generator).tolist()
    split = Split(model, images)
    logit, along, ahead = split.logit(targets), split.of(images), split.of(directions[:, None] * images)
    total = images.new_zeros(len(images), len(directions))
    for share, number in zip(shares, which.tolist(), strict=True):
        reference = references[number].to(images)
        steps = ahead - split.of(directions[:, None] * reference)
        place = share * along + (1 - share) * split.of(reference) + split.offset
        total += slopes_along(logit, place, steps)
    return total / expected_gradients_samples


def _mean_slope(model: nn.Module, images: Tensor, targets: Tensor, steps: Tensor, points: Points) -> Tensor:
    """The mean over points of `slopes_at`: float64 [n, directions]."""
    return torch.stack([*slopes_at(model, images, targets, steps, points)]).mean(dim=0)


def slopes_at(
    model: nn.Module, images: Tensor, targets: Tensor, steps: Tensor, points: Points
) -> Iterator[Tensor]:
    """For each point (a, e) the slope at a x + e along each step: float64 [n, directions].

    Steps are float64 [directions, n, pixels], or [directions, 1, pixels] where they are all images'.
    """
    split = Split(model, images)
    logit, along, ahead = split.logit(targets), split.of(images), split.of(steps)
    ahead, each = ahead.expand(-1, len(images), -1), max(1, TOGETHER // max(1, along.numel()))
    for start in range(0, len(points), each):
        some = points[start : start + each]
        places = torch.stack([scale * along + split.offset for scale, _ in some])
        if shifts := [shift for _, shift in some if shift is not None]:
            places += split.of(torch.stack(shifts))[:, None]
        slopes = slopes_along(logit, places.flatten(0, 1), ahead.repeat(1, len(some), 1))
        yield from slopes.unflatten(0, places.shape[:2])
