"""Whatever a caller has set, every door computes the same numbers, and the caller has it back."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import harness
from harness import attributions, environment
from harness.config import Config
from harness.environment import state
from harness.errors import InputError
from harness.subjects.models import PixelClassifier
from tests.small import SMALL

Setting = Callable[[], AbstractContextManager[object]]


@contextmanager
def _set(set_to: Callable[[Any], object], value: Any, back: Any) -> Iterator[None]:
    set_to(value)
    try:
        yield
    finally:
        set_to(back)


def _newer(value: str) -> None:
    torch.backends.cuda.matmul.fp32_precision = value


def _backends(value: str) -> None:
    torch.backends.mkldnn.matmul.fp32_precision = value  # type: ignore[attr-defined]


def _font(size: float) -> None:
    mpl.rcParams["font.size"] = size


@contextmanager
def _several(*blocks: AbstractContextManager[object]) -> Iterator[None]:
    with ExitStack() as stack:
        for block in blocks:
            stack.enter_context(block)
        yield


SETTINGS: dict[str, Setting] = {
    "a clean process": nullcontext,
    "gradients off": torch.no_grad,
    "gradients off by a call": lambda: _set(torch.set_grad_enabled, False, True),
    "inference mode": torch.inference_mode,
    "float64 by default": lambda: _set(torch.set_default_dtype, torch.float64, torch.float32),
    "float16 by default": lambda: _set(torch.set_default_dtype, torch.float16, torch.float32),
    "another default device": lambda: _set(torch.set_default_device, "meta", None),
    "another device by a block": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "rounded products": lambda: _set(torch.set_float32_matmul_precision, "medium", "highest"),
    "rounded products, newly set": lambda: _set(_newer, "tf32", "none"),
    "bfloat16 products, newly set": lambda: _set(_backends, "bf16", "none"),
    "numpy raises": lambda: np.errstate(all="raise"),
    "matplotlib's font": lambda: _set(_font, 31.0, mpl.rcParamsDefault["font.size"]),
    "several at once": lambda: _several(
        torch.inference_mode(), _set(torch.set_default_dtype, torch.float64, torch.float32)
    ),
}
"""Global settings that a notebook may have, by name."""


@pytest.fixture(params=SETTINGS)
def setting(request: pytest.FixtureRequest) -> Setting:
    """Each of the settings in turn."""
    return SETTINGS[str(request.param)]


def seen() -> dict[str, Any]:
    """The caller's settings as they are."""
    try:
        older: Any = torch.get_float32_matmul_precision()
    except RuntimeError:
        older = "contradicts the newer"
    return {
        "gradients": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "type": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "autocast": torch.is_autocast_enabled("cpu"),
        "products": older,
        "newer": (
            torch.backends.cuda.matmul.fp32_precision,
            torch.backends.mkldnn.matmul.fp32_precision,  # type: ignore[attr-defined]
        ),
        "numpy": np.geterr(),
        "threads": torch.get_num_threads(),
        "font": mpl.rcParams["font.size"],
    }


def numbers(values: Any) -> Any:
    """Tensors and what holds them, as plain numbers."""
    if isinstance(values, Tensor):
        return values.detach().tolist()
    if isinstance(values, dict):
        return {key: numbers(one) for key, one in values.items()}
    return values


RECIPE: dict[str, Any] = dict(epochs=2, batch_size=3, learning_rate=0.01)


def _explained(model: PixelClassifier, images: Tensor, _: nn.Module) -> Any:
    return numbers(harness.explain(model, images, attribution_steps=4, smoothgrad_samples=3))


def _attributed(model: PixelClassifier, images: Tensor, _: nn.Module) -> Any:
    return numbers(harness.attribute(model, images, [0, 1, 2] * 2, "smoothgrad").own)  # type: ignore[arg-type]


def _trained(model: nn.Module, log: Any) -> Any:
    return [(one.epoch, one.loss, one.accuracy) for one in log], numbers(dict(model.state_dict()))


def _autoencoder(model: PixelClassifier, images: Tensor, _: nn.Module) -> Any:
    order = torch.Generator().manual_seed(0)
    return _trained(model, harness.train_autoencoder(model.autoencoder, images, generator=order, **RECIPE))


def _classifier(model: PixelClassifier, images: Tensor, _: nn.Module) -> Any:
    order, labels = torch.Generator().manual_seed(0), np.array([0, 1, 2] * 2)
    with environment.seeded(0):
        log = harness.train_classifier(model.classifier, images[:, :8], labels, generator=order, **RECIPE)  # type: ignore[arg-type]
        return _trained(model, log)


def _plain(_: PixelClassifier, images: Tensor, head: nn.Module) -> Any:
    order = torch.Generator().manual_seed(0)
    log = harness.train_classifier(head, images[:, :8], [0, 1, 2] * 2, generator=order, **RECIPE)  # type: ignore[arg-type]
    return _trained(head, log)


DOORS: dict[str, Callable[[PixelClassifier, Tensor, nn.Module], Any]] = {
    "explain": _explained,
    "attribute": _attributed,
    "train the autoencoder": _autoencoder,
    "train the classifier": _classifier,
    "train by autograd": _plain,
}
"""What each public door gives, as plain numbers."""


