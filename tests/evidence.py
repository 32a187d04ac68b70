"""Evidence built by hand: random maps on right and sure images."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from harness.measurements import CONTROL_METHOD, Evidence, MethodMaps
from harness.measurements.evidence import CodeEvidence
from harness.records import Floats

METHODS = ("integrated_gradients", "gradients", "smoothgrad", "decoder_weighted")
ORDERS = (*METHODS, "image", "random")
DRAWING = ("kernel_shap", "lime")
"""Methods that draw coalitions of groups."""

ASKING_A_LAYER = ("grad_cam", "another_cam")

OF_DRAWING = (
    "agreement_perturbation_family",
    "agreement_layer_family",
    "agreement_mixed_family",
    "surrogate_fit",
    "design_spread",
)
"""Measurements that say nothing of other methods."""

LAYERS = ("classifier.3", "classifier.0", "encoder")


def random_maps(
    generator: np.random.Generator, images: Floats, methods: tuple[str, ...], alike: float = 1.0
) -> dict[str, MethodMaps]:
    """Maps that share something: integrated gradients are contributions, the others sensitivities."""
    common = alike * generator.standard_normal(images.shape)
    maps = {}
    for name in methods:
        sensitivity = (common + generator.standard_normal(images.shape)).astype(np.float32)
        if name == "integrated_gradients":
            maps[name] = MethodMaps(sensitivity * images, "contribution", sensitivity)
        elif name.startswith("decoder"):
            other = generator.standard_normal(images.shape).astype(np.float32)
            control = name == CONTROL_METHOD
            maps[name] = MethodMaps(sensitivity, "sensitivity", other, family="decoder", control=control)
        elif name in DRAWING:
            groups = np.arange(images.shape[1]) // 7
            own = (sensitivity * images).astype(np.float32)
            maps[name] = MethodMaps(own, "contribution", family="perturbation", groups=groups)
        elif name in ASKING_A_LAYER:
            maps[name] = MethodMaps(sensitivity, "contribution", family="layer", missingness=False)
        else:
            maps[name] = MethodMaps(sensitivity, "sensitivity", sensitivity)
    return maps


def an_evidence(
    counts: tuple[int, ...] = (4, 5, 3),
    shape: tuple[int, int] = (10, 20),
    methods: tuple[str, ...] = METHODS,
    seed: int = 0,
    **changed: Any,
) -> Evidence:
    """Evidence of random maps on right and sure images, a third of whose pixels are 0."""
    generator = np.random.default_rng(seed)
    classes, pixels = len(counts), shape[0] * shape[1]
    labels = np.repeat(np.arange(classes), counts)
    chosen = len(labels)
    tests = 2 * chosen + 6
    test_labels = np.concatenate([labels, generator.integers(0, classes, tests - chosen)])
    order = generator.permutation(tests)
    places = np.empty(tests, dtype=np.int64)
    places[order] = np.arange(tests)
    logits = np.where(np.eye(classes)[test_labels] > 0, 9.0, 0.0)[order]
    images = np.maximum(generator.random((chosen, pixels)) - 1 / 3, 0).astype(np.float32)
    maps = random_maps(generator, images, (*methods, CONTROL_METHOD))
    known: dict[str, Any] = dict(
        seed=seed,
        logits=logits.astype(np.float32),
        test_labels=test_labels[order],
        baseline_logits=generator.normal(size=classes).astype(np.float32),
        l0=generator.integers(3, 6, tests),
        k=5,
        firing_frequency=np.array([0.0, 0.1, 1.0, 0.0, 1e-9]),
        squared_errors=generator.random(tests),
        squared_deviations=1 + generator.random(tests),
        images=images,
        shape=shape,
        indices=places[:chosen],
        labels=labels,
        reconstructions=generator.random(images.shape).astype(np.float32),
        maps={
            name: dataclasses.replace(one, targets=labels, indices=places[:chosen])
            for name, one in maps.items()
        },
        untrained=random_maps(generator, images, methods, alike=0.3),
        classes=tuple(f"class {label}" for label in range(classes)),
        wanted_per_class=max(counts),
        minimum_per_class=2,
        confidence=0.8,
        surest=0.999,
        in_training=np.zeros(tests, dtype=bool),
        sanity={},
    )
    known |= changed
    truth = np.zeros(known["images"].shape, dtype=bool)
    truth[:, : truth.shape[1] // 10] = True
    known.setdefault("truth", truth)
    code = CodeEvidence(**{one.name: known.pop(one.name) for one in dataclasses.fields(CodeEvidence)})
    return Evidence(**{"code": code} | known)


def with_code(evidence: Evidence, **changed: Any) -> Evidence:
    """The same evidence with something of what its code made changed."""
    assert evidence.code is not None
    return dataclasses.replace(evidence, code=dataclasses.replace(evidence.code, **changed))


def with_maps(evidence: Evidence, name: str, own: Floats) -> Evidence:
    """The same evidence with one method's own maps changed, also where they are its sensitivity form."""
    before = evidence.maps[name]
    sensitivity = own if before.sensitivity is before.own else before.sensitivity
    changed = dataclasses.replace(before, own=own, sensitivity=sensitivity)
    return dataclasses.replace(evidence, maps={**evidence.maps, name: changed})


