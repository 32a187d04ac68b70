"""The page of a sweep: whole, linked, true to its records, and unmoved by foreign text."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from harness.errors import StorageError
from harness.sweeps import page as pages
from harness.sweeps import table
from harness.sweeps.differences import differences
from harness.sweeps.page import LISTED
from harness.sweeps.records import Axis, Row, Selected, Sweep
from tests import swept

SWEEPS = {
    "ten": swept.a_sweep(),
    "one": swept.one_axis([5]),
    "lost": swept.lost_alone(),
    "line": swept.one_axis([5, 10, 100]),
    "empty": Sweep("empty", (), (), ""),
    "bare": Sweep("bare", (), (Row(swept.points_of(())[0], "finished", 0, "pass"),), "other"),
}


def drawn(sweep: Sweep, folder: Path, **given: Any) -> str:
    return pages.render(sweep, folder / "sweep.html", **given).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The page of a kind of sweep, drawn once."""
    made: dict[str, str] = {}

    def page(kind: str) -> str:
        if kind not in made:
            made[kind] = drawn(SWEEPS[kind], tmp_path_factory.mktemp(kind))
        return made[kind]

    return page


def part(page: str, name: str) -> str:
    """The markup of one section."""
    return page.split(f'<section id="{name}"')[1].split("</section>")[0]


def words_of(markup: str) -> str:
    """What a reader reads."""
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", markup)).strip()


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("kind", "headline", "tone"),
    [
        ("ten", "3 of 10 points hold; 4 fail; 1 could not be judged; 1 was refused; 1 was lost.", "error"),
        ("one", "0 of 1 point holds; 1 fails.", "fail"),
        ("lost", "0 of 2 points hold; 2 were lost.", "error"),
        ("line", "0 of 3 points hold; 3 fail.", "fail"),
        ("empty", "0 of 0 points hold.", "interrupted"),
        ("bare", "1 of 1 point holds.", "pass"),
    ],
)
def test_the_page_says_first_how_it_stands(
    page_of: Callable[[str], str], kind: str, headline: str, tone: str
) -> None:
    """How many points hold, and how each other one ended."""
    head = page_of(kind).split("</header>")[0]
    assert words_of(head.split("<h1>")[1].split("</h1>")[0]) == headline
    assert re.findall(r'<header class="verdict (\w+)">', head) == [tone]


@pytest.mark.parametrize(
    ("states", "tone"),
    [
        (("pass",), "pass"),
        (("pass", "refused"), "interrupted"),
        (("pass", "missing"), "interrupted"),
        (("pass", "fail", "refused"), "fail"),
        (("pass", "fail", "error"), "error"),
        (("fail", "lost"), "error"),
    ],
)
def test_the_page_is_green_only_where_every_point_is(
    tmp_path: Path, states: tuple[str, ...], tone: str
) -> None:
    """An error wins over a fail, and what has no verdict is not green."""
    points = swept.points_of((Axis("k", tuple(range(len(states))), 0),))
    rows = [
        Row(point, "finished", verdict=state) if state in ("pass", "fail", "error") else Row(point, state)  # type: ignore[arg-type]
        for point, state in zip(points, states, strict=True)
    ]
    page = drawn(Sweep("s", (Axis("k", (), 0),), tuple(rows), ""), tmp_path)
    assert re.findall(r'<header class="verdict (\w+)">', page) == [tone]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", SWEEPS)
def test_the_page_asks_for_nothing(page_of: Callable[[str], str], kind: str) -> None:
    """It forbids requests and scripts, holds no address of another place, and every id once."""
    page = page_of(kind)
    assert "default-src 'none'" in page
    assert "<script" not in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert all(one.startswith(("#", "data:")) for one in addresses)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert {one[1:] for one in addresses if one.startswith("#")} <= set(ids)
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)