@pytest.fixture
def made(tiny_model: PixelClassifier) -> Callable[[], tuple[PixelClassifier, Tensor, nn.Module]]:
    """Makes the same network, six images, and a classifier with a running mean, each time anew."""
    images = torch.rand(6, 12, generator=torch.Generator().manual_seed(2))
    with environment.seeded(1):
        head = nn.Sequential(nn.Linear(8, 4), nn.BatchNorm1d(4), nn.Linear(4, 3))
    return lambda: (copy.deepcopy(tiny_model), images.clone(), copy.deepcopy(head))


Made = Callable[[], tuple[PixelClassifier, Tensor, nn.Module]]


@pytest.mark.parametrize("door", DOORS)
def test_every_setting_gives_the_numbers_of_a_clean_process(made: Made, door: str, setting: Setting) -> None:
    """Explaining and training, by the fast paths and by autograd, do not depend on the caller's settings."""
    expected, given = DOORS[door](*made()), made()
    with setting():
        before = seen()
        found = DOORS[door](*given)
        assert seen() == before
    assert found == expected


def test_between_epochs_the_caller_has_its_own_settings(made: Made, setting: Setting) -> None:
    """A training that is under way keeps nothing switched."""
    (model, images, _), order = made(), torch.Generator().manual_seed(0)
    with setting():
        before = seen()
        for _epoch in harness.train_autoencoder(model.autoencoder, images, generator=order, **RECIPE):
            assert seen() == before
        assert seen() == before


def test_a_door_that_fails_gives_the_settings_back(made: Made, setting: Setting) -> None:
    """A refusal leaves nothing switched either."""
    model, images, _ = made()
    with setting():
        before = seen()
        with pytest.raises(InputError):
            harness.explain(model, images + 7)
        assert seen() == before


def test_a_method_leaves_nothing_behind(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a method of one's own sets, or does to its inputs, does not reach the next one."""

    monkeypatch.setattr(attributions.methods, "_entries", dict(attributions.methods._entries))

    @attributions.register("careless", space="sensitivity")
    def careless(_: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        torch.set_num_threads(torch.get_num_threads() + 1)
        np.seterr(all="raise")
        targets.zero_()
        return images.mul_(0)

    model, images, _ = made()
    before, expected = seen(), harness.explain(model, images, methods="gradients")["gradients"]
    maps = harness.explain(model, images, methods=["careless", "gradients"])
    assert seen() == before
    assert torch.equal(maps["gradients"], expected)


def test_inference_tensors_are_taken(tiny_model: PixelClassifier) -> None:
    """Images, targets and a whole model that were made in inference mode are explained like others."""
    images = torch.rand(3, 12, generator=torch.Generator().manual_seed(2))
    expected = harness.explain(tiny_model, images)
    with torch.inference_mode():
        kept, targets = images.clone(), tiny_model(images).argmax(dim=1)
        model = PixelClassifier(
            harness.KSparseAutoencoder(3, 12, 8), harness.Classifier(8, hidden=(6, 5), classes=3)
        )
        model.load_state_dict(tiny_model.state_dict())
    for given in (tiny_model, model):
        maps = harness.explain(given, kept, targets)
        assert all(torch.equal(maps[name], expected[name]) for name in expected)
    with pytest.raises(ValueError, match="inference mode"):
        harness.train_autoencoder(
            model.autoencoder, images, generator=torch.Generator().manual_seed(0), **RECIPE
        )


def brief(output: Path) -> Config:
    """The configuration of a run of a second or two."""
    shorter = {
        "resamples": 200,
        "epochs": 1,
        "classifier_epochs": 2,
        "confidence": 0.1,
        "attribution_steps": 8,
    }
    return harness.load_config(flags=SMALL | shorter | {"fresh": True, "output": output})


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A brief run of a caller who has set nothing, judged."""
    run = harness.run(brief(tmp_path_factory.mktemp("clean")))
    harness.judge(run)
    return run


OF_A_RUN = ("inference mode", "numpy raises", "float64 by default", "matplotlib's font")


@pytest.mark.thorough
@pytest.mark.parametrize(
    "names", [OF_A_RUN, *(pytest.param((name,), marks=pytest.mark.slow) for name in OF_A_RUN)], ids=", ".join
)
def test_a_whole_run_does_not_depend_on_the_settings(
    tmp_path: Path, clean: Path, names: tuple[str, ...]
) -> None:
    """Computed anew, judged, rendered and drawn under the caller's settings, a run says the same."""
    config = brief(tmp_path)
    with ExitStack() as settings:
        for name in names:
            settings.enter_context(SETTINGS[name]())
        before = seen()
        found = harness.run(config)
        harness.judge(found)
        harness.render(found)
        drawn = harness.open_run(found).explanations()
        assert seen() == before
    assert (found / "metrics.csv").read_bytes() == (clean / "metrics.csv").read_bytes()
    assert drawn
    verdicts = [json.loads((one / "verdict.json").read_text())["criteria"] for one in (clean, found)]
    assert verdicts[0] == verdicts[1]


def test_torch_is_not_loaded_for_its_settings() -> None:
    """What judges puts numpy's settings aside and leaves torch alone."""
    code = (
        "import sys; from harness.environment import state\n"
        "with state.clean(): pass\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_mode_of_every_part_comes_back(tiny_model: PixelClassifier) -> None:
    """Evaluation is for the block alone, part by part."""
    tiny_model.train()
    tiny_model.classifier.eval()
    before = [part.training for part in tiny_model.modules()]
    with state.evaluation(tiny_model):
        assert not any(part.training for part in tiny_model.modules())
    assert [part.training for part in tiny_model.modules()] == before
