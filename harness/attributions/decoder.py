"""Methods that go through the decoder: what an active unit adds to the logit, painted by its atom."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harness.attributions import integrity
from harness.attributions.method import CHUNK_SIZE, register, with_gradient
from harness.attributions.points import chunks_of
from harness.environment import state
from harness.environment.state import clean
from harness.errors import InputError
from harness.subjects.models import PixelClassifier
from harness.subjects.precision import STEP
from harness.subjects.sparse.structure import slope, some_of


def decoder_sensitivity(
    model: PixelClassifier, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE
) -> Tensor:
    """The sum over active units j of (df_y/dz_j) d_j, float32 [n, pixels]: decoder_weighted without z_j."""
    return _through_decoder(model, images, targets, lambda z, slope: (z != 0) * slope, chunk_size)


def of_decoder_weighted(
    model: PixelClassifier, images: Tensor, targets: Tensor, directions: Tensor
) -> Tensor:
    """Of the sum of z_j (dg_y/dz_j) d_j: the slope in code space, along z_j <d_j, direction>."""
    codes = model.encode(images)
    atoms: Tensor | None = getattr(model.autoencoder, "atoms", None)
    if atoms is not None:
        along = (directions @ atoms.T)[:, None]  # [directions, 1, units]
    else:
        along = _along_units(model.decode, codes, directions)
    return integrity.slopes_along(integrity.logit_of(model.classifier, targets), codes, along * codes)


def _along_units(decode: Callable[[Tensor], Tensor], codes: Tensor, directions: Tensor) -> Tensor:
    """How much of each direction a unit's own change decodes to: float64 [directions, n, units]."""
    found, size = codes.new_zeros(len(directions), *codes.shape), STEP[codes.dtype]
    for unit in codes.any(dim=0).nonzero()[:, 0].tolist():
        step = torch.zeros_like(codes)
        step[:, unit] = size
        found[..., unit] = directions @ (decode(codes + step) - decode(codes - step)).T / (2 * size)
    return found


@register(
    "decoder_weighted",
    space="sensitivity",
    sensitivity=decoder_sensitivity,
    identity=of_decoder_weighted,
    needs=["gradient", "reconstruction"],
    family="decoder",
    cost=with_gradient,
)
def decoder_weighted(
    model: PixelClassifier, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE
) -> Tensor:
    """The sum over active units j of z_j (df_y/dz_j) d_j, with d_j the unit's decoder atom.

    float32 [n, pixels]. z_j (df_y/dz_j) is the unit's contribution (gradient times input, in code space);
    the atom says which pixels the unit stands for.
    """
    return _through_decoder(model, images, targets, lambda z, slope: z * slope, chunk_size)


@register(
    "decoder_reconstruction",
    space="sensitivity",
    needs=["reconstruction"],
    family="decoder",
    control=True,
    cost=lambda _features: 1,
)
def decoder_reconstruction(
    model: PixelClassifier, images: Tensor, targets: Tensor, *, chunk_size: int = CHUNK_SIZE
) -> Tensor:
    """The sum over active units j of z_j d_j, float32 [n, pixels]: a control, not an explanation.

    It is the reconstruction without its bias, and knows neither class nor classifier.
    """
    return _through_decoder(model, images, targets, lambda z, _slope: z, chunk_size)


@clean()
def _through_decoder(
    model: PixelClassifier,
    images: Tensor,
    targets: Tensor,
    weigh: Callable[[Tensor, Tensor], Tensor],
    chunk_size: int,
) -> Tensor:
    """The sum over units j of weigh(z, df_y/dz)_j d_j, float32 [n, pixels].

    d_j is the decoder's derivative along the unit at the image's own code: one atom for all images where the
    decoder is affine, and the product of Jacobian and vector where it is not.
    """
    total = torch.zeros_like(images)
    with state.evaluation(model):
        _refuse_unless_of_codes(model, images)
        for chunk in chunks_of(images, targets, chunk_size):
            codes = model.autoencoder.encode(images[chunk]).detach()
            slopes = slope(model.classifier, codes, targets[chunk])
            weights = weigh(codes, slopes)
            if hasattr(model.autoencoder, "atoms"):
                total[chunk] = weights @ model.autoencoder.atoms.detach()
            else:
                total[chunk] = torch.autograd.functional.jvp(model.autoencoder.decode, codes, weights)[1]
    return total


def _refuse_unless_of_codes(model: PixelClassifier, images: Tensor) -> None:
    """Refuse a model that is not its classifier on its codes: what is said in codes is not said of it.

    Raises:
        InputError: it has no autoencoder and classifier, or gives other logits than they.
    """
    parts = getattr(model, "autoencoder", None), getattr(model, "classifier", None)
    if parts[1] is None or not all(hasattr(parts[0], name) for name in ("encode", "decode")):
        raise InputError(
            f"the decoder's methods need a PixelClassifier, an autoencoder and a classifier on its codes "
            f"(got {type(model).__name__}); name other methods"
        )
    some = some_of(images)
    with torch.no_grad():
        given, coded = model(some), model.classifier(model.autoencoder.encode(some))
    if not torch.allclose(given, coded, rtol=1e-4, atol=1e-5, equal_nan=True):
        raise InputError(
            "the decoder's methods explain the classifier on the codes, and this model computes something "
            "else (a forward or a hook of its own); name other methods"
        )
