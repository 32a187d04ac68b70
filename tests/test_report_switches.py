"""The report's section on switches: what its sentences and tables say is what the run holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from harness import report
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder
from harness.measurements.switches import share
from harness.report import page
from harness.report.switches import LISTED, NO_ATOMS, PICTURED
from harness.runs import Run
from tests.conftest import Only
from tests.test_report_numbers import changed_arrays, context
from tests.written import sealed_anew

ASKED = "sanity/switches.npz"


@pytest.fixture
def asked(finished: RunDirectory) -> Mapping[str, Any]:
    """What the run's probe answered."""
    return finished.seed(0).read_arrays(ASKED)


def said(run: RunDirectory) -> str:
    found = report.sections["switches"].fill(Run(run))
    assert isinstance(found, str)
    return found


def body_of(run: RunDirectory) -> str:
    broken: list[str] = []
    part = page._part(report.sections["switches"], Run(run), page._environment(Folder(run.path)), broken)
    assert broken == []
    return str(part["body"])


def test_the_samples_with_the_largest_share_are_drawn(
    finished: RunDirectory, asked: Mapping[str, Any]
) -> None:
    """With their classes, their shares and their switches, the largest first, whichever their sign."""
    found, chosen = context(finished, "switches"), finished.read_arrays("samples.npz")
    shares = share(asked)
    order = np.argsort(-np.abs(shares), kind="stable")[:PICTURED]
    assert [one.name for one in found["charts"]] == [
        f"switches-{chosen['indices'][place]}" for place in order
    ]
    for chart, place in zip(found["charts"], order, strict=True):
        switches = int((asked["levels"][place] > 0).sum())
        assert f"{shares[place]:.4g} of the logit's change" in chart.finding
        assert f"at {switches} switches" in chart.finding
        assert Run(finished).classes[chosen["labels"][place]] in chart.finding
        assert chart.rows[-1][1] == f"{asked['along'][place, -1]:.4g}"
        alone = asked["along"][place, 0].astype(float) + asked["jumps"][place].astype(float).sum()
        assert float(chart.rows[-1][2]) == pytest.approx(alone, rel=1e-3)


def test_the_largest_switches_are_listed(finished: RunDirectory, asked: Mapping[str, Any]) -> None:
    """Ten of those of the samples drawn, by the size of their jumps, with both units."""
    table = context(finished, "switches")["listed"]
    order = np.argsort(-np.abs(share(asked)), kind="stable")[:PICTURED]
    sizes = np.sort(np.abs(asked["jumps"][order]).ravel())[::-1][:LISTED]
    assert [abs(float(row[6])) for row in table["rows"]] == pytest.approx(sizes.tolist(), rel=1e-3)
    first = table["rows"][0]
    sample = int(np.flatnonzero(finished.read_arrays("samples.npz")["indices"] == int(first[0]))[0])
    event = int(np.abs(asked["jumps"][sample]).argmax())
    assert first[3:5] == (str(asked["leaving"][sample, event]), str(asked["entering"][sample, event]))


def test_the_finding_is_the_runs_number(finished: RunDirectory, only: Only) -> None:
    """With its interval, and how many switches there are on the way; the page holds it."""
    run = Run(finished)
    of_share, of_count = run.estimate("switch_share"), run.estimate("switch_count")
    assert of_share is not None
    assert of_count is not None
    assert of_share.estimate == pytest.approx(float(np.median(share(run.evidence().sanity["switches"]))))
    only("switches")
    text = report.render(finished).read_text(encoding="utf-8")
    for number in (of_share.estimate, of_share.low, of_share.high, of_count.estimate):
        assert f"{number:.4g}" in text
    assert text.count('<figure id="switches-') == PICTURED


def test_shares_under_0_and_over_1_are_told(finished: RunDirectory) -> None:
    """Where switches and slopes work against one another."""
    values = finished.read_arrays("measurements/switch_share.npz")["switch_share"].copy()
    values[:, :3], values[:, 3:5] = -0.5, 1.5
    changed_arrays(finished, "measurements/switch_share.npz", switch_share=values)
    finding = context(finished, "switches")["spread"].finding
    under = int((values.mean(axis=0) < 0).sum())
    assert f"of {values.shape[1]} {under} are under 0, where switches take" in finding
    assert f"of {values.shape[1]} 2 are over 1, where slopes take" in finding
    assert "to 1.5" in finding


@pytest.mark.thorough
def test_a_run_of_before_has_a_line_and_the_rest_of_its_page(finished: RunDirectory) -> None:
    """It holds neither the probe's answers nor the measurements."""
    (finished.seed(0) / ASKED).unlink()
    kept = [one for one in finished.read_estimates() if not one.name.startswith("switch_")]
    for path in (finished / "measurements").glob("switch_*.npz"):
        path.unlink()
    (finished / "estimates.json").unlink()
    finished.write_estimates(kept)
    assert said(finished) == "The run does not hold what happens at switches; compute it again."
    text = report.render(sealed_anew(finished)).read_text(encoding="utf-8")
    assert "compute it again" in text
    assert 'href="#switches"' not in text


def test_what_could_not_be_measured_says_why(finished: RunDirectory) -> None:
    """In the words of the measurement."""
    estimates = [
        one.__class__(**vars(one) | {"estimate": None, "reason": "the model computes something else"})
        if one.name.startswith("switch_")
        else one
        for one in finished.read_estimates()
    ]
    (finished / "estimates.json").unlink()
    finished.write_estimates(estimates)
    assert said(finished) == "It could not be measured: the model computes something else."


def test_a_model_without_atoms_has_its_paths_all_the_same(
    finished: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the reason in their place."""
    there = Run(finished).capabilities - {"atoms"}
    monkeypatch.setattr(Run, "capabilities", property(lambda _: there))
    body = body_of(finished)
    assert NO_ATOMS in body
    assert "by its jumps alone" in body
    assert "leaves</text>" not in body


def test_a_code_that_never_jumps_has_no_pictures(finished: RunDirectory, asked: Mapping[str, Any]) -> None:
    """Its shares are 0, and there is nothing to draw."""
    nothing = {name: np.zeros_like(asked[name]) for name in ("levels", "jumps", "before")}
    changed_arrays(finished.seed(0), ASKED, **nothing)
    found = context(finished, "switches")
    assert found["charts"] == []
    assert "Where the share is largest" not in body_of(finished)


def test_a_model_without_k_active_units_says_what_it_lacks(
    finished: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As every section does."""
    monkeypatch.setattr(Run, "capabilities", property(lambda _: frozenset({"code"})))
    part = page._part(
        report.sections["switches"], Run(finished), page._environment(Folder(finished.path)), []
    )
    assert part["absent"] == "The model has no code of k active units."
