"""What a run measured, by seed and by input, as comparing the points of a sweep needs it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Array
from harness.errors import ConfigurationError
from harness.kinds import Words, words_of
from harness.records import Floats, Ints, joint
from harness.registry import suggestion
from harness.statistics.crossed import Classes
from harness.statistics.paired import RULES, rule_of, rules_of
from harness.sweeps.records import Row


@dataclass(frozen=True, eq=False)
class Inputs:
    """The inputs that a run measured something on.

    Attributes:
        count: How many.
        labels: int [n], their classes; None where these play no part.
        places: int [n], their positions in the test set; None where they are all of it.
    """

    count: int
    labels: Ints | None = None
    places: Ints | None = None

    @cached_property
    def classes(self) -> Classes:
        """Where those of each class lie."""
        return Classes.of(self.labels, self.count)

    @cached_property
    def names(self) -> frozenset[int]:
        """The classes."""
        order = self.classes.order
        if self.labels is None or order is None:
            return frozenset()
        return frozenset(self.labels[order[self.classes.starts]].tolist())

    def those(self, there: npt.NDArray[np.bool_]) -> Inputs:
        """Those of them that are there, bool [n]."""
        if there.all():
            return self
        labels, places = (None if one is None else one[there] for one in (self.labels, self.places))
        return Inputs(int(there.sum()), labels, places)


@dataclass(frozen=True, eq=False)
class Values:
    """A measurement of one run.

    Attributes:
        seeds: In the order of the rows.
        numbers: float64 [seeds], each seed's own estimate; NaN of one that has none.
        rows: float64 [parts, seeds, n]; None where a seed is one number.
        inputs: Of the rows; None likewise.
        why: Why there is nothing to compare by seed; empty where there is.
    """

    seeds: tuple[int, ...] = ()
    numbers: Floats = field(default_factory=lambda: np.empty(0))
    rows: Floats | None = None
    inputs: Inputs | None = None
    why: str = ""

    @cached_property
    def rules(self) -> list[str]:
        """The rules of means by which every seed's values give its own estimate."""
        if self.rows is None or self.inputs is None:
            return []
        if np.isfinite(self.rows).all():
            return rules_of(means_of(self.rows, self.inputs.classes), self.numbers)
        by_seed = zip(self.rows.transpose(1, 2, 0), self.numbers.tolist(), strict=True)
        found = [rule_of(rows, self.inputs.labels, number) for rows, number in by_seed]
        return [name for name in RULES if all(name in one for one in found)]

    def of_seeds(self, seeds: Sequence[int]) -> tuple[Floats, Inputs]:
        """The rows of some of its seeds on the inputs that have a value in each of them, and these inputs.

        Raises:
            ValueError: a seed is one number, or it has no such seed.
        """
        if self.rows is None or self.inputs is None:
            raise ValueError("a seed is one number: there are no rows by input")
        rows = self.rows[:, [self.seeds.index(seed) for seed in seeds], :]
        there = np.asarray(np.isfinite(rows).all(axis=(0, 1)))
        return rows[..., there], self.inputs.those(there)


@dataclass(frozen=True, eq=False)
class Measured:
    """What one run measured.

    Attributes:
        digest: Of the arrays of its data.
        words: What its inputs are called.
        values: By measurement.
    """

    digest: str
    words: Words
    values: Mapping[str, Values]


def measured(run: Path, names: Iterable[str]) -> Measured:
    """Read some measurements of a run; each file is read once, and checked as it is read.

    The run's other files are not looked at: to check its maps as well would take longer than all else.

    Args:
        run: The run directory.
        names: The measurements.

    Raises:
        ConfigurationError: it is no run directory.
        RunError: something of it is missing, or not as it was computed.
    """
    directory = RunDirectory.open(run)
    data = directory.read_provenance().dataset
    estimates = directory.read_estimates()
    whole = joint(estimates)
    of_seed = {(one.name, one.seed): one.estimate for one in estimates}
    chosen = directory.read_arrays("samples.npz", only=("indices", "labels"))
    explained = Inputs(len(chosen["indices"]), chosen["labels"], chosen["indices"])
    tested, files, found = Inputs(data["test"]), dict[str, dict[str, Array]](), dict[str, Values]()
    for name in dict.fromkeys(names):
        base = name.split(".")[0]
        if base not in files:
            path = f"measurements/{base}.npz"
            files[base] = directory.read_arrays(path) if (directory / path).is_file() else {}
        arrays = files[base]
        if name not in whole or "seeds" not in arrays:
            found[name] = Values(why="has not measured it")
        elif whole[name].estimate is None:
            found[name] = Values(why=f"has no number: {whole[name].reason}")
        else:
            seeds = tuple(arrays["seeds"].tolist())
            numbers = np.array([of_seed.get((name, seed)) for seed in seeds], dtype=np.float64)
            found[name] = _values(seeds, numbers, arrays.get(name), "strata" in arrays, explained, tested)
    return Measured(str(data.get("digest", "")), words_of(data), found)


def _values(
    seeds: tuple[int, ...],
    numbers: Floats,
    rows: Array | None,
    by_class: bool,
    explained: Inputs,
    tested: Inputs,
) -> Values:
    # what every seed measures on inputs of its own is stored as numbers alone, in the estimates
    if rows is None or rows.shape[1:] == (1,):
        return Values(seeds, numbers)
    inputs = explained if by_class and rows.shape[1] == explained.count else tested
    if rows.shape[1] != inputs.count:
        return Values(seeds, numbers, why="has no value of it for each input that was explained, or tested")
    parts = np.moveaxis(rows.reshape(*rows.shape[:2], -1), -1, 0)
    return Values(seeds, numbers, np.ascontiguousarray(parts, dtype=np.float64), inputs)


def means_of(rows: Floats, classes: Classes) -> Floats:
    """The stratified means of each seed's parts: of [parts, seeds, n] float64 [seeds, parts]."""
    return np.asarray(classes.means(classes.sorted(rows)).mean(axis=-1).T)


def number_of(means: Floats, rule: str) -> float:
    """The number of several seeds' stratified means [seeds, parts], as estimates of all seeds are made.

    A mean or a ratio is the mean over seeds of theirs, an extreme that of the parts' means over seeds.
    """
    if rule in ("smallest", "largest"):
        means = means.mean(axis=0)
    return float(RULES[rule](means).mean())


def refuse_unknown(names: Iterable[str], rows: Sequence[Row]) -> None:
    """Refuse a measurement that no finished point has.

    Raises:
        ConfigurationError: with the nearest that one has.
    """
    known = dict.fromkeys(name for row in rows for name in row.estimates)
    for name in names:
        if known and name not in known:
            raise ConfigurationError(f"unknown measurement {name!r}: {suggestion(name, known)}")
