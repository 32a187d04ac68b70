"""Choose the samples, and explain them with each method, on the trained network and the untrained."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from harness import attributions, environment, samples, statistics
from harness.artifacts.cache import share
from harness.artifacts.documents import ClassYield, Looks, Samples
from harness.artifacts.files import Folder, key_of
from harness.capabilities import lacking
from harness.environment import stream
from harness.measurements import CONTROL_METHOD
from harness.pipeline.work import (
    Work,
    attribution_settings,
    keyed,
    network_digest,
    to_numpy,
    untrained,
    within_memory,
)
from harness.records import Floats, Ints
from harness.samples import Selection
from harness.subjects.models import Coded
from harness.text import listed


def select(work: Work) -> None:
    """Choose the samples that every seed names rightly and surely.

    At a later look more are chosen, those of the look before among them.
    """
    config, by_seed = work.config.selection, _logits(work)
    per_class = work.looks[work.look] if work.looks else config.samples_per_class
    labels = work.dataset.test_labels.astype(np.int64)
    selection = samples.select(
        list(by_seed.values()),
        labels,
        len(work.dataset.classes),
        per_class=per_class,
        confidence=config.confidence,
        generator=np.random.default_rng(stream(work.config.seeds[0], "selection")),
        common_order=config.common_order,
    )
    work.selection = selection
    if not work.looks:
        pool = min(one.sure for one in selection.yields)
        more = work.config.statistics.until_decided and pool > per_class
        work.looks = statistics.looks(per_class, pool) if more else (per_class,)
    _write_down(work, selection, by_seed)
    short = [work.dataset.classes[one.label] for one in selection.yields if one.chosen < one.wanted]
    if short:
        work.progress.warn(
            f"fewer than {per_class} right and sure {work.dataset.form.noun} of: {listed(short)}"
        )


def freeze(indices: Ints) -> Callable[[Work], None]:
    """A stage in place of `select`: the images at these positions, whatever the networks say of them."""

    def select(work: Work) -> None:
        by_seed = _logits(work)
        work.selection = samples.frozen(
            list(by_seed.values()),
            work.dataset.test_labels.astype(np.int64),
            len(work.dataset.classes),
            indices=indices,
            confidence=work.config.selection.confidence,
        )
        work.looks = (work.config.selection.samples_per_class,)
        _write_down(work, work.selection, by_seed)

    return select


def _logits(work: Work) -> dict[int, Floats]:
    """What each seed's network says of the test set."""
    return {seed: work.run.seed(seed).read_arrays("predictions.npz")["logits"] for seed in work.config.seeds}


def _write_down(work: Work, selection: Selection, by_seed: Mapping[int, Floats]) -> None:
    """`samples.npz`, `samples.csv` and `samples.json`."""
    chosen = selection.indices
    names, truth = work.dataset.classes, work.dataset.truth
    arrays: dict[str, Any] = {
        "images": work.dataset.test_images[chosen],
        "indices": chosen,
        "labels": selection.labels,
    }
    if truth is not None:
        arrays["truth"] = truth[chosen]
    work.run.write_arrays("samples.npz", arrays)
    tables = [
        pd.DataFrame(
            {
                "index": chosen,
                "label": selection.labels,
                "class": [names[label] for label in selection.labels],
                "seed": seed,
                "prediction": logits[chosen].argmax(axis=1),
                "confidence": samples.confidences(logits[chosen]) if len(chosen) else [],
            }
        )
        for seed, logits in by_seed.items()
    ]
    work.run.write_table("samples.csv", pd.concat(tables))
    told = Samples(
        surest=selection.surest,
        confidence=work.config.selection.confidence,
        looks=Looks(planned=list(work.looks), taken=work.look + 1),
        yields=[
            ClassYield.model_validate(asdict(one) | {"class": names[one.label]}) for one in selection.yields
        ],
    )
    work.run.write_json("samples.json", told.model_dump(by_alias=True))


