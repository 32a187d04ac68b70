"""The report's sections on the nights before: what changed, what alarms, and every number over the nights."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness import report
from harness.artifacts.directories import RunDirectory
from harness.artifacts.sealing import HISTORY
from harness.errors import RunError
from harness.history.past import Past
from harness.judging import verdicts
from harness.report.nights import judgement, night_name, numbers_before, open_alarms, sparks
from harness.report.strips import axis_of, standing_chart, strip_chart
from harness.runs import Run
from tests import pasts
from tests.pasts import night_id, with_past
from tests.written import a_run

pytestmark = pytest.mark.usefixtures("judged_here")

Page = Callable[[Past | None], str]


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Page:
    """Draws the sections on the past of a run with that past, and the page's head."""
    kept = {name: one for name, one in report.sections.items() if name in ("changes", "trends")}
    monkeypatch.setattr(report.sections, "_entries", kept)
    run = a_run(tmp_path)
    verdicts.judge(run)

    def draw(past: Past | None) -> str:
        if past is not None:
            with_past(run, past)
        return report.render(RunDirectory.open(run.path)).read_text(encoding="utf-8")

    return draw


def part(page: str, name: str) -> str:
    """The markup of one section."""
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def words_of(markup: str) -> str:
    """What a reader reads."""
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", markup))


