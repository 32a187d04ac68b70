"""What a caller hands over is taken where its meaning is clear, and refused in a sentence where it is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import harness
from harness import environment
from harness.attributions import attribute, explain, methods, register
from harness.errors import ConfigurationError, InputError, Refused
from harness.subjects import inputs
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier

N = 6
BYTES = (torch.rand(N, 12, generator=torch.Generator().manual_seed(3)) * 255).byte()
IMAGES, CLASSES = BYTES.float() / 255, torch.arange(N) % 3
FEW: dict[str, Any] = dict(attribution_steps=4, smoothgrad_samples=3)
RECIPE: dict[str, Any] = dict(epochs=2, batch_size=4, learning_rate=0.01)


def order() -> torch.Generator:
    """The order of images."""
    return torch.Generator().manual_seed(0)


def apart(values: Tensor) -> Tensor:
    """The same values in memory that is not contiguous."""
    return torch.stack([values, values], dim=-1)[..., 0]


IMAGES_AS: dict[str, Callable[[], Any]] = {
    "bytes": lambda: BYTES,
    "an array of bytes": lambda: BYTES.numpy(),
    "a list": lambda: IMAGES.tolist(),
    "an array": lambda: IMAGES.numpy(),
    "an array that runs backwards": lambda: IMAGES.numpy()[::-1].copy()[::-1],
    "a Fortran array": lambda: np.asfortranarray(IMAGES.numpy()),
    "float64": lambda: IMAGES.double(),
    "with a graph": lambda: IMAGES.clone().requires_grad_() * 1,
    "a leaf with a gradient": lambda: IMAGES.clone().requires_grad_(),
    "rows and columns": lambda: IMAGES.reshape(N, 3, 4),
    "a channel": lambda: IMAGES.reshape(N, 1, 3, 4),
    "a channel at the end": lambda: BYTES.reshape(N, 3, 4, 1).numpy(),
    "apart in memory": lambda: apart(IMAGES),
    "sparse": lambda: IMAGES.to_sparse(),
    "a parameter": lambda: nn.Parameter(IMAGES.clone()),
}
"""The same images as callers have them."""

CLASSES_AS: dict[str, Callable[[], Any]] = {
    "uint8": lambda: CLASSES.byte(),
    "int8": lambda: CLASSES.char(),
    "int16": lambda: CLASSES.short(),
    "int32": lambda: CLASSES.int(),
    "a list": lambda: CLASSES.tolist(),
    "a tuple": lambda: tuple(CLASSES.tolist()),
    "an array of bytes": lambda: CLASSES.numpy().astype(np.uint8),
    "an array": lambda: CLASSES.numpy(),
    "apart in memory": lambda: apart(CLASSES),
}
"""The same classes as callers have them."""


@pytest.mark.parametrize("form", IMAGES_AS)
def test_images_of_any_form_are_explained_alike(tiny_model: PixelClassifier, form: str) -> None:
    """The maps are those of the plain tensor, without a graph, in the network's type."""
    expected = explain(tiny_model, IMAGES, CLASSES, **FEW)
    for name, maps in explain(tiny_model, IMAGES_AS[form](), CLASSES, **FEW).items():
        assert torch.equal(maps, expected[name]), name
        assert not maps.requires_grad
        assert maps.dtype == torch.float32


