"""Autoencoders beside the k-sparse one: what separates sparsity, jumps and sleeping units from one another.

Each has `encode` and `decode` of flat inputs, and `loss`, what its training minimises. `UNREAD` names the
parts that `encode` does not use, where these are others than `decoder`.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.subjects.models import LinearAutoencoder, active_units, largest


class RectifiedAutoencoder(LinearAutoencoder):
    """An autoencoder whose code is relu(W x + b): dense, or made sparse by a penalty, and continuous.

    Minimised is the squared error a pixel, and `l1` times the mean over inputs of sum_j z_j |d_j|, with d_j
    the unit's atom: so no unit escapes the penalty by a longer atom (Bricken et al. 2023, "Towards
    Monosemanticity"; the norms as in Anthropic's circuits update of April 2024).

    Args:
        pixels: Of an input.
        code_width: Units of the code.
        l1: The penalty's weight; 0 leaves the code dense.

    Raises:
        ValueError: the weight is negative or no number.
    """

    def __init__(self, pixels: int, code_width: int, l1: float = 0.0) -> None:
        if not 0 <= l1 < math.inf:
            raise ValueError(f"l1 must be a number from 0 (got {l1!r})")
        super().__init__(pixels, code_width)
        self.l1 = l1

    def encode(self, images: Tensor) -> Tensor:
        """The codes (float32 [batch, code_width], none negative) of images [batch, pixels]."""
        return F.relu(self.encoder(images))

    def loss(self, images: Tensor) -> Tensor:
        """What training minimises, of one batch."""
        codes = self.encode(images)
        error = F.mse_loss(self.decode(codes), images)
        penalty: Tensor = (codes @ self.atoms.norm(dim=1)).mean()
        return error + self.l1 * penalty if self.l1 else error

    def extra_repr(self) -> str:
        """Its setting."""
        return f"l1={self.l1}"


class RevivingAutoencoder(LinearAutoencoder):
    """A k-sparse autoencoder whose dead units are revived (Gao et al. 2024, arXiv 2406.04093, section 2).

    z = the k largest of relu(W (x - c) + b), x_hat = D z + c with atoms of length 1, encoder rows equal to
    the atoms at the start. Units that no input of `patience` steps used are dead; the `auxiliary` largest of
    them rebuild what the others left unexplained, and 1/32 of that squared error is minimised beside the
    first (their AuxK).

    Args:
        k: Active units at most.
        pixels: Of an input.
        code_width: Units of the code.
        auxiliary: Dead units that rebuild the rest of one input.
        patience: Steps without use after which a unit is dead.

    Raises:
        ValueError: k is no whole number in 1..code_width, or another number not from 1.
    """

    UNREAD = ()  # the decoder's bias is taken from the inputs
    SHARE = 1 / 32

    unused: Tensor

    def __init__(
        self, k: int, pixels: int, code_width: int, *, auxiliary: int = 512, patience: int = 100
    ) -> None:
        k = active_units(k, code_width)
        if auxiliary < 1 or patience < 1:
            raise ValueError(f"auxiliary and patience must be from 1 (got {auxiliary!r} and {patience!r})")
        super().__init__(pixels, code_width)
        self.k, self.auxiliary, self.patience = k, int(auxiliary), int(patience)
        with torch.no_grad():
            nn.init.zeros_(self.encoder.bias)
            nn.init.zeros_(self.decoder.bias)
            self.encoder.weight.copy_(self.atoms)
        self.register_buffer("unused", torch.zeros(code_width, dtype=torch.int64), persistent=False)

    @property
    def atoms(self) -> Tensor:
        """The decoder's atoms d_j (float32 [code_width, pixels]), each of length 1."""
        return F.normalize(self.decoder.weight, dim=0).T

    def encode(self, images: Tensor) -> Tensor:
        """The codes (float32 [batch, code_width], at most k positive) of images [batch, pixels]."""
        activations = self._activations(images)
        return activations * largest(activations, self.k)

    def decode(self, codes: Tensor) -> Tensor:
        """The reconstructions (float32 [batch, pixels]) of codes."""
        return codes @ self.atoms + self.decoder.bias

    def loss(self, images: Tensor) -> Tensor:
        """What training minimises, of one batch; counts who was used."""
        activations = self._activations(images)
        codes = activations * largest(activations, self.k)
        left = images - self.decode(codes)
        error = left.square().mean()
        self.unused.add_(1).masked_fill_((codes > 0).any(dim=0), 0)
        dead = self.unused >= self.patience
        count = min(self.auxiliary, int(dead.sum()))
        if not count:
            return error
        asleep = activations * dead
        rebuilt = (asleep * largest(asleep, count)) @ self.atoms
        return error + self.SHARE * (left.detach() - rebuilt).square().mean()

    def extra_repr(self) -> str:
        """Its settings."""
        return f"k={self.k}, auxiliary={self.auxiliary}, patience={self.patience}"

    def _activations(self, images: Tensor) -> Tensor:
        return F.relu(self.encoder(images - self.decoder.bias))


