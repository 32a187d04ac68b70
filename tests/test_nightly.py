"""Nights without training: what they compute is written by hand, everything after it is real."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from harness import config as configuration
from harness import nightly, warming
from harness.artifacts.directories import RunDirectory
from harness.config import Config
from harness.config.parameters import Nightly
from harness.criteria.diagnosis import sentence
from harness.criteria.rows import PAST
from harness.errors import ConfigurationError, HarnessError, RunError
from harness.history import documents, kept
from harness.history.acting import pinning
from harness.history.documents import NIGHT, Written
from harness.history.kept import Kept, place_of
from harness.history.records import Human, Night
from harness.history.store import History, Unreachable
from harness.judging import verdicts
from harness.judging.publishing import failure_of, unjudged
from harness.nightly import Nights
from harness.pipeline.started import Silence
from harness.warming import Ended
from tests.test_history import a_night
from tests.written import GOOD, a_run, an_estimate

IDENTITY = {"data.name": "blobs", "device": "cpu", "seeds a night": "1"}
pytestmark = pytest.mark.usefixtures("judged_here")

Numbers = Callable[[Night], dict[str, Any]]


def noisy(night: Night) -> dict[str, Any]:
    """Numbers of a night by its seed: normal enough, and never the same twice."""
    import numpy as np

    generator = np.random.default_rng(night.seeds[0])
    return {
        "accuracy": 0.9 + 0.002 * generator.standard_normal(),
        "agreement": 0.7 + 0.01 * generator.standard_normal(),
    }


@dataclass
class HandWritten(Nights):
    """Nights whose runs are written by hand."""

    numbers: Numbers = noisy
    failures: list[BaseException] = field(default_factory=list)
    asked: list[Night] = field(default_factory=list)

    identity: dict[str, str] = field(default_factory=lambda: dict(IDENTITY))

    def compute(self, night: Night) -> tuple[RunDirectory, BaseException | None]:
        self.asked.append(night)
        values = self.config.model_dump(mode="json") | {"seeds": night.seeds}
        numbers = self.numbers(night).items()
        estimates = tuple(an_estimate(name, number, seed=night.seeds[0]) for name, number in numbers)
        run = a_run(self.config.output, config=values, estimates=estimates)
        documents.write_night(run, night)
        provenance = run.read_provenance()
        dataset = dict(provenance.dataset) | {"digest": "d"}
        run.write_provenance(replace(provenance, dataset=dataset, commit=f"c{night.sequence}"))
        run.finish()
        written = Written(id=night.id, kind=night.kind, of=night.of)
        begun = documents.begun(written, run.read_config(), run)
        self.identity = begun.identity
        self.kept.record(begun)
        if self.failures:
            failure = self.failures.pop()
            told = {"stage": "training", "kind": "interrupted", "message": "m", "trace": None}
            run.write_json("failure.json", told)
            run.finish()
            return run, failure
        return RunDirectory.open(run.path), None


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """One seed a night."""
    return Config.model_validate({"output": tmp_path / "artifacts", "nightly": {"seeds": 1}})


@pytest.fixture
def nights(config: Config) -> Any:
    """Nights kept beside their runs."""
    config.output.mkdir()
    made = HandWritten(config, Kept(place_of(config), lambda _: None), Silence())
    with made.held:
        yield made


def stored(config: Config) -> list[Night]:
    return History.open(place_of(config)).nights()


def test_three_nights_are_three_rows_and_no_seed_twice(nights: HandWritten, config: Config) -> None:
    """Recorded, not compared, and each says with how many it could be."""
    whys = [nights.tonight()[1]["past"]["why"] for _ in range(3)]
    found = stored(config)
    assert [one.sequence for one in found] == [1, 2, 3]
    assert {one.status for one in found} == {"ended"}
    assert len({seed for one in found for seed in one.seeds}) == 3
    told = "of 10 nights, 10 measurements so far without a past"
    assert whys == [f"not compared: {number} {told}" for number in range(3)]


@pytest.mark.thorough
def test_warm_up_makes_the_first_points_and_no_more(nights: HandWritten, config: Config) -> None:
    """As many as the series lacks; then nights are compared."""
    nights.tonight()
    assert nights.warm_up(12) is None
    assert nights.warm_up(12) is None
    assert [one.kind for one in stored(config)] == ["night"] + ["warm-up"] * 11
    _, values, _ = nights.tonight()
    assert values["past"]["status"] == "compared"
    assert values["past"]["why"] == "compared with 12 nights: 10 measurements, 0 regressions"
    assert values["verdict"] == "pass"


@pytest.fixture
def here(nights: HandWritten, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[HandWritten], object]]:
    """Lets the points of a warm-up be made in threads, by nights of their own; each may be changed first."""
    changes: list[Callable[[HandWritten], object]] = []

    def made(_: object, folder: Path, log: str, variables: Mapping[str, str]) -> Ended:
        config = configuration.load(folder / "settings.toml")
        kept = Kept(variables[warming.PLACE], lambda _: None)
        one = HandWritten(config, kept, Silence(), identity=dict(nights.identity))
        with suppress(IndexError):
            changes.pop(0)(one)
        with one.held:
            try:
                failure = one.warm_up_once()
            except HarnessError as error:
                return Ended(error.exit_code, f"error: {error}\n")
        return Ended(0 if failure is None else 3, f"warning: {failure}\n")

    monkeypatch.setattr(warming, "_made", made)
    return changes


@pytest.mark.thorough
@pytest.mark.usefixtures("here")
def test_points_side_by_side_are_points_one_after_another(nights: HandWritten, config: Config) -> None:
    """Each has its number and its seeds; the nights are of their series, and held against them."""
    nights.tonight()
    assert nights.warm_up(12, jobs=4) is None
    assert nights.warm_up(12, jobs=4) is None
    found = stored(config)
    assert [one.sequence for one in found] == list(range(1, 13))
    assert [(one.kind, one.status) for one in found] == [("night", "ended")] + [("warm-up", "ended")] * 11
    assert len({seed for one in found for seed in one.seeds}) == 12
    assert {tuple(sorted(one.identity.items())) for one in found} == {tuple(sorted(nights.identity.items()))}
    assert len(nights.asked) == 1
    assert len(list(config.output.glob(".night-*"))) == 1  # that of the night, of this process
    _, values, _ = nights.tonight()
    assert values["past"]["why"] == "compared with 12 nights: 10 measurements, 0 regressions"


@pytest.mark.thorough
def test_points_that_were_killed_are_gone_on_with_side_by_side(
    nights: HandWritten, config: Config, here: list[Callable[[HandWritten], object]]
) -> None:
    """By their numbers and seeds, and by one process each."""

    def interrupted(one: HandWritten) -> None:
        one.failures = [KeyboardInterrupt()]

    nights.tonight()
    here += [interrupted] * 2
    with pytest.raises(RunError, match="ended with 3"):
        nights.warm_up(5, jobs=2)
    begun = [one for one in stored(config) if one.status == "begun"]
    assert begun
    assert nights.warm_up(5, jobs=2) is None
    found = {one.id: one for one in stored(config) if one.status == "ended"}
    assert all(found[one.id].seeds == one.seeds for one in begun)
    assert sorted(one.sequence for one in found.values()) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_point_that_fails_ends_the_warm_up(
    nights: HandWritten, config: Config, jobs: int, here: list[Callable[[HandWritten], object]]
) -> None:
    """It is not made again and again: one without a number counts for nothing."""

    def broken(one: HandWritten) -> None:
        one.numbers = lambda _: {"accuracy": None}

    here += [broken] * 9
    broken(nights)
    with pytest.raises(RunError, match="gives no point; see its verdict"):
        nights.warm_up(9, jobs=jobs)
    assert 1 <= len(stored(config)) <= jobs


def test_points_of_another_series_are_told(
    nights: HandWritten, config: Config, here: list[Callable[[HandWritten], object]]
) -> None:
    """As where the data is replaced meanwhile: they are not made for ever."""

    def other(one: HandWritten) -> None:
        one.config = one.config.model_copy(update={"recipe": "joint"})

    here += [other] * 3
    nights.tonight()
    with pytest.raises(RunError, match="is of another series"):
        nights.warm_up(4, jobs=2)
    assert len(stored(config)) == 4


def test_a_break_is_red_until_somebody_accepts_it(nights: HandWritten, config: Config) -> None:
    """Measured again, then red by name; the next night the same alarm, open since; accepted, green."""
    nights.warm_up(20)
    good = nights.numbers
    nights.numbers = lambda night: good(night) | {"accuracy": 0.8 + night.seeds[0] / 2**42}
    run, values, _ = nights.tonight()
    assert [one.kind for one in nights.asked[-2:]] == ["night", "confirmation"]
    assert nights.asked[-1].of == nights.asked[-2].id
    assert nights.asked[-1].seeds != nights.asked[-2].seeds
    assert values["verdict"] == "fail"
    (alarm,) = values["regressions"]
    (row,) = [one for one in values["criteria"] if one.relation == PAST]
    assert (alarm["id"], alarm["state"], alarm["rule"]) == ("accuracy@21", "open", "one night")
    assert (row.id, row.verdict) == ("regression.accuracy-21", "fail")
    assert RunDirectory.open(run.path).read_verdict()["verdict"] == "fail"  # type: ignore[index]
    assert RunDirectory.open(config.output / "latest").path == run.path
    # judged again without a history, what it said stands
    assert verdicts.judge(run)["verdict"] == "fail"
    _, values, _ = nights.tonight()
    assert [one["id"] for one in values["regressions"]] == ["accuracy@21"]
    assert values["regressions"][0]["found"].startswith("000021-")
    history = History.open(place_of(config))
    newest = stored(config)[-1].id
    history.act(Human("accept-12345678", "accept", "now", newest, "known", alarm="accuracy@21"))
    _, values, _ = nights.tonight()
    assert (values["verdict"], values["regressions"]) == ("pass", [])


@pytest.mark.thorough
def test_an_error_night_is_listed_and_counts_for_nothing(nights: HandWritten, config: Config) -> None:
    """A gate without a number: exit 3, a row, and no point."""
    nights.warm_up(11)
    good = nights.numbers
    nights.numbers = lambda night: good(night) | {"accuracy": None}
    _, values, _ = nights.tonight()
    assert values["verdict"] == "error"
    nights.numbers = good
    _, values, _ = nights.tonight()
    assert (values["past"]["nights"], values["verdict"]) == (11, "pass")
    assert [one.verdict for one in stored(config)[-2:]] == ["error", "pass"]


def test_a_gate_that_no_night_had_is_held_against_nothing() -> None:
    """Of a model that cannot be asked for it; before the first verdict every gate is."""
    config = Config()
    gates = [one.measurement for one in config.criteria if one.gate]
    night = a_night(1)
    judged = {one.measurement for one in night.criteria}
    assert judged < set(gates)
    assert {one.measurement for one in kept.family_of(config, [night])} == judged & set(gates)
    blank = replace(night, criteria=[])
    assert [one.measurement for one in kept.family_of(config, [blank])] == gates


def test_a_number_that_is_gone_is_an_error(nights: HandWritten, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nothing asks for it any more."""
    nights.tonight()
    other = {"measurement": "dead_units", "relation": ">=", "threshold": 0, "gate": False}
    dropped = [{"id": "accuracy"} | other]
    monkeypatch.delitem(GOOD, "accuracy")
    values = nights.config.model_dump(mode="json", exclude={"criteria"}) | {"criteria": dropped}
    nights.config = Config.model_validate(values)
    nights.numbers = lambda _: {}
    _, values, _ = nights.tonight()
    assert values["verdict"] == "error"
    assert "regression.accuracy.missing" in [one.id for one in values["criteria"]]


