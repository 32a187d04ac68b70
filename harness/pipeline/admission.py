"""What a run is judged by: its criteria and methods, less what the model or the data does not have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from harness import measurements
from harness.artifacts.model import ModelRecord
from harness.capabilities import CAPABILITIES, lacking
from harness.config import Config
from harness.config.values import Settled
from harness.criteria import judged_without, lacking_threshold, titled
from harness.datasets import Dataset, kept
from harness.errors import ConfigurationError
from harness.kinds import WORDS
from harness.pipeline.started import Progress


def admitted(config: Config, dataset: Dataset, device: Any, progress: Progress) -> tuple[Config, ModelRecord]:
    """The configuration without what the model cannot be judged by, which is told, and what the model is.

    Raises:
        ConfigurationError: the model cannot be judged at all, or nothing would be left of the methods.
    """
    from harness import attributions
    from harness.subjects import door

    record = door.look(config, dataset, device)
    there, named = record.capabilities, config.attribution.methods
    away = {name: why for name in named if (why := lacking(attributions.methods[name], there))}
    methods = tuple(name for name in named if name not in away)
    if not methods:
        raise ConfigurationError(
            f"attribution.methods: none of them can explain model {config.model.model!r}: "
            f"{'; '.join(dict.fromkeys(away.values()))}; name others by --methods"
        )
    config = config.model_copy(
        update={"attribution": config.attribution.model_copy(update={"methods": methods})}
    )
    told = {f"methods.{name}": why for name, why in away.items()}
    if "float64" not in there:
        told["float64"] = CAPABILITIES["float64"]
    return settled(config, dataset, there, told, progress), record


def settled(
    config: Config,
    dataset: Dataset,
    there: Collection[str],
    away: Mapping[str, str],
    progress: Progress,
) -> Config:
    """The configuration as the run keeps it: without the criteria that need more than is there, or judge a
    method that does, which is told, the others' titles in the words of the data, and the data's whole path.
    """
    asked = {}
    for one in config.criteria:
        base, _, member = one.measurement.partition(".")
        asked[one.id] = (
            lacking(measurements.measurements[base], there)
            or lacking_threshold(one, config.model.k, there)
            or away.get(f"methods.{member.partition('.')[0]}", "")
        )
    away = dict(away) | {name: why for name, why in asked.items() if why}
    for text in judged_without(away):
        progress.warn(text)
    left = [one for one in config.criteria if one.id not in away]
    changed = {
        "data": config.data.model_copy(update={"dataset": kept(config.data.dataset)}),
        "criteria": titled(left, config.model.k, WORDS[dataset.kind]),
        "without": Settled(config.without | away),
    }
    return config.model_copy(update=changed)


def refuse_unmeasured(config: Config) -> None:
    """Refuse criteria, and watches of nights, of what nobody measures."""
    asked = [one.measurement for one in config.criteria]
    for name in (*asked, *(one.measurement for one in config.nightly.watch)):
        measurements.measurements[name.split(".")[0]]
