"""The saved view: what the studio showed, as one offline page of the report's kind, without a script."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from harness import figures
from harness.criteria import show
from harness.environment.state import clean as clean_state
from harness.figures import Layout, Line, Panel, Steps
from harness.records import Floats
from harness.report.page import Chart, templates
from harness.studio.page import About, differing, kind_of
from harness.text import clean, counted, sure, words

Answer = Mapping[str, Any]
"""All parts of an answer as one."""

Shown = tuple[About, "Asked", Answer]
"""What a run tells of itself, was asked, and answered."""

ATOMS, JUMPS, CLASSES = 8, 12, 20
"""At most so many atoms are drawn, jumps listed, and classes named."""


class Asked(Protocol):
    """What was asked: `harness.studio.asked.Question`."""

    @property
    def seed(self) -> int:
        """Of the network."""

    @property
    def units(self) -> Sequence[tuple[int, str, float]]:
        """Switched units: which, `set` or `times`, and the value."""

    @property
    def index(self) -> int | None:
        """Position in the test set; None of an input of one's own."""

    @property
    def inputs(self) -> Floats:
        """float32 [features]."""


@dataclass(frozen=True)
class Table:
    """Rows under their columns' names; `label` says what they are."""

    label: str
    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Part:
    """A section of the page.

    Attributes:
        name: Its anchor.
        title: Its heading.
        lines: Sentences.
        charts: Drawings.
        tables: Numbers.
        absent: Why there is nothing to show; empty where there is.
    """

    name: str
    title: str
    lines: Sequence[str] = ()
    charts: Sequence[Chart] = ()
    tables: Sequence[Table] = field(default_factory=tuple)
    absent: str = ""


@dataclass(frozen=True, eq=False)
class _View:
    """What the sections are made of: what was told, asked and answered, and how inputs are drawn."""

    about: About
    asked: Asked
    answer: Answer
    layout: Layout
    beside: Shown | None

    def named(self, label: int) -> str:
        """A class's name."""
        return clean(self.about["classes"][label], 60)

    @property
    def explained(self) -> str:
        """What the maps explain."""
        text, against = self.named(self.answer["target"]), self.answer.get("against")
        return text if against is None else f"{text} against {self.named(against)}"

    @property
    def again(self) -> Floats | None:
        """The reconstruction: float32 [features]; None of a model that gives none."""
        found = floats(self.answer.get("reconstruction"))
        return None if found is None else found.ravel()


@clean_state()
def render(about: About, asked: Asked, answer: Answer, beside: Shown | None = None) -> str:
    """The page of one view.

    Args:
        about: What the run tells of itself.
        asked: The question, with its input.
        answer: All parts of its answer, or some; a part that is missing has no section.
        beside: Of a second run, B, whose maps of the same input stand beside those of the first, A.
    """
    view = _View(about, asked, answer, _layout(about, asked, answer), beside)
    sections: Mapping[str, Callable[[_View], Part]] = {
        "prediction": _prediction,
        "maps": _maps,
        "integrity": _integrity,
        "agreement": _agreement,
        "deletion": _deletion,
        "units": _units,
        "path": _path,
    }
    parts = [fill(view) for name, fill in sections.items() if name in answer]
    return (
        templates()
        .get_template("studio-view.html.j2")
        .render(about=about, headline=_headline(view), facts=_facts(view), parts=parts)
    )


def floats(told: Mapping[str, Any] | None) -> Floats | None:
    """The array of an answer: float32 of its shape; None where it is absent."""
    if told is None:
        return None
    found = np.frombuffer(base64.b64decode(told["f32"]), dtype="<f4").astype(np.float32)
    return found.reshape([int(side) for side in told["shape"]])


def _layout(about: About, asked: Asked, answer: Answer) -> Layout:
    """How it is drawn: on the scale of the input and of what the model made of it."""
    drawn = [asked.inputs]
    for told in (answer, answer.get("edited") or {}):
        again = floats(told.get("reconstruction"))
        drawn += [] if again is None else [again]
    flat = np.stack([one.ravel() for one in drawn])
    if kind_of(about) in ("image", "clip"):
        flat = np.clip(flat, *about["range"])
    return Layout.of_shape(kind_of(about), tuple(about["shape"]), flat)


