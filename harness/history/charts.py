"""The life of alarms on one measurement's numbers: what raises one, how large it is, and what ends it.

It knows numbers in their order and nothing of nights; `alarms` gives it those of a series.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log, sqrt
from statistics import median
from typing import Literal

from harness.statistics import monitoring

SILENT = 10
"""Earlier numbers without which nothing alarms."""

IMPROBABLE, CONFIRMED = 0.001, 0.01
"""The one-night rule: tonight is less probable than the one, and its second measurement than the other."""

BACK = log(100)
"""Recovered: the numbers are so much likelier to be back than still shifted, in log-likelihood."""

LATEST = 5
"""An alarm is as large as the median of so many of its latest numbers, so that one that grows is seen to."""

Rule = Literal["one night", "drift", "constant"]
Side = Literal[-1, 1]
SIDES: tuple[Side, Side] = (1, -1)


@dataclass
class Spell:
    """From the number that raised an alarm to the one that ended it. Numbers are told by their index.

    Attributes:
        side: 1 where the numbers went up, -1 down.
        harmful: Whether that is the wrong way.
        rule: What found it.
        found: The number that raised it.
        first: The likeliest first one of the new level.
        earliest: The earliest that may well be.
        latest: The latest.
        before: The numbers of the level before, sorted.
        sd: The standard deviation about both levels when it was found; 0 where the numbers were equal.
        p: Of the one-night rule, both measurements.
        size: How far the new level is from the one before, signed.
        red: Whether it ever was as far as the smallest change that is red.
        state: `open`, `recovered` or `accepted`.
        ended: The number that ended it; None while it is open.
        reason: Of its acceptance.
    """

    side: Side
    harmful: bool
    rule: Rule
    found: int
    first: int
    earliest: int
    latest: int
    before: list[float]
    sd: float
    p: tuple[float, ...]
    size: float = 0.0
    red: bool = False
    state: Literal["open", "recovered", "accepted"] = "open"
    ended: int | None = None
    reason: str = ""
    _inside: list[float] = field(default_factory=list)
    _deviates: list[float] = field(default_factory=list)
    _perhaps_back: list[float] = field(default_factory=list)
    _likelihood: float = 0.0

    @property
    def level(self) -> float:
        """The median of the level before."""
        return median(self.before)

    @property
    def size_sd(self) -> float | None:
        """The size in standard deviations; None where there are none."""
        return self.size / self.sd if self.sd > 0 else None

    def _deviate(self, value: float) -> float:
        """How far out a number lies on the alarm's side, in standard deviations.

        Its normal score among the numbers of the level before, whatever their distribution; beyond them all,
        the distance itself where that is more.
        """
        below, equal = monitoring.place(self.before, value)
        score = monitoring.normal_score(below, equal, len(self.before) + 1)
        if self.sd > 0 and below in (0, len(self.before)) and not equal:
            distance = (value - self.level) / self.sd
            score = max(score, distance) if below else min(score, distance)
        return self.side * score

    def add(self, values: Sequence[float], min_change: float) -> None:
        """More numbers of the new level, of which none is red alone: the first may be the farthest out."""
        self._inside += values
        self._deviates += map(self._deviate, values)
        self.size = median(self._inside[-LATEST:]) - self.level
        self.red = self.red or (self.harmful and self.side * self.size >= min_change)

    def follow(self, index: int, value: float, min_change: float) -> None:
        """Tell whether the next number is back.

        Page's test, 'back at the level before' against 'still shifted' (Page 1954): a number at the old
        level ends an alarm of five standard deviations, three one of two. The shift is the median of all its
        numbers less a standard error, for alarms are found where noise adds to a shift, and no smaller than
        what the sums allow for. Where the level before never moved, a return to it is enough.
        """
        deviate = self._deviate(value)
        if self.sd == 0:
            back = self.side * (value - self.level) <= 0
        else:
            shift = max(monitoring.ALLOWANCE, median(self._deviates) - 1 / sqrt(len(self._deviates)))
            self._likelihood = max(0.0, self._likelihood + shift**2 / 2 - shift * deviate)
            back = self._likelihood >= BACK
        if back:
            self.state, self.ended = "recovered", index
        elif self._likelihood > 0:
            self._perhaps_back.append(value)
        else:
            self.add((*self._perhaps_back, value), min_change)
            self._perhaps_back.clear()


class Monitor:
    """One measurement's numbers, one after the other.

    Args:
        higher_is_better: The direction; None where both sides are harmful.
        limit: Where a cumulative sum alarms.
        min_change: The smallest change that is red.

    Attributes:
        spells: Every alarm and improvement so far, in the order in which they were found.
        candidate: Whether the latest number asks for a second measurement.
        held_against: How many numbers of its level the latest one was held against.
    """

    def __init__(self, higher_is_better: bool | None, limit: float, min_change: float = 0.0) -> None:
        self.limit, self.min_change = limit, min_change
        self.spells: list[Spell] = []
        self.candidate, self.held_against = False, 0
        self._harmful = {1: higher_is_better is not True, -1: higher_is_better is not False}
        self._values: list[float] = []
        self._level: list[int] = []
        self._sorted: list[float] = []
        self._sums: dict[Side, float] = dict.fromkeys(SIDES, 0.0)

    def _restart(self, first: int) -> None:
        """The numbers from there on are the first ones of the level."""
        self._level, self._sorted, self._sums = [], [], dict.fromkeys(SIDES, 0.0)
        for index in range(first, len(self._values)):
            self._learn(index)

    def _learn(self, index: int) -> None:
        self._level.append(index)
        insort(self._sorted, self._values[index])

    def _forget(self, first: int) -> None:
        """Take what may belong to an alarm out of the level that it is held against."""
        self._level = [index for index in self._level if index < first]
        self._sorted = sorted(self._values[index] for index in self._level)

    @property
    def open(self) -> list[Spell]:
        """The alarms and improvements that have not ended."""
        return [one for one in self.spells if one.state == "open"]

    def add(self, value: float, again: float | None = None, *, silent: bool = False) -> None:
        """The next number.

        While an alarm is open its numbers are not held to be of the level before.

        Args:
            value: The number.
            again: What a second measurement of it gave; None without one.
            silent: It is learned from, but alarms in no case.
        """
        index = len(self._values)
        self.candidate, self.held_against = False, len(self._sorted)
        self._values.append(value)
        occupied = {one.side for one in self.open}
        for one in self.open:
            one.follow(index, value, self.min_change)
            if one.state == "recovered" and one.rule == "constant" and not one.red:
                # a trifle that came and went by itself: the constant is none, and this is no news again
                for number in range(one.found, index):
                    self._learn(number)
        below, equal = monitoring.place(self._sorted, value)
        score = monitoring.normal_score(below, equal, len(self._sorted) + 1)
        raised: list[Spell] = []
        for side in SIDES:
            if side in occupied:
                continue
            self._sums[side] = max(0.0, self._sums[side] + side * score - monitoring.ALLOWANCE)
            if len(self._sorted) >= SILENT and not silent:
                found = self._raised(side, again)
                raised += [] if found is None else [found]
        if not self.open and not raised:
            self._learn(index)
        for spell in raised:
            self._forget(spell.first)
            self._sums[spell.side] = 0.0
        self.spells += raised

    def accept(self, spell: Spell, reason: str = "") -> None:
        """Take an open alarm's level for the one that the following numbers are held against.

        Its numbers are the first of that level; whatever else is open ends with it.
        """
        for one in self.open:
            one.state, one.ended, one.reason = "accepted", len(self._values) - 1, reason
        self._restart(spell.first)

    def _raised(self, side: Side, again: float | None) -> Spell | None:
        """The alarm that the latest number raises on a side, by the first of the three rules that does."""
        numbers, value = self._sorted, self._values[-1]
        if numbers[0] == numbers[-1]:
            return self._spell(side, "constant") if side * (value - numbers[0]) > 0 else None
        if self._sums[side] > self.limit:
            return self._spell(side, "drift")
        p = self._prediction(side, value)
        if p >= IMPROBABLE:
            return None
        self.candidate = self.candidate or self._harmful[side]
        if again is None:
            # what was not measured again stays an alarm; good news can wait for the sum
            return self._spell(side, "one night", (p,)) if self._harmful[side] else None
        second = self._prediction(side, again)
        return self._spell(side, "one night", (p, second)) if second < CONFIRMED else None

    def _prediction(self, side: Side, value: float) -> float:
        """How improbable a number is on a side; 1 where one of the level's own lies as far out.

        Of `n` numbers the next two both lie beyond all with a probability of 2 / (n + 1) / (n + 2), however
        heavy the tail; a prediction from a mean and a standard deviation knows nothing of tails.
        """
        if side * value <= max(side * self._sorted[0], side * self._sorted[-1]):
            return 1.0
        return monitoring.improbability([side * one for one in self._sorted], side * value)

    def _spell(self, side: Side, rule: Rule, p: tuple[float, ...] = ()) -> Spell:
        """A new alarm, from the likeliest of the level's numbers on."""
        index = len(self._values) - 1
        indices = [*self._level, index]
        values = [self._values[one] for one in indices]
        ended = max((one.ended or 0 for one in self.spells), default=0)
        candidates = [at for at in range(1, len(indices)) if indices[at] >= ended]
        judged = monitoring.normal_scores(values) if rule == "drift" else values
        first, earliest, latest = monitoring.likely_starts([side * one for one in judged], candidates)
        before, after = values[:first], values[first:]
        spell = Spell(
            side,
            self._harmful[side],
            rule,
            index,
            indices[first],
            indices[earliest],
            indices[latest],
            before=sorted(before),
            sd=monitoring.sd_within(before, after),
            p=p,
        )
        spell.add(after, self.min_change)
        return spell
