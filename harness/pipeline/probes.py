"""Ask the maps what they do not show: are they what they claim to be, do they follow the model.

Everything is asked of what stands in the run directory - weights, logits, maps - and of the images that
the selection names, so that a map made of anything else is found out.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness import attributions, environment, samples
from harness.artifacts.cache import share
from harness.artifacts.files import Folder, digest_of, key_of
from harness.attributions import coalitions, integrity, sanity
from harness.attributions.method import known_to
from harness.attributions.paths import jumps_of
from harness.environment import stream
from harness.errors import InputError
from harness.measurements import correlations
from harness.pipeline import budget
from harness.pipeline.budget import FRESH
from harness.pipeline.started import Patience
from harness.pipeline.work import Work, attribution_settings, filled, keyed, to_numpy, touched, within_memory
from harness.records import Ints

Arrays = dict[str, Any]

BOUNDED = ("randomisation", "stability", "coalitions")
"""Probes that explain again and again, and ask fewer samples under a budget; no gate rests on them."""


def probe(work: Work) -> None:
    """Each seed's probes: `sanity/<subject>.npz`."""
    patience = Patience(work.progress)
    for seed in work.config.seeds:
        asked = Asked(work, seed, patience)
        if seed == work.config.seeds[0]:  # the same samples of each seed, so that these can be joined
            rows = budget.rows(asked)
            budget.foretell(asked, rows)
        for subject, (ask, modules) in PROBES.items():
            if subject in WHERE and not WHERE[subject](asked):
                continue
            some = rows if subject in BOUNDED else None
            share(_found_or_asked(asked, subject, ask, modules, some), asked.folder / "sanity")


class Asked:
    """One seed as it stands in the run directory, and what is asked of it."""

    def __init__(self, work: Work, seed: int, patience: Patience) -> None:
        """Read the seed's weights and the explained images."""
        self.work, self.seed, self.patience = work, seed, patience
        self.folder = work.run.seed(seed)
        chosen = work.run.read_arrays("samples.npz")
        self.indices = chosen["indices"]
        self.images = work.test_images[torch.from_numpy(self.indices).to(work.device)]
        self.targets = torch.from_numpy(chosen["labels"]).to(work.device)
        self.methods = work.config.attribution.methods
        self.settings = attribution_settings(work, seed)
        network = filled(work.config, work.dataset, seed, self.folder)
        self.network = network.to(work.device).eval()
        stored = {name: self.folder.read_arrays(f"attributions/{name}.npz")["maps"] for name in self.methods}
        self.maps = {name: torch.from_numpy(maps).to(work.device) for name, maps in stored.items()}
        """Each method's own maps as they stand in their file."""
        seen = [work.run / "samples.npz", self.folder / "predictions.npz"]
        seen += sorted(self.folder.path.glob("weights/*.pth"))
        seen += sorted(self.folder.path.glob("attributions/*.npz"))
        self.files = {str(path.relative_to(work.run.path)): digest_of(path) for path in seen}
        """Digests of all that the answers depend on."""

    def under(self, settings: Mapping[str, Any]) -> Asked:
        """The same, asked under other settings."""
        other = copy.copy(self)
        other.settings = dict(settings)
        return other

    def of(self, rows: Ints) -> Asked:
        """The same, asked of some of the samples, by their positions."""
        other, some = copy.copy(self), torch.from_numpy(rows).to(self.images.device)
        other.indices, other.images, other.targets = self.indices[rows], self.images[some], self.targets[some]
        other.maps = {name: maps[some] for name, maps in self.maps.items()}
        return other

    @cached_property
    def drawing(self) -> dict[str, Tensor | None]:
        """Methods that draw from a seed: with each feature's group, or None of those that draw references."""
        found = {}
        for name in self.methods:
            groups = attributions.groups_of(name, self.images.shape[1], self.settings)
            taken = known_to(attributions.methods[name].maps, {"noise_seed": 0, "references": None})
            if "noise_seed" in taken and (groups is not None or "references" in taken):
                found[name] = groups
        return found

    @property
    def packages(self) -> set[str]:
        """The packages that the methods need beside the harness's own."""
        return {attributions.methods[name].package for name in self.methods} - {""}

    def now(self, subject: str, of: str) -> None:
        """Tell somebody who waits which probe is asked, of which method or layer."""
        seed = f"seed {self.seed}: " if len(self.work.config.seeds) > 1 else ""
        self.patience.now(f"{seed}probing {subject} of {of}")

    def contributions(self, name: str) -> Tensor:
        """A method's maps in contribution space."""
        maps = self.maps[name]
        return maps if attributions.methods[name].space == "contribution" else maps * self.images


