"""Methods through captum: captum's own numbers, seeded, held to their definitions, refused where wrong."""

from __future__ import annotations

import contextlib
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import DeepLift, NoiseTunnel, Saliency
from torch import Tensor, nn

from harness import attributions, environment
from harness.attributions import methods
from harness.attributions.through_captum import COMPLETE, DrawnOnCpu
from harness.config.parameters import THROUGH_CAPTUM
from harness.errors import ConfigurationError, InputError
from harness.subjects.models import Convolutional, Flat
from tests.test_subjects_frozen import images, networks, unseen

TARGETS = torch.arange(5) % 3
NOISE = {"noise_seed": 7, "smoothgrad_samples": 6, "smoothgrad_sigma": 0.2}


def network(name: str) -> nn.Module:
    return networks()[name].eval()


def made(name: str, model: nn.Module, **settings: Any) -> Tensor:
    return attributions.attribute(model, images(), TARGETS, name, NOISE | settings).own


def errors(name: str, model: nn.Module, maps: Tensor) -> Tensor:
    found = attributions.identity_errors(model, images(), TARGETS, maps, name, NOISE, seed=0)
    assert found is not None
    return found.errors


def by_hand(kind: Any, model: nn.Module, image: Tensor, target: Tensor, **settings: Any) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(model).attribute(image.clone(), target=target, **settings).detach()  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", ["convolutional", "perceptron"])
def test_deep_lift_is_captums(name: str) -> None:
    """Of networks whose non-linear modules have a linear one between them."""
    model = network(name)
    theirs = by_hand(DeepLift, model, images(), TARGETS, baselines=0)
    torch.testing.assert_close(made("deep_lift", model), theirs)


def test_what_captum_mixes_up_is_kept_apart() -> None:
    """Its hooks on modules that follow one another meet, and its map is not complete; ours is."""
    model = network("series")
    with torch.no_grad():
        total = (model(images()) - model(0 * images())).gather(1, TARGETS[:, None])[:, 0]
    theirs = by_hand(DeepLift, model, images(), TARGETS, baselines=0).sum(dim=1)
    assert float((theirs - total).abs().max()) > 10 * COMPLETE * float(total.abs().max())
    torch.testing.assert_close(made("deep_lift", model).sum(dim=1), total, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "kind"), [("smoothgrad_squared", "smoothgrad_sq"), ("vargrad", "vargrad")])
def test_noisy_maps_are_captums_over_the_copies_of_smoothgrad(name: str, kind: str) -> None:
    """NoiseTunnel from the run's seed, of one image as of several; and by hand from the copies."""
    model = network("convolutional")
    found = made(name, model)
    for one, image in enumerate(images()):
        torch.manual_seed(7)
        theirs = by_hand(
            lambda inner: NoiseTunnel(Saliency(inner)), model, image[None], TARGETS[one : one + 1],
            nt_type=kind, nt_samples=6, stdevs=0.2, abs=False,
        )  # fmt: skip
        torch.testing.assert_close(found[one], theirs[0])
    copies = attributions.noise_images(6, 0.2, 144, 7)
    slopes = torch.stack(
        [attributions.attribute(model, images() + one, TARGETS, "gradients").own for one in copies]
    )
    squares = slopes.square().mean(dim=0)
    expected = squares if name == "smoothgrad_squared" else squares - slopes.mean(dim=0) ** 2
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.thorough
@pytest.mark.parametrize("model", networks())
@pytest.mark.parametrize("name", THROUGH_CAPTUM)
def test_maps_satisfy_their_definitions_and_others_do_not(name: str, model: str) -> None:
    """By forward passes; another class, sign or size, another image's map, plain gradients do not."""
    subject = network(model)
    right = made(name, subject)
    assert float(errors(name, subject, right).max()) < 1e-4
    other = attributions.attribute(subject, images(), (TARGETS + 1) % 3, name, NOISE).own
    gradients = attributions.attribute(subject, images(), TARGETS, "gradients").own
    for wrong in (other, -right, 1.02 * right, right.roll(1, dims=0), right.roll(1, dims=1), gradients):
        assert int((errors(name, subject, wrong) > 1e-3).sum()) >= 4


@pytest.mark.parametrize("name", ["smoothgrad_squared", "vargrad"])
def test_other_noise_is_found_out(name: str) -> None:
    """Another seed, size or number of copies than was declared."""
    model = network("convolutional")
    for changed in ({"noise_seed": 8}, {"smoothgrad_sigma": 0.3}, {"smoothgrad_samples": 5}):
        assert int((errors(name, model, made(name, model, **changed)) > 1e-3).sum()) >= 4


@pytest.mark.parametrize("name", THROUGH_CAPTUM)
def test_neither_batch_nor_order_changes_a_map(name: str) -> None:
    """To the bit: each image is asked alone, from the same seed."""
    model = network("pooled")
    whole = made(name, model, chunk_size=2)
    order = torch.tensor([3, 0, 4, 1, 2])
    shuffled = attributions.attribute(model, images()[order], TARGETS[order], name, NOISE).own
    assert torch.equal(shuffled, whole[order])
    alone = attributions.attribute(model, images()[2:3], TARGETS[2:3], name, NOISE).own
    assert torch.equal(alone, whole[2:3])


@pytest.mark.parametrize("name", unseen())
def test_a_model_that_captum_would_explain_wrongly_is_refused(name: str) -> None:
    """By the name of what it does not see; a top-k with the method that takes one."""
    model, said = unseen()[name]
    with pytest.raises(InputError, match="deep_lift: captum") as refused:
        made("deep_lift", model.eval())
    assert said in str(refused.value)
    assert ("such as deeplift_code" in str(refused.value)) == (name == "top-k")


