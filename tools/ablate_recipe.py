"""What each part of the recipe `interpretable` does: trains and measures it without each, beside `reference`.

Usage: python -m tools.ablate_recipe [--output FILE] [--rows reference,interpretable,...] [--seeds 0,1,2,3,4]
           [--validation] [--device auto] [--dataset auto] [--data-dir FOLDER] [--config FILE]

A row is one recipe: all seeds are trained as one batched model, and measured on the images that all of them
name rightly and surely, as a run of the harness would. Rows stand in the JSON file as they are finished, and
are not computed again. With --validation the last tenth of a permutation of the training set is judged in the
test set's place, and the test set is not looked at: so the recipe was chosen.

Of the values of the seeds, tables show the mean with Student's 95 % interval; differences to `reference` are
paired by seed. 40 s a row on an H100, an hour and a half on two cores; on the excerpt 3 minutes.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from torch import Tensor

import harness
from harness import attributions, environment, samples
from harness.attributions import sanity
from harness.config import Config
from harness.console import Shown
from harness.datasets import Dataset
from harness.environment import stream
from harness.measurements.agreement import by_pair, correlations, pairs
from harness.measurements.validity import area
from harness.pipeline import loaded
from harness.pipeline.work import declared_settings, to_numpy, untrained
from harness.records import Floats, Ints
from harness.statistics.resampling import stratified_mean
from harness.subjects import interpretable
from harness.subjects.interpretable import PARTS, REFERENCE, Parts
from harness.subjects.models import PixelClassifier
from tools.tables import markdown

ROWS: dict[str, Parts] = {
    "reference": REFERENCE,
    "interpretable": PARTS,
    "untied": replace(PARTS, tied=False),
    "default start": replace(PARTS, unit_start=False),
    "no auxiliary loss": replace(PARTS, auxiliary=0),
    "no annealing": replace(PARTS, annealing=1.0),
    "no noise for the autoencoder": replace(PARTS, autoencoder_noise=0.0),
    "no noise for the classifier": replace(PARTS, classifier_noise=0.0),
    "no weight decay": replace(PARTS, weight_decay=0.0),
    "constant learning rate": replace(PARTS, cosine=False),
}
"""Recipes by name: the two that ship, and the second without each of its parts."""

SHARE = 10
"""One training image in so many is judged with --validation."""

PART = 8192
"""Images that are encoded at once."""

TABLES: dict[str, dict[str, str]] = {
    "The network, and its agreement": {
        "accuracy": "accuracy",
        "MSE": "reconstruction",
        "dead units": "dead_units",
        "agreement": "agreement",
        "worst pair": "agreement_worst_pair",
        "in sensitivity space": "agreement_sensitivity",
        "worst pair there": "agreement_worst_pair_sensitivity",
        "gap of integrated gradients": "completeness",
    },
    **{
        title: {
            name.replace("_", " "): f"{measurement}.{name}" for name in harness.Config().attribution.methods
        }
        for title, measurement in {
            "Area under deletion (less is better)": "deletion",
            "Area under insertion (more is better)": "insertion",
            "Max-sensitivity (less is better)": "max_sensitivity",
        }.items()
    },
}
"""By title, each column's measurement."""