def test_a_night_that_was_broken_off_is_gone_on_with(nights: HandWritten, config: Config) -> None:
    """By its id and seeds: one row for both runs."""
    nights.failures = [KeyboardInterrupt()]
    _, values, failure = nights.tonight()
    assert isinstance(failure, KeyboardInterrupt)
    assert values["verdict"] == "interrupted"
    assert [one.status for one in stored(config)] == ["begun"]
    nights.held.close()
    nights.tonight()
    assert nights.asked[0].seeds == nights.asked[1].seeds
    assert [(one.sequence, one.status) for one in stored(config)] == [(1, "ended")]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_night_that_was_broken_off_before_it_had_a_run_is_gone_on_with(config: Config, number: int) -> None:
    """What its process held is nobody's; in another folder, or for more seeds, it is not ours."""
    config.output.mkdir()

    def begun(count: int, output: Path) -> int:
        changed = config.model_copy(update={"output": output, "nightly": Nightly(seeds=count)})
        nights = HandWritten(changed, Kept(place_of(config), lambda _: None), Silence())
        with nights.held:
            return nights.begin("night").sequence

    def broken_off() -> None:
        nights = HandWritten(config, Kept(place_of(config), lambda _: None), Silence())
        with suppress(KeyboardInterrupt), nights.held:
            nights.begin("night")
            os.kill(os.getpid(), number)

    process = multiprocessing.get_context("fork").Process(target=broken_off)
    process.start()
    process.join()
    assert [(one.status, one.place) for one in stored(config)] == [("begun", "")]
    assert begun(1, config.output.with_name("other")) == 2
    assert begun(2, config.output) == 3
    assert begun(1, config.output) == 1