@pytest.mark.parametrize("name", [one for one in unseen() if one != "overlap"])
def test_maps_of_such_a_model_do_not_sum_up_and_that_is_noticed(name: str) -> None:
    """Without the look at the model, too: completeness of the very maps, or captum's own refusal."""
    model, said = unseen()[name]
    with pytest.raises(InputError) as refused:
        attributions.from_captum("DeepLift", complete=True)(model.eval(), images(), TARGETS)
    assert "used more than once" in str(refused.value) or "must sum to the logit" in str(refused.value)
    assert said in str(refused.value) or name == "twice"


def _state(model: nn.Module) -> list[Any]:
    """What captum might leave behind."""
    return [
        (dict(vars(part)).keys(), len(part._forward_hooks), len(part._forward_pre_hooks), part.training)
        for part in model.modules()
    ] + [one.requires_grad for one in model.parameters()]


def test_nothing_is_left_behind() -> None:
    """No hook, attribute, mode or draw: neither after a map nor after captum raised."""
    for model in (network("pooled"), unseen()["twice"][0].train()):
        before = _state(model), torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index] # noqa: NPY002
        with contextlib.suppress(InputError):
            attributions.from_captum("DeepLift")(model, images(), TARGETS)
        assert _state(model) == before[0]
        assert torch.equal(torch.get_rng_state(), before[1])
        assert np.array_equal(np.random.get_state()[1], before[2])  # type: ignore[index] # noqa: NPY002


def test_another_class_of_captum_is_wrapped_in_a_line() -> None:
    """One that draws from numpy too: the same maps each time, of any order."""
    wrapped = attributions.from_captum("GradientShap", n_samples=4, stdevs=0.1)
    model = network("convolutional")
    one = wrapped(model, images(), TARGETS, noise_seed=3)
    np.random.seed(99)  # noqa: NPY002
    torch.manual_seed(99)
    assert torch.equal(one, wrapped(model, images(), TARGETS, noise_seed=3))
    assert torch.equal(one[1:2], wrapped(model, images()[1:2], TARGETS[1:2], noise_seed=3))
    assert not torch.equal(one, wrapped(model, images(), TARGETS, noise_seed=4))


def test_what_somebody_wraps_is_a_method_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered like any other: it takes the run's seed, and is never taken for what ships."""
    for part in ("_entries", "_places"):
        monkeypatch.setattr(methods, part, dict(getattr(methods, part)))
    wrapped = attributions.from_captum("GradientShap", n_samples=4, stdevs=0.1)
    attributions.register("gradient_shap", space="contribution", package="captum")(wrapped)
    assert not environment.ships(methods["gradient_shap"].maps)
    model = network("pooled")
    assert torch.equal(made("gradient_shap", model), wrapped(model, images(), TARGETS, noise_seed=7))


def test_inputs_come_in_their_own_shape() -> None:
    """Captum's windows are of rows and columns; its occlusion is the mean over windows, as ours."""
    model = Flat(Convolutional((1, 12, 12), 3), (1, 12, 12)).eval()
    wrapped = attributions.from_captum("Occlusion", sliding_window_shapes=(4, 4), strides=(4, 4))
    settings = {"shape": (12, 12), "axes": ("row", "column"), "occlusion_window": 4, "occlusion_stride": 4}
    ours = attributions.attribute(model, images(), TARGETS, "occlusion", settings).own
    theirs = wrapped(model, images(), TARGETS, shape=(12, 12)) * (images() != 0)
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-6)


def test_what_captum_does_not_take_is_told() -> None:
    """A misspelt keyword, and a class that attributes to a layer."""
    model = network("convolutional")
    with pytest.raises(ConfigurationError, match="n_sample"):
        attributions.from_captum("GradientShap", n_sample=4)(model, images(), TARGETS)
    with pytest.raises(InputError, match="one number a feature"):
        attributions.from_captum(_of_layer)(model, images(), TARGETS)


def _of_layer(model: nn.Module) -> Any:
    from captum.attr import LayerActivation

    class Layer(LayerActivation):  # type: ignore[misc]
        def attribute(self, inputs: Any, target: Any) -> Any:
            return super().attribute(inputs)

    return Layer(model, next(part for part in model.modules() if isinstance(part, nn.Linear)))


def test_without_captum_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any work, and by whoever asks for the maps."""
    for name in [one for one in sys.modules if one.split(".")[0] == "captum"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "captum", None)
    for name in THROUGH_CAPTUM:
        with pytest.raises(ConfigurationError, match=r"pip install 'interpretability-harness\[captum\]'"):
            attributions.refuse_uninstalled(["gradients", name])
        with pytest.raises(ConfigurationError, match=r"pip install 'interpretability-harness\[captum\]'"):
            made(name, network("convolutional"))
    attributions.refuse_uninstalled(["gradients"])


def test_those_that_need_captum_are_known_without_it() -> None:
    """The list that needs no torch is that of the methods themselves."""
    assert set(THROUGH_CAPTUM) == {
        name for name, one in attributions.methods.items() if one.package == "captum"
    }


def test_draws_for_another_device_are_the_cpus() -> None:
    """By a shape and a device, as much as by a tensor that is there; the CPU's draws are taken for them."""
    torch.manual_seed(0)
    torch.randn(4)
    after = torch.get_rng_state()
    torch.manual_seed(0)
    with DrawnOnCpu():
        found = torch.randn(4, device="meta")
    assert found.device.type == "meta"
    assert torch.equal(torch.get_rng_state(), after)
    with DrawnOnCpu():
        torch.manual_seed(0)
        assert torch.equal(torch.normal(0.0, torch.ones(4)), found_on_cpu(4))


def found_on_cpu(count: int) -> Tensor:
    """The first normal draws of seed 0."""
    torch.manual_seed(0)
    return torch.normal(0.0, torch.ones(count))
