"""The networks that are explained: a k-sparse autoencoder, a classifier on its codes, and both as one.

Beside them what a model is to the harness: a function of flat rows (`Flat`), with a code (`Coded`) or without
one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import environment

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers whose output has places."""


def largest(values: Tensor, k: int) -> Tensor:
    """1 where a value is among the k largest of its row, 0 elsewhere, in the values' type; never a gradient.

    Ones are scattered, not the values: a GPU has to sort what it scatters to be deterministic.
    """
    places = values.detach().topk(k, dim=-1, sorted=False).indices
    return torch.zeros_like(values).scatter_(-1, places, 1.0)


def active_units(k: int, code_width: int) -> int:
    """The declared number of active units, k, as a plain one.

    Raises:
        ValueError: it is no whole number in 1..code_width.
    """
    if not hasattr(k, "__index__") or not 1 <= k <= code_width:
        raise ValueError(f"k must be a whole number in 1..{code_width}, the code's width (got {k!r})")
    return int(k)


class LinearAutoencoder(nn.Module):
    """What autoencoders of a linear encoder and decoder have in common: x_hat = D z + c."""

    def __init__(self, pixels: int, code_width: int) -> None:
        super().__init__()
        self.encoder = nn.Linear(pixels, code_width)
        self.decoder = nn.Linear(code_width, pixels)

    def encode(self, images: Tensor) -> Tensor:
        """The codes z (float32 [batch, code_width]) of images [batch, pixels]."""
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """The reconstructions x_hat (float32 [batch, pixels]) of codes [batch, code_width]."""
        return self.decoder(codes)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """The reconstructions of images (float32 [batch, pixels])."""
        return self.decode(self.encode(images))

    @property
    def atoms(self) -> Tensor:
        """The decoder's atoms d_j (float32 [code_width, pixels]): what one unit adds to an image."""
        return self.decoder.weight.T


class KSparseAutoencoder(LinearAutoencoder):
    """A k-sparse autoencoder (Makhzani and Frey 2014) with a ReLU before the choice of the k units.

    h(x) = W x + b;  z(x) = the k largest of relu(h), 0 elsewhere;  x_hat = D z + c.

    A unit that is chosen while its relu is 0 is not active, so a code has at most k positive units.

    Args:
        k: Units that may be active, 1..code_width.
        pixels: Features of an input.
        code_width: Units of the code.

    Raises:
        ValueError: k is no whole number in 1..code_width.
    """

    def __init__(self, k: int = 50, pixels: int = 784, code_width: int = 1024) -> None:
        k = active_units(k, code_width)
        super().__init__(pixels, code_width)
        self.k = k

    def encode(self, images: Tensor) -> Tensor:
        """The codes z (float32 [batch, code_width], at most k positive) of images [batch, pixels]."""
        activations = F.relu(self.encoder(images))
        return activations * largest(activations, self.k)


class Classifier(nn.Sequential):
    """A multilayer perceptron: relu and dropout after each hidden layer.

    It takes codes (float32 [batch, code_width]) and gives logits (float32 [batch, classes]).

    Args:
        code_width: Units of the code.
        hidden: Units of each hidden layer.
        classes: How many there are.
        dropout: The share of hidden units that training leaves out, in [0, 1].
    """

    def __init__(
        self,
        code_width: int = 1024,
        hidden: tuple[int, ...] = (512, 256),
        classes: int = 10,
        dropout: float = 0.3,
    ) -> None:
        layers: list[nn.Module] = []
        for inputs, outputs in zip((code_width, *hidden), hidden, strict=False):
            layers += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(*layers, nn.Linear((code_width, *hidden)[-1], classes))