def _headline(view: _View) -> str:
    about, asked, answer = view.about, view.asked, view.answer
    found = answer["prediction"]
    what = f"Test {about['noun']} {asked.index}" if asked.index is not None else f"One's own {about['noun']}"
    changed = ", changed" if answer.get("changed") else ""
    is_ = f"{view.named(found['class'])}, {sure(found['confidence'])} sure"
    return f"{what}{changed}: {is_}; explained for {view.explained}"


def _facts(view: _View) -> list[tuple[str, str]]:
    about, asked = view.about, view.asked
    switched = ", ".join(
        f"{unit} {'set to' if how == 'set' else 'times'} {value:g}" for unit, how, value in asked.units
    )
    facts = [
        ("run" if view.beside is None else "run A", str(about["id"])),
        ("model", words(str(about["model"]))),
        ("data", str(about["dataset"])),
        ("seed", str(asked.seed)),
        ("digest", str(about["digest"])[:12]),
    ]
    facts += [("units", switched)] if switched else []
    if view.beside is not None and (own := differing([about, view.beside[0]]))[0]:
        facts[1:1] = [("A is", own[0]), ("B is", own[1])]
    if view.beside is not None:
        other, question, answer = view.beside
        found = answer["prediction"]
        said = f"{clean(other['classes'][found['class']], 60)}, {sure(found['confidence'])} sure"
        facts += [("run B", str(other["id"])), ("seed of B", str(question.seed)), ("B's prediction", said)]
    return facts


def _prediction(view: _View) -> Part:
    about, answer = view.about, view.answer
    found, edited = answer["prediction"], answer.get("edited")
    order = np.argsort(-np.asarray(found["logits"], dtype=np.float64), kind="stable")[:CLASSES].tolist()
    columns = ["class", "probability", "logit"]
    rows = [[view.named(at), sure(found["probabilities"][at]), show(found["logits"][at])] for at in order]
    if edited:
        columns += ["probability with units switched", "its logit"]
        for row, at in zip(rows, order, strict=True):
            row += [sure(edited["probabilities"][at]), show(edited["logits"][at])]
    lines = []
    if answer.get("changed"):
        lines.append(f"No feature of the {about['noun']} was changed by more than {show(answer['changed'])}.")
    if len(about["classes"]) > len(order):
        lines.append(f"{len(about['classes']) - len(order):,} more classes are less likely.")
    return Part("prediction", "Prediction", lines, tables=[Table("Probability by class", columns, rows)])


def _maps(view: _View) -> Part:
    answers = [view.answer, *([] if view.beside is None else [view.beside[2]])]
    told = [{str(one["method"]): one for one in answer["maps"]} for answer in answers]
    names = list(dict.fromkeys(name for by in told for name in by))
    found = {name: [_flat(by.get(name)) for by in told] for name in names}
    lines = [
        f"{letter}{words(name)}: {_why(by.get(name))}."
        for letter, by in zip(("A, ", "B, ") if len(told) > 1 else ("",), told, strict=True)
        for name in names
        if _flat(by.get(name)) is None
    ]
    if view.beside is not None and (target := view.beside[2]["target"]) != view.answer["target"]:
        lines.insert(0, f"B explains {view.named(target)}, the class that it predicts.")
    drawn = {name: some for name, some in found.items() if any(one is not None for one in some)}
    if not drawn:
        return Part("maps", "Maps", lines, absent="No method was asked for a map.")
    controls = {name for by in told for name, one in by.items() if one["control"]}
    scale = _scale({name: one for name, one in drawn.items() if name not in controls} or drawn, view.layout)
    finding = (
        f"Contributions of {counted(len(drawn), 'method')} to {view.explained}, all on one scale that ends "
        f"at ±{show(scale)}; red added to the logit, blue took from it."
    )
    if len(told) > 1:
        return Part("maps", "Maps", lines, [_two(view, drawn, scale, finding)])
    maps = {name: one for name, (one,) in drawn.items() if one is not None}
    figure = figures.explanation(
        view.asked.inputs, maps, layout=view.layout, reconstruction=view.again, scale=scale
    )
    rows = [
        (words(name), *(show(float(one)) for one in (map_.sum(), map_.min(), map_.max())))
        for name, map_ in maps.items()
    ]
    chart = Chart("view-maps", figure, finding, ("method", "sum", "lowest", "highest"), rows)
    return Part("maps", "Maps", lines, [chart])


