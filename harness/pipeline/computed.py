"""All that a run computes, as one entry of the cache: a run that changes only how it is judged takes it,
and imports neither torch nor pandas.

It is used only where it is certainly what the stages would give: on the CPU, with what ships alone. The
stages' own entries serve where this one does not fit.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any

import pydantic

from harness import datasets, environment, measurements
from harness.artifacts.cache import Cache, share
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder, key_of
from harness.config import Config
from harness.config.parameters import ATTRIBUTION_METHODS, LATER_METHODS, THROUGH_CAPTUM, TWO_STAGED
from harness.datasets import Dataset
from harness.errors import StorageError
from harness.measurements import CONTROL_METHOD
from harness.pipeline.started import Epochs, Progress, Started
from harness.records import Provenance

STAGE = "computed"

METHODS = {*ATTRIBUTION_METHODS, CONTROL_METHOD, *LATER_METHODS} - {*THROUGH_CAPTUM}
"""The attribution methods that ship, and rest on nothing but what every run records the version of."""

FREE = frozenset(
    {"output", "cache", "device", "strict", "fresh", "quiet", "checks", "data", "report", "criteria"}
    | {"nightly", "sweep"}
)
"""The configuration's keys that play no part: data and device stand in the key as what they are, and
criteria where they say how many samples are explained."""

NUMERIC = (
    "ATEN_",
    "BLIS_",
    "DNNL_",
    "GOMP_",
    "GOTO_",
    "KMP_",
    "MKL_",
    "NPY_",
    "OMP_",
    "ONEDNN_",
    "OPENBLAS_",
)
"""How the environment variables begin that set threads and instruction sets of numerical libraries."""

UNNUMERIC = frozenset({"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"})
"""Those among them that no number depends on; scikit-learn sets them whenever it is imported."""

_CPUINFO = frozenset(
    {"vendor_id", "cpu family", "model", "model name", "stepping", "flags"}  # x86
    | {"Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part"}  # Arm
)


KINDS = ("attribution", "dataset", "measurement", "model", "recipe")
"""What other packages may add to what a run computes."""


class Heard:
    """Passes on what is told, and keeps the warnings."""

    def __init__(self, progress: Progress) -> None:
        """`progress` is whom to tell."""
        self.progress = progress
        self.warned: list[str] = []

    def say(self, text: str) -> None:
        """A line."""
        self.progress.say(text)

    def warn(self, text: str) -> None:
        """A line that must not be overlooked."""
        self.warned.append(text)
        self.progress.warn(text)

    def epochs(self, title: str, epochs: Iterator[Epochs], total: int) -> Iterator[Epochs]:
        """The same epochs, shown as they pass."""
        return self.progress.epochs(title, epochs, total)


@dataclass(frozen=True)
class Entry:
    """What an earlier run computed.

    Attributes:
        files: What it left in its directory.
        provenance: Where its numbers come from.
        warned: What its user was warned of.
    """

    files: Folder
    provenance: Provenance
    warned: tuple[str, ...]

    @property
    def by(self) -> dict[str, Any]:
        """What computed it: versions, device, platform, machine and flags."""
        names = ("versions", "device", "platform", "machine", "flags")
        return {name: getattr(self.provenance, name) for name in names}


def is_certain(config: Config) -> bool:
    """Whether all that would compute ships with the harness, and would do so on the CPU.

    The source of a method or a measurement of one's own, and of what it calls, is not in the key.
    """
    return (
        environment.is_cpu(config.device)
        and set(config.attribution.methods) <= METHODS
        and config.attribution.group_mask is None  # what the file holds is not in the key
        and (config.model.model, config.model.weights) == ("k-sparse", None)
        and config.recipe in TWO_STAGED
        and not any(entry_points(group=f"harness.{kind}s") for kind in KINDS)
        and all(map(environment.ships, _registered()))
        and is_read(config.data.dataset)
        and _is_untouched()
    )


def is_read(dataset: str) -> bool:
    """Whether the harness itself reads data of that name, the same whenever it is asked for."""
    known = datasets.datasets
    if dataset in known:
        return environment.ships(known[dataset])
    return dataset == "auto" or datasets.is_path(dataset)


def _is_untouched() -> bool:
    """Whether nobody changed in this process what networks compute; of what is not loaded nobody has."""
    loaded = sys.modules.get("harness.subjects.sparse.structure")
    return loaded is None or bool(loaded.is_untouched())


def _registered() -> Iterator[object]:
    """Every function that is registered in this process for what a run computes."""
    yield from datasets.datasets.values()
    yield from measurements.measurements.values()
    if "harness.attributions" in sys.modules:
        for method in sys.modules["harness.attributions"].methods.values():
            yield from filter(None, (method.maps, method.sensitivity, method.identity))


def threads() -> int | None:
    """The threads of torch where it is loaded; None where it will choose by itself."""
    loaded = sys.modules.get("torch")
    return None if loaded is None else int(loaded.get_num_threads())


def key_of_all(config: Config, dataset: Dataset, threads: int | None) -> str:
    """A digest of everything that the computed files depend on.

    Args:
        config: The configuration.
        dataset: The data.
        threads: What `threads` said when the run started.
    """
    criteria = config.criteria if config.statistics.until_decided else ()
    return key_of(
        {
            "config": config.model_dump(mode="json", exclude=set(FREE)),
            "criteria": [one.model_dump(mode="json") for one in criteria],
            "data": _identity(dataset),
            "code": environment.computing_digest(),
            "versions": environment.versions(),
            "processor": _processor(),
            "threads": threads,
        }
    )


def _identity(dataset: Dataset) -> Mapping[str, Any]:
    """What makes a data set this one."""
    return {
        "name": dataset.name,
        "content": dataset.digest,
        "classes": dataset.classes,
        "shape": dataset.shape,
    }


def _processor() -> Mapping[str, Any]:
    """What the last bit of a number depends on that the CPU computes, and on how many threads by default.

    Its kind and instruction sets, the CPUs that this process may use, and the environment variables that set
    numerical libraries.
    """
    return {
        "platform": [sys.platform, platform.machine(), *platform.libc_ver()],
        "kind": {key: value for key, value in environment.processor().items() if key in _CPUINFO},
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "variables": {
            name: value
            for name, value in os.environ.items()
            if name.startswith(NUMERIC) and name not in UNNUMERIC
        },
    }


class _Warned(pydantic.BaseModel):
    warned: list[str]


def find(cache: Cache, key: str) -> Entry | None:
    """What an earlier run computed of the same, if all of it is as it was left."""
    try:
        folder = cache.find(STAGE, key)
    except StorageError:  # an output folder that cannot be used is refused where the run directory is made
        return None
    if folder is None:
        return None
    return Entry(
        files=Folder(folder / "run"),
        provenance=RunDirectory(folder.path).read_provenance(),
        warned=tuple(folder.read_record("warned.json", _Warned).warned),
    )


def take(started: Started, entry: Entry) -> None:
    """Put the files into the run directory, and tell what the stages would have told."""
    share(entry.files, started.run.path)
    seeds, before = started.config.seeds, entry.provenance.run_id
    started.taken_from = before
    started.progress.say(
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}: autoencoder and classifier taken "
        f"from an earlier run, {before}, with all that it computed of them (--fresh trains anew)"
    )
    for text in entry.warned:
        started.progress.warn(f"{text} (said of {before})")


def keep(started: Started, key: str, threads: int | None, warned: Sequence[str]) -> None:
    """Store what a run computed under the key that it had at its start, if that is still its key.

    Nothing rests on the entry: where it cannot be stored, that is said, and the run goes on.
    """
    if not is_certain(started.config) or key_of_all(started.config, started.dataset, threads) != key:
        return
    try:
        with started.cache.making(STAGE, key) as made:
            share(started.run, made / "run")
            RunDirectory(made.path).write_provenance(started.run.read_provenance())
            made.write_json("warned.json", {"warned": list(warned)})
    except StorageError as error:
        started.progress.warn(f"what was computed could not be stored for the next run ({error})")