def test_a_run_of_the_same_name_on_another_machine_is_not_ours(nights: HandWritten, config: Config) -> None:
    """Two runners on one history may have the same folders, and begin in the same second."""
    nights.failures = [KeyboardInterrupt()]
    run, _, _ = nights.tonight()
    nights.held.close()
    (begun,) = stored(config)
    documents.write_night(run, replace(begun, id="000009-abcdef"))
    assert nights.begin("night").sequence == 2
    documents.write_night(run, begun)
    assert nights.begin("night").id == begun.id


def test_a_night_that_somebody_works_on_is_nobody_elses(nights: HandWritten, config: Config) -> None:
    """Two at once are two nights."""
    nights.failures = [KeyboardInterrupt()]
    nights.tonight()  # still held by this process
    nights.tonight()
    assert [one.sequence for one in stored(config)] == [1, 2]


def test_a_night_of_another_machine_is_nobody_elses(nights: HandWritten, config: Config) -> None:
    """Though its folder has the name of ours, as in a container: whether it is dead cannot be told here."""
    nights.failures = [KeyboardInterrupt()]
    run, _, _ = nights.tonight()
    nights.held.close()
    shutil.rmtree(run.path)
    nights.tonight()
    assert [(one.sequence, one.status) for one in stored(config)] == [(1, "begun"), (2, "ended")]