def held_out(data: Dataset) -> Dataset:
    """The training set, the last tenth of a permutation of it in the test set's place."""
    order = np.random.default_rng(stream(0, "validation")).permutation(len(data.train_images))
    kept, judged = np.split(order, [len(order) - len(order) // SHARE])
    return replace(
        data,
        train_images=data.train_images[kept],
        train_labels=data.train_labels[kept],
        test_images=data.train_images[judged],
        test_labels=data.train_labels[judged],
        truth=None,
    )


class Bench:
    """Data on a device, and the networks of some seeds to train and measure on it."""

    def __init__(self, config: Config, data: Dataset, device: torch.device, shown: Shown) -> None:
        """Put the data there."""
        self.config, self.data, self.device, self.shown = config, data, device, shown
        self.images, self.judged = (
            torch.from_numpy(data.inputs(stored)).to(device)
            for stored in (data.train_images, data.test_images)
        )
        self.labels = torch.from_numpy(data.train_labels.astype(np.int64)).to(device)
        self.truth: Ints = data.test_labels.astype(np.int64)

    def row(self, name: str, parts: Parts) -> dict[str, Any]:
        """A recipe's values by seed, and how long its training took."""
        start = time.perf_counter()
        networks = self._trained(name, parts)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds = time.perf_counter() - start
        values: dict[str, list[float]] = {}
        for one in self._measured(networks):
            for measurement, value in one.items():
                values.setdefault(measurement, []).append(value)
        whole = time.perf_counter() - start
        self.shown.say(f"{name}: trained in {seconds:.1f} s, measured in {whole - seconds:.1f} s")
        return {"training_s": seconds, "values": values}

    def _trained(self, name: str, parts: Parts) -> list[PixelClassifier]:
        """The networks of all seeds, drawn and trained as a run of the harness does."""
        seeds, settings = self.config.seeds, self.config.training
        networks = [untrained(self.config, self.data, seed).to(self.device) for seed in seeds]
        autoencoders = [one.autoencoder for one in networks]
        recipe: dict[str, Any] = dict(
            parts=parts, batch_size=settings.batch_size, learning_rate=settings.learning_rate
        )

        def orders(stage: str) -> list[torch.Generator]:
            return [torch.Generator().manual_seed(stream(seed, f"{stage} batches")) for seed in seeds]

        with environment.seeded(stream(seeds[0], "autoencoder dropout")):
            log = interpretable.train_autoencoders(
                autoencoders, self.images, orders("autoencoder"), epochs=settings.epochs, **recipe
            )
            for _ in self.shown.epochs(f"{name}: autoencoder", log, settings.epochs):
                pass
        with environment.seeded(stream(seeds[0], "classifier dropout")):
            log = interpretable.train_classifiers(
                [one.classifier for one in networks],
                autoencoders,
                self.images,
                self.labels,
                orders("classifier"),
                epochs=settings.classifier_epochs,
                **recipe,
            )
            for _ in self.shown.epochs(f"{name}: classifier", log, settings.classifier_epochs):
                pass
        return [one.eval() for one in networks]

    def _measured(self, networks: Sequence[PixelClassifier]) -> Iterator[dict[str, float]]:
        """Each seed's values by measurement."""
        seeds, settings = self.config.seeds, self.config.selection
        with torch.no_grad():
            logits = [torch.cat([one(part) for part in self.judged.split(PART)]) for one in networks]
        chosen = samples.select(
            [to_numpy(one) for one in logits],
            self.truth,
            len(self.data.classes),
            per_class=settings.samples_per_class,
            confidence=settings.confidence,
            generator=np.random.default_rng(stream(seeds[0], "selection")),
        )
        for seed, network, said in zip(seeds, networks, logits, strict=True):
            found = self._of_network(network, to_numpy(said))
            yield found | self._of_maps(network, seed, chosen)

    @torch.no_grad()
    def _of_network(self, network: PixelClassifier, logits: Floats) -> dict[str, float]:
        fired = torch.stack([(network.encode(part) > 0).any(dim=0) for part in self.images.split(PART)])
        errors = [(network.autoencoder(part) - part).square().sum() for part in self.judged.split(PART)]
        return {
            "accuracy": float((logits.argmax(axis=1) == self.truth).mean()),
            "reconstruction": float(torch.stack(errors).sum()) / self.judged.numel(),
            "dead_units": float((~fired.any(dim=0)).sum()),
        }

    def _of_maps(self, network: PixelClassifier, seed: int, chosen: samples.Selection) -> dict[str, float]:
        """What the maps of the selected images are worth; each class weighs the same."""
        methods = self.config.attribution.methods
        settings = declared_settings(self.config, self.data.form)
        settings["noise_seed"] = stream(seed, "smoothgrad noise")
        images = self.judged[torch.from_numpy(chosen.indices).to(self.device)]
        targets = torch.from_numpy(chosen.labels).to(self.device)

        def mean(values: Any) -> float:
            return float(stratified_mean(np.asarray(values, dtype=np.float64), chosen.labels))

        maps = {name: attributions.attribute(network, images, targets, name, settings) for name in methods}
        own = {n: one.own if one.space == "contribution" else one.own * images for n, one in maps.items()}
        found = agreements("", own, mean) | agreements(
            "_sensitivity",
            {n: one.sensitivity for n, one in maps.items() if one.sensitivity is not None},
            mean,
        )
        if "integrated_gradients" in own:
            found["completeness"] = self._gap(network, images, targets, own["integrated_gradients"])
        curves = sanity.curves(network, images, targets, own, chunk_size=settings["chunk_size"])
        for curve, rows in zip(("deletion", "insertion"), curves, strict=True):
            areas = zip(methods, area(to_numpy(rows)), strict=True)
            found |= {f"{curve}.{name}": mean(values) for name, values in areas}
        for name in methods:

            def explain(images: Tensor, targets: Tensor, name: str = name) -> Tensor:
                return attributions.attribute(network, images, targets, name, settings).own

            drawn = torch.Generator().manual_seed(stream(seed, "perturbations"))
            values = sanity.max_sensitivity(explain, images, targets, generator=drawn)
            found[f"max_sensitivity.{name}"] = mean(to_numpy(values))
        return found

    @torch.no_grad()
    def _gap(self, network: PixelClassifier, images: Tensor, targets: Tensor, maps: Tensor) -> float:
        """The median gap of completeness."""
        logits = network(torch.cat([images, torch.zeros_like(images[:1])])).double()
        change = logits[:-1].gather(1, targets[:, None])[:, 0] - logits[-1, targets]
        return float(np.median(to_numpy((maps.double().sum(dim=1) - change).abs() / change.abs())))


def agreements(space: str, maps: Mapping[str, Tensor], mean: Any) -> dict[str, float]:
    """The agreement of each pair of methods, of all and of the worst; `space` ends the names."""
    by_method = {name: to_numpy(one) for name, one in maps.items()}
    rows = by_pair(by_method, dict.fromkeys(by_method), correlations)
    of_pairs = {f"{a}-{b}": mean(rows[:, n]) for n, (a, b) in enumerate(pairs(tuple(by_method)))}
    return {
        f"agreement{space}": sum(of_pairs.values()) / len(of_pairs),
        f"agreement_worst_pair{space}": min(of_pairs.values()),
        **{f"agreement_pair{space}.{pair}": value for pair, value in of_pairs.items()},
    }


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """The mean over seeds, and half the width of Student's interval; NaN of a single one."""
    n = len(values)
    if n < 2:
        return float(np.mean(values)), math.nan
    half = stats.t.ppf((1 + confidence) / 2, n - 1) * np.std(values, ddof=1) / math.sqrt(n)
    return float(np.mean(values)), float(half)


def shown_interval(values: Sequence[float], sign: str = "") -> str:
    """A cell: the mean and its interval."""
    mean, half = interval(values)
    digits = 4 if abs(mean) < 0.1 else 3 if abs(mean) < 10 else 1
    if math.isnan(half):
        return f"{mean:{sign}.{digits}f}"
    return f"{mean:{sign}.{digits}f} [{mean - half:{sign}.{digits}f}, {mean + half:{sign}.{digits}f}]"


def tables(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The tables of finished rows; each with one of paired differences where there is a reference."""
    reference = rows.get("reference")
    for title, columns in TABLES.items():
        there = {
            head: name for head, name in columns.items() if all(name in r["values"] for r in rows.values())
        }
        cells = {
            row: [shown_interval(found["values"][name]) for name in there.values()]
            for row, found in rows.items()
        }
        yield f"{title}\n\n{markdown('recipe', list(there), cells)}"
        if reference is not None and len(rows) > 1:
            differences = {
                row: [
                    shown_interval(
                        np.subtract(found["values"][name], reference["values"][name]).tolist(), "+"
                    )
                    for name in there.values()
                ]
                for row, found in rows.items()
                if row != "reference"
            }
            yield f"{title}: less the reference's\n\n{markdown('recipe', list(there), differences)}"


def main() -> None:
    """Compute the rows that are missing, keep each in the file, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("artifacts/ablation.json"))
    parser.add_argument("--rows", default=",".join(ROWS), help="which of them, parted by commas")
    parser.add_argument("--validation", action="store_true", help="judge a tenth of the training set")
    parser.add_argument("--config", type=Path, help="a harness.toml, for other sizes and lengths")
    for flag in ("seeds", "device", "dataset", "data-dir"):
        parser.add_argument(f"--{flag}", help="as of `harness validate`")
    asked = parser.parse_args()
    if unknown := set(asked.rows.split(",")) - {*ROWS}:
        parser.error(f"--rows must be among {', '.join(ROWS)} (got {', '.join(sorted(unknown))})")
    flags = {name: getattr(asked, name) for name in ("seeds", "device", "dataset", "data_dir")}
    config = harness.load_config(asked.config, {**flags, "seeds": asked.seeds or "0,1,2,3,4"})
    shown = Shown()
    device = environment.choose_device(config.device, shown.warn)
    data = held_out(loaded(config)) if asked.validation else loaded(config)
    of = {
        "data": data.digest,
        "validation": asked.validation,
        "seeds": list(config.seeds),
        "device": environment.describe_device(device)["name"],
        "config": config.model_dump(mode="json", include={"model", "training", "attribution", "selection"}),
    }
    kept: dict[str, Any] = {"of": of, "rows": {}}
    if asked.output.is_file():
        kept = json.loads(asked.output.read_text(encoding="utf-8"))
        if kept["of"] != of:
            parser.error(f"{asked.output} holds rows of other data, seeds or settings; name another --output")
    bench = Bench(config, data, device, shown)
    with environment.deterministic():
        for name in asked.rows.split(","):
            parts = asdict(ROWS[name])
            if kept["rows"].get(name, {}).get("parts") == parts:
                shown.say(f"{name}: taken from {asked.output}")
                continue
            kept["rows"][name] = {"parts": parts, **bench.row(name, ROWS[name])}
            asked.output.parent.mkdir(parents=True, exist_ok=True)
            asked.output.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print(*tables({name: kept["rows"][name] for name in asked.rows.split(",")}), sep="\n\n")


if __name__ == "__main__":
    main()
