"""What the harness is measured against: the loops a tutorial would write, captum, and Quantus."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from captum.attr import IntegratedGradients, KernelShap, Lime, NoiseTunnel, Occlusion, Saliency
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset
from torchvision.datasets import FashionMNIST
from torchvision.transforms import ToTensor

K, BATCH, RATE = 50, 256, 1e-3


class PlainAutoencoder(nn.Module):
    """The k-sparse autoencoder as a tutorial writes it: two linear layers, top-k, a dense code."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(784, 1024), nn.Linear(1024, 784)

    def encode(self, images: Tensor) -> Tensor:
        """The codes, dense."""
        values, units = F.relu(self.encoder(images)).topk(K, dim=1)
        return torch.zeros(len(images), 1024).scatter(1, units, values)

    def forward(self, images: Tensor) -> Tensor:
        """The reconstructions."""
        reconstructions: Tensor = self.decoder(self.encode(images))
        return reconstructions


def plain_classifier() -> nn.Sequential:
    """The classifier as a tutorial writes it."""
    return nn.Sequential(
        nn.Linear(1024, 512),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(256, 10),
    )


def in_memory_loop(images: Tensor, labels: Tensor) -> tuple[Iterator[None], Callable[[], Iterator[None]]]:
    """The loop with tensors in memory: epochs of the autoencoder, and then of the classifier."""
    autoencoder, classifier = PlainAutoencoder(), plain_classifier()

    def batches(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
        for batch in torch.randperm(len(images)).split(BATCH):
            yield tuple(tensor[batch] for tensor in tensors)

    def first() -> Iterator[None]:
        yield from _epochs(autoencoder, lambda: ((x, x) for (x,) in batches(images)), F.mse_loss)

    def second() -> Iterator[None]:
        with torch.no_grad():
            codes = torch.cat([autoencoder.encode(part) for part in images.split(4096)])
        yield from _epochs(classifier, lambda: batches(codes, labels), F.cross_entropy)

    return first(), second


def interpretable_loop(
    images: Tensor, labels: Tensor, epochs: tuple[int, int]
) -> tuple[Iterator[None], Callable[[], Iterator[None]]]:
    """The recipe `interpretable` as somebody writes it down who has its equations, with tensors in memory."""
    weight, classifier = F.normalize(nn.Linear(784, 1024).weight.detach(), dim=1), plain_classifier()
    parts = [
        weight.requires_grad_(),
        torch.zeros(1024, requires_grad=True),
        torch.zeros(784, requires_grad=True),
    ]
    weight, bias, offset = parts

    def pre_activations(x: Tensor, noise: float) -> Tensor:
        return F.linear(x + noise * torch.randn_like(x), weight, bias)

    def strongest(h: Tensor, count: int) -> Tensor:
        values, units = h.topk(count, dim=1)
        return torch.zeros_like(h).scatter(1, units, values)

    def steps(optimizer: torch.optim.Optimizer, count: int, losses: Callable[[Tensor, float], Tensor]) -> Any:
        taken, total = 0, count * math.ceil(len(images) / BATCH)
        for _ in range(count):
            for batch in torch.randperm(len(images)).split(BATCH):
                share = taken / total
                for group in optimizer.param_groups:
                    group["lr"] = RATE * max(0.02, (1 + math.cos(math.pi * share)) / 2)
                loss = losses(batch, share)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                taken += 1
            yield

    def first() -> Iterator[None]:
        unused = torch.zeros(1024)

        def losses(batch: Tensor, share: float) -> Tensor:
            x = images[batch]
            h = pre_activations(x, 0.1)
            codes = strongest(h.relu(), max(K, round(K * (4 - 6 * share))))
            output = F.linear(codes, weight.T, offset)
            loss = F.mse_loss(output, x)
            unused.add_(1)
            unused[(codes > 0).any(dim=0)] = 0
            dead = unused >= 100
            if dead.any():
                asleep = strongest(h[:, dead], min(256, int(dead.sum())))
                loss = loss + F.mse_loss(asleep @ weight[dead], (x - output).detach()) / 32
            return loss

        yield from steps(torch.optim.Adam(parts, lr=RATE), epochs[0], losses)

    def second() -> Iterator[None]:
        def losses(batch: Tensor, _: float) -> Tensor:
            with torch.no_grad():
                codes = strongest(pre_activations(images[batch], 0.25).relu(), K)
            return F.cross_entropy(classifier(codes), labels[batch])

        weights = list(classifier.parameters())
        groups = [
            {"params": weights[::2], "weight_decay": 0.05},
            {"params": weights[1::2], "weight_decay": 0},
        ]
        yield from steps(torch.optim.AdamW(groups, lr=RATE), epochs[1], losses)

    return first(), second


def tutorial_loop(folder: Path) -> tuple[Iterator[None], Callable[[], Iterator[None]]]:
    """The tutorial's loop: torchvision's data set, `ToTensor`, a `DataLoader`, everything else likewise."""
    data = FashionMNIST(str(folder), train=True, download=False, transform=ToTensor())
    autoencoder, classifier = PlainAutoencoder(), plain_classifier()

    def images() -> Iterator[tuple[Tensor, Tensor]]:
        for image, _ in DataLoader(data, BATCH, shuffle=True):
            x = image.flatten(1)
            yield x, x

    def first() -> Iterator[None]:
        yield from _epochs(autoencoder, images, F.mse_loss)

    def second() -> Iterator[None]:
        with torch.no_grad():
            coded = [(autoencoder.encode(x.flatten(1)), y) for x, y in DataLoader(data, BATCH)]
        codes: Dataset[tuple[Tensor, ...]] = TensorDataset(
            *(torch.cat(part) for part in zip(*coded, strict=True))
        )
        loader = DataLoader(codes, BATCH, shuffle=True)
        yield from _epochs(classifier, lambda: ((x, y) for x, y in loader), F.cross_entropy)

    return first(), second


def _epochs(
    model: nn.Module,
    batches: Callable[[], Iterator[tuple[Tensor, ...]]],
    criterion: Callable[[Tensor, Tensor], Tensor],
) -> Iterator[None]:
    """Epochs of plain Adam without end."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    model.train()
    while True:
        total = 0.0
        for inputs, wanted in batches():
            loss = criterion(model(inputs), wanted)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(inputs)
        yield


def write_as_torchvision_wants(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """The training set as the raw IDX files that torchvision reads."""
    raw = folder / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    n = len(labels)
    for kind in ("train", "t10k"):
        header = struct.pack(">IIII", 2051, n, 28, 28)
        (raw / f"{kind}-images-idx3-ubyte").write_bytes(header + images.astype(np.uint8).tobytes())
        (raw / f"{kind}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", 2049, n) + labels.astype(np.uint8).tobytes()
        )


def captum_methods(
    model: nn.Module, images: Tensor, targets: Tensor
) -> dict[str, dict[str, Callable[[], Tensor]]]:
    """Captum's calls at the harness's settings, by method: as they stand, and in batches."""
    gradients, saliency = IntegratedGradients(model), Saliency(model)
    tunnel = NoiseTunnel(saliency)
    path = dict(target=targets, n_steps=50, method="riemann_middle")
    noise = dict(target=targets, nt_samples=25, stdevs=0.1, nt_type="smoothgrad", abs=False)
    return {
        "gradients": {"default": lambda: saliency.attribute(images, target=targets, abs=False)},
        "integrated_gradients": {
            "default": lambda: gradients.attribute(images, **path),
            "batched": lambda: gradients.attribute(images, internal_batch_size=1000, **path),
        },
        "smoothgrad": {
            "default": lambda: tunnel.attribute(images, **noise),
            "batched": lambda: tunnel.attribute(images, nt_samples_batch_size=5, **noise),
        },
    }


def captum_at_equal_memory(
    model: nn.Module, images: Tensor, targets: Tensor, rows: int
) -> dict[str, Callable[[], Tensor]]:
    """Captum's calls at the harness's settings with at most so many rows in one pass, by method."""
    gradients, saliency = IntegratedGradients(model), Saliency(model)
    tunnel, samples = NoiseTunnel(saliency), max(1, rows // len(images))
    path = dict(target=targets, n_steps=50, method="riemann_middle", internal_batch_size=rows)
    noise = dict(target=targets, nt_samples=25, stdevs=0.1, nt_type="smoothgrad", abs=False)
    return {
        "gradients": lambda: saliency.attribute(images, target=targets, abs=False),
        "integrated_gradients": lambda: gradients.attribute(images, **path),
        "smoothgrad": lambda: tunnel.attribute(images, nt_samples_batch_size=min(25, samples), **noise),
    }


def captum_without_groups(
    model: nn.Module, images: Tensor, targets: Tensor, groups: Tensor, evaluations: dict[str, int], rows: int
) -> dict[str, Callable[[], object]]:
    """Captum's calls of methods that take groups away, with as many model evaluations, by method.

    Its best setting: many perturbations in one pass. KernelShap and Lime fit one image after another, as
    captum's manual asks for; Occlusion takes all images at once.

    Args:
        model: Images to logits.
        images: float [n, 784].
        targets: int64 [n].
        groups: int64 [784], each pixel's group for the first two.
        evaluations: Their samples, by method.
        rows: Inputs in one pass.
    """
    pictures, windows = images.view(-1, 28, 28), Occlusion(nn.Sequential(nn.Flatten(), model))

    def fitted(captum: KernelShap | Lime, samples: int) -> Callable[[], object]:
        def call() -> object:
            return [
                captum.attribute(
                    image[None],
                    target=int(target),
                    feature_mask=groups[None],
                    n_samples=samples,
                    perturbations_per_eval=rows,
                )
                for image, target in zip(images, targets, strict=True)
            ]

        return call

    return {
        "kernel_shap": fitted(KernelShap(model), evaluations["kernel_shap"]),
        "lime": fitted(Lime(model), evaluations["lime"]),
        "occlusion": lambda: windows.attribute(
            pictures, (4, 4), (2, 2), target=targets, perturbations_per_eval=max(1, rows // len(images))
        ),
    }


class PlainNetwork(nn.Module):
    """Pictures to logits as a tutorial writes it: encoder, top-k, classifier; four layers to renew."""

    def __init__(self, encoder: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.encoder, self.classifier = encoder, classifier

    def forward(self, pictures: Tensor) -> Tensor:
        """The logits of pictures [n, 1, rows, columns]."""
        values, units = F.relu(self.encoder(pictures.flatten(1))).topk(K, dim=1)
        codes = torch.zeros(len(pictures), 1024).scatter(1, units, values)
        logits: Tensor = self.classifier(codes)
        return logits


PIXELS_A_STEP = 28
"""Quantus's steps must divide 784 pixels: 28 steps of 28 pixels, where ours are 40."""


def quantus_metrics(
    model: nn.Module, images: Tensor, targets: Tensor, maps: Tensor, draws: Tensor
) -> dict[str, Callable[[], Any]]:
    """Quantus's calls for one set of integrated gradients, by metric, each in one batch of all images.

    Its best setting: maps and perturbations are handed over, captum explains in large internal batches,
    Pearson's correlation is taken of all rows at once, and nothing is normalised (but for Gini's index, which
    adds 1e-7 to each pixel) or printed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus

    def pictures(rows: Tensor) -> np.ndarray:
        return rows.detach().numpy().reshape(-1, 1, 28, 28)

    def explain(model: nn.Module, inputs: Any, targets: Any, **_: Any) -> np.ndarray:
        found = IntegratedGradients(model).attribute(
            torch.as_tensor(inputs, dtype=torch.float32),
            target=torch.as_tensor(targets),
            n_steps=50,
            method="riemann_middle",
            internal_batch_size=1000,
        )
        return np.asarray(found.detach())

    def with_ours() -> Callable[..., Any]:
        rows = iter(draws.numpy())
        return lambda arr, **_: arr + next(rows)

    as_is: dict[str, Any] = dict(abs=False, normalise=False, disable_warnings=True)

    def call(make: Callable[[], Any], **more: Any) -> Callable[[], Any]:
        return lambda: make()(
            model=model,
            x_batch=pictures(images),
            y_batch=targets.numpy(),
            a_batch=pictures(maps).copy(),  # it writes into them
            explain_func=explain,
            batch_size=len(images),
            device="cpu",
            **more,
        )

    return {
        "deletion": call(
            lambda: quantus.PixelFlipping(features_in_step=PIXELS_A_STEP, **as_is), softmax=True
        ),
        "concentration": call(lambda: quantus.Sparseness(abs=True, normalise=True, disable_warnings=True)),
        "max_sensitivity": call(
            lambda: quantus.MaxSensitivity(nr_samples=len(draws), perturb_func=with_ours(), **as_is)
        ),
        "randomisation": call(
            lambda: quantus.MPRT(
                similarity_func=quantus.similarity_func.correlation_pearson, layer_order="top_down", **as_is
            )
        ),
    }