def _found_or_asked(
    asked: Asked,
    subject: str,
    ask: Callable[[Asked], Arrays],
    modules: tuple[str, ...],
    rows: Ints | None,
) -> Folder:
    """The cache entry of one seed's probe, of all samples or of those at some positions."""
    work = asked.work
    key = key_of(
        {
            "subject": subject,
            "touched": touched(),
            "seed": asked.seed,
            "files": asked.files,
            "settings": keyed(asked.settings),
            "methods": asked.methods,
            "selection": work.config.selection.model_dump(),
            "capabilities": sorted(work.capabilities),
            "rows": None if rows is None else rows.tolist(),
            "model": work.config.model.model_dump(mode="json"),
            "data": work.dataset.digest,
            "code": environment.code_digest(
                "subjects", "attributions", "environment", "pipeline/probes", *modules
            ),
            "functions": [
                [
                    environment.source_digest(one)
                    for one in (method.maps, method.sensitivity, method.identity)
                    if one
                ]
                for method in map(attributions.methods.__getitem__, asked.methods)
            ],
            "torch": torch.__version__,
            "packages": {name: environment.version_of(name) for name in sorted(asked.packages)},
            "device": environment.device_key(work.device),
        }
    )

    def answer(used: Mapping[str, Any]) -> Arrays:
        with environment.seeded(stream(asked.seed, f"probe {subject}")):
            if rows is None:
                return ask(asked.under(used))
            return ask(asked.under(used).of(rows)) | {"rows": rows}

    def fill(made: Folder) -> None:
        arrays = within_memory(work, f"the probe {subject}", asked.settings, answer)
        made.write_arrays(f"{subject}.npz", arrays)

    return work.cache.found_or_made("probe", key, fill)


def _integrity(asked: Asked) -> Arrays:
    """How far each map is from its definition, and each stored prediction from what the weights give."""
    logits = asked.folder.read_arrays("predictions.npz")["logits"]
    chosen = torch.from_numpy(logits[asked.indices]).to(asked.work.device)
    precision = torch.float64 if "float64" in asked.work.capabilities else torch.float32
    whole = integrity.prediction_errors(asked.network, asked.images, chosen, precision)
    found = {"predictions": integrity.Answers(whole, torch.ones_like(whole))}
    for name in asked.methods:
        asked.now("integrity", name)
        answers = attributions.identity_errors(
            asked.network,
            asked.images,
            asked.targets,
            asked.maps[name],
            name,
            asked.settings,
            seed=stream(asked.seed, "integrity"),
            precision=precision,
        )
        if answers is not None:
            found[name] = answers
    return {
        "precision": np.array(str(precision).removeprefix("torch.")),
        "names": np.array(list(found)),
        "errors": np.stack([to_numpy(one.errors) for one in found.values()]),
        "along": np.stack([to_numpy(one.along) for one in found.values()]),
        "methods": np.array(asked.methods),
        "spaces": np.array([attributions.methods[name].space for name in asked.methods]),
    }


def _curves(asked: Asked) -> Arrays:
    """Deletion and insertion by each method's contributions, by |x|, and in a random order of each image."""
    orders = {name: asked.contributions(name) for name in asked.methods}
    orders["image"] = asked.images.abs()
    draws = stream(asked.seed, "random order")
    shuffled = [
        np.random.default_rng([draws, index]).random(asked.images.shape[1]) for index in asked.indices
    ]
    random = np.array(shuffled, dtype=np.float32).reshape(asked.images.shape)
    orders["random"] = torch.from_numpy(random).to(asked.images)
    deletion, insertion = sanity.curves(
        asked.network, asked.images, asked.targets, orders, chunk_size=asked.settings["chunk_size"]
    )
    return {
        "orders": np.array(list(orders)),
        "deletion": to_numpy(deletion),
        "insertion": to_numpy(insertion),
    }


def _randomisation(asked: Asked) -> Arrays:
    """The correlation of each method's contributions with those under new weights, layer by layer."""
    layers: list[str] = []
    found: dict[str, list[Any]] = {"cascading": [], "alone": []}
    for layer, *models in sanity.randomised(asked.network, stream(asked.seed, "new weights")):
        layers.append(layer)
        for kind, model in zip(found, models, strict=True):
            rows = []
            for name in asked.methods:
                asked.now("randomisation", f"{name}, {layer}")
                maps = attributions.explain(model, asked.images, asked.targets, name, **asked.settings)[name]
                rows.append(correlations(to_numpy(asked.contributions(name)), to_numpy(maps)))
            found[kind].append(rows)
    by_method = {kind: np.array(rows, dtype=np.float32).swapaxes(0, 1) for kind, rows in found.items()}
    kept = np.array(sanity.unchanged(asked.network), dtype=str)
    return {"methods": np.array(asked.methods), "layers": np.array(layers), "kept": kept} | by_method


