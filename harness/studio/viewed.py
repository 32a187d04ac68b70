"""What a saved view is made of: sections, what they are told, and how its inputs are drawn."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from harness.figures import Layout
from harness.records import Floats, Ints
from harness.report.page import Chart
from harness.studio.page import About, kind_of
from harness.text import clean

Answer = Mapping[str, Any]
"""All parts of an answer as one."""

Shown = tuple[About, "Asked", Answer]
"""What a run tells of itself, was asked, and answered."""


class Asked(Protocol):
    """What was asked: `harness.studio.asked.Question`."""

    @property
    def seed(self) -> int:
        """Of the network."""

    @property
    def against(self) -> int | None:
        """The class whose logit was to be taken away; None where there is none."""

    @property
    def units(self) -> Sequence[tuple[int, str, float]]:
        """Switched units: which, `set` or `times`, and the value."""

    @property
    def index(self) -> int | None:
        """Position in the test set; None of an input of one's own."""

    @property
    def share(self) -> int:
        """The percentage of the features that was deleted."""

    @property
    def order(self) -> str:
        """The method in whose order; empty for the first."""

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
class View:
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
    def logit(self) -> str:
        """The number that is explained."""
        against = self.answer.get("against")
        one = f"logit of {self.named(self.answer['target'])}"
        return one if against is None else f"{one} less that of {self.named(against)}"

    @property
    def again(self) -> Floats | None:
        """The reconstruction: float32 [features]; None of a model that gives none."""
        found = floats(self.answer.get("reconstruction"))
        return None if found is None else found.ravel()

    @property
    def notes(self) -> list[str]:
        """What of a question the maps do not follow: a contrast that is none, and switched units."""
        shown: list[tuple[str, Shown]] = [("", (self.about, self.asked, self.answer))]
        if self.beside is not None:
            shown = [("A: ", shown[0][1]), ("B: ", self.beside)]
        found = [
            f"{letter}{self.named(asked.against)} is predicted, the class that was to be taken away: there "
            "is no contrast, and it is explained alone."
            for letter, (_, asked, answer) in shown
            if asked.against is not None and answer.get("against") is None
        ]
        if self.answer.get("edited"):
            found.append(
                f"{shown[0][0]}Units are switched: that moves the prediction alone. Maps, their checks and "
                "all below are of the network as it is."
            )
        return found


def floats(told: Mapping[str, Any] | None) -> Floats | None:
    """The array of an answer: float32 of its shape; None where it is absent."""
    if told is None:
        return None
    found = np.frombuffer(base64.b64decode(told["f32"]), dtype="<f4").astype(np.float32)
    return found.reshape([int(side) for side in told["shape"]])


def ranks(told: Mapping[str, Any]) -> Ints:
    """The places of an answer's features in an order, the first to go being 0: uint32 [features]."""
    return np.frombuffer(base64.b64decode(told["u32"]), dtype="<u4").ravel()


def layout_of(about: About, asked: Asked, answer: Answer) -> Layout:
    """How it is drawn: a picture as on the page, else on the scale of the input and what was made of it."""
    drawn = [asked.inputs]
    for told in (answer, answer.get("edited") or {}):
        again = floats(told.get("reconstruction"))
        drawn += [] if again is None else [again]
    flat = np.stack([one.ravel() for one in drawn])
    if kind_of(about) in ("image", "clip"):
        ends = np.array(about["range"], dtype=np.float32)[:, None]
        flat = np.concatenate([np.clip(flat, *ends[:, 0]), np.broadcast_to(ends, (2, flat.shape[1]))])
    return Layout.of_shape(kind_of(about), tuple(about["shape"]), flat)