def _flat(told: Mapping[str, Any] | None) -> Floats | None:
    map_ = floats(told["map"]) if told is not None else None
    return None if map_ is None else map_.ravel()


def _why(told: Mapping[str, Any] | None) -> str:
    return "this run does not ask it" if told is None else told.get("reason") or "it has no map here"


def _scale(maps: Mapping[str, Sequence[Floats | None]], layout: Layout) -> float:
    """Where the scale of all maps ends: a control explains nothing, and is not to make the others pale."""
    known = [one for some in maps.values() for one in some if one is not None]
    return figures.heat_limit(layout.places(np.stack(known)))


def _two(view: _View, maps: Mapping[str, Sequence[Floats | None]], scale: float, finding: str) -> Chart:
    """Both runs' maps, and by how much B's is above A's."""
    rows, drawn = [], {}
    for name, (one, other) in maps.items():
        less = None if one is None or other is None else other - one
        drawn[name] = (one, other, less)
        sums = [None if each is None else float(each.sum()) for each in drawn[name]]
        most = None if less is None else float(np.abs(less).max())
        rows.append((words(name), *map(show, (*sums, most))))
    figure = figures.side_by_side(view.asked.inputs, drawn, ("A", "B", "B − A"), view.layout, scale)
    columns = ("method", "sum in A", "sum in B", "sum of B − A", "largest difference")
    return Chart("view-maps", figure, finding, columns, rows)


def _integrity(view: _View) -> Part:
    said = {True: "✓ is what it claims", False: "✗ is not what it claims", None: "no definition is known"}
    rows = [
        (
            words(one["method"]),
            said[one["holds"]],
            *(show(one.get(key)) for key in ("error", "tolerance", "gap")),
        )
        for one in view.answer["integrity"]
    ]
    broken = [words(one["method"]) for one in view.answer["integrity"] if one["holds"] is False]
    lines = [f"Not what they claim to be: {', '.join(broken)}."] if broken else []
    columns = ("method", "asked by forward passes", "error", "at most", "off completeness by")
    return Part("integrity", "Integrity", lines, tables=[Table("Integrity by method", columns, rows)])


def _agreement(view: _View) -> Part:
    found = view.answer["agreement"]
    if not found or found["value"] is None:
        absent = "Two maps at least that are not constant are needed."
        return Part("agreement", "Agreement", absent=absent)
    rows = [("these maps", show(found["value"]))]
    rows += [(words(one.get("title") or one["name"]), show(one["value"])) for one in found["controls"]]
    pairs = [(f"{words(a)} – {words(b)}", show(value)) for a, b, value in found["pairs"]]
    share = found.get("percentile")
    lines = [] if share is None else [f"{sure(share)} of what the run explained agrees less."]
    drawn = [("these maps", found["value"], None, None, False)]
    drawn += [
        (words(one.get("title") or one["name"]), one["value"], None, None, True) for one in found["controls"]
    ]
    known = [one for one in drawn if one[1] is not None]
    chart = Chart(
        "view-agreement",
        figures.intervals(known, None, "mean correlation of the maps"),
        "; ".join(f"{name}: {value}" for name, value in rows) + ".",
        ("pair", "correlation"),
        pairs,
    )
    return Part("agreement", "Agreement beside its controls", lines, [chart])


