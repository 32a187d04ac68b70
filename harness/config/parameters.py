"""The tables of the configuration: every parameter, its default, its bounds and what it means, once."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from harness.config.values import (
    Axes,
    Baseline,
    Column,
    Count,
    Keywords,
    MaybeNames,
    MaybeNatural,
    MaybePlace,
    Names,
    Natural,
    Real,
    Seed,
    Settled,
    Share,
    Shown,
    Sides,
    Table,
)
from harness.kinds import IMAGES, Words

ATTRIBUTION_METHODS = ("integrated_gradients", "gradients", "smoothgrad", "decoder_weighted")

THROUGH_CAPTUM = ("deep_lift", "smoothgrad_squared", "vargrad")
"""Methods that ship, and need the package captum."""

CONTROL_METHODS = ("decoder_reconstruction", "guided_backprop")
"""Methods that ship as controls: they explain nothing, and are compared with none."""

LATER_METHODS = (
    *THROUGH_CAPTUM,
    "deeplift_code",
    "expected_gradients",
    "grad_cam",
    "guided_backprop",
    "input_x_gradient",
    "kernel_shap",
    "lime",
    "occlusion",
    "shapley_sampling",
    "switch_aware_integrated_gradients",
)
"""Methods that ship since others may have had one of that name."""


class Data(Table):
    """`[data]`: what is learned from and judged on."""

    dataset: str = Field("auto", description="data set by name; auto takes the full set, else the small one")
    data_dir: MaybePlace = Field(None, description="first place to look for the data's files")
    baseline: Baseline = Field(
        None,
        description="where attributions start from: zero, mean, a number, a .npy file; the data set says",
    )

    test_share: Share = Field(
        None,
        description="of data by path without a test: share of each class held back for it; 0.2 where none",
    )
    image_size: Sides = Field(
        None, description="of images by path: rows and columns to stretch them to, or one number for both"
    )
    label_column: Column = Field(None, description="of a .csv by path: the label's column, name or position")
    axes: MaybeNames = Field(
        None, description="of arrays by path: their axes after the first, such as row,column,channel or time"
    )


class Model(Table):
    """`[model]`: what is explained."""

    model: str = Field("k-sparse", description="model by name, or its factory as module:function")
    k: Natural = Field(50, description="active units of the code")
    code_width: Natural = Field(1024, description="units of the code")
    weights: Annotated[MaybePlace, Shown("FILE")] = Field(
        None, description="file of weights (.pth, .safetensors): loaded and frozen, nothing is trained"
    )
    layer: str = Field("", description="a layer of the model, by its dotted name, at which a code is put in")
    code: Annotated[str, Shown("MODULE:FUNCTION")] = Field(
        "", description="sparse autoencoder at the layer, as module:function that gives it, loaded"
    )
    model_dir: MaybePlace = Field(
        None,
        description="where a module of one's own is looked for first, before the working folder; by default "
        "where it is found: beside the file that --config names, or in the working folder",
    )
    settings: Keywords = Field(Settled(), description="keywords of the factory")


STANDS_FOR: dict[str, Any] = {
    "model.model": "k-sparse",
    "model.weights": None,
    "model.layer": "",
    "model.code": "",
    "model.model_dir": None,
    "model.settings": {},
    "attribution.expected_gradients_samples": 100,
    "attribution.grain": None,
    "attribution.group_mask": None,
    "attribution.occlusion_window": 4,
    "attribution.occlusion_stride": 2,
    "attribution.kernel_shap_samples": 2048,
    "attribution.shapley_permutations": 24,
    "attribution.lime_samples": 1000,
    "attribution.grad_cam_layer": "",
    "attribution.switch_points": 2,
    "attribution.switch_allocation": "evidence",
    "attribution.probe_budget": None,
    "selection.common_order": False,
    "without": {},
}
"""Keys that came after the first runs and nights, with what these meant without them: a run that lacks one is
whole, and a night's number means the same with and without it."""