def test_the_head_has_the_facts(page_of: Callable[[str], str], tmp_path: Path) -> None:
    """Axes with their values, points, seeds, data, reference, hours; remarks are notices."""
    page = page_of("ten")
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", page.split("</header>")[0]))
    assert facts == {
        "k": "5; 10; 25; 50; 100",
        "recipe": "reference; interpretable",
        "points": "10",
        "seeds": "0, 1, 2, 3, 4",
        "data set": "fashion-mnist",
        "reference": "k 50, recipe reference",
        "time in all": f"{40 + 2 * (5 + 10 + 10 + 25 + 25 + 50 + 50 + 100) / 60:.0f} minutes, of 8 points",
    }
    assert '<p class="notice" role="note">2 points are of other code' in page
    many = drawn(Sweep("s", (Axis("k", tuple(range(1000, 1040)), 0),), (), ""), tmp_path).split("</header>")[
        0
    ]
    assert "1010; …; 1039 (40 values)" in many


def test_every_point_is_a_row(page_of: Callable[[str], str]) -> None:
    """With its verdict in a word and a sign, each gate's number, and why where it does not hold."""
    points = part(page_of("ten"), "points")
    heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', points)
    assert heads[:5] == ["k", "recipe", "verdict", "point", "accuracy"]
    assert heads[-2:] == ["seconds", "memory [MB]"]
    rows = [words_of(one) for one in re.findall(r"<tr>(<th scope=\"row\".*?)</tr>", points, re.DOTALL)]
    assert len(rows) == 10
    assert rows[0].startswith("5 reference ✗ fail 000000a1 0.8 0.794 to 0.806 5 4.9 to 5.1")
    assert "✗ 0.29 0.2842 to 0.2958" in rows[0]
    assert rows[0].endswith("310 1204")
    assert rows[1] == "5 interpretable • refused 000000a2" + " –" * 8
    assert rows[2].startswith("10 reference ! error 000000a3")
    assert " ! – " in rows[2]
    assert rows[7].startswith("50 interpretable ✓ pass")
    assert ["other code" in one for one in rows] == [False] * 4 + [True] * 2 + [False] * 4
    assert [" reference " in one[12:] for one in rows] == [False] * 6 + [True] + [False] * 3
    whys = re.findall(r'<tr class="why">.*?<p>(.*?)</p>', points, re.DOTALL)
    assert len(whys) == 7
    assert "its process was ended by signal 9; memory ran out" in whys


@pytest.mark.thorough
def test_what_is_the_same_at_every_point_is_told_once_and_is_no_column(tmp_path: Path) -> None:
    """An axis of one value, a gate of one number that holds: above the table, and not below it again."""
    sweep = swept.one_axis([5, 10, 25])
    still = Axis("recipe", ("reference",), 1)
    rows = tuple(
        dataclasses.replace(
            row, point=dataclasses.replace(row.point, values={**row.point.values, "recipe": "reference"})
        )
        for row in sweep.rows
    )
    page = drawn(dataclasses.replace(sweep, axes=(*sweep.axes, still), rows=rows), tmp_path)
    points = part(page, "points")
    heads = re.findall(r'<th scope="col"[^>]*>(.*?)</th>', points)
    assert heads[0] == "k"
    assert {"recipe", "selection"}.isdisjoint(heads)
    told = "The same at every point, and in no column: recipe reference; selection 1 (1 to 1)."
    assert told in words_of(points)
    assert points.index("in no column") < points.index("<table")
    assert "and not drawn" not in points


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["fails", "moves", "lacks", "alone"])
def test_a_column_that_says_something_stays(tmp_path: Path, kind: str) -> None:
    """A gate that fails at every point, one whose interval moves, one that a point has not, a point alone."""
    sweep = swept.one_axis([5, 10, 25] if kind != "alone" else [5])
    rows = []
    for place, row in enumerate(sweep.rows):
        (own,) = (one for one in row.criteria if one.id == "selection")
        others = tuple(one for one in row.criteria if one is not own)
        moved: dict[str, dict[str, Any]] = {"fails": {"verdict": "fail"}, "moves": {"low": 0.9 - place / 100}}
        changed = moved.get(kind, {})
        kept = () if kind == "lacks" and place else (dataclasses.replace(own, **changed),)
        rows.append(dataclasses.replace(row, criteria=(*others, *kept)))
    points = part(drawn(dataclasses.replace(sweep, rows=tuple(rows)), tmp_path), "points")
    assert "selection" in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', points)
    assert "in no column" not in points


