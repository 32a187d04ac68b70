"""One run's networks, ready to answer: prediction, maps and checks of any input, part by part."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from harness import attributions, environment
from harness.config import HOW, Config, settings
from harness.criteria.diagnosis import sentence
from harness.datasets import Dataset
from harness.environment.state import clean
from harness.errors import InputError
from harness.forms import Form, ends_of
from harness.measurements import CONTROL_METHOD
from harness.measurements.integrity import TOLERANCE
from harness.pipeline.reopened import data_of
from harness.pipeline.work import Work, attribution_settings, filled, untrained
from harness.records import Floats
from harness.runs import Run
from harness.studio.answer import Answer, Asked, Part
from harness.studio.asked import Question
from harness.subjects import catalogue
from harness.subjects.precision import in_precision
from harness.subjects.sparse.structure import structure_of
from harness.text import words

KEPT = 8
"""Of so many inputs what was asked last is remembered: one for each page that asks by turns."""


class Live:
    """One run's networks, ready to answer.

    Not to be asked by two threads at once.

    Args:
        run: A finished run.
        device: Where to compute.

    Raises:
        ConfigurationError: the run's methods or its model are not there.
        DataError: its data is not there, or is not the data that it was computed of.
        RunError: its samples or its weights are missing or damaged.
    """

    def __init__(self, run: Run, *, device: str = "cpu") -> None:
        self.run, self.config, self.device = run, run.config, torch.device(device)
        self.dataset = data_of(run)
        self.form = self.dataset.form
        self.methods = self.config.attribution.methods
        if "reconstruction" in run.capabilities:
            self.methods = tuple(dict.fromkeys((*self.methods, CONTROL_METHOD)))
        attributions.refuse_uninstalled(self.methods)
        self.precision = torch.float64 if "float64" in run.capabilities else torch.float32
        self.tolerance = TOLERANCE[str(self.precision).removeprefix("torch.")]
        self._scaled = _scaled(self.form)
        self._samples = run.directory.read_arrays("samples.npz", only=("indices", "labels"))
        self._seeds: dict[int, Asked] = {}
        self._answers: dict[tuple[Any, ...], Answer] = {}
        self._refuse_damaged_weights()
        self.of(self.config.seeds[0])

    def _refuse_damaged_weights(self) -> None:
        """Of every seed before one is asked: who asks for another later is not the one who can mend it."""
        parts = catalogue.parts_of(untrained(self.config, self.dataset, self.config.seeds[0]))
        for seed in self.config.seeds:
            for name in parts:
                self.run.directory.seed(seed).read(f"weights/{name}.pth")

    @property
    def train_images(self) -> Tensor:
        """float32 [n, features], the training inputs as the networks see them."""
        return torch.from_numpy(self.dataset.inputs(self.dataset.train_images))

    def of(self, seed: int) -> Asked:
        """What a seed is asked with; read once.

        Raises:
            InputError: it is none of the run's.
            RunError: its weights are missing or damaged.
        """
        if seed not in self.config.seeds:
            raise InputError(f"seed: must be one of {list(self.config.seeds)}, the run's (got {seed})")
        if seed not in self._seeds:
            self._seeds[seed] = self._read(seed)
        return self._seeds[seed]

    @clean()
    def _read(self, seed: int) -> Asked:
        network = filled(self.config, self.dataset, seed, self.run.directory.seed(seed))
        network = _laid_out(network.to(self.device).eval())
        with torch.no_grad():
            baseline = network(torch.zeros(1, len(self.form.reference), device=self.device))[0]
        agreements = np.empty(0)
        if "agreement" in (rows := self.run.directory.read_arrays("measurements/agreement.npz")):
            agreements = rows["agreement"][self.config.seeds.index(seed)]
        return Asked(
            seed=seed,
            network=network,
            exact=in_precision(network, self.precision),
            blank=_laid_out(untrained(self.config, self.dataset, seed).to(self.device)),
            # of a run's work it reads what stands here, too
            settings=attribution_settings(cast(Work, self), seed),
            baseline_logits=baseline,
            agreements=agreements,
            methods=self.methods,
            form=self.form,
            capabilities=self.run.capabilities,
            precision=self.precision,
            tolerance=self.tolerance,
        )

    @cached_property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest number that an input may hold, in the data's own scale."""
        return range_of(self.dataset)

    @cached_property
    def _width(self) -> int:
        """How many units the code has; 0 of a model without one."""
        if "code" not in self.run.capabilities:
            return 0
        asked = self.of(self.config.seeds[0])
        with torch.no_grad():
            blank = torch.zeros(1, math.prod(self.form.shape), device=self.device)
            return int(asked.network.encode(blank).shape[-1])

    @property
    def about(self) -> Part:
        """What the run is, and what may be asked of it, as plain values."""
        verdict, model = self.run.verdict, self.run.model.model
        return {
            "id": self.run.provenance.run_id,
            "title": f"{model} on {self.dataset.name}",
            "verdict": None if verdict is None else verdict["verdict"],
            "why": "" if verdict is None else sentence(verdict),
            "settings": settings_of(self.config),
            "model": model,
            "dataset": self.dataset.name,
            "digest": self.dataset.digest,
            "seeds": list(self.config.seeds),
            "seed": self.config.seeds[0],
            "classes": list(self.run.classes),
            "shape": list(self.form.shape),
            "axes": list(self.form.axes),
            "features": math.prod(self.form.shape),
            "range": list(self.range),
            "capabilities": sorted(self.run.capabilities),
            "methods": [
                {"name": name, "title": words(name), "space": one.space, "control": one.control}
                for name, one in ((name, attributions.methods[name]) for name in self.methods)
            ],
            "samples": [
                {"place": place, "index": int(index), "label": int(label)}
                for place, (index, label) in enumerate(
                    zip(self._samples["indices"], self._samples["labels"], strict=True)
                )
            ],
            "width": self._width,
            "tests": len(self.dataset.test_images),
            "tolerance": self.tolerance,
            "noun": self.form.one,
        }

    def input(self, index: int) -> Floats:
        """A test input in the data's own scale: float32 [features].

        Raises:
            InputError: there is none at that position.
        """
        tests = self.dataset.test_images
        if not 0 <= index < len(tests):
            raise InputError(f"index: must be in 0..{len(tests) - 1}, a test {self.form.one} (got {index})")
        (found,) = self._scaled.inputs(tests[index : index + 1])
        return np.asarray(found)

    def seen(self, inputs: Floats) -> Tensor:
        """An input in the data's own scale (float32 [features]) as the networks see it: [1, features]."""
        values = np.array(inputs, dtype=np.float32)
        if self.form.reference.any():
            values -= self.form.reference
        return torch.from_numpy(values)[None].to(self.device)

    def answer(self, question: Question) -> Iterator[Part]:
        """The parts of an answer, the prediction first, the dearest last.

        Empty parts come between, after each method's map: wherever something is yielded the rest may be left.

        Raises:
            InputError: the question asks for what the run does not have.
        """
        for step in self._asking(question):
            with clean(), self._deterministic():
                found = step()
            yield found

    def _deterministic(self) -> AbstractContextManager[object]:
        """As the run computed; a CPU has no other way, and the settings are spared it."""
        return nullcontext() if self.device.type == "cpu" else environment.deterministic()

    def _asking(self, question: Question) -> Iterator[Callable[[], Part]]:
        """What is to be computed for a question.

        Raises:
            InputError: as `answer`.
        """
        asked, features = self.of(question.seed), math.prod(self.form.shape)
        if np.shape(question.inputs) != (features,):
            raise InputError(f"inputs: must be {features} numbers (got shape {np.shape(question.inputs)})")
        for name in question.methods or ():
            if name not in self.methods:
                raise InputError(f"methods: must be some of {', '.join(self.methods)} (got {name!r})")
        for what in ("target", "against"):
            label = getattr(question, what)
            if label is not None and not 0 <= label < len(self.run.classes):
                raise InputError(f"{what}: must be in 0..{len(self.run.classes) - 1} (got {label})")
        changed = None
        if question.index is not None:
            changed = float(np.abs(self.input(question.index) - question.inputs).max())
        return self._known(asked, question).steps(question, changed)

    def _known(self, asked: Asked, question: Question) -> Answer:
        """What is known already of a question's decision at its input: a page asks for its parts by turns."""
        inputs = np.ascontiguousarray(question.inputs, dtype=np.float32)
        key = (asked.seed, question.target, question.against, inputs.tobytes())
        answer = self._answers.pop(key, None)
        if answer is None:
            answer = Answer(asked, self.seen(inputs), question.target, question.against)
        self._answers[key] = answer
        if len(self._answers) > KEPT:
            del self._answers[next(iter(self._answers))]
        return answer


