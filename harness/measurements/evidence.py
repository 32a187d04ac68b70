"""What measurements see of a run, and the registry they are found in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from harness.kinds import WORDS, Words
from harness.records import Floats, Ints, Measurement
from harness.registry import Registry
from harness.text import listed

CONTROL_METHOD = "decoder_reconstruction"
"""The control that is made of every model that can give inputs back; others are where they are asked for."""

NO_METHOD = "no attribution method was chosen but controls"
"""Why nothing can be said of the methods where there is none."""


@dataclass(frozen=True, eq=False)
class MethodMaps:
    """One method's maps on disk.

    Attributes:
        own: float32 [n, pixels], in the method's own space.
        space: `sensitivity` or `contribution`.
        sensitivity: float32 [n, pixels]; None where the method has no sensitivity form.
        targets: int64 [n], the classes that the file says are explained.
        indices: int64 [n], the positions in the test set that it says its maps are of.
        family: What the method asks of a model: `gradient`, `perturbation`, `decoder` or `layer`.
        groups: int64 [pixels], the group that each belongs to, of a method that asks of groups; None of one
            that asks of pixels.
        missingness: Whether its maps claim to add nothing where the image is the baseline.
        control: Whether the method is a control, and is not compared with the others.
    """

    own: Floats
    space: str
    sensitivity: Floats | None = None
    targets: Ints | None = None
    indices: Ints | None = None
    family: str = "gradient"
    groups: Ints | None = None
    missingness: bool = True
    control: bool = False

    def contribution(self, images: Floats) -> Floats:
        """The maps in contribution space: what each pixel added, against the baseline 0."""
        return self.own if self.space == "contribution" else self.own * images


@dataclass(frozen=True, eq=False)
class CodeEvidence:
    """What a code made of the images.

    Attributes:
        l0: int64 [t], active units of each test image; float64 of a code that is taken at several places.
        k: The code's declared number of active units.
        firing_frequency: float64 [code width], on the training images.
        squared_errors: float64 [t], summed over pixels, of what the code gives back of test images; empty
            of a code that gives nothing back.
        squared_deviations: float64 [t], likewise, of test images from the mean training image.
        reconstructions: float32 [n, pixels], of the explained images; None of a code that gives no inputs
            back.
    """

    l0: Ints
    k: int
    firing_frequency: Floats
    squared_errors: Floats
    squared_deviations: Floats
    reconstructions: Floats | None


@dataclass(frozen=True, eq=False)
class Evidence:
    """What one trained seed left behind, as arrays: all that measurements see.

    Attributes:
        seed: The seed.
        logits: float32 [t, classes], of the test images.
        test_labels: int64 [t].
        baseline_logits: float32 [classes], of the zero image.
        images: float32 [n, pixels], the explained images as the network sees them: scaled, less the
            baseline.
        shape: The sides of an image; of a grey one its rows and columns.
        indices: int64 [n], their positions in the test set.
        labels: int64 [n], their true classes.
        maps: The methods' maps, by name.
        untrained: The same methods' maps of an untrained network, by name.
        classes: The classes' names.
        wanted_per_class: How many images of each class were to be explained.
        minimum_per_class: Fewer in any class cannot be judged.
        confidence: The bound on the confidence of explained images.
        surest: The highest confidence of any rightly named test image.
        in_training: bool [t], whether a test image stands in the training set too, pixel for pixel; None
            where nobody looked.
        sanity: What was asked of the maps beyond what they show, arrays by name, by subject.
        code: What a model's code made of the images; None where it has none. Who reads it says so by
            `harness.capabilities.needs`.
        kind: Of the inputs, a key of `harness.forms.AXES`.
        truth: bool [n, pixels], the features of each explained image that are known to tell its class; None
            where nobody knows. Who reads it needs `truth`.
        lengths: The settings that say how long the network is trained; none where nothing is.
    """

    seed: int
    logits: Floats
    test_labels: Ints
    baseline_logits: Floats
    images: Floats
    shape: tuple[int, ...]
    indices: Ints
    labels: Ints
    maps: Mapping[str, MethodMaps]
    untrained: Mapping[str, MethodMaps]
    classes: tuple[str, ...]
    wanted_per_class: int
    minimum_per_class: int
    confidence: float
    surest: float
    in_training: Any
    sanity: Mapping[str, Mapping[str, Any]]
    code: CodeEvidence | None = None
    kind: str = "image"
    truth: Any = None
    lengths: tuple[str, ...] = ("epochs", "classifier_epochs")

    @property
    def words(self) -> Words:
        """What an input and its features are called in titles, units and reasons."""
        return WORDS[self.kind]

    @property
    def _of_code(self) -> CodeEvidence:
        if self.code is None:
            raise AttributeError("the model has no code; say that it is needed: @needs('code')")
        return self.code

    @property
    def l0(self) -> Ints:
        """The code's."""
        return self._of_code.l0

    @property
    def k(self) -> int:
        """The code's."""
        return self._of_code.k

    @property
    def firing_frequency(self) -> Floats:
        """The code's."""
        return self._of_code.firing_frequency

    @property
    def squared_errors(self) -> Floats:
        """The code's."""
        return self._of_code.squared_errors

    @property
    def squared_deviations(self) -> Floats:
        """The code's."""
        return self._of_code.squared_deviations

    @property
    def is_rebuilt(self) -> bool:
        """Whether the code gives the explained images back."""
        return self.code is not None and self.code.reconstructions is not None

    @property
    def reconstructions(self) -> Floats:
        """The code's, of the explained images; no row where it gives none back."""
        found = self._of_code.reconstructions if self.code is not None else None
        return np.empty((0, self.images.shape[1])) if found is None else found

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are compared: all but controls."""
        return tuple(name for name, one in self.maps.items() if not one.control)

    def contributions(self) -> dict[str, Floats]:
        """The compared methods' contribution maps, by name; every measurement shares them."""
        return dict(self._contributions)

    @cached_property
    def _contributions(self) -> dict[str, Floats]:
        return {name: self.maps[name].contribution(self.images) for name in self.methods}

    @property
    def _surer(self) -> str:
        """What helps where too few inputs are named rightly and surely."""
        if not self.lengths:
            return "lower --confidence"
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in self.lengths)
        smaller = "" if "epochs" in self.lengths else " or in smaller batches (--batch-size)"
        return f"train longer ({flags}){smaller}, or lower --confidence"

    def grains(self) -> dict[str, Ints | None]:
        """The groups that the compared methods ask of, by name; None where they ask of pixels."""
        return {name: self.maps[name].groups for name in self.methods}

    def shortage(self) -> str | None:
        """Why too few images are explained for anything to be judged on them; None where enough are."""
        percent = f"{100 * self.confidence:.6g}%"
        if not len(self.images) and not self.surest:
            return f"no test {self.words.one} is named rightly"
        if not len(self.images):
            return (
                f"no test {self.words.one} is named rightly and over {percent} sure "
                f"(the surest right one is {100 * self.surest:.6g}% sure); {self._surer}"
            )
        counts = np.bincount(self.labels, minlength=len(self.classes))
        short = np.flatnonzero(counts < self.minimum_per_class)
        if len(short):
            named = listed(f"{self.classes[label]} ({counts[label]})" for label in short[:3])
            more = f" and {len(short) - 3} more" if len(short) > 3 else ""
            return (
                f"too few {self.words.noun} are named rightly and over {percent} sure: "
                f"{named}{more}; each class needs at least {self.minimum_per_class}; {self._surer}"
            )
        return None


