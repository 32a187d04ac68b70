"""What the fast paths assume of a network, in one predicate, and the proof that a network is what it seems.

The predicate looks at a network's parts: each of a type whose computation is known, nothing hooked,
replaced, shared, parametrised or frozen. No list of such things is ever whole, so the proof asks the network
itself: at a few of the call's own inputs its gradients, by autograd, must be those of the fast path. What
fails either is computed by autograd alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import InputError
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier, largest

SAME = 1e-4
"""Gradients that differ by less than this share of their largest value are the same, in float32."""

TIE = 1e-5
"""A choice decided by less than this share of its layer's largest value may fall otherwise in float32."""

FEW = 3
"""Inputs at which a network is asked: the first, the last, and one between them."""


class FastPathRefused(UserWarning):
    """A network looked like one of the harness's own and computed something else; autograd took over."""


_METHODS = ("forward", "encode", "decode", "__call__", "_call_impl", "_wrapped_call_impl")
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _methods_of(kind: type[nn.Module]) -> list[Any]:
    return [getattr(kind, name, None) for name in _METHODS]


_KNOWN: dict[type[nn.Module], list[Any]] = {
    kind: _methods_of(kind)
    for kind in (
        PixelClassifier,
        KSparseAutoencoder,
        Classifier,
        nn.Sequential,
        nn.Linear,
        nn.ReLU,
        nn.Dropout,
    )
}
"""The types whose computation is known, and the methods that they had when they were."""


def is_untouched() -> bool:
    """Whether the known types compute what they did when they were loaded, and nothing is hooked to all."""
    everywhere = torch.nn.modules.module
    return not any(getattr(everywhere, f"_global{name}", None) for name in _HOOKS) and all(
        known == _methods_of(kind) for kind, known in _KNOWN.items()
    )


def is_hooked(part: nn.Module) -> bool:
    """Whether something was hooked to a part, or put in the place of one of its methods."""
    return not set(_METHODS).isdisjoint(vars(part)) or any(getattr(part, name) for name in _HOOKS)


def is_as_written(model: nn.Module) -> bool:
    """Whether the weights of its linear layers alone say what a network computes, and how it is trained.

    Every part is of a known type and as that type was when the harness was loaded; nothing is hooked, from
    outside either; every linear layer has its own weight and bias, of one floating type on one device, and
    no other parameter or buffer is there.
    """
    if not is_untouched():
        return False
    parameters: list[Tensor] = []
    for part in model.modules():
        if type(part) not in _KNOWN or is_hooked(part) or any(True for _ in part.buffers(recurse=False)):
            return False
        own = {name for name, _ in part.named_parameters(recurse=False)}
        if own != ({"weight", "bias"} if type(part) is nn.Linear else set()):
            return False
        parameters += part.parameters(recurse=False)
    return (
        len({(one.dtype, one.device) for one in parameters}) == 1
        and parameters[0].dtype in (torch.float32, torch.float64)
        # tied layers and layers that stand in two places share their numbers
        and len({one.untyped_storage()._cdata for one in parameters}) == len(parameters)
        and len(parameters) == 2 * sum(type(part) is nn.Linear for part in _occurring(model))
    )


def is_trainable_as_written(model: nn.Module) -> bool:
    """The same, and every parameter is trained by its own gradient alone."""
    return is_as_written(model) and all(
        one.requires_grad
        and not one._backward_hooks
        and not getattr(one, "_post_accumulate_grad_hooks", None)
        and not one.is_inference()
        for one in model.parameters()
    )


def _occurring(model: nn.Module) -> list[nn.Module]:
    """Every part as often as it occurs."""
    return [part for _, part in model.named_modules(remove_duplicate=False)]