def _stability(asked: Asked) -> Arrays:
    """Each method's max-sensitivity, in its own space."""
    found = []
    for name in asked.methods:
        asked.now("stability", name)

        def explain(images: Tensor, targets: Tensor, name: str = name) -> Tensor:
            return attributions.attribute(asked.network, images, targets, name, asked.settings).own

        generator = torch.Generator().manual_seed(stream(asked.seed, "perturbations"))
        found.append(
            to_numpy(sanity.max_sensitivity(explain, asked.images, asked.targets, generator=generator))
        )
    return {"methods": np.array(asked.methods), "max_sensitivity": np.stack(found)}


def _others(asked: Asked) -> Arrays:
    """Contributions of images that were not selected: right but unsure ones, and the surest wrong ones."""
    work, logits = asked.work, asked.folder.read_arrays("predictions.npz")["logits"]
    others = samples.others(
        logits,
        work.dataset.test_labels.astype(np.int64),
        len(work.dataset.classes),
        confidence=work.config.selection.confidence,
        generator=np.random.default_rng(stream(asked.seed, "others")),
    )
    images = work.test_images[torch.from_numpy(others.indices).to(work.device)]
    targets = torch.from_numpy(others.targets).to(work.device)
    maps = attributions.explain(asked.network, images, targets, asked.methods, **asked.settings)
    return {
        "kind": others.kinds,
        "images": work.dataset.test_images[others.indices],
        "indices": others.indices,
        "labels": others.labels,
        "targets": others.targets,
        "confidences": others.confidences,
        "methods": np.array(asked.methods),
        "contributions": np.stack([to_numpy(maps[name]) for name in asked.methods]),
    }


def _coalitions(asked: Asked) -> Arrays:
    """Of methods that draw: how far a second design's maps are; of coalitions, R-squared at fresh ones."""
    fits, spreads = [], []
    settings = asked.settings
    other = {**settings, "noise_seed": stream(asked.seed, "second design")}
    drawn = stream(asked.seed, "fresh coalitions")
    for name, groups in asked.drawing.items():
        asked.now("coalitions", name)
        fit = torch.full((len(asked.images),), torch.nan, dtype=torch.float64)
        if groups is not None:
            keep = coalitions.masks(int(groups.max()) + 1, FRESH, drawn)
            values = coalitions.values(
                asked.network, asked.images, asked.targets, keep, groups, chunk_size=settings["chunk_size"]
            )
            fit = coalitions.fit(values, asked.maps[name], keep, groups)
        fits.append(to_numpy(fit))
        again = attributions.attribute(asked.network, asked.images, asked.targets, name, other).own
        norms = torch.linalg.vector_norm(asked.maps[name], dim=1)
        spreads.append(to_numpy(torch.linalg.vector_norm(again - asked.maps[name], dim=1) / norms))
    return {"methods": np.array(list(asked.drawing)), "fit": np.stack(fits), "spread": np.stack(spreads)}


def _switches(asked: Asked) -> Arrays:
    """Each change of the top-k on the way to each image, and by how much f_y jumps there; or why not."""
    asked.now("switches", "the code")
    try:
        found = jumps_of(asked.network, asked.images, asked.targets, chunk_size=asked.settings["chunk_size"])
    except InputError as error:
        return {"reason": np.array(str(error))}
    arrays = {name: to_numpy(one) for name, one in vars(found).items()}
    return {name: one.astype(np.int32) if one.dtype == np.int64 else one for name, one in arrays.items()}


WHERE: Mapping[str, Callable[[Asked], bool]] = {
    "coalitions": lambda asked: bool(asked.drawing),
    "switches": lambda asked: "k" in asked.work.capabilities,
}
"""By subject: whether a probe is asked at all; others always are."""

PROBES: dict[str, tuple[Callable[[Asked], Arrays], tuple[str, ...]]] = {
    "integrity": (_integrity, ()),
    "curves": (_curves, ()),
    "coalitions": (_coalitions, ()),
    "randomisation": (_randomisation, ("measurements/agreement",)),
    "stability": (_stability, ()),
    "switches": (_switches, ()),
    "others": (_others, ("samples",)),
}
"""By subject: what is asked, and the modules beside those of attribution that the answer depends on."""
