"""One input's maps by every method that was asked for, of the trained network and of the untrained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from harness import attributions, environment
from harness.attributions import integrity
from harness.attributions.method import CHUNK_SIZE, Method, known_to
from harness.environment import state
from harness.measurements import MethodMaps, maps
from harness.pipeline.work import to_numpy
from harness.studio.decision import Decision
from harness.subjects.inputs import maps_of

LINEAR = frozenset(
    {
        "gradients",
        "input_x_gradient",
        "integrated_gradients",
        "smoothgrad",
        "expected_gradients",
        "decoder_weighted",
        "occlusion",
        "kernel_shap",
        "shapley_sampling",
    }
)
"""Methods whose map of f_y - f_other is the map of f_y less that of f_other."""

COMPLETE = frozenset(maps.COMPLETE) | {"deep_lift", "deeplift_code", "kernel_shap", "shapley_sampling"}
"""Methods whose contributions are to add up to the logit's change from the baseline."""

NO_CONTRAST = "no map of a difference of two classes is known of this method"


@dataclass(frozen=True, eq=False)
class Explained:
    """One method's map of a decision.

    Attributes:
        method: The method.
        own: float32 [1, features], in the method's own space.
        contribution: float32 [1, features], in contribution space.
        groups: int64 [features], of a method that asks of groups.
    """

    method: Method
    own: Tensor
    contribution: Tensor
    groups: Tensor | None

    def as_maps(self) -> MethodMaps:
        """The same as measurements see it."""
        return MethodMaps(
            to_numpy(self.own),
            self.method.space,
            family=self.method.family,
            groups=None if self.groups is None else to_numpy(self.groups),
            missingness=self.method.missingness,
            control=self.method.control,
        )


def refused(name: str, decision: Decision) -> str:
    """Why a method has no map of a decision; empty where it has one."""
    known = name in LINEAR or attributions.methods[name].control
    return NO_CONTRAST if decision.is_contrast and not known else ""


def explained(network: nn.Module, decision: Decision, name: str, settings: Mapping[str, Any]) -> Explained:
    """A method's map of a decision; a control's of a contrast is that of the explained class.

    Args:
        network: In evaluation mode.
        decision: What is explained.
        name: A registered method that is not refused.
        settings: Of all methods.
    """
    method = attributions.methods[name]
    asked = decision.alone if method.control else decision
    # past the door of `attribute`, which looks at all settings and at the model at each call
    with state.evaluation(network), environment.seeded(int(settings["noise_seed"])):
        given = asked.inputs.clone(), asked.targets.clone()
        rows = method.maps(network, *given, **known_to(method.maps, settings))
    own, inputs = asked.joined(maps_of(rows, asked.inputs, name))[None], asked.inputs[:1]
    contribution = own if method.space == "contribution" else own * inputs
    groups = attributions.groups_of(name, inputs.shape[1], settings)
    return Explained(method, own, contribution, groups)


def definition_error(
    network: nn.Module,
    decision: Decision,
    found: Explained,
    settings: Mapping[str, Any],
    seed: int,
    precision: torch.dtype,
) -> float | None:
    """How far a map is from its method's definition, by forward passes, relative to its norm.

    None where no definition is known; NaN where the map or the definition is no number.

    Args:
        network: In evaluation mode.
        decision: What is explained.
        found: The map.
        settings: Of all methods.
        seed: Draws the directions.
        precision: As `integrity.errors` takes it.
    """
    if found.method.identity is None:
        return None
    asked = decision.alone if found.method.control else decision
    identity = asked.identity(found.method.identity)
    known = known_to(identity, settings) | {"chunk_size": settings.get("chunk_size", CHUNK_SIZE)}
    answers = integrity.errors(
        network,
        asked.inputs[:1],
        asked.targets[:1],
        found.own,
        identity,
        seed=seed,
        precision=precision,
        **known,
    )
    return float(answers.errors[0])


def invents(found: Explained, inputs: Tensor) -> bool:
    """Whether a map adds something where the input [1, features] is the baseline, and claims not to."""
    return found.method.missingness and bool((found.contribution[inputs == 0] != 0).any())


def completeness_gap(found: Explained, change: float) -> float | None:
    """By how much the sum of contributions misses the logit's change from the baseline, in parts of it.

    None of a method that does not promise such a sum, or where nothing changes.
    """
    if found.method.name not in COMPLETE:
        return None
    gap = abs(float(found.contribution.double().sum()) - change)
    return gap / abs(change) if change and math.isfinite(gap) else None