TWO_STAGED = ("reference", "interpretable")
"""Recipes that ship and train an autoencoder first, then a classifier on its codes, where there is a code."""


class Training(Table):
    """`[training]`: the recipe's parameters; the defaults are those of both recipes of two stages."""

    epochs: Count = Field(30, description="epochs of the autoencoder")
    classifier_epochs: Count = Field(
        50, description="epochs of the classifier, or of a network without a code"
    )
    batch_size: Natural = Field(256, description="images a training step")
    learning_rate: Real = Field(1e-3, gt=0, description="Adam's learning rate")
    engine: Literal["auto", "sparse", "stacked"] = Field(
        "auto",
        description="sparse: seed by seed, on the active units; stacked: all seeds as one batched model; "
        "auto: stacked on a GPU, sparse on a CPU (the recipe interpretable seed by seed, on all units)",
    )
    encoder_precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="of the sparse engine's encoder product; bfloat16 changes the numbers"
    )


class Attribution(Table):
    """`[attribution]`: the methods and their settings."""

    methods: Names = Field(ATTRIBUTION_METHODS, description="attribution methods, by name")
    attribution_steps: Natural = Field(50, description="path steps of integrated gradients")
    smoothgrad_samples: Natural = Field(25, description="noise images of SmoothGrad")
    smoothgrad_sigma: Real = Field(0.1, gt=0, description="SmoothGrad's noise, on pixels in [0, 1]")
    chunk_size: Natural = Field(512, description="images in memory at once; changes no map")
    expected_gradients_samples: Natural = Field(
        100, description="draws of a training image and a position, of expected gradients"
    )
    grain: Annotated[MaybeNatural, Shown("N")] = Field(
        None,
        description="side of the groups that perturbation methods take away, in pixels or steps; "
        "by default a seventh of each side",
    )
    group_mask: Annotated[MaybePlace, Shown("FILE")] = Field(
        None, description="groups of one's own in their place: a .npy file with a whole number a feature"
    )
    occlusion_window: Natural = Field(4, description="side of occlusion's window, in pixels or steps")
    occlusion_stride: Natural = Field(2, description="by how much occlusion's window moves")
    kernel_shap_samples: int = Field(2048, ge=8, description="coalitions of KernelSHAP")
    shapley_permutations: int = Field(24, ge=2, description="orders of Shapley sampling")
    grad_cam_layer: str = Field("", description="layer that Grad-CAM asks; the last convolution by default")
    lime_samples: int = Field(1000, ge=8, description="coalitions of LIME")
    switch_points: Natural = Field(
        2, description="midpoints across a switch, of switch-aware integrated gradients"
    )
    switch_allocation: Literal["evidence", "magnitude", "common", "normal"] = Field(
        "evidence", description="how what a switch adds becomes shares of pixels"
    )
    probe_budget: Annotated[MaybeNatural, Shown("N")] = Field(
        None,
        description="forward passes of a seed that the randomisation, stability and coalitions probes may "
        "take; where all samples take more, they ask fewer of each class",
    )


class Selection(Table):
    """`[selection]`: which images are explained."""

    samples_per_class: Natural = Field(20, description="explained images of each class")
    confidence: Real = Field(0.8, ge=0, lt=1, description="explained images are surer than this")
    minimum_per_class: int = Field(3, ge=2, description="fewer in any class cannot be judged: an error")
    common_order: bool = Field(
        False,
        description="draw the images in an order of the whole test set, so that runs which are compared have "
        "more of them in common; a sweep does",
    )


class Statistics(Table):
    """`[statistics]`: intervals."""

    interval_confidence: Real = Field(0.95, gt=0.5, lt=1, description="nominal confidence of the intervals")
    resamples: int = Field(10_000, ge=100, description="bootstrap resamples")
    interval: Literal["percentile", "bca"] = Field(
        "percentile", description="bootstrap interval of means and ratios; bca corrects for bias and skew"
    )
    until_decided: bool = Field(
        False, description="explain more samples until no gate's interval straddles its threshold"
    )


