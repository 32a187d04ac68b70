"""Explain a model's logit down to pixels: one function a method, registered by name.

Two spaces (Ancona et al. 2018). A *sensitivity* map answers 'what if this pixel changed', a *contribution*
map 'what did this pixel add, against the baseline' x0 = 0. A method's own map is of one of them; a
sensitivity map becomes a contribution by multiplying with (x - x0).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness import integrity
from harness.config import ATTRIBUTION_METHODS
from harness.methods import MapFunction as MapFunction
from harness.methods import Method as Method
from harness.methods import Space as Space
from harness.methods import methods as methods
from harness.methods import register as register
from harness.models import PixelClassifier
from harness.sparse import gradients as sparse

CHUNK_SIZE = 512
"""Images that are explained in one pass; bounds the memory, changes no map."""


@dataclass(frozen=True, eq=False)
class Maps:
    """One method's maps of n images.

    Attributes:
        own: float32 [n, pixels], in the method's own space.
        sensitivity: float32 [n, pixels]; None where the method has no sensitivity form.
        space: The space of `own`.
    """

    own: Tensor
    sensitivity: Tensor | None
    space: Space


def attribute(
    model: nn.Module, images: Tensor, targets: Tensor, name: str, settings: Mapping[str, Any] | None = None
) -> Maps:
    """One method's maps in its own space and in sensitivity space.

    Args:
        model: Images to logits.
        images: float32 [n, pixels], in [0, 1].
        targets: int64 [n], the class explained of each image.
        name: A registered method.
        settings: The method's settings by name; those it does not know are not for it.

    Raises:
        ConfigurationError: no method of that name.
    """
    method = methods[name]
    settings = dict(settings or {})

    def maps(function: MapFunction) -> Tensor:
        with _inference(model):
            return function(model, images, targets, **_known_to(function, settings))

    if method.sensitivity is None:
        own = maps(method.maps)
        return Maps(own, own if method.space == "sensitivity" else None, method.space)
    sensitivity = maps(method.sensitivity)
    if method.space == "contribution":
        return Maps(images * sensitivity, sensitivity, method.space)
    return Maps(maps(method.maps), sensitivity, method.space)


def identity_errors(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    maps: Tensor,
    name: str,
    settings: Mapping[str, Any] | None = None,
    *,
    seed: int,
) -> Tensor | None:
    """How far each of a method's own maps is from its definition (`integrity.errors`); None if unknown.

    Arguments as in `attribute`; maps are float32 [n, pixels], and the seed draws the check's directions.
    """
    identity = methods[name].identity
    if identity is None:
        return None
    settings = settings or {}
    known = _known_to(identity, settings) | {"chunk_size": settings.get("chunk_size", CHUNK_SIZE)}
    return integrity.errors(model, images, targets, maps, identity, seed=seed, **known)


def _known_to(function: Callable[..., Tensor], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a method takes."""
    parameters = inspect.signature(function).parameters
    if any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        return dict(settings)
    return {name: value for name, value in settings.items() if name in parameters}


def explain(
    model: nn.Module,
    images: Tensor,
    targets: Tensor | None = None,
    methods: str | Sequence[str] = ATTRIBUTION_METHODS,
    **settings: Any,
) -> dict[str, Tensor]:
    """Signed contribution maps of a batch, by method: what the harness compares.

    Args:
        model: Images to logits; the decoder's methods need a `PixelClassifier`.
        images: float32 [n, pixels], in [0, 1].
        targets: int64 [n], the classes explained; the predicted ones by default.
        methods: Names of registered methods, or one name.
        settings: Of the methods, such as `attribution_steps=50` or `smoothgrad_sigma=0.1`.

    Returns:
        float32 [n, pixels] by method.
    """
    if isinstance(methods, str):
        methods = [methods]
    if targets is None:
        with _inference(model), torch.no_grad():
            targets = model(images).argmax(dim=1)
    maps = {name: attribute(model, images, targets, name, settings) for name in methods}
    return {name: one.own if one.space == "contribution" else one.own * images for name, one in maps.items()}


def midpoints(steps: int) -> tuple[Tensor, Tensor]:
    """Positions (float32 [steps], in (0, 1)) and weights of the midpoint rule; the weights sum to 1."""
    positions = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    return positions.float(), torch.full((steps,), 1.0 / steps)


def noise_images(samples: int, sigma: float, pixels: int, seed: int) -> Tensor:
    """SmoothGrad's noise (float32 [samples, pixels]), drawn once from the seed: it serves every image."""
    generator = torch.Generator().manual_seed(seed)
    return sigma * torch.randn(samples, pixels, generator=generator)


@register("gradients", space="sensitivity", identity=integrity.of_gradients)
def gradients(model: nn.Module, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE) -> Tensor:
    """Simple gradients: df_y/dx (Simonyan, Vedaldi and Zisserman 2014), float32 [n, pixels]."""
    return _mean_gradient(model, images, targets, torch.ones(1), None, torch.ones(1), chunk_size)


def path_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    attribution_steps: int = 50,
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """The mean of df_y/dx over midpoints of the straight path from 0 to the image, float32 [n, pixels].

    The sensitivity form of integrated gradients.
    """
    positions, weights = midpoints(attribution_steps)
    return _mean_gradient(model, images, targets, positions, None, weights, chunk_size)