def test_what_the_history_lost_the_runs_tell_again(nights: HandWritten, config: Config) -> None:
    """A history that is gone, or on another disk tonight, is filled from the run directories."""
    for _ in range(2):
        nights.tonight()
    before = stored(config)
    Path(place_of(config)).unlink()
    again = HandWritten(config, Kept(place_of(config), lambda _: None), Silence())
    assert again.catch_up() == [one.id for one in before]
    assert again.catch_up() == []
    assert stored(config) == before
    with again.held:
        again.tonight()
    assert [one.sequence for one in stored(config)] == [1, 2, 3]


def test_a_history_out_of_reach_costs_no_night(nights: HandWritten, config: Config) -> None:
    """The run stands, says that it is recorded later, and is."""
    nights.tonight()
    place = Path(place_of(config))
    place.rename(config.output / "aside")
    place.mkdir()  # no file can be opened there
    said: list[str] = []
    away = HandWritten(config, Kept(place, said.append), Silence())
    with away.held:
        run, values, _ = away.tonight()
    assert values["verdict"] == "pass"
    assert values["past"]["status"] == "unavailable"
    assert "recorded later" in values["past"]["why"]
    assert len(said) == 1
    assert json.loads((run / NIGHT).read_text())["id"].startswith("000002-")
    place.rmdir()
    (config.output / "aside").rename(place)
    nights.kept = Kept(place, said.append)
    assert len(nights.catch_up()) == 1
    assert [one.sequence for one in stored(config)] == [1, 2]


def test_a_damaged_history_is_set_aside(nights: HandWritten, config: Config) -> None:
    """Untouched, said, and the next night has the past again."""
    nights.tonight()
    place = Path(place_of(config))
    content = b"no database" * 500
    place.write_bytes(content)
    said: list[str] = []
    again = HandWritten(config, Kept(place, said.append), Silence())
    again.catch_up()
    with again.held:
        _, values, _ = again.tonight()
    assert values["verdict"] == "pass"
    assert values["past"]["status"] == "unavailable"
    assert place.with_name("history.db.damaged-1").read_bytes() == content
    assert "history.db.damaged-1" in said[0]
    assert [one.sequence for one in stored(config)] == [1, 2]


def test_a_document_that_is_damaged_costs_no_number(nights: HandWritten, config: Config) -> None:
    """The file is whole, a row is not: the new history has what the runs tell before tonight."""
    for _ in range(2):
        nights.tonight()
    before, place = stored(config), Path(place_of(config))
    with sqlite3.connect(place) as connection:
        connection.execute("UPDATE harness_night SET document = substr(document, 1, 99)")
    connection.close()
    again = HandWritten(config, Kept(place, lambda _: None), Silence())
    assert again.catch_up() == [one.id for one in before]
    with again.held:
        _, values, _ = again.tonight()
    assert [one.sequence for one in stored(config)] == [1, 2, 3]
    assert values["past"]["status"] == "unavailable"


