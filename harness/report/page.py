"""Render a run as one self-contained page: sections by name, each a function and a template.

Everything shown is read from the run directory, so a report can be rendered
again anywhere; the same run gives the same bytes.
"""

from __future__ import annotations

import math
import re
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from harness import figures
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder, shipped, storing
from harness.artifacts.sealing import HISTORY
from harness.artifacts.staging import Staged, locked
from harness.capabilities import lacking
from harness.criteria import show, show_count, show_threshold
from harness.criteria.diagnosis import sentence
from harness.environment.state import clean as clean_state
from harness.errors import DamageError, HarnessError, RunError
from harness.history.past import Past
from harness.judging.publishing import Amend, move
from harness.registry import Registry
from harness.report.head import head
from harness.report.nights import Spark, sparks
from harness.runs import Run
from harness.text import clean, listed, origin, sure, words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Context = Mapping[str, Any]


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes:
        name: Its anchor; its template is `sections/<name>.html.j2`.
        title: Its heading.
        fill: Returns the template's context, or a line that says why there is nothing to show.
        templates: The folder that holds `sections/`; the harness's own where None.
    """

    name: str
    title: str
    fill: Callable[[Run], Context | str]
    templates: Path | None = None


sections: Registry[Section] = Registry("section")

ORDER = (
    "changes",
    "forest",
    "trends",
    "agreement",
    "gallery",
    "explanations",
    "class-means",
    "model",
    "sparse-code",
    "validity",
    "switches",
    "gate-quality",
    "*",
    "failures",
    "samples",
    "measurements",
    "provenance",
)
"""The order in which a reader meets the sections; the star is the place of sections that others add."""


LINKS = {"forest": "margins"}
"""What the page calls sections whose anchors say little; all others are called after their anchors."""


def section(
    name: str, title: str, templates: Path | None = None
) -> Callable[[Callable[[Run], Context | str]], Callable[..., Any]]:
    """A decorator: the function below it fills the section `name`; `ORDER` says where it stands."""

    def decorate(function: Callable[[Run], Context | str]) -> Callable[[Run], Context | str]:
        sections.add(name, Section(name, title, function, templates), function)
        return function

    return decorate


@dataclass(frozen=True)
class Chart:
    """A drawing with the words that stand for it.

    Attributes:
        name: Unique in the page; also the file's name in `figures/`.
        figure: The drawing.
        finding: What it shows, as a sentence with its numbers: the alternative text.
        columns: Head of the data table behind it.
        rows: The table.
    """

    name: str
    figure: Figure
    finding: str
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[object]] = ()


def no_samples(run: Run) -> str | None:
    """Why there are no explanations to show."""
    if not run.estimates:
        return "The run broke off before anything was measured."
    if not len(run.directory.read_arrays("samples.npz")["indices"]):
        agreement = run.estimate("agreement")
        return f"No {run.form.one} was explained: {agreement.reason if agreement else 'none was chosen'}."
    if not run.compared:
        return f"Only controls were asked for maps: {listed(map(words, run.config.attribution.methods))}."
    return None


def interval(low: float | None, high: float | None) -> str:
    """An interval as readers see it; a dash where there is none."""
    return "–" if low is None or high is None else f"{show(low)} to {show(high)}"


def show_finite(value: float) -> str:
    """A number as readers see it; a dash where it is none."""
    return show(float(value) if math.isfinite(value) else None)


@clean_state()
def render(directory: RunDirectory | str | Path) -> Path:
    """Write `report.html` and `figures/` of a judged run; the page's path.

    A section that cannot be made says so in its place and the rest of the page stands; then the error is
    raised, so that a broken report is not taken for a whole one.

    Raises:
        RunError: no verdict, a verdict of another run, a section that failed.
        Pruned: what it would be drawn of is gone.
        StorageError: the page cannot be written.
    """
    directory = RunDirectory.open(directory.path if isinstance(directory, RunDirectory) else directory)
    directory.manifest.refuse_pruned()
    verdict = directory.read_verdict()
    if verdict is None:
        raise RunError(
            f"{directory / 'verdict.json'}: missing, the run was not judged; "
            f"judge it first: harness judge {directory.path}"
        )
    if verdict["verdict"] in ("pass", "fail"):
        directory.refuse_damage()
    broken: list[str] = []

    def stands(what: str) -> dict[str, Any]:
        broken.append(what)
        return verdict

    with storing(directory.path), Staged(directory.path) as staged:
        draw(directory, verdict, Folder(staged), stands)
        with locked(directory.path):
            same = directory.read_verdict() == verdict
            if same:
                move(Folder(staged), directory)
    if not same:  # judged anew while it was drawn
        return render(directory)
    if broken:
        raise RunError(f"{directory / 'report.html'}: {broken[0]}")
    return directory / "report.html"


@clean_state()
def draw(directory: RunDirectory, verdict: dict[str, Any], into: Folder, amended: Amend) -> bool:
    """Draw a verdict's page and its figures into a folder, for whoever publishes them.

    Args:
        directory: The run.
        verdict: What stands, or will stand, in its `verdict.json`.
        into: Where the page goes.
        amended: Told of the sections that could not be made; the verdict that the page then shows.
    """
    run = Run(directory)
    run.verdict = verdict
    if (into / HISTORY).is_file():  # published with the verdict, and not there yet
        run.past = into.read_record(HISTORY, Past)
    broken: list[str] = []
    environment = _environment(into)
    parts = [_part(one, run, environment, broken) for one in _ordered()]
    if broken:
        run.verdict = amended(f"sections could not be made: {'; '.join(broken)}")
    script = (shipped("templates") / "report.js").read_text(encoding="utf-8")
    page = environment.get_template("report.html.j2").render(
        run=run,
        verdict=run.verdict,
        sentence=sentence(run.verdict),
        **head(run),
        parts=parts,
        links=LINKS,
        sparks=sparks(run),
        script=Markup(script),  # noqa: S704 - ours
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )
    into.write_text("report.html", page)
    return True


def _ordered() -> list[Section]:
    star = ORDER.index("*")
    places = {name: place for place, name in enumerate(ORDER)}
    return sorted(sections.values(), key=lambda one: places.get(one.name, star))


def templates(others: Iterable[Path] = ()) -> jinja2.Environment:
    """The templates that ship with their style, and those of other folders; what they get is escaped."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([shipped("templates"), *dict.fromkeys(others)]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "breakable": breakable,
        "clean": clean,
        "values": show_count,
        "origin": origin,
        "draw": inline,
        "small": small,
        "show": show,
        "sure": sure,
        "threshold": show_threshold,
        "words": words,
    }
    style = (shipped("templates") / "style.css").read_text(encoding="utf-8")
    environment.globals["style"] = Markup(style)  # noqa: S704 - ours
    environment.globals["ruled"] = Markup('border="1" rules="all" cellpadding="4"')
    return environment


