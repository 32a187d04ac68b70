"""What a person does to a history has a reason, and means something that is there."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from harness.config import Config
from harness.errors import ConfigurationError
from harness.history import acting, documents, listing
from harness.history.records import Human, Night, act_of, as_text
from tests.test_history import a_night
from tests.test_history_listing import BROKEN
from tests.written import a_run, sealed_anew

ALARM = "accuracy@31"


def accepted(name: str, reason: str = "known", acts: tuple[Human, ...] = ()) -> Human:
    """The acceptance of an alarm of the broken nights."""
    return acting.acceptance(name, reason, BROKEN, listing.every_series(BROKEN, acts, Config()))


def opened() -> str:
    """The alarm that is open."""
    (series,) = listing.every_series(BROKEN, [], Config())
    (alarm,) = [one for one in series.alarms if one.state == "open"]
    return alarm.id


def test_an_open_alarm_is_accepted_once() -> None:
    """The act names it and the newest night; then it is not open any more."""
    act = accepted(opened())
    assert (act.kind, act.alarm, act.after, act.reason) == ("accept", opened(), BROKEN[-1].id, "known")
    assert act_of(as_text(act), "act") == act
    with pytest.raises(ConfigurationError, match="is not open: it was accepted in night"):
        accepted(opened(), acts=(act,))


def test_no_other_alarm_is_accepted() -> None:
    """An unknown one is refused, with the one that may be meant."""
    with pytest.raises(ConfigurationError, match=f"no such alarm; did you mean '{opened()}'"):
        accepted("acuracy@31")
    quiet = listing.every_series(BROKEN[:20], [], Config())
    with pytest.raises(ConfigurationError, match="no such alarm; none is open"):
        acting.acceptance(opened(), "known", BROKEN[:20], quiet)


@pytest.mark.parametrize("reason", ["", " \n"])
def test_a_reason_is_a_must(reason: str) -> None:
    """For whoever reads it a year later."""
    with pytest.raises(ConfigurationError, match="--reason: a reason is needed"):
        accepted(opened(), reason)
    with pytest.raises(ConfigurationError, match="--reason: a reason is needed"):
        acting.exclusion(BROKEN[3], reason, BROKEN, [])


def test_a_night_is_excluded_once() -> None:
    """The second time is told the first one's reason."""
    act = acting.exclusion(BROKEN[3], "a broken fan", BROKEN, [])
    assert (act.kind, act.night, act.after) == ("exclude", BROKEN[3].id, BROKEN[-1].id)
    with pytest.raises(ConfigurationError, match=r"is excluded already \(a broken fan\)"):
        acting.exclusion(BROKEN[3], "another", BROKEN, [act])


def test_a_person_without_a_name_may_act(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container, where the system knows none."""

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(acting, "getuser", nobody)
    assert acting.act_now("exclude", "r", []).by == ""
    monkeypatch.setattr(acting, "getuser", lambda: "ada")
    assert acting.act_now("exclude", "r", []).by == "ada"
    assert getpass.getuser is not None


def test_a_night_is_called_by_id_number_run_or_directory(tmp_path: Path) -> None:
    """Whichever is at hand."""
    run = a_run(tmp_path)
    documents.write_night(run, Night("000002-abc123", "night", "begun"))
    sealed_anew(run)
    nights = [a_night(1), a_night(2), a_night(12)]
    for name in ("000002-abc123", "2", "000002", "run-2", str(run.path)):
        assert acting.night_called(name, nights) == nights[1], name


def test_a_night_that_is_not_there_is_refused() -> None:
    """With the nearest; so is a number that two bear, which joined histories may have."""
    nights = [a_night(1), a_night(2), a_night(2, id="000002-ffffff")]
    with pytest.raises(ConfigurationError, match="did you mean '000001-abc123'"):
        acting.night_called("00001-abc123", nights)
    with pytest.raises(ConfigurationError, match=r"several nights.* 000002-abc123, 000002-ffffff"):
        acting.night_called("2", nights)
    with pytest.raises(ConfigurationError, match="there is none yet"):
        acting.night_called("2", [])