@register(
    "integrated_gradients",
    space="contribution",
    sensitivity=path_gradients,
    identity=integrity.of_integrated_gradients,
)
def integrated_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    attribution_steps: int = 50,
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """Integrated gradients from the baseline 0 (Sundararajan, Taly and Yan 2017, equation 1).

    (x - x0) times the mean of df_y/dx over midpoints of the straight path from x0 = 0, float32
    [n, pixels].
    """
    return images * path_gradients(
        model, images, targets, attribution_steps=attribution_steps, chunk_size=chunk_size
    )


@register("smoothgrad", space="sensitivity", identity=integrity.of_smoothgrad)
def smoothgrad(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    smoothgrad_samples: int = 25,
    smoothgrad_sigma: float = 0.1,
    noise_seed: int = 0,
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """SmoothGrad (Smilkov et al. 2017): the mean of df_y/dx over noisy copies, float32 [n, pixels].

    sigma is absolute, on pixels in [0, 1]. The noise images serve every sample, so neither batch nor
    order changes a map.
    """
    noise = noise_images(smoothgrad_samples, smoothgrad_sigma, images.shape[1], noise_seed)
    weights = torch.full((smoothgrad_samples,), 1.0 / smoothgrad_samples)
    return _mean_gradient(model, images, targets, torch.ones(smoothgrad_samples), noise, weights, chunk_size)


def decoder_sensitivity(
    model: PixelClassifier, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE
) -> Tensor:
    """The sum over active units j of (df_y/dz_j) d_j, float32 [n, pixels]: decoder_weighted without z_j."""
    return _through_decoder(model, images, targets, lambda z, slope: (z > 0) * slope, chunk_size)


@register(
    "decoder_weighted",
    space="sensitivity",
    sensitivity=decoder_sensitivity,
    identity=integrity.of_decoder_weighted,
)
def decoder_weighted(
    model: PixelClassifier, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE
) -> Tensor:
    """The sum over active units j of z_j (df_y/dz_j) d_j, with d_j the unit's decoder atom.

    float32 [n, pixels]. z_j (df_y/dz_j) is the unit's contribution (gradient times input, in code space);
    the atom says which pixels the unit stands for.
    """
    return _through_decoder(model, images, targets, lambda z, slope: z * slope, chunk_size)


@register("decoder_reconstruction", space="sensitivity")
def decoder_reconstruction(
    model: PixelClassifier, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE
) -> Tensor:
    """The sum over active units j of z_j d_j, float32 [n, pixels]: a control, not an explanation.

    It is the reconstruction without its bias, and knows neither class nor classifier.
    """
    return _through_decoder(model, images, targets, lambda z, _slope: z, chunk_size)


def _mean_gradient(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    scales: Tensor,
    shifts: Tensor | None,
    weights: Tensor,
    chunk_size: int,
) -> Tensor:
    """The weighted sum over points s of df_y/dx at scales[s] x + shifts[s], float32 [n, pixels].

    Through `sparse.gradients` where the model has the structure, otherwise by autograd point by point.
    """
    total = torch.zeros_like(images)
    scales, weights = scales.to(images), weights.to(images)
    shifts = None if shifts is None else shifts.to(images)
    with _inference(model):
        layers = sparse.layers_of(model)
        for chunk in _chunks(images, targets, chunk_size):
            part = images[chunk], targets[chunk], scales, shifts, weights
            if layers is not None and isinstance(model, PixelClassifier):
                total[chunk] = sparse.mean_gradient(model.autoencoder, layers, *part)
            else:
                total[chunk] = _by_autograd(model, *part)
    return total


def _by_autograd(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    scales: Tensor,
    shifts: Tensor | None,
    weights: Tensor,
) -> Tensor:
    """The same of any model, point by point."""
    total = torch.zeros_like(images)
    for step, (scale, weight) in enumerate(zip(scales.tolist(), weights.tolist(), strict=True)):
        points = scale * images if shifts is None else scale * images + shifts[step]
        total += weight * _slope(model, points, targets)
    return total


def _through_decoder(
    model: PixelClassifier,
    images: Tensor,
    targets: Tensor,
    weigh: Callable[[Tensor, Tensor], Tensor],
    chunk_size: int,
) -> Tensor:
    """The sum over units j of weigh(z, df_y/dz)_j d_j, float32 [n, pixels]."""
    total = torch.zeros_like(images)
    with _inference(model):
        for chunk in _chunks(images, targets, chunk_size):
            codes = model.autoencoder.encode(images[chunk]).detach()
            slope = _slope(model.classifier, codes, targets[chunk])
            total[chunk] = weigh(codes, slope) @ model.autoencoder.atoms.detach()
    return total


def _slope(function: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """df_y/dinputs of each row, float32 like `inputs`; the rows do not touch one another."""
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        chosen = function(inputs).gather(1, targets[:, None]).sum()
        return torch.autograd.grad(chosen, inputs)[0]


def _chunks(images: Tensor, targets: Tensor, size: int) -> Iterator[slice]:
    """Slices of at most `size` images.

    Raises:
        ValueError: no target, or more than one, for each image; a chunk of no image.
    """
    n = len(images)
    if targets.shape != (n,):
        raise ValueError(f"targets must be one class an image, shape ({n},) (got {tuple(targets.shape)})")
    if size < 1:
        raise ValueError(f"chunk_size must be 1 or more (got {size})")
    return (slice(start, start + size) for start in range(0, n, size))


@contextmanager
def _inference(model: nn.Module) -> Iterator[None]:
    """Dropout off while explaining, and the mode of every part given back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