def _environment(into: Folder) -> jinja2.Environment:
    """The page's templates, which write each chart into `figures/` too."""
    environment = templates(one.templates for one in sections.values() if one.templates is not None)

    def draw_chart(chart: Chart) -> Markup:
        text = figures.svg(chart.figure, chart.name)
        into.write_text(f"figures/{chart.name}.svg", text + "\n")
        return Markup(_without_style(text))  # noqa: S704 - made by matplotlib, which escapes what it was given

    environment.filters["draw"] = draw_chart
    return environment


def breakable(text: str) -> Markup:
    """A text whose dotted names may be broken at their dots: a page without its style has no other way."""
    # what stands between is escaped, and what is put there is ours
    return Markup(re.sub(r"(?<=[a-z])([._])(?=[a-z])", r"\1<wbr/>", str(escape(text))))  # noqa: S704


def inline(chart: Chart) -> Markup:
    """A chart as a page holds it where it has no files beside it."""
    return Markup(_without_style(figures.svg(chart.figure, chart.name)))  # noqa: S704 - as above


def small(chart: Spark) -> Markup:
    """A drawing of a table's cell, at its own size."""
    return Markup(figures.svg(chart.figure, chart.name))  # noqa: S704 - as above


def _without_style(drawing: str) -> str:
    """A drawing such that also a page without its style shows it: at its own size, or at the room's if that
    is less, which only tables can say in markup; and where pictures go, nothing, for such pages have none.
    """
    own, drawing = re.split(r' width="([0-9]+)" height="[0-9]+"', drawing, maxsplit=1)[1:]
    drawing = drawing.replace("<image ", '<image display="none" ')
    return f'<table role="none"><tr><td width="{own}"><svg width="100%"{drawing}</td></tr></table>'


def _filled(one: Section, run: Run) -> Context | str:
    """A section's context; or what the model lacks that it shows."""
    why = lacking(one.fill, run.capabilities) if hasattr(one.fill, "needs") else ""
    return f"{why[:1].upper()}{why[1:]}." if why else one.fill(run)


def _part(one: Section, run: Run, environment: jinja2.Environment, broken: list[str]) -> dict[str, Any]:
    """One section's title and markup; where it failed, its trace in its place."""
    part: dict[str, Any] = {"name": one.name, "title": one.title, "absent": "", "trace": "", "body": ""}
    try:
        context = _filled(one, run)
        if isinstance(context, str):
            part["absent"] = context
        else:
            template = environment.get_template(f"sections/{one.name}.html.j2")
            # the template escapes; its result is markup
            part["body"] = Markup(template.render(run=run, **context))  # noqa: S704
    except DamageError as error:  # told among the verdict's remarks, or an error of it
        part["absent"] = f"It cannot be shown: {error}"
    except Exception as error:  # a section that fails must not take the verdict with it
        broken.append(f"{one.name} ({clean(error)})")
        part["trace"] = str(error) if isinstance(error, HarnessError) else traceback.format_exc()
    return part
