"""The parts of one answer: what is computed of one input, in the order in which it is worth waiting for."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness import attributions
from harness.attributions import sanity
from harness.environment import stream
from harness.errors import InputError
from harness.forms import Form
from harness.measurements import MethodMaps
from harness.pipeline.work import to_numpy
from harness.records import Floats
from harness.studio import controls, path, units
from harness.studio.asked import Question
from harness.studio.decision import Decision
from harness.studio.explaining import (
    Explained,
    completeness_gap,
    definition_error,
    explained,
    invents,
    refused,
)
from harness.subjects.models import Coded
from harness.text import words

Part = dict[str, Any]

OF_MAPS = frozenset({"maps", "integrity", "agreement", "deletion"})
"""Parts that need the methods' maps."""


@dataclass(frozen=True, eq=False)
class Asked:
    """One seed of a run, and what of its answers depends on no input.

    Attributes:
        seed: The seed.
        network: Trained, in evaluation mode.
        exact: The same network in `precision`.
        blank: The same before its training.
        settings: Of all methods.
        baseline_logits: float32 [classes], of the baseline.
        agreements: float64 [n], of the run's own inputs; none where they were not measured.
        methods: The run's methods, controls among them.
        form: Of the inputs.
        capabilities: Of the model.
        precision: In which maps are held to their definitions.
        tolerance: How far they may be from these.
    """

    seed: int
    network: Any
    exact: nn.Module
    blank: nn.Module
    settings: Mapping[str, Any]
    baseline_logits: Tensor
    agreements: Floats
    methods: tuple[str, ...]
    form: Form
    capabilities: frozenset[str]
    precision: torch.dtype
    tolerance: float


