"""What a person does to a history: pin a night, accept an alarm, exclude a night; and a night's names."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from getpass import getuser
from typing import Any

from harness.artifacts.directories import RunDirectory
from harness.errors import ConfigurationError, HarnessError, RunError
from harness.history.documents import NIGHT, Written, night_of_run
from harness.history.pins import pinned_of
from harness.history.records import Act, Human, Night
from harness.history.series import Series
from harness.registry import suggestion


def act_now(kind: Act, reason: str, nights: Sequence[Night], **what: Any) -> Human:
    """An act that is done now, after the newest night.

    Args:
        kind: What is done.
        reason: Why, in the person's words.
        nights: Of the whole history, oldest first.
        what: `night`, `alarm` or `pinned`.
    """
    try:
        by = getuser()
    except (KeyError, OSError, ImportError):  # a number without a name, as in a container
        by = ""
    return Human(
        id=f"{kind}-{secrets.token_hex(4)}",
        kind=kind,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        after=nights[-1].id if nights else "",
        reason=reason,
        by=by,
        **what,
    )


def pinning(run: RunDirectory, reason: str, nights: Sequence[Night], name: str) -> Human:
    """The act by which later canaries are held against a night's.

    Args:
        run: The night's run directory.
        reason: Why this one.
        nights: Of the whole history, oldest first.
        name: The history's, in messages.

    Raises:
        RunError: it is no night that ended well enough to be held against, or it is not whole.
        ConfigurationError: the history has no such night.
    """
    night = night_of_run(run)
    if night.id not in {one.id for one in nights}:
        mend = f"harness history import {run.path}"
        raise ConfigurationError(f"{name}: has no night {night.id}; take it in first: {mend}")
    if not night.counts:
        raise RunError(f"{run.path}: {night.sentence}: such a night is nothing to be held against")
    run.refuse_damage()
    config = run.read_config()
    names = [one.measurement for one in config.criteria] + [one.measurement for one in config.nightly.watch]
    return act_now("pin", reason, nights, night=night.id, pinned=pinned_of(run, night, dict.fromkeys(names)))


def acceptance(alarm: str, reason: str, nights: Sequence[Night], series: Iterable[Series]) -> Human:
    """The act by which what an alarm found becomes the new normal; it has to be open.

    Args:
        alarm: The alarm's id, or an improvement's.
        reason: Why.
        nights: Of the whole history, oldest first.
        series: All of its series.

    Raises:
        ConfigurationError: no reason, no such alarm, or it has ended.
    """
    _refuse_empty(reason, "accepted")
    known = [one for each in series for one in (*each.alarms, *each.improvements)]
    opened = [one.id for one in known if one.state == "open"]
    if alarm not in opened:
        ended = next((one for one in known if one.id == alarm), None)
        if ended is not None:
            raise ConfigurationError(f"{alarm}: is not open: it was {ended.state} in night {ended.ended}")
        hint = suggestion(alarm, opened) if opened else "none is open"
        raise ConfigurationError(f"{alarm}: there is no such alarm; {hint}")
    return act_now("accept", reason, nights, alarm=alarm)


def exclusion(night: Night, reason: str, nights: Sequence[Night], acts: Iterable[Human]) -> Human:
    """The act by which a night counts for nothing: one that was broken, whatever it found.

    Raises:
        ConfigurationError: no reason, or it is excluded already.
    """
    _refuse_empty(reason, "excluded")
    earlier = next((act for act in acts if act.kind == "exclude" and act.night == night.id), None)
    if earlier is not None:
        raise ConfigurationError(f"night {night.id}: is excluded already ({earlier.reason})")
    return act_now("exclude", reason, nights, night=night.id)


def _refuse_empty(reason: str, done: str) -> None:
    if not reason.strip():
        raise ConfigurationError(
            f"--reason: a reason is needed: who reads it later must know why it was {done}"
        )


def night_called(name: str, nights: Sequence[Night]) -> Night:
    """The night of an id, a number, a run's name, or a run directory.

    Raises:
        ConfigurationError: there is none, or there are several.
    """
    found = [one for one in nights if name in (one.id, one.run_id)]
    if not found and name.isdecimal():
        found = [one for one in nights if one.sequence == int(name)]
    if not found:
        try:
            asked = RunDirectory.open(name).read_record(NIGHT, Written).id
        except HarnessError:
            asked = ""
        found = [one for one in nights if one.id == asked]
    if len(found) > 1:
        several = ", ".join(one.id for one in found)
        raise ConfigurationError(f"{name}: several nights are called so, name one by its id: {several}")
    if not found:
        hint = suggestion(name, [one.id for one in nights[-30:]]) if nights else "there is none yet"
        raise ConfigurationError(
            f"{name}: is no night's id, number, run or run directory in this history; {hint}"
        )
    return found[0]