@dataclass(frozen=True, eq=False)
class Structure:
    """A network as its linear layers say it: f(x) = layers(the k largest of relu(encoder(x))).

    Attributes:
        encoder: From pixels to the code.
        k: Active units at most.
        layers: The classifier's linear layers, relu between them.
    """

    encoder: nn.Linear
    k: int
    layers: list[nn.Linear]

    def undecided(self, points: Tensor) -> Tensor:
        """At which points (float [n, pixels]) rounding decides what is active: bool [n].

        A network of relu and top-k is linear but for its choices: which k units are kept, which hidden units
        are above 0.
        """
        h = self.encoder(points)
        ordered = F.relu(h).topk(min(self.k + 1, h.shape[1]), dim=1)
        least = ordered.values[:, self.k - 1]
        margin = torch.where(least > 0, least, h.abs().amin(dim=1))
        if self.k < h.shape[1]:
            margin = torch.where(least > 0, least - ordered.values[:, self.k], margin)
        undecided = margin < TIE * h.abs().amax(dim=1)
        codes = torch.zeros_like(h).scatter_(1, ordered.indices[:, : self.k], 1.0) * F.relu(h)
        return torch.logical_or(undecided, kinks(self.layers, codes))


def kinks(layers: Sequence[nn.Linear], values: Tensor) -> Tensor:
    """At which inputs (float [n, inputs]) rounding decides which hidden units are above 0: bool [n]."""
    undecided = torch.zeros(len(values), dtype=torch.bool, device=values.device)
    for layer in layers[:-1]:
        values = layer(values)
        undecided |= values.abs().amin(dim=1) < TIE * values.abs().amax(dim=1)
        values = F.relu(values)
    return undecided


def structure_of(model: nn.Module) -> Structure | None:
    """The structure that a network seems to have; None if it is of another kind.

    It must be a `PixelClassifier` of a k-sparse autoencoder and at least two linear layers with relu between
    them, all as written.
    """
    if not isinstance(model, PixelClassifier) or not is_as_written(model):
        return None
    autoencoder, layers = model.autoencoder, rectifier_layers(model.classifier)
    if not _is_autoencoder(autoencoder) or layers is None or len(layers) < 2:
        return None
    if autoencoder.encoder.out_features != layers[0].in_features:
        return None
    return Structure(autoencoder.encoder, autoencoder.k, layers)


def _is_autoencoder(model: nn.Module) -> bool:
    """Whether it is a k-sparse autoencoder of two linear layers that fit one another."""
    if type(model) is not KSparseAutoencoder:
        return False
    encoder, decoder = model.encoder, model.decoder
    if type(encoder) is not nn.Linear or type(decoder) is not nn.Linear:
        return False
    width, pixels = encoder.weight.shape
    return decoder.weight.shape == (pixels, width) and 1 <= model.k <= width


def is_sparse_autoencoder(model: nn.Module) -> TypeGuard[KSparseAutoencoder]:
    """Whether a network is a k-sparse autoencoder, trained as written."""
    return _is_autoencoder(model) and is_trainable_as_written(model)