class Answer:
    """What is known of one decision at one input, computed part by part as it is asked for, and once.

    Args:
        asked: Of whom.
        inputs: float32 [1, features], as the network sees them.
        target: The class explained; None is the predicted one.
        against: A second class, whose logit is taken away; None where there is none.
    """

    def __init__(self, asked: Asked, inputs: Tensor, target: int | None, against: int | None) -> None:
        self.asked, self.inputs, self.target, self.against = asked, inputs, target, against
        self.network: Any = asked.network
        self.found: dict[str, Explained] = {}
        self.blank: dict[str, MethodMaps] = {}
        self.errors: dict[str, float | None] = {}

    def steps(self, question: Question, changed: float | None) -> Iterator[Callable[[], Part]]:
        """What is to be computed for a question, one after the other; some give nothing yet.

        Args:
            question: Its methods, units and parts; its input, its seed and its classes are the answer's.
            changed: By how much its input differs from the test input that it was taken from.
        """
        parts = question.parts
        names = self.asked.methods if question.methods is None else question.methods
        yield partial(self.prediction, question.units, changed)
        there = [name for name in names if not refused(name, self.decision)]
        compared = [name for name in there if not attributions.methods[name].control]
        if "units" in parts:
            yield self.units
        if parts & OF_MAPS:
            yield from (partial(self._explain, name) for name in there if name not in self.found)
        if "maps" in parts:
            yield partial(self.maps, names)
        if "integrity" in parts:
            yield from (partial(self._hold, name) for name in there if name not in self.errors)
            yield partial(self.integrity, names)
        if "agreement" in parts:
            yield from (partial(self._of_blank, name) for name in compared if name not in self.blank)
            yield partial(self.agreement, there)
        if "deletion" in parts:
            yield partial(self.deletion, there)
        if "path" in parts:
            yield self.path

    @cached_property
    def logits(self) -> Tensor:
        """float32 [classes]."""
        with torch.no_grad():
            return self.network(self.inputs)[0]  # type: ignore[no-any-return]

    @cached_property
    def decision(self) -> Decision:
        """What is explained; a class is explained against itself by itself."""
        target = int(self.logits.argmax()) if self.target is None else self.target
        return Decision.of(self.inputs, target, None if self.against == target else self.against)

    def prediction(self, switches: Sequence[units.Switch], changed: float | None) -> Part:
        """The first part: what the network says, and what it would with the units switched."""
        target, *against = self.decision.targets.tolist()
        return {
            "prediction": _told(self.logits),
            "target": target,
            "against": against[0] if against else None,
            "changed": changed,
            "reconstruction": None if self._rebuilt is None else self._shown(self._rebuilt),
            "edited": self._edited(switches) if switches else None,
        }

    @property
    def _is_coded(self) -> bool:
        return "code" in self.asked.capabilities and isinstance(self.network, Coded)

    @cached_property
    def _rebuilt(self) -> Tensor | None:
        """What the code gives back of the input, as the network sees it: float32 [1, features]."""
        if not self._is_coded:
            return None
        with torch.no_grad():
            return self._decoded(self.network.encode(self.inputs))

    def _decoded(self, codes: Tensor) -> Tensor | None:
        there = "reconstruction" in self.asked.capabilities
        return self.network.decode(codes) if there else None

    def _shown(self, inputs: Tensor) -> Part:
        """An input (float32 [1, features]) as the network sees it, in the data's own scale."""
        return packed(self.asked.form.values(to_numpy(inputs)[0]))

    @torch.no_grad()
    def _edited(self, switches: Sequence[units.Switch]) -> Part | None:
        if not self._is_coded:
            return None
        codes = units.switched(self.network, self.inputs, switches)
        rebuilt = self._decoded(codes)
        told = _told(self.network.readout(codes, self.inputs)[0])
        return told | {"reconstruction": None if rebuilt is None else self._shown(rebuilt)}

    def units(self) -> Part:
        """The units that add most."""
        if not self._is_coded:
            return {"units": None}
        found = units.bench(self.network, self.decision, atoms="atoms" in self.asked.capabilities)
        shown = [one | {"atom": None if one["atom"] is None else packed(one["atom"])} for one in found]
        return {"units": shown}

    def _explain(self, name: str) -> Part:
        self.found[name] = explained(self.network, self.decision, name, self.asked.settings)
        return {}

    def maps(self, names: tuple[str, ...]) -> Part:
        """Each method's map; of a method that has none of this decision, why."""
        told = []
        for name in names:
            method, one = attributions.methods[name], self.found.get(name)
            row: Part = {
                "method": name,
                "title": words(name),
                "space": method.space,
                "map": None,
                "raw": None,
            }
            if one is not None:
                row |= {"map": packed(one.contribution[0]), "raw": packed(one.own[0])}
            told.append(row | {"control": method.control, "reason": refused(name, self.decision) or None})
        return {"maps": told}

    def agreement(self, there: Sequence[str]) -> Part:
        """How far the methods agree, beside the controls, and among the run's inputs; None of no method."""
        if not there:
            return {"agreement": None}
        maps = {name: self.found[name].as_maps() for name in there}
        blank = {name: self.blank[name] for name, one in maps.items() if not one.control}
        rebuilt = None if self._rebuilt is None else to_numpy(self._rebuilt)
        inputs = to_numpy(self.inputs)
        found = controls.compared(controls.evidence_of(maps, blank, inputs, rebuilt, self.asked.form))
        return {"agreement": found | {"percentile": self._percentile(found["value"], blank)}}

    def _of_blank(self, name: str) -> Part:
        self.blank[name] = explained(self.asked.blank, self.decision, name, self.asked.settings).as_maps()
        return {}

    def _percentile(self, value: float | None, compared: Iterable[str]) -> float | None:
        """The share of the run's inputs with a lower agreement; None where it is not of the same methods."""
        asked = [name for name in self.asked.methods if not attributions.methods[name].control]
        known = self.asked.agreements[np.isfinite(self.asked.agreements)]
        if value is None or self.decision.is_contrast or set(asked) != set(compared) or not len(known):
            return None
        return float((known < value).mean())

    def _hold(self, name: str) -> Part:
        asked, seed = self.asked, stream(self.asked.seed, "integrity")
        self.errors[name] = definition_error(
            asked.exact, self.decision, self.found[name], asked.settings, seed, asked.precision
        )
        return {}

    def integrity(self, names: tuple[str, ...]) -> Part:
        """Whether each map is what it claims to be, and by how much the sum of a complete one is off."""
        change = self.decision.logit(self.logits) - self.decision.logit(self.asked.baseline_logits)
        told = []
        for name in names:
            row: Part = {"method": name, "error": None, "tolerance": self.asked.tolerance}
            row |= {"holds": None, "gap": None}
            if (one := self.found.get(name)) is not None:
                error = self.errors[name]
                row["gap"] = completeness_gap(one, float(change))
                if error is not None:
                    row["error"] = error if math.isfinite(error) else None
                    row["holds"] = error <= self.asked.tolerance and not invents(one, self.inputs)
            told.append(row)
        return {"integrity": told}

    def deletion(self, there: Sequence[str]) -> Part:
        """The explained class's probability as features leave in each method's order."""
        orders = {name: self.found[name].contribution for name in there}
        alone, size = self.decision.alone, self.asked.settings["chunk_size"]
        told = []
        if orders:
            curves, _ = sanity.curves(self.network, alone.inputs, alone.targets, orders, chunk_size=size)
            shares = [step / sanity.STEPS for step in range(sanity.STEPS + 1)]
            for (name, order), curve in zip(orders.items(), curves[:, 0], strict=True):
                ranks = order[0].argsort(descending=True, stable=True).argsort()
                told.append(
                    {
                        "method": name,
                        "shares": shares,
                        "probabilities": curve.tolist(),
                        "order": packed(ranks, "u32"),
                    }
                )
        return {"deletion": told}

    def path(self) -> Part:
        """The decision along the path to the input, and its jumps."""
        there = self._is_coded and "k" in self.asked.capabilities
        return {"path": path.along(self.network, self.decision) if there else None}


def _told(logits: Tensor) -> Part:
    """What logits [classes] say.

    Raises:
        InputError: they are no numbers.
    """
    if not bool(logits.isfinite().all()):
        raise InputError("the network's logits are no numbers here")
    shares = logits.double().softmax(dim=0)
    return {
        "logits": logits.tolist(),
        "probabilities": shares.tolist(),
        "class": int(logits.argmax()),
        "confidence": float(shares.max()),
    }


def packed(values: Tensor | Floats, kind: str = "f32") -> Part:
    """An array as text: little endian in base64 under its kind, `f32` or `u32`, and its shape."""
    array = to_numpy(values) if isinstance(values, Tensor) else np.asarray(values)
    little = np.ascontiguousarray(array.astype({"f32": "<f4", "u32": "<u4"}[kind]))
    return {kind: base64.b64encode(little.tobytes()).decode(), "shape": list(array.shape)}