def attribute(work: Work) -> None:
    """Explain the samples with each method, and with each method on the untrained network as a control."""
    selection = work.selection
    if selection is None:
        raise RuntimeError("attribute comes after select")
    images = work.test_images[torch.from_numpy(selection.indices).to(work.device)]
    targets = torch.from_numpy(selection.labels).to(work.device)
    control = () if lacking(attributions.methods[CONTROL_METHOD], work.capabilities) else (CONTROL_METHOD,)
    named = list(dict.fromkeys((*work.config.attribution.methods, *control)))
    for seed, network in work.networks.items():
        folder = work.run.seed(seed)
        blank = untrained(work.config, work.dataset, seed).to(work.device)
        for name in named:
            share(_maps(work, network, seed, name, images, targets, selection), folder / "attributions")
        for name in work.config.attribution.methods:
            share(_maps(work, blank, seed, name, images, targets, selection), folder / "untrained")
        if not isinstance(network, Coded):
            continue
        codes = folder.read_arrays("codes.npz")
        if "reconstruction" in work.capabilities:
            with torch.no_grad():
                codes["reconstructions"] = to_numpy(network.decode(network.encode(images)))
        codes["class_contributions"] = to_numpy(
            class_contributions(network, images, targets, len(work.dataset.classes))
        )
        folder.write_arrays("codes.npz", codes)


def class_contributions(network: Coded, images: Tensor, targets: Tensor, classes: int) -> Tensor:
    """Mean over each class's images of z_j df_y/dz_j, what a unit adds to the class's logit.

    It is the weight that `decoder_weighted` gives to the unit's atom.

    Args:
        network: In evaluation mode.
        images: float32 [n, pixels], in [0, 1].
        targets: int64 [n], the classes y.
        classes: How many there are.

    Returns:
        float32 [classes, code width], summed over places where there are several; NaN where a class has no
        image.
    """
    with torch.no_grad():
        codes = network.encode(images)
    codes.requires_grad_()
    logits = network.readout(codes, images).gather(1, targets[:, None])
    (slope,) = torch.autograd.grad(logits.sum(), codes)
    contributions = (codes * slope).detach()
    if contributions.ndim > 2:
        contributions = contributions.sum(dim=1)
    return torch.stack([contributions[targets == label].mean(dim=0) for label in range(classes)])


def _maps(
    work: Work,
    network: nn.Module,
    seed: int,
    name: str,
    images: Tensor,
    targets: Tensor,
    selection: Selection,
) -> Folder:
    """The cache entry of one method's maps of one network."""
    settings = attribution_settings(work, seed)
    method = attributions.methods[name]
    key = key_of(
        {
            "method": name,
            "settings": keyed(settings),
            "network": network_digest(network),
            "images": hashlib.sha256(to_numpy(images).tobytes()).hexdigest(),
            "targets": targets.tolist(),
            "indices": selection.indices.tolist(),
            "code": environment.code_digest(
                "subjects", "attributions", "environment", "pipeline/explanations"
            ),
            "space": method.space,
            "functions": [
                environment.source_digest(one)
                for one in (method.maps, method.sensitivity, method.groups)
                if one is not None
            ],
            "torch": torch.__version__,
            "package": environment.version_of(method.package) if method.package else "",
            "device": environment.device_key(work.device),
        }
    )

    def asked(used: Mapping[str, Any]) -> attributions.Maps:
        return attributions.attribute(network, images, targets, name, used)

    def fill(made: Folder) -> None:
        start = time.perf_counter()
        maps = within_memory(work, name, settings, asked)
        work.paces[name] = (time.perf_counter() - start) / max(1, len(images))
        if not environment.ships(method.maps) and not attributions.are_same(
            maps, within_memory(work, name, settings, asked)
        ):
            work.name_unrepeatable(name, "asked twice it gives other maps")
        arrays = {
            "maps": to_numpy(maps.own).astype(np.float32),
            "space": np.array(maps.space),
            "family": np.array(method.family),
            "missingness": np.array(method.missingness),
            "control": np.array(method.control),
            "targets": to_numpy(targets),
            "indices": selection.indices,
        }
        if maps.sensitivity is not None:
            arrays["sensitivity"] = to_numpy(maps.sensitivity).astype(np.float32)
        groups = attributions.groups_of(name, images.shape[1], settings)
        if groups is not None:
            arrays["groups"] = to_numpy(groups)
        made.write_arrays(f"{name}.npz", arrays)

    return work.cache.found_or_made("attribution", key, fill)