class Deviating(nn.Module):
    """An autoencoder of inputs x, as one of their deviations u = x - b from a baseline b.

    encode(u) = inner.encode(u + b), and decode(z) = inner.decode(z) - b: the same codes, errors and atoms.
    What else it has, `k`, `atoms`, `loss`, is the inner one's.

    Args:
        inner: Of inputs.
        reference: The baseline, float32 [pixels].
    """

    reference: Tensor

    def __init__(self, inner: nn.Module, reference: Tensor) -> None:
        super().__init__()
        self.inner: Any = inner
        self.register_buffer("reference", reference, persistent=False)

    def __getattr__(self, name: str) -> Any:
        """What the inner one has; its loss is asked of inputs."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name not in ("k", "atoms", "encoder", "decoder", "loss"):
                raise
        found = getattr(super().__getattr__("inner"), name)
        return (lambda images: found(images + self.reference)) if name == "loss" else found

    @property
    def UNREAD(self) -> tuple[str, ...]:  # noqa: N802
        """The inner one's."""
        return tuple(f"inner.{one}" for one in getattr(self.inner, "UNREAD", ("decoder",)))

    def encode(self, images: Tensor) -> Tensor:
        """The codes of deviations [batch, pixels]."""
        return self.inner.encode(images + self.reference)  # type: ignore[no-any-return]

    def decode(self, codes: Tensor) -> Tensor:
        """The reconstructed deviations (float32 [batch, pixels]) of codes."""
        return self.inner.decode(codes) - self.reference  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """The reconstructed deviations."""
        return self.decode(self.encode(images))

    def extra_repr(self) -> str:
        """The baseline's digest, which no weights tell."""
        return f"baseline={hashlib.sha256(self.reference.cpu().numpy().tobytes()).hexdigest()}"


class VariationalAutoencoder(nn.Module):
    """A variational autoencoder (Kingma and Welling 2014); its code is the mean, and so the same every time.

    Minimised is the negative evidence lower bound a pixel, in nats, of a Gaussian decoder whose one variance
    is the batch's own error, which leaves nothing to tune between the two terms (Rybkin, Daniilidis and
    Levine 2021, "Simple and Effective VAE Training with Calibrated Decoders"). It may be negative.

    Args:
        pixels: Of an input.
        latent: Units of the code.
        hidden: Units of the encoder's and the decoder's hidden layer.
    """

    UNREAD = ("decoder", "log_variance")

    def __init__(self, pixels: int, latent: int, hidden: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, latent))
        self.log_variance = nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, pixels))

    def encode(self, images: Tensor) -> Tensor:
        """The means of the codes (float32 [batch, latent]) of images [batch, pixels]."""
        return self.encoder(images)  # type: ignore[no-any-return]

    def decode(self, codes: Tensor) -> Tensor:
        """The reconstructions (float32 [batch, pixels]) of codes."""
        return self.decoder(codes)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """The reconstructions of images, of the codes' means."""
        return self.decode(self.encode(images))

    def loss(self, images: Tensor) -> Tensor:
        """What training minimises, of one batch; draws from torch's global generator."""
        hidden = self.encoder[:2](images)
        mean, log_variance = self.encoder[2](hidden), self.log_variance(hidden)
        codes = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        error = F.mse_loss(self.decode(codes), images)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean() / 2
        # at the best variance the Gaussian's exponent is the constant 1/2
        bound: Tensor = (error.log() + math.log(2 * math.pi) + 1) / 2 + divergence / images.shape[1]
        return bound
