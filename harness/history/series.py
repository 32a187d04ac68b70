"""The nights whose numbers mean the same, and what of them is remarkable."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from harness.history.alarms import Replayed, Watched, in_order, replay
from harness.history.charts import SILENT
from harness.history.records import Alarm, Human, Night
from harness.statistics import monitoring

__all__ = ["SILENT", "Series", "Watched", "series_of"]


@dataclass(frozen=True)
class Series:
    """Nights of one identity, and what follows from them.

    Attributes:
        identity: What their numbers mean.
        family: The measurements that are held against their past.
        nights: Of the kinds `night` and `warm-up`, oldest first, those that do not count among them.
        uncounted: Why a night counts for nothing, by its id.
        confirmations: By the id of a night, the second measurement of it that counts.
        again: Every second measurement, those that do not count among them.
        acts: What persons did, oldest first, to these nights and others.
        follows: The series of the latest night before the first of this one, up to that night; None where
            there is none.
    """

    identity: Mapping[str, str]
    family: tuple[Watched, ...]
    nights: tuple[Night, ...]
    uncounted: Mapping[str, str]
    confirmations: Mapping[str, Night]
    again: tuple[Night, ...]
    acts: tuple[Human, ...]
    follows: Series | None = None

    @cached_property
    def counted(self) -> tuple[Night, ...]:
        """The nights whose numbers enter a statistic."""
        return tuple(night for night in self.nights if night.id not in self.uncounted)

    @property
    def charts(self) -> int:
        """How many charts share the false alarms."""
        return sum(one.charts for one in self.family)

    @property
    def limit(self) -> float:
        """The height at which a cumulative sum alarms: one false alarm of all charts together in a year."""
        return monitoring.limit(max(self.charts, 1))

    @property
    def expected(self) -> dict[str, float]:
        """The nights until a lasting change of 1, 2, 3 standard deviations is found, on average."""
        return {str(shift): monitoring.expected_nights(self.limit, shift) for shift in (1, 2, 3)}

    @property
    def alarms(self) -> list[Alarm]:
        """Every alarm: open ones first, then those that ended, the newest first."""
        return _newest_first(alarm for one in self._replayed.values() for alarm in one.alarms)

    @property
    def improvements(self) -> list[Alarm]:
        """What moved the better way, in the same order; never red."""
        return _newest_first(alarm for one in self._replayed.values() for alarm in one.improvements)

    @property
    def held_against(self) -> dict[str, int]:
        """By measurement, how many numbers of its level the latest one was held against; few are silent."""
        return {name: one.held_against for name, one in self._replayed.items()}

    @property
    def candidates(self) -> tuple[str, ...]:
        """The measurements of the newest night that ask for a second measurement of it, and have none yet."""
        newest = self.nights[-1].id if self.nights else ""
        if newest in self.confirmations:
            return ()
        return tuple(name for name, one in self._replayed.items() if newest and one.candidate == newest)

    @cached_property
    def _replayed(self) -> dict[str, Replayed]:
        acceptances = [act for act in self.acts if act.kind == "accept"]
        return {
            one.measurement: replay(self.counted, self.confirmations, acceptances, one, self.limit)
            for one in self.family
        }


def series_of(
    nights: Collection[Night],
    acts: Iterable[Human],
    identity: Mapping[str, str],
    family: Sequence[Watched],
) -> Series:
    """The series of an identity.

    A night counts for nothing that has not ended, is an error, was excluded, or has a seed that an earlier
    one counted: it would be the same number twice.

    Args:
        nights: Of a whole history, in any order.
        acts: Likewise.
        identity: What the numbers mean; nights of another one are left out.
        family: The measurements to hold against their past.
    """
    acts = sorted(acts, key=lambda act: (in_order(act.after), act.created, act.id))
    ours = sorted((one for one in nights if one.identity == identity), key=lambda one: in_order(one.id))
    excluded = {act.night: act.reason for act in acts if act.kind == "exclude"}
    used: dict[int, str] = {}
    listed: list[Night] = []
    uncounted: dict[str, str] = {}
    confirmations: dict[str, Night] = {}
    for night in ours:
        why = _why_not(night, excluded, used)
        if night.kind != "confirmation":
            listed.append(night)
            if why:
                uncounted[night.id] = why
        elif not why:
            # the first that counts: who measured on until a number pleased would prove nothing
            confirmations.setdefault(str(night.of), night)
        if not why:
            used.update(dict.fromkeys(night.seeds, night.id))
    others = (
        one for one in nights if one.identity and one.identity != identity and one.kind != "confirmation"
    )
    before = [one for one in others if ours and in_order(one.id) < in_order(ours[0].id)]
    latest = max(before, key=lambda one: in_order(one.id), default=None)
    follows = None
    if latest is not None:
        earlier = [one for one in nights if in_order(one.id) < in_order(ours[0].id)]
        follows = series_of(earlier, acts, latest.identity, family)
    again = tuple(one for one in ours if one.kind == "confirmation")
    return Series(
        dict(identity), tuple(family), tuple(listed), uncounted, confirmations, again, tuple(acts), follows
    )


def _why_not(night: Night, excluded: Mapping[str, str], used: Mapping[int, str]) -> str:
    """Why a night counts for nothing; empty where it counts."""
    if night.id in excluded:
        return f"excluded: {excluded[night.id]}"
    if night.status != "ended":
        return "it has not ended"
    if not night.counts:
        return f"it ended as {night.verdict}"
    again = next((seed for seed in night.seeds if seed in used), None)
    return "" if again is None else f"seed {again} was counted in night {used[again]}"


def _newest_first(alarms: Iterable[Alarm]) -> list[Alarm]:
    newest = sorted(alarms, key=lambda alarm: in_order(alarm.found), reverse=True)
    return sorted(newest, key=lambda alarm: alarm.state != "open")