class Report(Table):
    """`[report]`: what is drawn."""

    title: str = Field("Interpretability report", description="the report's title")
    figure_samples: Natural = Field(1, description="three-row figures of each class")


MIN_CHANGE = {
    "accuracy": 0.005,
    "sparsity": 0.5,
    "agreement": 0.02,
    "reconstruction": 0.002,
    "fraction_unexplained": 0.01,
    "selection": 0.01,
    "attribution_integrity": 0.01,
    "attribution_copies": 0.01,
    "attribution_faithfulness": 0.02,
    "test_overlap": 0.001,
    "agreement_worst_pair": 0.02,
    "agreement_worst_pair_sensitivity": 0.02,
    "completeness.switch_aware_integrated_gradients": 0.002,
}
"""The smallest change from the past that is worth a night's sleep, by measurement, in its own unit."""


class Watch(Table):
    """One `[[nightly.watch]]` table: a measurement that is held against its past.

    The gated ones are so without; a table of one of them changes its smallest change.
    """

    measurement: str = Field(description="its name")
    min_change: Real = Field(ge=0, description="the smallest change that is red, in its own unit")


class Nightly(Table):
    """`[nightly]`: how a night is set up, and what of it is held against the nights before."""

    seeds: Natural = Field(3, le=100, description="fresh networks a night; two give no intervals")
    canary_seed: Seed = Field(0, description="of the one network that is trained every night")
    history: str = Field("", description="where the nights are kept: a file, or a database's URL")
    watch: tuple[Watch, ...] = Field((), description="what alarms beside the gated measurements")

    def smallest_change(self, measurement: str) -> float:
        """The smallest change of a measurement that is red, in its own unit; 0 where none was declared."""
        return (MIN_CHANGE | {one.measurement: one.min_change for one in self.watch}).get(measurement, 0.0)


class Sweep(Table):
    """`[sweep]`: the configurations that `harness sweep` runs, of a base that is the rest of the file."""

    axes: Axes = Field(Settled(), description="by key (k, settings.<keyword>), the values that it takes")
    zipped: tuple[tuple[str, ...], ...] = Field(
        (), description="axes that go side by side, value by value; all others are crossed"
    )
    reference: Keywords = Field(
        Settled(),
        description="the point that others are compared with, by key; what is not named is the base's",
    )


class Criterion(Table):
    """One `[[criteria]]` table: a measurement against a threshold.

    A table with the id of a shipped criterion changes only the keys it names. `gate = false` is watched:
    judged and reported, without a say in the verdict.
    """

    id: str = Field(
        pattern=r"^[a-z0-9_.\-]+$", description="its name: lower-case letters, digits, `_`, `.` and `-`"
    )
    title: str = Field("", description="a line that says what it asks for; the id by default")
    measurement: str = Field(description="what is judged; by default what its id names")
    relation: Literal[">=", "<=", "within"] = Field(description="how the number must stand to the threshold")
    threshold: Real | tuple[Real, Real] = Field(
        description="in the measurement's unit: [low, high] for `within`, else one number"
    )
    gate: bool = Field(True, description="whether it has a say in the verdict")

    @pydantic.model_validator(mode="after")
    def _threshold_fits_relation(self) -> Criterion:
        if (self.relation == "within") != isinstance(self.threshold, tuple):
            raise ValueError("threshold must be [low, high] for 'within', and one number for '>=' and '<='")
        if isinstance(self.threshold, tuple) and not self.threshold[0] <= self.threshold[1]:
            raise ValueError(f"threshold [low, high] must be in order (got {list(self.threshold)})")
        return self


SWITCH_AWARE = "switch_aware_integrated_gradients"
"""The shipped method whose maps have to add up on a code that jumps."""