class Convolutional(nn.Sequential):
    """Two convolutions of stride 2, and a hidden layer: of images [channels, rows, columns], or of series
    [channels, time].

    Raises:
        ValueError: inputs of another number of axes.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int = 16, dropout: float = 0.3) -> None:
        if len(shape) not in (2, 3):
            raise ValueError(
                "inputs must be images [channels, rows, columns] or series [channels, time] "
                f"(got {len(shape)} axes); name another model, such as mlp"
            )
        kind = nn.Conv2d if len(shape) == 3 else nn.Conv1d
        sides = [math.ceil(math.ceil(side / 2) / 2) for side in shape[1:]]
        super().__init__(
            kind(shape[0], width, 3, stride=2, padding=1),
            nn.ReLU(),
            kind(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * width * math.prod(sides), 8 * width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(8 * width, classes),
        )


class Flat(nn.Module):
    """A model of inputs in their own shape, as a function of flat deviations from the baseline.

    Args:
        model: float32 [n, *shape] to logits.
        shape: Of one input.
        reference: float32 [features], the baseline, which is added; None where it is 0.
    """

    any_scale = True
    """Whether inputs may lie outside [0, 1]: so of what the harness itself made of checked data."""

    reference: Tensor | None

    def __init__(self, model: nn.Module, shape: tuple[int, ...], reference: Tensor | None = None) -> None:
        super().__init__()
        self.model = model
        self.shape = shape
        self.register_buffer("reference", reference, persistent=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """The logits (float32 [n, classes]) of flat rows [n, features]."""
        if self.reference is not None:
            inputs = inputs + self.reference
        return self.model(inputs.unflatten(1, self.shape))  # type: ignore[no-any-return]


class Coded(nn.Module):
    """A model that computes its logits through a code: f(x) = readout(encode(x), x).

    Whoever asks for a code asks these four; codes are float32 [n, units], or [n, places, units] where the
    same code is taken at several places of one input.
    """

    def encoded(self, inputs: Tensor) -> Tensor:
        """What the code is of: the inputs themselves, or what a layer makes of them."""
        raise NotImplementedError

    def encode(self, inputs: Tensor) -> Tensor:
        """The codes of inputs [n, features]."""
        raise NotImplementedError

    def decode(self, codes: Tensor) -> Tensor:
        """What was encoded, given back from codes."""
        raise NotImplementedError

    def readout(self, codes: Tensor, inputs: Tensor) -> Tensor:
        """The logits (float32 [n, classes]) that follow from codes; `inputs` are those of the codes."""
        raise NotImplementedError


class PixelClassifier(Coded):
    """Pixels to logits: f(x) = classifier(z(x)), the function whose decisions are explained.

    Args:
        autoencoder: With `encode`, and where it has them `decode`, `atoms` and `k`.
        classifier: Codes to logits.

    Raises:
        TypeError: the first part has no `encode`.
    """

    def __init__(self, autoencoder: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        if not hasattr(autoencoder, "encode"):
            raise TypeError(
                f"the first part must be an autoencoder, with `encode` (got {type(autoencoder).__name__}); "
                "PixelClassifier(autoencoder, classifier)"
            )
        self.autoencoder: Any = autoencoder
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """The logits (float32 [batch, classes]) of images (float32 [batch, pixels], in [0, 1])."""
        return self.classifier(self.autoencoder.encode(images))  # type: ignore[no-any-return]

    def encoded(self, inputs: Tensor) -> Tensor:
        """The inputs themselves (float32 [n, pixels])."""
        return inputs

    def encode(self, inputs: Tensor) -> Tensor:
        """The autoencoder's codes (float32 [n, code_width])."""
        return self.autoencoder.encode(inputs)  # type: ignore[no-any-return]

    def decode(self, codes: Tensor) -> Tensor:
        """The autoencoder's reconstructions (float32 [n, pixels])."""
        return self.autoencoder.decode(codes)  # type: ignore[no-any-return]

    def readout(self, codes: Tensor, inputs: Tensor) -> Tensor:  # noqa: ARG002
        """The classifier's logits (float32 [n, classes]) of codes (float32 [n, code_width])."""
        return self.classifier(codes)  # type: ignore[no-any-return]


@contextmanager
def hooked(layer: nn.Module, given: Callable[[Any], Any]) -> Iterator[None]:
    """While it lasts, what a layer gives is handed to `given`; what comes back, if anything, replaces it."""
    handle = layer.register_forward_hook(lambda _module, _inputs, found: given(found))
    try:
        yield
    finally:
        handle.remove()


def start_anew(module: nn.Module, seed: int) -> None:
    """Give the parameters that are a module's own new numbers: the initial ones, drawn from a seed.

    Of a module that has no way to start anew, its own numbers in another order. They are drawn on the CPU, so
    that devices agree.
    """
    fresh = copy.deepcopy(module).cpu()
    with environment.seeded(seed), torch.no_grad():
        if hasattr(fresh, "reset_parameters"):
            fresh.reset_parameters()  # type: ignore[operator]
        else:
            for one in fresh.parameters(recurse=False):
                one.copy_(one.flatten()[torch.randperm(one.numel())].view_as(one))
    module.load_state_dict(fresh.state_dict())
