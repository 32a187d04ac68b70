"""The saved view: what the studio showed, as one offline page of the report's kind, without a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from harness import figures
from harness.criteria import show
from harness.environment.state import clean as clean_state
from harness.figures import Line, Panel, Steps
from harness.report.page import Chart, templates
from harness.studio import saved_maps
from harness.studio.page import About, differing
from harness.studio.viewed import Answer, Asked, Part, Shown, Table, View, floats, layout_of, ranks
from harness.text import clean, counted, sure, words

ATOMS, JUMPS, CLASSES = 8, 12, 20
"""At most so many atoms are drawn, jumps listed, and classes named."""


@clean_state()
def render(about: About, asked: Asked, answer: Answer, beside: Shown | None = None) -> str:
    """The page of one view.

    Args:
        about: What the run tells of itself.
        asked: The question, with its input.
        answer: All parts of its answer, or some; a part that is missing has no section.
        beside: Of a second run, B, whose maps of the same input stand beside those of the first, A.
    """
    view = View(about, asked, answer, layout_of(about, asked, answer), beside)
    sections: Mapping[str, Callable[[View], Part]] = {
        "prediction": _prediction,
        "maps": saved_maps.section,
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


def _headline(view: View) -> str:
    about, asked, answer = view.about, view.asked, view.answer
    found = answer["prediction"]
    what = f"Test {about['noun']} {asked.index}" if asked.index is not None else f"One's own {about['noun']}"
    changed = ", changed" if answer.get("changed") else ""
    is_ = f"{view.named(found['class'])}, {sure(found['confidence'])} sure"
    return f"{what}{changed}: {is_}; explained for {view.explained}"


def _facts(view: View) -> list[tuple[str, str]]:
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


def _prediction(view: View) -> Part:
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


def _integrity(view: View) -> Part:
    said = {True: "✓ is what it claims", False: "✗ is not what it claims", None: "no definition is known"}
    rows = [
        (
            words(one["method"]),
            said[one["holds"]],
            *(show(one.get(key)) for key in ("error", "tolerance")),
        )
        for one in view.answer["integrity"]
    ]
    broken = [words(one["method"]) for one in view.answer["integrity"] if one["holds"] is False]
    lines = [f"Not what they claim to be: {', '.join(broken)}."] if broken else []
    columns = ("method", "asked by forward passes", "error", "at most")
    lines += [
        f"{words(one['method'])}: its sum is to be the change of the {view.logit} from the baseline, and "
        f"misses it by {sure(one['gap'])}."
        for one in view.answer["integrity"]
        if one["gap"] is not None
    ]
    return Part("integrity", "Integrity", lines, tables=[Table("Integrity by method", columns, rows)])


def _agreement(view: View) -> Part:
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


def _deletion(view: View) -> Part:
    curves = view.answer["deletion"]
    if not curves:
        return Part("deletion", "What is left", absent="Nothing was deleted.")
    found = [
        Line(words(one["method"]), np.asarray(one["shares"], float), np.asarray(one["probabilities"], float))
        for one in curves
    ]
    share = view.asked.share
    named = f"probability of {view.named(view.answer['target'])}"
    panel = Panel(named, "share deleted, by each method's order", found, limits=(0, 1.02), marked=share / 100)
    percents = sorted({10, 20, 50, share})
    rows = [(one.name, *(sure(float(np.interp(at / 100, one.x, one.y))) for at in percents)) for one in found]
    finding = f"The {named} when {share} % is deleted; " + ", ".join(
        f"{row[0]}: {row[1 + percents.index(share)]}" for row in rows
    )
    columns = ("method", *(f"{at} % deleted" for at in percents))
    chart = Chart("view-deletion", figures.lines([panel]), f"{finding}.", columns, rows)
    order = next((one for one in curves if one["method"] == view.asked.order), curves[0])
    return Part("deletion", "What is left", charts=[_left(view, order), chart])


def _left(view: View, order: Mapping[str, Any]) -> Chart:
    """The input without what goes first in a method's order, and what that is."""
    share, (low, high) = view.asked.share, view.about["range"]
    places = ranks(order["order"])
    gone = places < share / 100 * len(places)
    left = np.where(gone, min(max(0.0, low), high), view.asked.inputs)
    figure = figures.deletion(view.asked.inputs, left, gone.astype(float), view.layout)
    finding = f"{share} % deleted in the order of {words(order['method'])}; what is gone is marked"
    finding += ", the darker the more channels." if view.layout.is_colour else "."
    return Chart("view-left", figure, finding)


def _units(view: View) -> Part:
    units = view.answer["units"]
    if units is None:
        return Part("units", "Units", absent="This model has no code, so it has no units.")
    rows = [(one["unit"], show(one["activation"]), show(one["contribution"])) for one in units]
    columns = ("unit", "activation", f"contribution to the {view.logit}")
    table = Table("Active units by contribution", columns, rows)
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
    finding = (
        f"The {len(atoms)} active units that contribute most, with their contributions to the {view.logit}."
    )
    return Part("units", "Units", charts=[Chart("view-atoms", figure, finding)], tables=[table])


def _path(view: View) -> Part:
    found = view.answer["path"]
    if found is None:
        absent = "This model has no code of active units, so nothing switches on the way."
        return Part("path", "Switches on the way", absent=absent)
    jumps = sorted(found["jumps"], key=lambda one: float(one["t"]))
    steps = _steps(found, jumps)
    figure = figures.path(steps, view.layout, view.asked.inputs, [], explained=view.logit)
    finding = (
        f"The {view.logit} from the baseline to the {view.layout.form.one}, "
        f"with {counted(len(jumps), 'jump')}."
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
