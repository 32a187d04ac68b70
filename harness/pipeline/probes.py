"""Ask the maps what they do not show: are they what they claim to be, do they follow the model.

Everything is asked of what stands in the run directory - weights, logits, maps - and of the images that
the selection names, so that a map made of anything else is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness import attributions, environment, integrity, training
from harness.artifacts import Folder, digest_of, key_of, share
from harness.models import PixelClassifier
from harness.pipeline.work import Work, attribution_settings, stream, to_numpy, untrained

Arrays = dict[str, Any]


def probe(work: Work) -> None:
    """Each seed's probes: `sanity/<subject>.npz`."""
    for seed in work.config.seeds:
        asked = Asked(work, seed)
        for subject, (ask, modules) in PROBES.items():
            share(_found_or_asked(asked, subject, ask, modules), asked.folder / "sanity")


class Asked:
    """One seed as it stands in the run directory, and what is asked of it."""

    def __init__(self, work: Work, seed: int) -> None:
        """Read the seed's weights and the explained images."""
        self.work, self.seed = work, seed
        self.folder = work.run.seed(seed)
        chosen = work.run.read_arrays("samples.npz")
        self.indices = chosen["indices"]
        self.images = work.test_images[torch.from_numpy(self.indices).to(work.device)]
        self.targets = torch.from_numpy(chosen["labels"]).to(work.device)
        self.methods = work.config.attribution.methods
        self.settings = attribution_settings(work.config, seed)
        self.network = self._declared()

    def _declared(self) -> PixelClassifier:
        """The network that the configuration declares, with the weights of the run directory."""
        work = self.work
        network = untrained(work.config, self.images.shape[1], len(work.dataset.classes), self.seed)
        for module, name in ((network.autoencoder, "full_autoencoder"), (network.classifier, "classifier")):
            training.load_weights(module, self.folder / f"weights/{name}.pth")
        return network.to(work.device).eval()

    def maps(self, name: str) -> Tensor:
        """A method's own maps as they stand in their file."""
        stored = self.folder.read_arrays(f"attributions/{name}.npz")["maps"]
        return torch.from_numpy(stored).to(self.work.device)


def _found_or_asked(
    asked: Asked, subject: str, ask: Callable[[Asked], Arrays], modules: tuple[str, ...]
) -> Folder:
    """The cache entry of one seed's probe."""
    work, folder = asked.work, asked.folder
    seen = [work.run / "samples.npz", folder / "predictions.npz"]
    seen += sorted(folder.path.glob("weights/*.pth")) + sorted(folder.path.glob("attributions/*.npz"))
    key = key_of(
        {
            "subject": subject,
            "seed": asked.seed,
            "files": {str(path.relative_to(work.run.path)): digest_of(path) for path in seen},
            "settings": asked.settings,
            "methods": asked.methods,
            "selection": work.config.selection.model_dump(),
            "model": work.config.model.model_dump(),
            "data": work.dataset.sha256,
            "code": environment.code_digest(
                "models", "attributions", "sparse/gradients", "pipeline/probes", *modules
            ),
            "torch": torch.__version__,
            "device": environment.describe_device(work.device),
        }
    )
    return work.cache.found_or_made(
        "probe", key, lambda made: made.write_arrays(f"{subject}.npz", ask(asked))
    )


def _integrity(asked: Asked) -> Arrays:
    """How far each map is from its definition, and each stored prediction from what the weights give."""
    logits = asked.folder.read_arrays("predictions.npz")["logits"]
    chosen = torch.from_numpy(logits[asked.indices]).to(asked.work.device)
    found = {"predictions": integrity.prediction_errors(asked.network, asked.images, chosen)}
    for name in asked.methods:
        errors = attributions.identity_errors(
            asked.network,
            asked.images,
            asked.targets,
            asked.maps(name),
            name,
            asked.settings,
            seed=stream(asked.seed, "integrity"),
        )
        if errors is not None:
            found[name] = errors
    return {"names": np.array(list(found)), "errors": np.stack([to_numpy(one) for one in found.values()])}


PROBES: dict[str, tuple[Callable[[Asked], Arrays], tuple[str, ...]]] = {
    "integrity": (_integrity, ("integrity",)),
}
"""By subject: what is asked, and the modules beside those of attribution that the answer depends on."""