@pytest.mark.parametrize("form", IMAGES_AS)
def test_images_of_any_form_train_alike(form: str) -> None:
    """An autoencoder trained on them has the weights of one trained on the plain tensor."""
    weights = []
    for images in (IMAGES, IMAGES_AS[form]()):
        with environment.seeded(0):
            model = KSparseAutoencoder(3, 12, 8)
        list(harness.train_autoencoder(model, images, generator=order(), **RECIPE))
        weights.append(model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.thorough
@pytest.mark.parametrize("form", CLASSES_AS)
def test_classes_of_any_form_are_the_same_classes(tiny_model: PixelClassifier, form: str) -> None:
    """Targets and labels may be whole numbers of any width, in whatever holds them."""
    expected = explain(tiny_model, IMAGES, CLASSES, **FEW)
    maps = explain(tiny_model, IMAGES, CLASSES_AS[form](), **FEW)
    assert all(torch.equal(maps[name], expected[name]) for name in expected)
    assert torch.equal(
        attribute(tiny_model, IMAGES, CLASSES_AS[form](), "gradients").own,
        attribute(tiny_model, IMAGES, CLASSES, "gradients").own,
    )
    logs = []
    for labels in (CLASSES, CLASSES_AS[form]()):
        with environment.seeded(0):
            head = Classifier(12, hidden=(4,), classes=3)
            logs.append(
                [e.loss for e in harness.train_classifier(head, IMAGES, labels, generator=order(), **RECIPE)]
            )
    assert logs[0] == logs[1]


def test_one_image_is_a_batch_of_one(tiny_model: PixelClassifier) -> None:
    """With or without rows and columns, with one class or the predicted one."""
    expected = explain(tiny_model, IMAGES[:1], CLASSES[:1], **FEW)
    for image in (IMAGES[0], IMAGES[0].reshape(3, 4), IMAGES[0].reshape(1, 3, 4), BYTES[0].numpy()):
        for target in (0, [0], torch.tensor(0), np.int64(0)):
            maps = explain(tiny_model, image, target, **FEW)  # type: ignore[arg-type]
            assert all(torch.equal(maps[name], expected[name]) for name in expected)
    assert explain(tiny_model, IMAGES[0], **FEW)["gradients"].shape == (1, 12)


def test_one_class_is_every_images(tiny_model: PixelClassifier) -> None:
    """A single number as target explains that class of every image."""
    maps = explain(tiny_model, IMAGES, 2, **FEW)  # type: ignore[arg-type]
    expected = explain(tiny_model, IMAGES, torch.full((N,), 2), **FEW)
    assert all(torch.equal(maps[name], expected[name]) for name in expected)


def test_no_image_has_no_map(tiny_model: PixelClassifier) -> None:
    """An empty batch is explained by empty maps."""
    maps = explain(tiny_model, IMAGES[:0], **FEW)
    assert [tuple(one.shape) for one in maps.values()] == [(0, 12)] * 4


BAD_IMAGES: dict[str, tuple[Any, str]] = {
    "bytes as floats": (BYTES.float(), r"must be in \[0, 1\]"),
    "below 0": (IMAGES - 0.5, r"must be in \[0, 1\]"),
    "NaN": (torch.where(IMAGES > 0.5, torch.nan, IMAGES), r"in \[0, 1\] \(got nan"),
    "infinite": (IMAGES + torch.inf, r"must be in \[0, 1\]"),
    "whole numbers": (BYTES.long(), "uint8"),
    "truths": (IMAGES > 0.5, "uint8"),
    "complex": (IMAGES.to(torch.complex64), "uint8"),
    "too many pixels": (torch.rand(N, 13), r"shape \[n, 12\]"),
    "no pixels": (torch.rand(()), r"shape \[n, 12\]"),
    "text": (["a", "b"], "must be numbers"),
    "of several lengths": ([[0.1], [0.2, 0.3]], "must be numbers"),
    "nothing": (None, "must be numbers"),
}


@pytest.mark.parametrize("kind", BAD_IMAGES)
def test_images_that_cannot_be_meant_are_refused(tiny_model: PixelClassifier, kind: str) -> None:
    """One sentence says what was expected and what was got."""
    images, words = BAD_IMAGES[kind]
    with pytest.raises(InputError, match=words) as caught:
        explain(tiny_model, images)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, Refused | ValueError)


BAD_CLASSES: dict[str, tuple[Any, str]] = {
    "too few": (CLASSES[:4], r"shape \(6,\) \(got \(4,\)\)"),
    "too many": (torch.zeros(9, dtype=torch.int64), r"shape \(6,\) \(got \(9,\)\)"),
    "a column": (CLASSES[:, None], r"shape \(6,\) \(got \(6, 1\)\)"),
    "one for each class": (torch.eye(3, dtype=torch.int64)[CLASSES], r"shape \(6,\)"),
    "floats": (CLASSES.float(), "whole numbers"),
    "truths": (CLASSES > 0, "whole numbers"),
    "from 1": (CLASSES + 1, r"0\.\.2 \(got 1 to 3\)"),
    "negative": (CLASSES - 1, r"0\.\.2 \(got -1 to 1\)"),
    "text": (["a"] * N, "must be numbers"),
}