@pytest.mark.thorough
def test_a_point_is_linked_where_its_run_lies_with_the_page(tmp_path: Path) -> None:
    """Below its folder or beside that, its characters quoted; nothing further away, nothing unreported."""
    home = tmp_path / "sweeps" / "one"
    places = [
        home / "runs" / "a b#c?d%&",
        tmp_path / "sweeps" / "points" / "a1" / "runs" / "r",
        tmp_path / "elsewhere",
        tmp_path / "sweeps" / "points" / "a4" / "runs" / "unreported",
        Path("\0"),
    ]
    for place in places[:4]:
        place.mkdir(parents=True)
    for place in places[:3]:
        (place / "report.html").write_text("x")
    sweep = swept.one_axis([5, 10, 25, 50, 100])
    rows = [dataclasses.replace(row, run=place) for row, place in zip(sweep.rows, places, strict=True)]
    page = drawn(dataclasses.replace(sweep, rows=tuple(rows)), home)
    links = re.findall(r'href="([^"#]*)"', part(page, "points"))
    assert links == ["runs/a%20b%23c%3Fd%25%26/report.html", "../points/a1/runs/r/report.html"]


def test_every_part_of_the_page_is_there(page_of: Callable[[str], str]) -> None:
    """In the order in which a reader needs them, each chart with its sentence."""
    page = page_of("ten")
    sections = re.findall(r'<section id="([^"]+)"', page)
    assert sections == [
        "points", "along-1", "along-2", "trade-offs", "differences", "plane-1", "selection", "again",
    ]  # fmt: skip
    figures = re.findall(r'<figure id="([^"]+)"', page)
    assert len(figures) == 2 * (1 + 8) + 3 + 4 + 6
    assert len(re.findall(r'role="img" aria-label="[^"]{20,}"', page)) == len(figures)
    assert "with 95 % confidence all of a measurement's intervals hold what is true" in page


@pytest.mark.parametrize("kind", ["one", "lost", "empty", "bare"])
def test_what_is_not_there_is_said(page_of: Callable[[str], str], kind: str) -> None:
    """A section that has nothing to show says why."""
    page = page_of(kind)
    said = words_of(page)
    if kind != "lost":
        assert "No axis has more than one value." in said
    assert 'id="planes"' not in page
    assert "#plane" not in page
    assert "No point was compared with the reference." in said
    assert "too few to weigh" in said
    assert "<figure" not in page
    assert "selection" not in re.findall(r'<section id="([^"]+)"', page)


@pytest.mark.thorough
def test_a_reference_that_is_lost_leaves_no_empty_chart(tmp_path: Path) -> None:
    """One sentence says why there is none."""
    sweep = swept.one_axis([5, 10, 100])
    lost = swept.without_verdict(sweep.rows[0].point, "lost", "killed")
    rows = (lost, *sweep.rows[1:])
    found = differences(rows, lost.point.id, ("agreement", "accuracy"))
    page = drawn(dataclasses.replace(sweep, rows=rows, differences=found), tmp_path)
    section = part(page, "differences")
    assert "<figure" not in section
    assert words_of(section).endswith(
        "No difference can be told of Test accuracy; Agreement of the attribution methods "
        "(the reference is lost)."
    )
    assert "No point was compared" not in section


