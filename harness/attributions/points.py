"""Methods whose maps are means of gradients over points: at the image, along a path, at noisy copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from harness.attributions import integrity
from harness.attributions.method import CHUNK_SIZE, register, with_gradient
from harness.environment import state
from harness.environment.state import clean
from harness.errors import InputError
from harness.subjects.sparse import gradients as sparse
from harness.subjects.sparse.structure import slope


def midpoints(steps: int) -> tuple[Tensor, Tensor]:
    """Positions (float32 [steps], in (0, 1)) and weights of the midpoint rule; the weights sum to 1."""
    positions = (torch.arange(steps, dtype=torch.float64) + 0.5) / steps
    return positions.float(), torch.full((steps,), 1.0 / steps)


def noise_images(samples: int, sigma: float, pixels: int, seed: int) -> Tensor:
    """SmoothGrad's noise (float32 [samples, pixels]), drawn once from the seed: it serves every image."""
    generator = torch.Generator().manual_seed(seed)
    return sigma * torch.randn(samples, pixels, generator=generator)


@register(
    "gradients",
    space="sensitivity",
    identity=integrity.of_gradients,
    needs=["gradient"],
    cost=with_gradient,
)
def gradients(model: nn.Module, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE) -> Tensor:
    """Simple gradients: df_y/dx (Simonyan, Vedaldi and Zisserman 2014), float32 [n, pixels]."""
    return _mean_gradient(model, images, targets, torch.ones(1), None, torch.ones(1), chunk_size)


@register(
    "input_x_gradient",
    space="contribution",
    sensitivity=gradients,
    identity=integrity.of_input_x_gradient,
    needs=["gradient"],
    twin="gradients",
    cost=with_gradient,
)
def input_x_gradient(
    model: nn.Module, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE
) -> Tensor:
    """Input times gradient (Shrikumar et al. 2016): x df_y/dx, float32 [n, pixels].

    It is the contribution form of `gradients`, which is what the harness compares; beside it, it is refused.
    """
    return images * gradients(model, images, targets, chunk_size=chunk_size)


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
    needs=["gradient"],
    cost=lambda _features, *, attribution_steps=50: 3 * attribution_steps,
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


@register(
    "smoothgrad",
    space="sensitivity",
    identity=integrity.of_smoothgrad,
    needs=["gradient"],
    cost=lambda _features, *, smoothgrad_samples=25: 3 * smoothgrad_samples,
)
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


@register(
    "expected_gradients",
    space="contribution",
    identity=integrity.of_expected_gradients,
    needs=["gradient"],
    missingness=False,
    cost=lambda _features, *, expected_gradients_samples=100: 3 * expected_gradients_samples,
)
def expected_gradients(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    references: Tensor | None = None,
    expected_gradients_samples: int = 100,
    noise_seed: int = 0,
    chunk_size: int = CHUNK_SIZE,
) -> Tensor:
    """Expected gradients (Erion et al. 2021, equation 3), or GradientSHAP: against data, not one baseline.

    float32 [n, pixels]: the mean over draws of (x - r) df_y/dx at r + a (x - r), r one of the references and
    a uniform in [0, 1]. It sums to f_y(x) less the references' mean, up to what the draws add by chance. One
    seeded design serves every image. Where the image is the baseline there may be a share: not all the
    references are.

    Args:
        model: Images to logits.
        images: float32 [n, pixels].
        targets: int64 [n].
        references: float32 [r, pixels], of the training data.
        expected_gradients_samples: Draws of a reference and a position.
        noise_seed: Draws them.
        chunk_size: Images in memory at once.

    Raises:
        InputError: there are no references, or they are no images of that size.
    """
    references = _checked(references, images)
    which, positions = reference_draws(len(references), expected_gradients_samples, noise_seed)
    total = torch.zeros_like(images)
    with _mean_gradients(model, images, targets, chunk_size) as slopes:
        for position, number in zip(positions.split(1), which.tolist(), strict=True):
            reference = references[number]
            shift = (1 - position).to(images) * reference
            total += (images - reference) * slopes(position, shift[None], torch.ones(1))
    return total / expected_gradients_samples


def _checked(references: Tensor | None, images: Tensor) -> Tensor:
    shape = () if references is None else tuple(references.shape)
    if references is None or len(shape) != 2 or shape[1] != images.shape[1] or not shape[0]:
        raise InputError(
            "expected_gradients: references must be inputs of the training data, float32 "
            f"[r, {images.shape[1]}], by the setting of that name (got {shape or 'none'})"
        )
    return references.to(images)


def reference_draws(references: int, samples: int, seed: int) -> tuple[Tensor, Tensor]:
    """Which reference each draw takes (int64 [samples]), and where on the way from it (float32 [samples])."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(references, (samples,), generator=generator)
    return which, torch.rand(samples, generator=generator)


def _mean_gradient(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    scales: Tensor,
    shifts: Tensor | None,
    weights: Tensor,
    chunk_size: int,
) -> Tensor:
    """The weighted sum over points s of df_y/dx at scales[s] x + shifts[s], float32 [n, pixels]."""
    at_images = shifts is None and scales.tolist() == weights.tolist() == [1.0]
    with _mean_gradients(model, images, targets, chunk_size, at_images=at_images) as asked:
        return asked(scales, shifts, weights)


@contextmanager
def _mean_gradients(
    model: nn.Module, images: Tensor, targets: Tensor, chunk_size: int, *, at_images: bool = False
) -> Iterator[Callable[[Tensor, Tensor | None, Tensor], Tensor]]:
    """Inside, what gives that sum for scales, shifts and weights, as often as it is asked.

    Through `sparse.gradients` where the model has that structure, and is held against it, once; otherwise by
    autograd. Where only the images themselves are asked for, what was computed is held against autograd.
    """
    chunks = list(chunks_of(images, targets, chunk_size))
    with clean(), state.evaluation(model):
        structure = sparse.structure_of(model)
        if structure is not None and not at_images and not sparse.proven(model, structure, images, targets):
            structure = None

        def asked(scales: Tensor, shifts: Tensor | None, weights: Tensor) -> Tensor:
            points = scales.to(images), None if shifts is None else shifts.to(images), weights.to(images)
            maps = torch.zeros_like(images)
            if structure is not None:
                for chunk in chunks:
                    maps[chunk] = sparse.mean_gradient(structure, images[chunk], targets[chunk], *points)
                if not at_images or sparse.proven(model, structure, images, targets, maps):
                    return maps
            model.requires_grad_(requires_grad=False)  # a gradient by weights is nobody's; given back after
            for chunk in chunks:
                maps[chunk] = _by_autograd(model, images[chunk], targets[chunk], *points, size=chunk_size)
            return maps

        yield asked


def _by_autograd(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    scales: Tensor,
    shifts: Tensor | None,
    weights: Tensor,
    *,
    size: int,
) -> Tensor:
    """The same of any model: at most `size` points of at most as many images in one batch."""
    total, each = torch.zeros_like(images), max(1, size // max(1, len(images)))
    for start in range(0, len(weights), each):
        part = slice(start, start + each)
        points = scales[part].view(-1, *[1] * images.ndim) * images  # [points, n, ...]
        if shifts is not None:
            points += shifts[part, None]
        found = slope(model, points.flatten(0, 1), targets.repeat(len(points)))
        # one by one, so that no sum depends on how many points went together
        for weight, one in zip(weights[part].tolist(), found.view_as(points), strict=True):
            total += weight * one
    return total


def chunks_of(images: Tensor, targets: Tensor, size: int) -> Iterator[slice]:
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