def evidence_of(base: str, **changed: Any) -> Evidence:
    """Evidence of which a measurement says something."""
    return (
        probed(an_evidence(**{"methods": (*METHODS, *DRAWING, *ASKING_A_LAYER)} | changed))
        if base in OF_DRAWING
        else an_evidence(**changed)
    )


def probed(evidence: Evidence | None = None, seed: int = 0, others: int = 90) -> Evidence:
    """Evidence with random answers to every probe."""
    evidence = evidence or an_evidence()
    generator = np.random.default_rng(seed)
    n, pixels = evidence.images.shape
    confidences = generator.uniform(0.2, 0.8, others)
    confidences[: others // 3] = generator.uniform(0.3, 1.0, others // 3)
    asked = ("predictions", *METHODS)
    sanity: dict[str, dict[str, Any]] = {
        "integrity": {
            "names": np.array(asked),
            "errors": generator.uniform(0, 1e-6, (len(asked), n)),
            "along": np.ones((len(asked), n)),
            "methods": np.array(METHODS),
            "spaces": np.array([evidence.maps[name].space for name in METHODS]),
        },
        "curves": {
            "orders": np.array(ORDERS),
            "deletion": generator.random((len(ORDERS), n, 41)).astype(np.float32),
            "insertion": generator.random((len(ORDERS), n, 41)).astype(np.float32),
        },
        "randomisation": {
            "methods": np.array(METHODS),
            "layers": np.array(LAYERS),
            "cascading": generator.uniform(-1, 1, (len(METHODS), len(LAYERS), n)).astype(np.float32),
            "alone": generator.uniform(-1, 1, (len(METHODS), len(LAYERS), n)).astype(np.float32),
        },
        "stability": {
            "methods": np.array(METHODS),
            "max_sensitivity": generator.random((len(METHODS), n)).astype(np.float32),
        },
        "switches": {
            "levels": np.where(generator.random((n, 7)) < 0.8, 1.0, 0.0).astype(np.float32),
            "jumps": generator.normal(size=(n, 7)).astype(np.float32),
            "along": np.linspace(0, generator.uniform(5, 9, n), 200, axis=1).astype(np.float32),
        },
        "others": {
            "kind": np.repeat(["wrong", "below"], [others // 3, others - others // 3]),
            "labels": generator.integers(0, 3, others),
            "confidences": confidences,
            "methods": np.array(METHODS),
            "contributions": (
                generator.normal(size=(1, others, pixels))
                + generator.normal(size=(len(METHODS), others, pixels))
            ).astype(np.float16),
        },
    }
    if drawing := [name for name in evidence.methods if name in DRAWING]:
        drawn = {name: generator.uniform(0.1, 0.9, (len(drawing), n)) for name in ("fit", "spread")}
        sanity["coalitions"] = {"methods": np.array(drawing)} | drawn
    return dataclasses.replace(evidence, sanity=sanity)