@pytest.mark.thorough
def test_a_selection_tells_both_numbers(page_of: Callable[[str], str], tmp_path: Path) -> None:
    """That of the seeds that chose, which flatters, and that of the others; or why there is none."""
    text = words_of(part(page_of("ten"), "selection"))
    assert "seeds 0, 1 chose k 10, recipe interpretable" in text
    assert "0.371: it flatters" in text
    assert "on seeds 2, 3, 4, which had no say 0.344 [0.301 to 0.387]" in text
    for verdict in ("pass", "fail"):
        rows = tuple(dataclasses.replace(row, verdict=verdict) for row in SWEEPS["ten"].rows)
        one = dataclasses.replace(SWEEPS["ten"], rows=rows)
        fails = verdict == "fail"
        assert ("whose verdict is fail" in words_of(part(drawn(one, tmp_path), "selection"))) == fails
        assert (", whose verdict is fail; the others say" in table.told_of(one)) == fails
    none = Selected("accuracy", "", reason="one seed cannot choose and tell")
    text = words_of(part(drawn(dataclasses.replace(SWEEPS["one"], selected=none), tmp_path), "selection"))
    assert "one seed cannot choose and tell" in text
    assert "chose" not in text.replace("cannot choose", "")


@pytest.mark.parametrize("kind", SWEEPS)
def test_nobody_is_called_the_best(page_of: Callable[[str], str], kind: str) -> None:
    """What was looked at to choose cannot tell."""
    page = page_of(kind)
    assert not re.search(r"\b(best|winner|optimal)\b", page, re.IGNORECASE)


def test_the_page_can_be_made_again(page_of: Callable[[str], str], tmp_path: Path) -> None:
    """The command of the sweep where there is one, and that of a point."""
    again = part(drawn(SWEEPS["one"], tmp_path, command="harness sweep --axis k=5,10"), "again")
    assert "harness sweep --axis k=5,10" in again
    assert again.count("<pre") == 2
    assert "from Python" not in again
    again = words_of(part(drawn(SWEEPS["one"], tmp_path, command="harness.sweep({'k': [5]})"), "again"))
    assert "The sweep, from Python, after import harness" in again
    assert "harness.sweep({&#39;k&#39;: [5]})" in again
    again = part(page_of("ten"), "again")
    assert "harness validate --config points/000000a7/point.toml" in again
    assert again.count("<pre") == 1


@pytest.mark.thorough
def test_the_same_sweep_is_the_same_bytes(page_of: Callable[[str], str], tmp_path: Path) -> None:
    """Drawn again the page is the same."""
    assert drawn(SWEEPS["line"], tmp_path) == page_of("line")


@pytest.mark.thorough
def test_foreign_text_is_inert(tmp_path: Path) -> None:
    """Whatever a value, a path, a sentence, a name or the command says, it is text."""
    page = drawn(swept.hostile(tmp_path), tmp_path, command="</script><img src=x onerror=alert(1)> {{7*7}}")
    assert "<img src=x" not in page
    assert "<script" not in page
    assert "<svg/onload" not in page
    assert "W" * 500 not in page
    assert "{{7*7}}" in page
    assert not re.search(r"\b49\b", part(page, "again"))
    for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(svg)


@pytest.mark.thorough
def test_of_many_points_the_first_are_listed(tmp_path: Path) -> None:
    """And where the others are is said; the page stays as heavy as one of few points."""
    sweep = swept.large(40)
    page = drawn(sweep, tmp_path)
    assert f"Listed are the first {LISTED} of 1,600 points; points.csv has all." in page
    assert len(re.findall(r"<tr><th scope=\"row\"", part(page, "points"))) == LISTED
    assert "Drawn is one line of 40" in page
    assert "Drawn are 30 of 1,599" in page
    assert "Drawn are 12 of 40 values of k." in page
    assert len(page.encode()) < 2_500_000


def test_a_place_that_refuses_is_told(tmp_path: Path) -> None:
    """A folder that is a file is a sentence."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageError):
        pages.render(SWEEPS["one"], tmp_path / "file" / "sweep.html")
