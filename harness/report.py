"""Render a run as one self-contained page: sections by name, each a function and a template.

The only importer of jinja2. Everything shown is read from the run directory, so a report can be rendered
again anywhere; the same run gives the same bytes.
"""

from __future__ import annotations

import itertools
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup

from harness import figures
from harness.artifacts import RunDirectory, shipped
from harness.criteria import show, show_threshold
from harness.errors import HarnessError, RunError
from harness.judging import sentence
from harness.measurements import CONTROL_METHOD
from harness.registry import Registry
from harness.runs import Run
from harness.statistics import stratified_mean
from harness.text import clean

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


def section(
    name: str, title: str, templates: Path | None = None
) -> Callable[[Callable[[Run], Context | str]], Callable[..., Any]]:
    """A decorator: the function below it fills the section `name`, in the order of registration."""

    def decorate(function: Callable[[Run], Context | str]) -> Callable[[Run], Context | str]:
        sections.add(name, Section(name, title, function, templates))
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


def render(directory: RunDirectory | str | Path) -> Path:
    """Write `report.html` and `figures/`; the page's path.

    A section that cannot be made says so in its place and the rest of the page stands; then the error is
    raised, so that a broken report is not taken for a whole one.

    Raises:
        RunError: no verdict, a verdict of another run, a section that failed.
    """
    directory = directory if isinstance(directory, RunDirectory) else RunDirectory.open(Path(directory))
    run = Run(directory)
    if run.verdict is None:
        raise RunError(
            f"{directory / 'verdict.json'}: missing, the run was not judged; "
            f"judge it first: harness judge {directory.path}"
        )
    broken: list[str] = []
    environment = _environment(directory)
    parts = [_part(one, run, environment, broken) for one in sections.values()]
    page = environment.get_template("report.html.j2").render(
        run=run,
        verdict=run.verdict,
        sentence=sentence(run.verdict),
        parts=parts,
        style=Markup((shipped("templates") / "style.css").read_text(encoding="utf-8")),  # noqa: S704 - ours
    )
    directory.write_text("report.html", page)
    if broken:
        raise RunError(f"{directory / 'report.html'}: sections could not be made: {'; '.join(broken)}")
    return directory / "report.html"