SURROGATES = ("kernel_shap", "lime", "shapley_sampling")
"""Shipped methods whose maps are a model of the model: how well it fits is watched."""


def shipped_criteria(
    k: int, words: Words = IMAGES, methods: Collection[str] = (), recipe: str = "reference"
) -> tuple[Criterion, ...]:
    """The criteria that judge every run unless its configuration says otherwise.

    The users' three (accuracy, sparsity, agreement), the two that show whether the code still holds the
    image, the selection's own promise, the four that ask what agreement cannot see (maps that are not what
    they claim to be, copies, maps no better than the image, a test set that was trained on), and, watched,
    agreement beside its controls, and the users' 0.6 asked of the worst pair and of the same correlation
    taken otherwise. Their titles have the words of the data. With methods that are a model of the model, its
    fit is watched too: that it explains half, where it says anything. Integrated gradients that see the
    code's jumps have to add up: where they are asked, that is a gate. The recipe `interpretable` promises
    that explanations agree: each pair has to, in both spaces.
    """
    return _shipped(k, words, frozenset(methods), recipe)


@lru_cache(maxsize=1024)
def _shipped(k: int, words: Words, methods: frozenset[str], recipe: str) -> tuple[Criterion, ...]:
    """The same: a sweep asks for thousands of them."""
    promised = recipe == "interpretable"

    def criterion(name: str, title: str, relation: str, threshold: Any, gate: bool = True) -> Criterion:
        return Criterion.model_validate(
            dict(id=name, title=title, measurement=name, relation=relation, threshold=threshold, gate=gate)
        )

    always = (
        criterion("accuracy", "Test accuracy", ">=", 0.75),
        criterion(
            "sparsity", f"Active units a test {words.one} (L0)", "within", (0.9 * k, round(1.1 * k, 9))
        ),
        criterion("agreement", "Agreement of the attribution methods", ">=", 0.6),
        criterion("reconstruction", "Test reconstruction error (MSE)", "<=", 0.1),
        criterion("fraction_unexplained", "Fraction of variance unexplained", "<=", 0.25),
        criterion("selection", "Wanted samples that are right and sure", ">=", 1.0),
        criterion("attribution_integrity", "Samples whose maps satisfy their definitions", ">=", 0.95),
        criterion("attribution_copies", "Largest correlation of two methods", "<=", 0.999),
        criterion(
            "attribution_faithfulness",
            f"Smallest advantage over ordering {words.features} by |x|",
            ">=",
            1e-6,
        ),
        criterion("test_overlap", f"Test {words.noun} that stand in the training set", "<=", 0.01),
        criterion("agreement_above_controls", "Agreement above its largest control", ">=", 0.0, gate=False),
        criterion("agreement_worst_pair", "Agreement of the worst pair", ">=", 0.6, gate=promised),
        criterion("agreement_sensitivity", "Agreement in sensitivity space", ">=", 0.6, gate=False),
        criterion("agreement_absolute", "Agreement of absolute contributions", ">=", 0.6, gate=False),
        criterion("agreement_foreground", f"Agreement on foreground {words.features}", ">=", 0.6, gate=False),
        criterion("agreement_spearman", "Rank agreement (Spearman)", ">=", 0.6, gate=False),
    )
    worst = criterion(
        "agreement_worst_pair_sensitivity", "Agreement of the worst pair in sensitivity space", ">=", 0.6
    )
    fit = criterion("surrogate_fit", "Fit of group sums at fresh coalitions", ">=", 0.5, gate=False)
    adds_up = criterion(
        f"completeness.{SWITCH_AWARE}", "Completeness gap of switch-aware integrated gradients", "<=", 0.01
    )
    return (
        *always,
        *(worst,) * promised,
        *(fit,) * bool(methods & set(SURROGATES)),
        *(adds_up,) * (SWITCH_AWARE in methods),
    )