def rectifier_layers(classifier: nn.Module) -> list[nn.Linear] | None:
    """The linear layers of a classifier that has relu between them, dropout left out; None of another."""
    if not isinstance(classifier, nn.Sequential):
        return None
    parts = [part for part in classifier if not isinstance(part, nn.Dropout)]
    kinds = [type(part) for part in parts]
    if kinds != [nn.Linear, nn.ReLU] * (len(kinds) // 2) + [nn.Linear]:
        return None
    layers = [part for part in parts if isinstance(part, nn.Linear)]
    fits = all(one.out_features == other.in_features for one, other in pairwise(layers))
    return layers if fits else None


def is_rectifier_network(classifier: nn.Module) -> TypeGuard[nn.Sequential]:
    """Whether a classifier is linear layers, relu and then dropout between them, trained as written."""
    if not isinstance(classifier, nn.Sequential) or not is_trainable_as_written(classifier):
        return False
    kinds = [type(part) for part in classifier]
    pattern: list[type[nn.Module]] = [nn.Linear, nn.ReLU, nn.Dropout]
    return kinds == pattern * (len(kinds) // 3) + [nn.Linear] and rectifier_layers(classifier) is not None


def is_k_sparse(model: nn.Module) -> bool:
    """Whether a model is a k-sparse autoencoder and a classifier on its codes, both trained as written."""
    return (
        isinstance(model, PixelClassifier)
        and is_sparse_autoencoder(model.autoencoder)
        and is_rectifier_network(model.classifier)
    )


def few(n: int) -> list[int]:
    """Places at which a batch of n is asked."""
    return sorted({round(share * (n - 1) / (FEW - 1)) for share in range(FEW)}) if n else []


def some_of(values: Tensor) -> Tensor:
    """The rows at those places; by slices, which a GPU takes without waiting for the host."""
    places = few(len(values))
    return torch.stack([values[place] for place in places]) if places else values


def slope(function: nn.Module, inputs: Tensor, targets: Tensor) -> Tensor:
    """df_y/dinputs of each row by autograd, in the inputs' shape; the rows do not touch one another.

    Args:
        function: Inputs to logits [n, classes].
        inputs: float [n, ...].
        targets: int64 [n], the classes y.

    Raises:
        InputError: no gradient comes through.
    """
    inputs = inputs.detach().requires_grad_()
    with torch.enable_grad():
        # of a copy, which a layer may change in place
        chosen = function(inputs.clone()).gather(1, targets[:, None]).sum()
        found = torch.autograd.grad(chosen, inputs, allow_unused=True) if chosen.requires_grad else (None,)
    if found[0] is None:
        raise InputError(
            "the model gives no gradient of its logits: it computes them without one (no_grad, detach, "
            "whole numbers), or not from its inputs; name methods that need none"
        )
    return found[0]


def agree(fast: Tensor, plain: Tensor) -> Tensor:
    """Which rows of two gradients [n, ...] are the same, but for rounding: bool [n]."""
    fast, plain = fast.flatten(1), plain.flatten(1)
    return (fast - plain).abs().amax(dim=1) <= SAME * plain.abs().amax(dim=1)


def holds(same: Tensor, undecided: Callable[[], Tensor]) -> bool:
    """Whether a fast path may be believed: it gives autograd's gradients wherever rounding decides nothing.

    Says so by a warning where it does not; where there is nothing to tell by it is not believed either.

    Args:
        same: Which of its gradients are autograd's: bool [n].
        undecided: Where rounding decides a choice: bool [n]; asked only where some are not.
    """
    if bool(same.all()):
        return len(same) > 0
    if bool((same | undecided()).all()):
        return bool(same.any())
    warnings.warn(
        "the network looks like one of the harness's own and computes something else: of its gradients "
        f"{int((~same).sum())} of {len(same)} are not autograd's; it is taken by autograd alone",
        FastPathRefused,
        stacklevel=2,
    )
    return False


def logits_of(h: Tensor, k: int, layers: list[nn.Linear]) -> Tensor:
    """The logits (float32 [rows, classes]) of pre-activations [rows, code width], over units in use alone.

    Args:
        h: W x + b; units that are above 0 in no row are left out.
        k: Active units.
        layers: The classifier's.
    """
    used = (~(h.amax(dim=0) <= 0)).nonzero()[:, 0]  # NaN is in use, so that it shows
    h = h.index_select(1, used).relu_()
    result = largest(h, min(k, len(used))).mul_(h)
    for number, layer in enumerate(layers):
        weight = layer.weight.index_select(1, used) if number == 0 else layer.weight
        result = F.linear(result if number == 0 else result.relu_(), weight, layer.bias)
    return result


def active(h: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row's pre-activations (float [rows, code width]) as a code: values, and units.

    Where rows are alike, most units are below what k others have in every row, and are not looked at.

    Returns:
        float [rows, k], 0 where nothing is above it, and int64 [rows, k].
    """
    least = h.amin(dim=0).topk(k).values.amin()
    alike = (~(h.amax(dim=0) < least)).nonzero()[:, 0]  # NaN is among them, so that it shows
    if 2 * len(alike) < h.shape[1]:
        values, places = h.index_select(1, alike).topk(k, dim=1, sorted=False)
        return values.relu_(), alike[places]
    values, units = h.topk(k, dim=1, sorted=False)
    return values.relu_(), units


def logits_of_active(values: Tensor, units: Tensor, columns: Tensor, layers: list[nn.Linear]) -> Tensor:
    """The logits (float [rows, classes]) of codes, each row over its own units.

    Args:
        values: float [rows, k].
        units: int64 [rows, k].
        columns: The first layer's weight, its inputs first: float [code width, hidden].
        layers: The classifier's.
    """
    result = F.embedding_bag(units, columns, per_sample_weights=values, mode="sum").add_(layers[0].bias)
    for layer in layers[1:]:
        result = F.linear(result.relu_(), layer.weight, layer.bias)
    return result
