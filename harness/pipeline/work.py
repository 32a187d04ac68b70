"""What the stages of one run share."""

from __future__ import annotations

import hashlib
import math
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from harness.artifacts.files import Folder
from harness.attributions.method import known_to, methods
from harness.config import Config
from harness.datasets import Dataset
from harness.environment import stream
from harness.errors import ConfigurationError, MemoryExhausted
from harness.forms import Form
from harness.pipeline.started import Epochs as Epochs
from harness.pipeline.started import Progress as Progress
from harness.pipeline.started import Silence as Silence
from harness.pipeline.started import Started
from harness.samples import Selection
from harness.subjects import catalogue, training
from harness.subjects.models import PixelClassifier
from harness.subjects.sparse.structure import is_as_written, is_hooked, is_untouched

T = TypeVar("T")

NO_MEMORY = re.compile(
    r"out[ _]of[ _]memory|not enough memory|(can't|cannot) allocate memory|bad_alloc|_ALLOC(ATION)?_FAILED",
    re.IGNORECASE,
)
"""How torch on a CPU, CUDA's runtime and driver, and cuBLAS, cuDNN and their like say that memory ran out."""

REFERENCES = 512
"""Training images of which methods that start from the data draw theirs."""

SMALLER = 8
"""By what a chunk is divided when memory was exhausted."""


@dataclass(kw_only=True)
class Work(Started):
    """What the stages of one run share, beside what any run has that was started.

    Attributes:
        device: Where to compute.
        train_images: float32 [n, pixels], in [0, 1], on the device.
        test_images: float32 [t, pixels], likewise.
        capabilities: What the model can be asked for (`harness.capabilities`).
        networks: The trained network of each seed.
        selection: The chosen samples.
        looks: The sizes, in samples a class, at which the numbers may be looked at.
        look: Which of them is being looked at.
        unrepeatable: What of the user's own was found to give other results when asked again.
        paces: The seconds of one image's map, by method, of those that this run made.
    """

    device: torch.device
    train_images: Tensor
    test_images: Tensor
    capabilities: frozenset[str]
    networks: dict[int, Any] = field(default_factory=dict)
    selection: Selection | None = None
    looks: tuple[int, ...] = ()
    look: int = 0
    unrepeatable: dict[str, None] = field(default_factory=dict)
    paces: dict[str, float] = field(default_factory=dict)

    def name_unrepeatable(self, name: str, why: str) -> None:
        """Tell and keep that something of the user's own draws from where nobody can seed it."""
        if name not in self.unrepeatable:
            self.unrepeatable[name] = None
            self.progress.warn(
                f"{name} is not repeatable: {why}, so it draws from a generator of its own; "
                "let it draw from torch's or numpy's global one"
            )


def declared_settings(config: Config, form: Form) -> dict[str, Any]:
    """The declared settings of all methods, and how the inputs lie."""
    settings = config.attribution.model_dump(exclude={"methods", "group_mask", "probe_budget"})
    settings |= {"shape": form.shape, "axes": form.axes}
    mask = config.attribution.group_mask
    return settings if mask is None else settings | {"groups": group_mask(mask, form.shape)}


def attribution_settings(work: Work, seed: int) -> dict[str, Any]:
    """The settings of all methods for one seed: the declared ones, and what the seed draws."""
    settings = declared_settings(work.config, work.dataset.form)
    settings["noise_seed"] = stream(seed, "smoothgrad noise")
    if any(
        "references" in known_to(methods[name].maps, {"references": None})
        for name in work.config.attribution.methods
    ):
        generator = torch.Generator().manual_seed(stream(seed, "references"))
        drawn = torch.randperm(len(work.train_images), generator=generator)[:REFERENCES]
        settings["references"] = work.train_images[drawn.to(work.device)]
    return settings


