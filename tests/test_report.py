"""The report: one page, true to the numbers, inert to foreign text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import warnings
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness import report
from harness.artifacts.directories import RunDirectory
from harness.criteria import show
from harness.errors import RunError
from harness.judging import verdicts
from harness.report import Section
from harness.report.page import LINKS
from harness.runs import Run
from tests.conftest import Only
from tests.written import sealed_anew


@pytest.fixture(scope="module")
def rendered(finished_output: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A copy of the small run with its report; to be read, not written."""
    target = tmp_path_factory.mktemp("rendered") / "run"
    shutil.copytree((finished_output / "latest").resolve(), target)
    run = RunDirectory.open(target)
    report.render(run)
    return run


def page_of(run: RunDirectory) -> str:
    return report.render(run).read_text(encoding="utf-8")


def test_no_line_of_a_drawing_is_empty(rendered: RunDirectory) -> None:
    """What a drawing names, as in a legend, is drawn: no path is without its points."""
    page = (rendered / "report.html").read_text(encoding="utf-8")
    assert len(re.findall("<path ", page)) > 100
    assert not re.findall(r"<path(?![^>]*\bd=)[^>]*>", page)


def test_the_page_bears_the_verdicts_numbers(rendered: RunDirectory) -> None:
    """Every criterion stands in the page with the numbers and the verdict of verdict.json."""
    page = (rendered / "report.html").read_text(encoding="utf-8")
    verdict = rendered.read_verdict()
    assert verdict is not None
    rows = re.findall(r"<tr[^>]*>\s*<th scope=\"row\">.*?</tr>", page.split("</table>")[0], re.DOTALL)
    criteria = {one.id: one for one in verdict["criteria"]}
    ids = [re.findall("<code>(.*?)</code>", row)[0] for row in rows]
    assert sorted(ids) == sorted(criteria)
    assert [criteria[name].gate for name in ids] == sorted(
        (one.gate for one in criteria.values()), reverse=True
    )
    for one, row in zip([criteria[name] for name in ids], rows, strict=True):
        assert f"<code>{one.id}</code>" in row
        assert f'<td class="number">{show(one.estimate)}</td>' in row
        assert f"</span> {one.verdict}</span>" in row
        if one.low is not None:
            assert f"{show(one.low)} to {show(one.high)}" in row
    assert "PASS" in page.split("</h1>")[0]


@pytest.mark.thorough
def test_the_same_run_renders_to_the_same_bytes(rendered: RunDirectory, finished: RunDirectory) -> None:
    """A copy of the run, rendered again, has the same page and the same figures."""
    assert page_of(finished) == (rendered / "report.html").read_text(encoding="utf-8")
    for path in (rendered / "figures").iterdir():
        assert (finished / "figures" / path.name).read_bytes() == path.read_bytes()