@pytest.mark.parametrize("kind", BAD_CLASSES)
def test_classes_that_cannot_be_meant_are_refused(tiny_model: PixelClassifier, kind: str) -> None:
    """As targets and as labels alike; fewer labels than images train nothing in silence."""
    classes, words = BAD_CLASSES[kind]
    with pytest.raises(InputError, match=f"targets must be.*{words}|targets {words}"):
        explain(tiny_model, IMAGES, classes)
    with pytest.raises(InputError, match=f"labels must be.*{words}|labels {words}"):
        harness.train_classifier(
            Classifier(12, hidden=(4,), classes=3), IMAGES, classes, generator=order(), **RECIPE
        )


class Gives(nn.Module):
    """A model that gives something of its own making."""

    def __init__(self, made: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.made = made

    def forward(self, images: Tensor) -> Any:
        return self.made(images)


@pytest.mark.parametrize(
    "made",
    [
        lambda x: (x, x),
        lambda x: {"logits": x},
        lambda x: x.sum(dim=1),
        lambda x: x[0],
        lambda x: x @ torch.rand(5, 2),
    ],
    ids=["a pair", "a mapping", "a number an image", "one row", "other pixels"],
)
def test_what_is_no_model_of_images_to_logits_is_refused(made: Callable[[Tensor], Any]) -> None:
    """So is a model that does not take such images; the message names the shape."""
    with pytest.raises(InputError, match=r"logits \[n, classes\]|\[1, 12\]"):
        explain(Gives(made), IMAGES, methods="gradients")


def test_a_model_of_another_shape_gets_the_shape_it_was_given() -> None:
    """A convolutional network sees images with rows and columns, and its maps have their shape."""
    with environment.seeded(0):
        model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2 * 1 * 2, 3))
    images = IMAGES.reshape(N, 1, 3, 4)
    maps = explain(model, images, methods=["gradients", "integrated_gradients"], attribution_steps=3)
    assert {one.shape for one in maps.values()} == {images.shape}


def test_a_float64_network_is_explained_in_float64(tiny_model: PixelClassifier) -> None:
    """The images follow the network's type, and the maps with them."""
    maps = explain(tiny_model.double(), IMAGES, **FEW)
    assert {one.dtype for one in maps.values()} == {torch.float64}


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_a_network_of_half_precision_is_explained_by_autograd(
    tiny_model: PixelClassifier, kind: torch.dtype
) -> None:
    """Its gradients are its own, in its own type."""
    model = tiny_model.to(kind)
    x = IMAGES.to(kind).requires_grad_()
    (slope,) = torch.autograd.grad(model(x).gather(1, CLASSES[:, None]).sum(), x)
    assert torch.equal(
        explain(model, IMAGES, CLASSES, methods="gradients")["gradients"], (slope * x).detach()
    )


@pytest.mark.parametrize("name", ["decoder_weighted", "decoder_reconstruction"])
def test_the_decoders_methods_refuse_what_is_not_a_classifier_on_codes(
    tiny_model: PixelClassifier, name: str
) -> None:
    """Nothing said in codes is said of a model that computes something beside them."""

    class Tempered(PixelClassifier):
        def forward(self, images: Tensor) -> Tensor:
            return 3 * super().forward(images)

    tempered = Tempered(tiny_model.autoencoder, tiny_model.classifier).eval()
    with pytest.raises(InputError, match="something else"):
        explain(tempered, IMAGES, methods=name)
    with pytest.raises(InputError, match="PixelClassifier"):
        explain(nn.Linear(12, 3), IMAGES, methods=name)
    assert explain(tempered, IMAGES, methods="gradients")


@pytest.mark.parametrize(
    ("given_back", "words"),
    [
        (lambda x: x[:, :5], r"\[6, 12\]"),
        (lambda x: x.sum(dim=1), r"\[6, 12\]"),
        (lambda _: None, "must be numbers"),
        (lambda x: x > 0, r"\[6, 12\]"),
    ],
)
def test_maps_that_are_none_are_refused(
    tiny_model: PixelClassifier,
    monkeypatch: pytest.MonkeyPatch,
    given_back: Callable[[Tensor], Any],
    words: str,
) -> None:
    """A method must give one number a pixel; the message names the method."""
    monkeypatch.setattr(methods, "_entries", dict(methods._entries))
    register("odd", space="sensitivity")(lambda _model, images, _targets: given_back(images))
    with pytest.raises(InputError, match=f"odd.*{words}"):
        explain(tiny_model, IMAGES, methods="odd")


