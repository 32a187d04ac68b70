"""What probing costs, told before it begins, and which samples are asked where that is too much.

Three probes explain again and again: `randomisation` under new weights, `stability` with other pixels,
`coalitions` with a second design. The budget is in passes, not in seconds, so that a run can be repeated on
any machine. The probes that gates rest on ask every sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness import attributions
from harness.attributions import sanity
from harness.environment import stream
from harness.records import Ints

if TYPE_CHECKING:
    from harness.pipeline.probes import Asked

FRESH = 256
"""Coalitions at which a method's groups are held against the model."""

LONG = 60.0
"""Seconds of probing that are told before."""


def explanations(asked: Asked) -> dict[str, int]:
    """How often the three probes explain one image, by method."""
    often = 2 * sanity.count_renewed(asked.network) + 1 + sanity.DRAWS
    return {name: often + (name in asked.drawing) for name in asked.methods}


def passes(asked: Asked) -> int:
    """The forward passes of the three probes on one image, a backward pass counted as two."""
    each = {
        name: attributions.passes(asked.network, asked.images, asked.targets, name, asked.settings)
        for name in asked.methods
    }
    often = explanations(asked)
    return sum(often[name] * each[name] for name in each) + FRESH * len(asked.drawing)


def rows(asked: Asked) -> Ints | None:
    """The samples that the three probes ask, int64 positions in order; None where they ask all.

    As many of each class as the budget allows, drawn; of a class as many as can be judged at the least.
    """
    work, labels = asked.work, asked.targets.cpu().numpy()
    budget = work.config.attribution.probe_budget
    if budget is None or not len(labels):
        return None
    each, classes = passes(asked), np.unique(labels)
    if len(labels) * each <= budget:
        return None
    per_class = max(work.config.selection.minimum_per_class, budget // each // len(classes))
    generator = np.random.default_rng(stream(work.config.seeds[0], "probed samples"))
    drawn = [generator.permutation(np.flatnonzero(labels == one))[:per_class] for one in classes]
    chosen: Ints = np.sort(np.concatenate(drawn))
    more = "" if len(chosen) * each <= budget else ", which the least that can be judged goes past"
    work.progress.warn(
        f"randomisation, stability and coalitions ask {len(chosen)} of {len(labels)} "
        f"{work.dataset.form.noun}: all would take {len(labels) * each:,} forward passes, and probe_budget "
        f"is {budget:,}{more}"
    )
    return chosen


def foretell(asked: Asked, chosen: Ints | None) -> None:
    """Say how long the three probes are likely to take, at the pace of the maps that were just made."""
    work, n = asked.work, len(asked.images if chosen is None else chosen)
    if not set(asked.methods) <= set(work.paces):  # some maps are an earlier run's
        return
    often = explanations(asked)
    seconds = sum(often[name] * work.paces[name] for name in asked.methods) * n
    if seconds >= LONG:
        work.progress.say(
            f"probing explains {n} {work.dataset.form.noun} {max(often.values())} times each: about "
            f"{seconds / 60:.0f} min a seed; attribution.probe_budget bounds it"
        )