def test_the_page_needs_no_network(rendered: RunDirectory) -> None:
    """The page forbids requests, and holds no address that a browser would ask for."""
    page = (rendered / "report.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses
    assert all(address.startswith(("#", "data:")) for address in addresses)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert page.count("<script") == 1


def test_every_section_and_sample_has_an_anchor(rendered: RunDirectory) -> None:
    """Each section and each shown sample can be linked to, each id stands once."""
    page = (rendered / "report.html").read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {*report.sections} <= set(ids)
    assert {*report.ORDER} - {"*"} <= set(report.sections)
    run = Run(rendered)
    for place in run.typical(1):
        assert f"sample-{run.evidence().indices[place]}" in ids
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_the_links_say_what_they_lead_to(rendered: RunDirectory) -> None:
    """Each after its anchor, but where a plainer word is known; the anchor stays."""
    page = (rendered / "report.html").read_text(encoding="utf-8")
    (links,) = re.findall(r'<nav aria-label="Sections">(.*?)</nav>', page, re.DOTALL)
    assert '<a href="#forest">Margins</a>' in links
    assert '<a href="#sparse-code">Sparse code</a>' in links
    assert set(LINKS) <= set(report.sections)


def test_the_page_is_well_formed(rendered: RunDirectory) -> None:
    """Every tag that is opened is closed, in order."""
    void = {"meta", "link", "br", "hr", "img", "input"}

    class Checker(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.open: list[str] = []

        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in void:
                self.open.append(tag)

        def handle_startendtag(self, tag: str, attrs: object) -> None:
            """An empty element of SVG."""

        def handle_endtag(self, tag: str) -> None:
            assert self.open.pop() == tag

    checker = Checker()
    checker.feed((rendered / "report.html").read_text(encoding="utf-8"))
    assert checker.open == []


def test_every_chart_says_what_it_shows(rendered: RunDirectory) -> None:
    """Each drawing has an alternative text with its finding, and charts of numbers a table behind them."""
    page = (rendered / "report.html").read_text(encoding="utf-8")
    charts = re.findall(r"<figure id=\"([^\"]+)\".*?</figure>", page, re.DOTALL)
    assert len(charts) == page.count("<figure") > 10
    for chart in re.finditer(r"<figure id=\"([^\"]+)\".*?</figure>", page, re.DOTALL):
        (label,) = re.findall(r'role="img" aria-label="([^"]*)"', chart[0])
        assert len(label) > 20
        assert "<summary>The numbers</summary>" in chart[0]


def test_a_page_without_full_data_says_so_at_the_top(finished: RunDirectory, only: Only) -> None:
    """The notice about substituted data stands in the head of the page."""
    only()
    values = json.loads((finished / "verdict.json").read_text())
    (finished / "verdict.json").write_text(
        json.dumps(values | {"notice": "This run judges the small excerpt."})
    )
    sealed_anew(finished)
    head = page_of(finished).split("</header>")[0]
    assert "This run judges the small excerpt." in head


def test_a_run_without_a_verdict_is_not_reported(finished: RunDirectory) -> None:
    """A run that was not judged has no report, and the message tells how to judge it (fault 35)."""
    (finished / "verdict.json").unlink()
    with pytest.raises(RunError, match="harness judge"):
        report.render(finished)


@pytest.mark.thorough
def test_a_broken_off_run_is_reported(finished: RunDirectory) -> None:
    """A run that broke off has a report that says where, with the trace as text."""
    trace = "Traceback </pre><img src=x onerror=alert(1)> {{7*7}}"
    failure = {"stage": "training", "kind": "ValueError", "message": "<b>boom</b>", "trace": trace}
    finished.write_json("failure.json", failure)
    for name in ("estimates.json", "samples.json"):
        (finished / name).unlink()
    verdicts.judge(sealed_anew(finished))
    page = page_of(finished)
    assert "broke off in stage training" in page.split("</header>")[0]
    assert "<img src=x" not in page
    assert "<b>boom" not in page
    assert "{{7*7}}" in page


def test_a_section_that_fails_leaves_the_verdict(
    finished: RunDirectory, monkeypatch: pytest.MonkeyPatch, only: Only
) -> None:
    """A section that fails says so in its place, the page stands, and the failure is raised (fault 48)."""
    only("model", "provenance")

    def fail(_: Run) -> str:
        raise ZeroDivisionError("no figure today")

    monkeypatch.setitem(report.sections._entries, "model", Section("model", "The model", fail))
    with pytest.raises(RunError, match="no figure today"):
        report.render(finished)
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "This section could not be made; the verdict stands." in page
    assert "PASS" in page
    assert 'id="provenance"' in page


def test_a_section_of_a_damaged_file_says_so_and_the_verdict_stands(
    finished: RunDirectory, only: Only
) -> None:
    """Where no gate rests on what is not as it was, the page says which file, and is whole (fault 51)."""
    only("model", "provenance")
    (finished / "seed-0/predictions.npz").unlink()
    page = page_of(finished)
    assert "It cannot be shown: " in page
    assert "predictions.npz: missing; take it from a copy of the run" in page
    with_page = verdicts.judge(finished, page=report.draw)
    assert with_page["verdict"] == "pass"
    assert with_page["remarks"] == ["not as it was computed: seed-0/predictions.npz: missing"]


@pytest.mark.parametrize("name", ["measurements/reconstruction.npz", "estimates.json", "failure.json"])
def test_no_page_is_drawn_over_what_a_gate_rests_on(finished: RunDirectory, name: str) -> None:
    """Neither a page nor the verdict of the run is believed where that is not as it was (fault 51)."""
    (finished / name).write_bytes(b"{}")
    with pytest.raises(RunError, match=name):
        report.render(finished)
    assert not (finished / "report.html").exists()
    with pytest.raises(RunError, match=name), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert Run.open(finished.path).verdict


def test_a_page_is_of_the_verdict_that_stands(
    finished: RunDirectory, monkeypatch: pytest.MonkeyPatch, only: Only
) -> None:
    """Judged anew while it is drawn, a page is drawn anew: never PASS beside another verdict."""
    only("provenance")
    fill = report.sections["provenance"].fill
    judged: list[Any] = []

    def meanwhile(run: Run) -> Any:
        if not judged:
            judged.append(verdicts.judge(finished, strict=True))
        return fill(run)

    changed = Section("provenance", "P", meanwhile)
    monkeypatch.setitem(report.sections._entries, "provenance", changed)
    page = page_of(finished)
    verdict = finished.read_verdict()
    assert verdict is not None
    assert verdict["strict"]
    assert f"<title>{verdict['verdict'].upper()}" in page


def test_a_section_without_data_is_a_line(
    finished: RunDirectory, monkeypatch: pytest.MonkeyPatch, only: Only
) -> None:
    """A section that has nothing to show says why, in a line."""
    only("model")
    monkeypatch.setitem(report.sections._entries, "model", Section("model", "M", lambda _: "Nothing yet."))
    assert '<p class="absent">Nothing yet.</p>' in page_of(finished)


def test_a_pair_that_was_not_measured_is_not_drawn(finished: RunDirectory, only: Only) -> None:
    """The control among the methods has no cell in the matrix: it is not compared."""
    only("agreement")
    text = (finished / "config.toml").read_text()
    (finished / "config.toml").write_text(
        text.replace('"smoothgrad",\n    "decoder_weighted"', '"decoder_reconstruction"')
    )
    shutil.copy(
        finished / "seed-0/untrained/gradients.npz", finished / "seed-0/untrained/decoder_reconstruction.npz"
    )
    page_of(sealed_anew(finished))
    assert "0.00" not in (finished / "figures/agreement-matrix.svg").read_text()


def test_red_is_said_in_words(finished: RunDirectory, only: Only) -> None:
    """A failed gate stands in the headline with its number and threshold, and in its row with the reason."""
    only("failures")
    values = json.loads((finished / "estimates.json").read_text())
    for row in values["estimates"]:
        if row["name"] == "agreement":
            row |= {"estimate": 0.5, "low": 0.4, "high": 0.55}
    (finished / "estimates.json").write_text(json.dumps(values))
    verdicts.judge(sealed_anew(finished))
    page = page_of(finished)
    assert "FAIL" in page.split("</h1>")[0]
    assert "0.5 [0.4, 0.55] is under 0.6" in page.split("</h1>")[0]
    # what is red comes first, and the line that repeats it names the run as its configuration does
    first = re.findall(r'<th scope="row">.*?<code>(.*?)</code>', page.split('<table class="criteria"')[1])[0]
    assert first == "agreement"
    place = f"{Run(finished).config.output}/runs/{finished.path.name}"
    failures = page.split('<section id="failures"')[1].split("</section>")[0]
    assert "Criteria: 1" in failures
    assert f"harness judge {place}</pre>" in failures


def test_a_red_run_renders_to_the_same_bytes_elsewhere(
    finished: RunDirectory, tmp_path: Path, only: Only
) -> None:
    """What a page says of how to repeat the run does not depend on where the folder lies."""
    only("failures", "provenance")
    finished.write_json("failure.json", {"stage": "training", "kind": "OSError", "message": "x", "trace": ""})
    verdicts.judge(sealed_anew(finished))
    shutil.copytree(finished.path, tmp_path / "elsewhere" / "copy")
    assert page_of(finished) == page_of(RunDirectory.open(tmp_path / "elsewhere" / "copy"))
    assert str(tmp_path / "elsewhere") not in (tmp_path / "elsewhere/copy/report.html").read_text()


def test_figures_of_an_earlier_page_are_gone(finished: RunDirectory, only: Only) -> None:
    """`figures/` holds what the page shows, and nothing that an older page showed."""
    only("model")
    finished.write_text("figures/old.svg", "<svg/>")
    page_of(finished)
    names = {path.stem for path in (finished / "figures").iterdir()}
    assert names
    assert "old" not in names


# how good the gate is


def test_the_shipped_measurement_of_the_gate_is_whole() -> None:
    """Each release ships what its gate lets through, of the commit that it was measured on."""
    quality = json.loads((Path(report.__file__).parents[1] / "data/gate-quality.json").read_text("utf-8"))
    assert not quality["quick"]
    assert "(changed)" not in quality["commit"]
    assert quality["false_alarms"]["runs"] >= 60
    assert all(len(row["seeds"]) >= 3 for row in quality["planted_faults"])
    assert all(row["as_expected"] for row in quality["planted_faults"])
    rate = quality["kill_rate"]
    assert rate["caught"] + rate["invisible"] == rate["planted"] == len(quality["planted_faults"])
    assert min(cell["repetitions"] for row in quality["coverage"].values() for cell in row["cells"]) >= 2000
    assert quality["mutation"]["survivors"] == []


def test_the_report_tells_how_good_the_gate_is(finished: RunDirectory, only: Only) -> None:
    """What stands beside the runs goes before what ships, and is kept in the run directory when it ends."""
    only("gate-quality")
    shipped = json.loads((Path(report.__file__).parents[1] / "data/gate-quality.json").read_text("utf-8"))
    beside = finished.path.parent.parent / "gate-quality.json"
    beside.write_text(json.dumps(shipped | {"commit": "of<mine>"}), encoding="utf-8")
    sealed_anew(finished)
    page = page_of(finished)
    assert "measured on commit of&lt;mine&gt;" in page
    alarms = shipped["false_alarms"]
    assert f"{alarms['red']} of {alarms['runs']} clean seeds were red" in page
    for row in shipped["planted_faults"]:
        assert f"<code>{row['id']}</code>" in page
    beside.unlink()
    assert page_of(finished) == page