def test_maps_may_be_arrays_with_a_graph_or_of_another_type(
    tiny_model: PixelClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a method of one's own gives is made a plain tensor like any other's."""
    monkeypatch.setattr(methods, "_entries", dict(methods._entries))
    register("array", space="contribution")(
        lambda _model, images, _targets: images.numpy().astype(np.float64)
    )
    register("graph", space="contribution")(lambda _model, images, _targets: images.requires_grad_() * 1)
    for maps in explain(tiny_model, IMAGES, methods=["array", "graph"]).values():
        assert torch.equal(maps, IMAGES)
        assert not maps.requires_grad


@given(
    st.lists(st.integers(-(2**40), 2**40), min_size=1, max_size=5),
    st.integers(1, 12),
)
def test_classes_are_taken_or_refused_and_never_changed(values: list[int], classes: int) -> None:
    """Whole numbers come through as they are where all are classes, and else not at all."""
    rows = torch.zeros(len(values), 2)
    if all(0 <= value < classes for value in values):
        assert inputs.classes_of(values, rows, classes).tolist() == values
    else:
        with pytest.raises(InputError):
            inputs.classes_of(values, rows, classes)


def test_nothing_to_train_is_refused() -> None:
    """A model whose every parameter is frozen, or that has none, is no model to train."""
    frozen = KSparseAutoencoder(3, 12, 8).requires_grad_(requires_grad=False)
    with pytest.raises(InputError, match="frozen"):
        harness.train_autoencoder(frozen, IMAGES, generator=order(), **RECIPE)
    with pytest.raises(InputError, match="nothing to train"):
        harness.train_classifier(nn.Sequential(nn.ReLU()), IMAGES, CLASSES, generator=order(), **RECIPE)


@pytest.mark.parametrize(
    "changed",
    [
        {"epochs": -1},
        {"epochs": 1.5},
        {"batch_size": 0},
        {"learning_rate": -1.0},
        {"learning_rate": "1e-3"},
        {"learning_rate": float("nan")},
        {"generator": None},
        {"generator": 0},
        {"generator": np.random.default_rng(0)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_recipe_that_is_none_is_refused(changed: dict[str, Any]) -> None:
    """Both trainings say what a recipe is."""
    recipe: dict[str, Any] = RECIPE | {"generator": order()} | changed
    with pytest.raises(InputError, match="must be"):
        harness.train_autoencoder(KSparseAutoencoder(3, 12, 8), IMAGES, **recipe)
    with pytest.raises(InputError, match="must be"):
        harness.train_classifier(Classifier(12, hidden=(4,), classes=3), IMAGES, CLASSES, **recipe)


def test_a_recipe_of_numpys_numbers_is_taken() -> None:
    """Whole numbers are whole numbers."""
    recipe: dict[str, Any] = dict(epochs=np.int64(2), batch_size=np.int32(4), learning_rate=np.float32(0.01))
    log = list(harness.train_autoencoder(KSparseAutoencoder(3, 12, 8), IMAGES, generator=order(), **recipe))
    assert [one.epoch for one in log] == [1, 2]


def test_images_of_another_scale_train_nothing() -> None:
    """Bytes as floats, and normalised images, are refused as they are by explain."""
    for images in (BYTES.float(), IMAGES * 2 - 1):
        with pytest.raises(InputError, match=r"\[0, 1\]"):
            harness.train_autoencoder(KSparseAutoencoder(3, 12, 8), images, generator=order(), **RECIPE)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"smoothgrad_sigm": 0.2}, "did you mean 'smoothgrad_sigma'"),
        ({"smoothgrad_sigma": -1.0}, "smoothgrad_sigma"),
        ({"smoothgrad_sigma": float("nan")}, "smoothgrad_sigma"),
        ({"attribution_steps": 0}, "attribution_steps"),
        ({"chunk_size": 0}, "chunk_size"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(
    tiny_model: PixelClassifier, settings: dict[str, Any], words: str
) -> None:
    """A misspelt one, and one out of the configuration's bounds."""
    with pytest.raises(ConfigurationError, match=words):
        explain(tiny_model, IMAGES, **settings)
    with pytest.raises(ConfigurationError, match=words):
        attribute(tiny_model, IMAGES, CLASSES, "smoothgrad", settings)