def test_a_past_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Every field comes back; a run without one has None; a damaged one is named."""
    run = a_run(tmp_path)
    assert Run(run).past is None
    assert Run(with_past(run, pasts.red())).past == pasts.red()
    (run / HISTORY).write_text('{"schema": 1, "night": 3}')
    with pytest.raises(RunError, match=r"history\.json: damaged"):
        assert Run(run).past


def test_a_past_is_published_not_computed(tmp_path: Path) -> None:
    """It bears no seal of what was computed: a run that gets one is as whole as before."""
    run = a_run(tmp_path)
    with_past(run, pasts.red())
    assert run.manifest.damage() == []
    run.finish()
    assert HISTORY not in run.manifest.files


def test_a_run_without_a_history_says_so_and_loads_no_seaborn(page: Page, tmp_path: Path) -> None:
    """Both sections are a line, the table has no further column, and seaborn stays where it is."""
    markup = page(None)
    for name in ("changes", "trends"):
        assert "No history: this run was judged by itself; harness nightly keeps one" in part(markup, name)
    assert "last nights" not in markup
    (run,) = (tmp_path / "runs").iterdir()
    code = (
        "import sys; from harness import report; from harness.runs import Run; "
        "from harness.artifacts.directories import RunDirectory; "
        f"run = Run(RunDirectory.open({str(run)!r})); "
        "[report.sections[name].fill(run) for name in ('changes', 'trends')]; "
        "sys.exit('seaborn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.thorough
def test_an_open_alarm_is_told_whole(page: Page) -> None:
    """Its id, size, rule, first night, range, last good night, what changed, and the line that accepts it."""
    text = words_of(part(page(pasts.red()), "changes"))
    assert "Compared with 38 nights: 5 measurements, 2 regressions." in text
    assert "Open alarms" in text
    assert (
        "-0.024 correlation, -6 standard deviations of the nights before. Began: night 30, may be any from "
        "night 29 to night 31. Found: night 33. Last good: night 28."
    ) in text
    assert "The cumulative sum of the nights passed its limit." in text
    assert "version versions.torch 2.10.0 2.11.0" in text
    assert "harness accept agreement@33 --reason &#34;...&#34;" in text
    # one that began in this very night has no range, one without a spread no standard deviations
    assert "+1 units. Began: night 40. Found: night 40. Last good: night 39." in text
    assert "less than is worth red" in text.split("dead_units@36")[1]
    ended = text.split("Alarms that ended tonight")[1].split("Criteria since")[0]
    assert "Recovered: night 40." in ended
    assert "p 0.0004 and 0.006" in ended
    assert "accuracy@16" not in text


def test_red_alarms_come_before_notices() -> None:
    """Those that ended are not open."""
    past = pasts.red()
    shuffled = dataclasses.replace(past, alarms=past.alarms[::-1])
    assert [one.red for one in open_alarms(shuffled)] == [True, True, False]


def test_criteria_are_told_from_the_night_before(page: Page) -> None:
    """New, still failing since a night, fixed and added stand in a table, the others are counted."""
    past = dataclasses.replace(pasts.red(), standings=[*pasts.red().standings, *pasts.a_past().standings[:3]])
    text = words_of(part(page(past), "changes").split("Criteria since")[1].split("<h3>")[0])
    assert "accuracy ✓ fixed –" in text
    assert "agreement ✗ still failing night 33" in text
    assert "sparsity ✗ new night 40" in text
    assert "reconstruction added: not judged before" in text
    assert "3 criteria hold as before." in text


def test_tonight_stands_beside_the_pin_and_the_last_green_night(page: Page) -> None:
    """With signed changes, named where they are as large as what is worth red."""
    past = pasts.red()
    text = words_of(part(page(past), "changes").split("Tonight beside")[1].split("<h3>")[0])
    assert "pin, night 12" in text
    assert "green, night 39" in text
    strip = past.strips[1]
    tonight = strip.points[-1].value
    assert tonight is not None
    assert strip.pinned is not None
    row = text.split("agreement ")[1]
    assert f"{tonight:.4g} 0.7 {tonight - 0.7:+.3g} ▼ worse" in row


@pytest.mark.parametrize(
    ("better", "change", "least", "word"),
    [
        (True, -0.02, 0.02, "worse"),
        (True, 0.03, 0.02, "better"),
        (False, 0.03, 0.02, "worse"),
        (None, 0.03, 0.02, "moved"),
        (True, -0.019, 0.02, "within"),
        (True, 0.0, 0.02, "within"),
        (True, -1.0, 0.0, ""),
        (True, None, 0.02, ""),
    ],
)
def test_a_change_is_judged_by_what_is_worth_red(
    better: bool | None, change: float | None, least: float, word: str
) -> None:
    """Its direction counts, and nothing is judged where nobody said what is worth it."""
    strip = pasts.a_strip("agreement", 3, higher_is_better=better, min_change=least)
    assert judgement(strip, change) == word


@pytest.mark.thorough
def test_the_canary_is_told_with_its_event(page: Page) -> None:
    """What is worse, what cannot be told and why, and the event."""
    text = words_of(part(page(pasts.red()), "changes").split(">The canary<")[1].split(">Other than")[0])
    assert "Canary. The canary is other than the pinned one under the same fingerprint" in text
    assert "accuracy -0.01 -0.013 0.005 1,000 worse" in text
    assert "unknown no image of it was explained tonight" in text
    assert "Missing tonight: attribution_copies." in text
    assert "New tonight: test_overlap." in text


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("past", "told"),
    [
        (pasts.young(), "Too few nights. Compared with 3 of 10 nights: silent until then."),
        (pasts.young(1), "Too few nights. Compared with 1 of 10 nights: silent until then."),
        (
            pasts.unavailable(),
            "Not compared. Unavailable: the history artifacts/history.db is locked; recorded later.",
        ),
        (pasts.a_past(), "No series alarms."),
    ],
    ids=["young", "first", "unavailable", "green"],
)
def test_what_was_compared_is_said(page: Page, past: Past, told: str) -> None:
    """A list without regressions is told apart from one that nothing was compared for."""
    markup = page(past)
    text = words_of(part(markup, "changes"))
    assert told in text
    assert ("No series alarms." in text) == (past.status == "compared")
    assert "broken" not in markup.split("</style>")[1].replace("no broken", "")


def test_a_damaged_past_leaves_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sections say that they could not be made, and the table stands without its column."""
    kept = {name: one for name, one in report.sections.items() if name in ("changes", "provenance")}
    monkeypatch.setattr(report.sections, "_entries", kept)
    run = a_run(tmp_path)
    verdicts.judge(run)
    (run / HISTORY).write_text("{")
    with pytest.raises(RunError, match=r"history\.json: damaged"):
        report.render(RunDirectory.open(run.path))
    markup = (run / "report.html").read_text(encoding="utf-8")
    assert "This section could not be made; the verdict stands." in part(markup, "changes")
    assert "last nights" not in markup