def keyed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as part of a key: a tensor by the digest of its values."""
    return {
        name: hashlib.sha256(to_numpy(value).tobytes()).hexdigest() if isinstance(value, Tensor) else value
        for name, value in settings.items()
    }


def group_mask(path: Path, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A mask of one's own: each feature's group, from a `.npy` file of the inputs' shape, or flat.

    Raises:
        ConfigurationError: it cannot be read, or does not name a group of each feature.
    """
    try:
        mask = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigurationError(f"group_mask: {path} is no .npy file of whole numbers ({error})") from error
    if not isinstance(mask, np.ndarray):
        raise ConfigurationError(f"group_mask: {path} must be a .npy file (got an archive of several arrays)")
    if not np.issubdtype(mask.dtype, np.integer) or mask.shape not in (shape, (math.prod(shape),)):
        raise ConfigurationError(
            f"group_mask: {path} must hold one whole number for each feature, in the shape {shape} or flat "
            f"(got {mask.dtype} of shape {mask.shape})"
        )
    _, mask = np.unique(mask, return_inverse=True)  # which numbers they are plays no part
    if not mask.any():
        raise ConfigurationError(f"group_mask: {path} must name two groups or more (got one)")
    return tuple(mask.flatten().tolist())


def within_memory(
    work: Work, what: str, settings: Mapping[str, Any], call: Callable[[Mapping[str, Any]], T]
) -> T:
    """What `call` makes of the settings; where memory runs out, once more with a smaller `chunk_size`.

    Raises:
        MemoryExhausted: it ran out again.
    """
    size = int(settings["chunk_size"])
    smaller = max(1, size // SMALLER)
    try:
        return call(settings)
    except (MemoryError, RuntimeError) as error:
        if not _memory_ran_out(error):
            raise
    # past the except clause, so that the failed call's arrays are no longer held by its traceback
    work.progress.warn(f"{what}: memory ran out with --chunk-size {size}; once more with {smaller}")
    if work.device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        return call({**settings, "chunk_size": smaller})
    except (MemoryError, RuntimeError) as error:
        if not _memory_ran_out(error):
            raise
        raise MemoryExhausted(
            f"{what}: memory ran out with --chunk-size {size}, and again with {smaller}; "
            "lower --chunk-size or --samples-per-class, or free the device"
        ) from error


def _memory_ran_out(error: BaseException) -> bool:
    """Whether it says so by its class or, as torch's allocators and NVIDIA's libraries do, in words."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or bool(NO_MEMORY.search(str(error)))


def untrained(config: Config, dataset: Dataset, seed: int) -> Any:
    """The model of a seed before its training, on the CPU, in evaluation mode: flat rows to logits."""
    return catalogue.build(config.model, dataset.form, len(dataset.classes), seed)


def filled(config: Config, dataset: Dataset, seed: int, folder: Folder) -> Any:
    """The same with the weights that stand in a seed's folder."""
    model = untrained(config, dataset, seed)
    for name, part in catalogue.parts_of(model).items():
        training.load_weights(part, folder / f"weights/{name}.pth")
    return model


def to_numpy(tensor: Tensor) -> Any:
    """The tensor's values as an array."""
    return tensor.detach().cpu().numpy()


def touched() -> str:
    """Part of every key of what networks compute: a fresh random text where somebody changed what they do."""
    return "" if is_untouched() else uuid.uuid4().hex


def network_digest(network: nn.Module) -> str:
    """A network's parts and the digest of its weights; a fresh random text where these do not tell all.

    They do of parts that torch and the harness ship, and that nobody touched.
    """
    if isinstance(network, PixelClassifier) and is_as_written(network):
        return f"{network.autoencoder.k} {weights_digest(network)}"
    if not ships(network):
        return uuid.uuid4().hex
    return f"{network!r} {weights_digest(network)}"


def ships(network: nn.Module) -> bool:
    """Whether torch and the harness ship all of a model's parts, and nobody touched them."""
    return is_untouched() and all(
        type(part).__module__.startswith(("torch.nn.", "harness.")) and not is_hooked(part)
        for part in network.modules()
    )


def weights_digest(module: torch.nn.Module) -> str:
    """SHA-256 of a module's weights and buffers."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode() + to_numpy(value).tobytes())
    return digest.hexdigest()