def _deletion(view: _View) -> Part:
    curves = view.answer["deletion"]
    if not curves:
        return Part("deletion", "What is left", absent="Nothing was deleted.")
    found = [
        Line(words(one["method"]), np.asarray(one["shares"], float), np.asarray(one["probabilities"], float))
        for one in curves
    ]
    panel = Panel("probability left", "share deleted, by each method's order", found, limits=(0, 1.02))
    tenths = (0.1, 0.2, 0.5)
    rows = [(one.name, *(sure(float(np.interp(at, one.x, one.y))) for at in tenths)) for one in found]
    finding = "; ".join(f"{row[0]}: {row[2]} is left when a fifth is deleted" for row in rows)
    columns = ("method", *(f"{100 * at:g} % deleted" for at in tenths))
    chart = Chart("view-deletion", figures.lines([panel]), f"{finding}.", columns, rows)
    return Part("deletion", "What is left", charts=[chart])


def _units(view: _View) -> Part:
    units = view.answer["units"]
    if units is None:
        return Part("units", "Units", absent="This model has no code, so it has no units.")
    rows = [(one["unit"], show(one["activation"]), show(one["contribution"])) for one in units]
    table = Table("Active units by contribution", ("unit", "activation", "contribution to the logit"), rows)
    atoms = [(one, atom) for one in units[:ATOMS] if (atom := floats(one.get("atom"))) is not None]
    again = view.again
    if not atoms or again is None:
        return Part("units", "Units", tables=[table])
    figure = figures.atoms(
        [view.named(view.answer["prediction"]["class"])],
        view.asked.inputs[None],
        again[None],
        np.stack([atom.ravel() for _, atom in atoms])[None],
        [[f"unit {one['unit']}\n{one['contribution']:+.3g}" for one, _ in atoms]],
        view.layout,
    )
    finding = f"The {len(atoms)} active units that contribute most, with their contributions to the logit."
    return Part("units", "Units", charts=[Chart("view-atoms", figure, finding)], tables=[table])


def _path(view: _View) -> Part:
    found = view.answer["path"]
    if found is None:
        absent = "This model has no code of active units, so nothing switches on the way."
        return Part("path", "Switches on the way", absent=absent)
    jumps = sorted(found["jumps"], key=lambda one: float(one["t"]))
    steps = _steps(found, jumps)
    figure = figures.path(steps, view.layout, view.asked.inputs, [])
    finding = (
        f"The logit from the baseline to the {view.layout.form.one}, with {counted(len(jumps), 'jump')}."
    )
    largest = sorted(jumps, key=lambda one: -abs(one["size"]))[:JUMPS]
    rows = [
        (show(one["t"]), f"{one['size']:+.4g}", *map(_unit, (one["leaving"], one["entering"])))
        for one in largest
    ]
    tie = found.get("nearest_tie")
    lines = [] if tie is None else [f"The nearest tie between units is {sure(tie)} away."]
    chart = Chart("view-path", figure, finding, ("place", "jump", "leaves", "enters"), rows)
    return Part("path", "Switches on the way", lines, [chart])


def _unit(number: int | None) -> str:
    return "nobody" if number is None else str(number)


def _steps(found: Mapping[str, Any], jumps: Sequence[Mapping[str, Any]]) -> Steps:
    """The path as it is drawn: between two places it is straight, but for the jumps that lie there."""
    places, logits = (np.asarray(found[key], dtype=np.float64) for key in ("t", "logit"))
    at, sizes = (np.array([one[key] for one in jumps], dtype=np.float64) for key in ("t", "size"))
    intervals = np.clip(np.searchsorted(places, at), 1, len(places) - 1)
    straight = np.diff(logits) - np.bincount(intervals - 1, sizes, minlength=len(places) - 1)
    slopes, so_far = straight / np.diff(places), np.r_[0.0, sizes.cumsum()[:-1]] if len(sizes) else sizes
    first = np.searchsorted(intervals, intervals)  # the first jump of the same interval
    before = logits[intervals - 1] + slopes[intervals - 1] * (at - places[intervals - 1])
    before += so_far - so_far[first]
    return Steps(np.interp(np.linspace(0, 1, len(places)), places, logits), at, before, sizes)