def _environment(directory: RunDirectory) -> jinja2.Environment:
    others = [one.templates for one in sections.values() if one.templates is not None]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([shipped("templates"), *dict.fromkeys(others)]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def draw(chart: Chart) -> Markup:
        text = figures.svg(chart.figure, chart.name)
        directory.write_text(f"figures/{chart.name}.svg", text + "\n")
        return Markup(text)  # noqa: S704 - made by matplotlib, which escapes what it was given

    environment.filters |= {
        "clean": clean,
        "show": show,
        "threshold": show_threshold,
        "words": figures.words,
        "draw": draw,
    }
    return environment


def _part(one: Section, run: Run, environment: jinja2.Environment, broken: list[str]) -> dict[str, Any]:
    """One section's title and markup; where it failed, its trace in its place."""
    part: dict[str, Any] = {"name": one.name, "title": one.title, "absent": "", "trace": "", "body": ""}
    try:
        context = one.fill(run)
        if isinstance(context, str):
            part["absent"] = context
        else:
            template = environment.get_template(f"sections/{one.name}.html.j2")
            # the template escapes; its result is markup
            part["body"] = Markup(template.render(run=run, **context))  # noqa: S704
    except Exception as error:  # a section that fails must not take the verdict with it
        broken.append(f"{one.name} ({clean(error)})")
        part["trace"] = str(error) if isinstance(error, HarnessError) else traceback.format_exc()
    return part


def _no_samples(run: Run) -> str | None:
    """Why there are no explanations to show."""
    if not run.estimates:
        return "The run broke off before anything was measured."
    if not len(run.samples):
        agreement = run.estimate("agreement")
        return f"No image was explained: {agreement.reason if agreement else 'none was chosen'}."
    return None


def _interval(low: float | None, high: float | None) -> str:
    return "–" if low is None or high is None else f"{show(low)} to {show(high)}"


@section("failure", "What broke off")
def _failure(run: Run) -> Context | str:
    failure = (run.verdict or {}).get("failure")
    return {"failure": failure} if failure else "Nothing: every stage ran to its end."


@section("agreement", "Agreement, beside its controls")
def _agreement(run: Run) -> Context | str:
    agreement = run.estimate("agreement")
    if agreement is None or agreement.estimate is None:
        return _no_samples(run) or f"Agreement could not be measured: {agreement and agreement.reason}."
    names = tuple(name for name in run.config.attribution.methods if name != CONTROL_METHOD)
    pairs = {
        pair: estimate
        for pair in itertools.combinations(names, 2)
        if (estimate := run.estimate(f"agreement_pair.{pair[0]}-{pair[1]}")) is not None
    }
    values = {pair: one.estimate for pair, one in pairs.items() if one.estimate is not None}
    worst = min(values, key=lambda pair: values[pair])
    criteria = {one.measurement: one for one in (run.verdict or {})["criteria"]}
    threshold = criteria["agreement"].threshold if "agreement" in criteria else None
    matrix = Chart(
        "agreement-matrix",
        figures.agreement_matrix(names, values),
        f"The methods' mean correlation is {show(agreement.estimate)}; the worst pair is "
        f"{figures.words(worst[0])} and {figures.words(worst[1])} with {show(values[worst])}.",
        ("pair", "agreement", "interval", "images"),
        [
            (
                f"{figures.words(a)} – {figures.words(b)}",
                show(one.estimate),
                _interval(one.low, one.high),
                one.n,
            )
            for (a, b), one in pairs.items()
        ],
    )
    shown = [
        one
        for one in run.estimates
        if one.estimate is not None
        and (one.seed is None or len(run.config.seeds) == 1)
        and one.name.split(".")[0]
        in ("agreement", "agreement_gradient_family", "agreement_decoder_family", *_CONTROLS)
    ]
    controls = [one for one in shown if one.name.split(".")[0] in _CONTROLS]
    highest = max(controls, key=lambda one: one.estimate or 0.0, default=None)
    beside = (
        f"the highest control is '{highest.title}' with {show(highest.estimate)}"
        if highest is not None
        else "no control could be measured"
    )
    chart = Chart(
        "agreement-controls",
        figures.intervals(
            [(one.title, one.estimate or 0.0, one.low, one.high, one in controls) for one in shown],
            threshold if isinstance(threshold, float) else None,
            "mean correlation of signed contribution maps",
        ),
        f"Agreement is {show(agreement.estimate)}; {beside}.",
        ("what", "mean correlation", "interval", "images"),
        [(one.title, show(one.estimate), _interval(one.low, one.high), one.n) for one in shown],
    )
    beside_rows = [one for name in _BESIDE if (one := run.estimate(name)) is not None]
    return {"matrix": matrix, "controls": chart, "beside": beside_rows, "population": agreement.population}


_CONTROLS = ("control_untrained", "control_repaired", "control_maps")
_BESIDE = (
    "agreement_worst_pair",
    "agreement_sensitivity",
    "agreement_absolute",
    "agreement_foreground",
    "agreement_spearman",
    "agreement_top_pixels",
    "completeness",
    "completeness.percentile_95",
)


@section("explanations", "One decision of each class")
def _explanations(run: Run) -> Context | str:
    if (reason := _no_samples(run)) is not None:
        return reason
    evidence = run.evidence()
    values = run.per_sample("agreement")
    judged = values.shape[1] == len(evidence.labels)
    places = run.typical(run.config.report.figure_samples)
    charts = []
    for place, figure in zip(places, run.explanations(run.config.report.figure_samples), strict=True):
        index, name = int(evidence.indices[place]), evidence.classes[evidence.labels[place]]
        finding = f"Test image {index}, rightly named {name}"
        if judged and np.isfinite(values[0][place]):
            finding += f": its maps agree at {show(float(values[0][place]))}"
        charts.append(Chart(f"sample-{index}", figure, f"{finding}."))
    return {"charts": charts, "seed": evidence.seed}


@section("class-means", "The mean map of each class")
def _class_means(run: Run) -> Context | str:
    if (reason := _no_samples(run)) is not None:
        return reason
    evidence = run.evidence()
    present = np.unique(evidence.labels)

    def by_class(rows: Any) -> Any:
        return np.stack([rows[evidence.labels == label].mean(axis=0) for label in present])

    contributions = evidence.contributions()
    figure = figures.class_means(
        {name: by_class(maps) for name, maps in contributions.items()},
        by_class(evidence.images),
        [evidence.classes[label] for label in present],
        evidence.shape,
    )
    strength = {
        name: float(stratified_mean(np.abs(maps).mean(axis=1), evidence.labels))
        for name, maps in contributions.items()
    }
    strongest = max(strength, key=lambda name: strength[name])
    finding = (
        f"Mean contribution maps of {len(present)} classes by {len(contributions)} methods; "
        f"{figures.words(strongest)} gives the largest mean absolute contribution, "
        f"{show(strength[strongest])} logits a pixel."
    )
    rows = [
        (
            figures.words(name),
            *(show(_statistic(run, name, rule)) for rule in _STATISTICS),
            show(strength[name]),
        )
        for name in contributions
    ]
    columns = ("method", *(figures.words(rule) for rule in _STATISTICS), "mean of |map|")
    return {"chart": Chart("class-mean-maps", figure, finding, columns, rows), "seed": evidence.seed}


_STATISTICS = ("mean", "maximum", "standard_deviation", "percentile_99")


def _statistic(run: Run, method: str, rule: str) -> float | None:
    estimate = run.estimate(f"map_statistics.{method}.{rule}")
    return None if estimate is None else estimate.estimate


@section("model", "The model")
def _model(run: Run) -> Context | str:
    if not run.estimates:
        return "The run broke off before the model was measured."
    table = run.training
    names = ("accuracy", "reconstruction", "fraction_unexplained", "sparsity", "below_k", "dead_units")
    found = [one for name in names if (one := run.estimate(name)) is not None]
    width = run.config.model.code_width
    if not len(table):
        return {"chart": None, "estimates": found, "code_width": width}
    last = table.groupby(["seed", "stage"], sort=False).tail(1)
    ends = "; ".join(
        f"seed {row['seed']} {row['stage']} ends at {show(row['loss'])} after {row['epoch']} epochs"
        for row in last.to_dict("records")
    )
    chart = Chart(
        "training",
        figures.training_curves(table),
        f"Loss by epoch: {ends}.",
        ("seed", "stage", "epoch", "loss", "accuracy", "seconds"),
        [
            (
                *(row[key] for key in ("seed", "stage", "epoch")),
                show(row["loss"]),
                _accuracy(row["accuracy"]),
                f"{row['seconds']:.2f}",
            )
            for row in table.to_dict("records")
        ],
    )
    return {"chart": chart, "estimates": found, "code_width": width}


def _accuracy(value: Any) -> str:
    return "–" if value is None or np.isnan(value) else f"{value:.1%}"


@section("samples", "The choice of samples")
def _samples(run: Run) -> Context | str:
    if not (run.directory / "samples.json").is_file():
        return "The run broke off before samples were chosen."
    chosen = run.directory.read_json("samples.json")
    return {"yields": chosen["yields"], "confidence": chosen["confidence"], "surest": chosen["surest"]}


@section("measurements", "Everything that was measured")
def _measurements(run: Run) -> Context | str:
    if not run.estimates:
        return "The run broke off before anything was measured."
    return {"estimates": run.estimates}


@section("provenance", "Where these numbers come from")
def _provenance(run: Run) -> Context | str:
    provenance = run.provenance
    return {
        "provenance": provenance,
        "config": (run.directory / "config.toml").read_text(encoding="utf-8"),
        "durations": (run.verdict or {})["duration_s"],
    }