def test_a_damaged_history_that_cannot_be_moved_costs_no_night(
    nights: HandWritten, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where its folder cannot be written to: tonight is recorded later."""
    nights.tonight()
    place = Path(place_of(config))
    whole = place.read_bytes()
    place.write_bytes(b"no database" * 500)

    def refused(*_: Any) -> None:
        raise Unreachable("it cannot be set aside")

    monkeypatch.setattr(kept, "set_aside", refused)
    said: list[str] = []
    away = HandWritten(config, Kept(place, said.append), Silence())
    with away.held:
        _, values, _ = away.tonight()
    assert (values["verdict"], values["past"]["status"]) == ("pass", "unavailable")
    assert "not a database" in said[0]
    assert "cannot be set aside: tonight is recorded later" in said[0]
    place.write_bytes(whole)
    nights.kept = Kept(place, said.append)
    assert len(nights.catch_up()) == 1


def test_only_a_whole_night_of_the_history_can_be_pinned(nights: HandWritten, config: Config) -> None:
    """A run that is none, one without canary, and one that the history lacks are refused by name."""
    run, _, _ = nights.tonight()
    history = History.open(place_of(config))
    with pytest.raises(RunError, match="has no canary"):
        pinning(RunDirectory.open(run.path), "good", history.nights(), history.name)
    with pytest.raises(RunError, match=NIGHT):
        pinning(a_run(config.output), "good", history.nights(), history.name)
    elsewhere = History.open(config.output / "other.db")
    with pytest.raises(ConfigurationError, match="has no night 000001-"):
        pinning(RunDirectory.open(run.path), "good", elsewhere.nights(), elsewhere.name)


def test_the_last_green_night_is_found_by_its_run(nights: HandWritten, config: Config) -> None:
    """Of the series; where its run is gone, that is said."""
    green, _, _ = nights.tonight()
    nights.numbers = lambda _: {"accuracy": 0.5}
    nights.tonight()
    last, _, _ = nights.tonight()
    history = History.open(place_of(config))
    assert nightly.last_green(history, RunDirectory.open(last.path)).path == green.path
    with pytest.raises(RunError, match=r"no night of its series before 000001-\w+ was green"):
        nightly.last_green(history, RunDirectory.open(green.path))
    shutil.rmtree(green.path)
    with pytest.raises(RunError, match="is not there any more; name one by --against"):
        nightly.last_green(history, RunDirectory.open(last.path))


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["gone", "damaged", "interrupted"])
def test_a_verdict_that_is_lost_takes_no_regression_with_it(nights: HandWritten, kind: str) -> None:
    """Who judges again finds it in `history.json`; without that, that nothing was compared."""
    nights.warm_up(20)
    good = nights.numbers
    nights.numbers = lambda night: good(night) | {"accuracy": 0.8 + night.seeds[0] / 2**42}
    run, values, _ = nights.tonight()
    if kind == "damaged":
        (run / "verdict.json").write_text("{")
    else:
        (run / "verdict.json").unlink()
    if kind == "interrupted":
        unjudged(run, failure_of("judging", KeyboardInterrupt()))
    again = verdicts.judge(run)
    assert (again["verdict"], again["past"]) == ("fail", values["past"])
    assert again["regressions"] == values["regressions"]
    for name in ("verdict.json", "history.json"):
        (run / name).unlink()
    again = verdicts.judge(run)
    assert (again["verdict"], again["past"]["status"]) == ("pass", "unavailable")
    assert "judged without the nights before it" in sentence(again)


def test_two_seeds_under_strict_are_refused_before_a_night_is_spent(tmp_path: Path) -> None:
    """No verdict could be reached on what they compute."""
    values = {"output": tmp_path, "strict": True, "nightly": {"seeds": 2}}
    with (
        pytest.raises(ConfigurationError, match=r"seeds must be 1, or 3 or more"),
        nightly.nights_of(Config.model_validate(values), tmp_path / "h.db", Silence()),
    ):
        pass
    assert not (tmp_path / "h.db").exists()


def test_an_excluded_night_is_no_point_of_a_warm_up(nights: HandWritten, config: Config) -> None:
    """As it counts for nothing."""
    nights.tonight()
    (first,) = stored(config)
    act = Human("exclude-12345678", "exclude", "now", first.id, "broken", night=first.id)
    History.open(place_of(config)).act(act)
    assert nights.points() == 0