def range_of(dataset: Dataset) -> tuple[float, float]:
    """The lowest and the highest number of a data set, in its own scale; of brightness 0 and 1.

    The page draws and paints between them, as a report draws: whatever type the numbers are stored as.
    """
    stored = dataset.train_images, dataset.test_images
    ends = np.array([[min(one.min() for one in stored), max(one.max() for one in stored)]])
    low, high = np.sort(_scaled(dataset.form).inputs(ends)[0]).tolist()
    return ends_of(dataset.form.kind, low, high)


def _scaled(form: Form) -> Form:
    """The same form, of inputs in the data's own scale."""
    return replace(form, reference=np.zeros_like(form.reference))


def settings_of(config: Config) -> dict[str, str]:
    """What a run was asked for, by key, as one writes it; not where it lies and how it is run."""
    values = {
        key: getattr(config if table is None else getattr(config, table), key) for key, table, _ in settings()
    }
    return {
        key: ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for key, value in values.items()
        if key not in HOW and not isinstance(value, Path)
    }


def _laid_out(network: Any) -> Any:
    """The same network, its classifier's weights in memory by input, as the fast paths take them."""
    structure = structure_of(network)
    for layer in structure.layers[:-1] if structure is not None else ():
        layer.weight.data = layer.weight.data.T.contiguous().T
    return network