def test_a_past_that_is_published_with_the_verdict_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lies in the folder that is being published, not in the run yet."""
    kept = {name: one for name, one in report.sections.items() if name == "changes"}
    monkeypatch.setattr(report.sections, "_entries", kept)
    run = a_run(tmp_path)

    def draw(*parts: object) -> bool:
        with_past(parts[2], pasts.red())  # type: ignore[arg-type]
        return report.draw(*parts)  # type: ignore[arg-type]

    verdicts.judge(run, page=draw)
    assert "agreement@33" in (run / "report.html").read_text(encoding="utf-8")
    assert Run(RunDirectory.open(run.path)).past == pasts.red()


def test_every_criterion_with_a_past_has_its_line(page: Page) -> None:
    """With its numbers in words; one without a strip has a dash."""
    markup = page(pasts.red())
    table = markup.split('<section id="criteria"')[1].split("</section>")[0]
    spoken = re.findall(r'<span role="img" aria-label="([^"]*)"><svg', table)
    assert len(spoken) == 4
    strip = pasts.red().strips[1]
    kept = [one.value for one in strip.points[-30:] if one.value is not None and one.state == "counted"]
    assert len(kept) == 28
    assert f"28 nights, {min(kept):.4g} to {max(kept):.4g}, last {kept[-1]:.4g}" in spoken
    assert table.count('<td class="spark">–</td>') == table.count('class="spark"') - 4 > 3


def test_lines_of_nights_are_drawn_only_where_there_are_numbers(tmp_path: Path) -> None:
    """A measurement that no night has has none."""
    past = pasts.a_past(20)
    empty = dataclasses.replace(past.strips[0], points=[])
    run = with_past(a_run(tmp_path), dataclasses.replace(past, strips=[empty, *past.strips[1:]]))
    assert set(sparks(Run(run))) == set(pasts.MEASURED) - {"accuracy"}


def test_the_nights_before_are_those_that_count() -> None:
    """Not tonight, none that was excluded or broke off, none of an open alarm, none before an acceptance."""
    past = pasts.red()
    accuracy, agreement, *_ = past.strips

    def of(strip: object, numbers: list[int]) -> list[float | None]:
        return [one.value for one in strip.points if int(one.night[:6]) in numbers]  # type: ignore[attr-defined]

    kept = [number for number in range(1, 30) if number not in (17, 23)]
    np.testing.assert_array_equal(numbers_before(agreement, past), of(agreement, kept))
    since = [number for number in range(14, 40) if number not in (17, 23, 38, 39)]
    np.testing.assert_array_equal(numbers_before(accuracy, past), of(accuracy, since))


def test_a_strip_is_told_in_numbers() -> None:
    """Its sentence has the last number, the median, the ends, pin and threshold; its table nights."""
    past = pasts.red()
    chart = strip_chart(past.strips[1], past, axis_of(past, 90), "strip-2")
    strip = past.strips[1]
    values = {int(one.night[:6]): one.value for one in strip.points if one.state in ("counted", "warm-up")}
    known = [value for value in values.values() if value is not None]
    assert f"in 38 nights: {known[-1]:.4g} [" in chart.finding
    assert f"the median {np.median(known):.4g}" in chart.finding
    assert f"from {min(known):.4g} in night" in chart.finding
    assert "pinned 0.7; threshold ≥ 0.6" in chart.finding
    assert "its level changed at night 30" in chart.finding
    assert "an alarm is open since night 30" in chart.finding
    assert len(chart.rows) == 14
    assert chart.rows[-1][:2] == ("night 40", "2026-02-10")
    assert {row[4] for row in chart.rows} == {"counted"}


def test_of_many_change_points_the_latest_are_named() -> None:
    """A sentence stays one where a number drifts for ever."""
    past = pasts.a_past(100)
    strip = pasts.a_strip("accuracy", 100, shift=dict.fromkeys(range(10, 91, 10), 30.0))
    chart = strip_chart(strip, dataclasses.replace(past, strips=[strip]), axis_of(past, 100), "strip-1")
    assert "its level changed at night 50, 60, 70, 80, 90, and 4 times before." in chart.finding


def test_tonight_is_told_in_standard_deviations() -> None:
    """Better to the right whatever the direction; what never moved is said to be as ever, or moved."""
    past = pasts.red()
    chart = standing_chart(past)
    assert chart is not None
    rows = {row[0]: row for row in chart.rows}
    assert rows["Active units"][5] == "moved for the first time"
    strip = past.strips[3]
    before, tonight = numbers_before(strip, past), strip.points[-1].value
    assert tonight is not None
    wanted = -(tonight - np.median(before)) / before.std(ddof=1)
    assert float(str(rows["Reconstruction error"][5])) == pytest.approx(wanted, abs=0.051)
    green = standing_chart(pasts.a_past())
    assert green is not None
    assert {row[0]: row for row in green.rows}["Active units"][5] == "as ever"


@pytest.mark.thorough
def test_only_the_latest_nights_are_drawn_and_the_others_said(page: Page) -> None:
    """A report draws ninety nights."""
    text = words_of(part(page(pasts.a_past(120)), "trends"))
    assert "30 earlier nights are not drawn here; harness history page draws a year." in text
    assert "6 charts share one false alarm a year (limit 5.84)" in text
    assert "1, 2 and 3 standard deviations is found after 12.1, 4.6 and 2.9 nights on average" in text


@pytest.mark.thorough
def test_the_same_past_is_the_same_bytes(page: Page) -> None:
    """Drawn twice the page is the same."""
    assert page(pasts.red()) == page(pasts.red())


def test_a_night_has_a_name() -> None:
    """By its number; a dash where there is none."""
    assert night_name(night_id(41)) == "night 41"
    assert night_name("") == "–"