def not_finite(maps: Mapping[str, Floats]) -> str | None:
    """Which method's maps hold NaN or infinite values, and how many of them; None where none do."""
    for name, rows in maps.items():
        bad = int((~np.isfinite(rows)).any(axis=1).sum())
        if bad:
            return f"{bad} of {len(rows)} maps of {name} hold NaN or infinite values"
    return None


Measure = Callable[[Evidence], Iterator[Measurement]]

measurements: Registry[Measure] = Registry("measurement")
"""By base name; a function yields `base` itself, or a family `base.member`."""


def sampled(
    evidence: Evidence,
    name: str,
    title: str,
    values: Callable[[], Floats],
    *,
    unit: str = "correlation",
    higher_is_better: bool | None = True,
    reduction: str = "mean",
    reason: str | None = None,
    rows: Ints | None = None,
) -> Measurement:
    """A measurement on the explained images, by class; or the reason why they cannot carry it.

    `rows` are their positions where only some were asked.
    """
    reason = evidence.shortage() or reason
    known: dict[str, Any] = dict(
        name=name, title=title, unit=unit, higher_is_better=higher_is_better, reduction=reduction
    )
    if reason is None:
        labels = evidence.labels if rows is None else evidence.labels[rows]
        with np.errstate(invalid="ignore", divide="ignore"):
            return Measurement(**known, values=values(), strata=labels, rows=rows)
    return Measurement(**known, values=np.empty(0), reason=reason)
