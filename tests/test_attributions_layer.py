"""Grad-CAM: against captum, and held to its definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness import attributions
from harness.attributions.layer import convolution_of
from harness.errors import InputError

TARGETS = torch.tensor([0, 1, 2, 1])
KINDS: dict[str, Any] = {
    "grey": ((12, 10), ("row", "column")),
    "colour": ((3, 12, 10), ("channel", "row", "column")),
    "series": ((2, 30), ("channel", "time")),
}


def network(kind: str) -> nn.Module:
    """Two convolutions with a pooling between, of flat rows."""
    torch.manual_seed(0)
    shape = KINDS[kind][0] if kind != "grey" else (1, *KINDS[kind][0])
    one, pool, mean = {
        "series": (nn.Conv1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d),
    }.get(kind, (nn.Conv2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d))
    return nn.Sequential(
        nn.Unflatten(1, shape), one(shape[0], 6, 3, padding=1), nn.Tanh(), pool(2), one(6, 8, 3, padding=1),
        nn.Tanh(), mean(1), nn.Flatten(), nn.Linear(8, 3),
    ).eval()  # fmt: skip


def settings(kind: str, **changed: Any) -> dict[str, Any]:
    """What a run tells the methods of its inputs."""
    return {"shape": KINDS[kind][0], "axes": KINDS[kind][1]} | changed


def images(kind: str) -> Tensor:
    """Four inputs."""
    features = int(torch.tensor(KINDS[kind][0]).prod())
    return torch.rand(4, features, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_captums_with_the_papers_relu_and_interpolation(kind: str) -> None:
    """By default captum does neither (nearest, no relu); its maps are one for all channels."""
    from captum.attr import LayerGradCam

    model, inputs = network(kind), images(kind)
    ours = attributions.attribute(model, inputs, TARGETS, "grad_cam", settings(kind)).own
    coarse = LayerGradCam(model, convolution_of(model, inputs)).attribute(
        inputs, target=TARGETS, relu_attributions=True
    )
    sides = KINDS[kind][0][-1:] if kind == "series" else KINDS[kind][0][-2:]
    drawn = F.interpolate(coarse, sides, mode="linear" if kind == "series" else "bilinear")
    channels = 1 if kind == "grey" else KINDS[kind][0][0]
    torch.testing.assert_close(
        ours, drawn.detach().repeat(1, channels, *[1] * len(sides)).flatten(1) / channels
    )


@pytest.mark.thorough
@pytest.mark.parametrize("kind", KINDS)
def test_its_maps_satisfy_their_definition_and_others_do_not(kind: str) -> None:
    """From forward passes alone; of another layer, class, sign or place it is found out."""
    model, inputs = network(kind), images(kind)

    def errors(maps: Tensor) -> Tensor:
        found = attributions.identity_errors(model, inputs, TARGETS, maps, "grad_cam", settings(kind), seed=0)
        assert found is not None
        return found.errors

    def made(targets: Tensor = TARGETS, **changed: Any) -> Tensor:
        return attributions.attribute(model, inputs, targets, "grad_cam", settings(kind, **changed)).own

    right = made()
    assert int(right.any(dim=1).sum()) >= 3
    assert float(errors(right).max()) < 1e-4
    for wrong in (made(grad_cam_layer="1"), made((TARGETS + 1) % 3), -right, right.roll(1, dims=1)):
        assert int((errors(wrong) > 1e-3).sum()) >= 3


def test_a_layer_is_named_as_the_users_model_names_it() -> None:
    """Also where the harness put parts around it; one that is not there is refused with a suggestion."""
    inner = nn.Sequential()
    inner.add_module("early", nn.Conv2d(1, 2, 3))
    inner.add_module("late", nn.Conv2d(2, 2, 3))
    around = nn.Sequential()
    around.add_module("model", inner)
    inputs = torch.rand(1, 1, 8, 8)
    assert convolution_of(around, inputs) is inner.late
    assert convolution_of(around, inputs, "early") is inner.early
    with pytest.raises(InputError, match=r"no layer 'erly'.*early"):
        convolution_of(around, inputs, "erly")
    with pytest.raises(InputError, match="no convolution"):
        convolution_of(nn.Linear(3, 3), torch.rand(1, 3))


class Odd(nn.Module):
    """Calls its convolutions in the order that it is told, whatever the order it has them in."""

    def __init__(self, *order: str) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.order = order
        self.late, self.early = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(1, 4, 3, padding=1)
        self.unused, self.head = nn.Conv2d(4, 4, 3), nn.Linear(4, 3)

    def forward(self, rows: Tensor) -> Tensor:
        """The logits of flat rows."""
        planes = rows.view(-1, 1, 12, 10)
        for name in self.order:
            planes = getattr(self, name)(planes).tanh()
        logits: Tensor = self.head(planes.mean(dim=(2, 3)))
        return logits


def test_the_last_convolution_is_the_last_that_is_called() -> None:
    """Not the last that is declared; one that is called twice, or never, is refused with the way out."""
    model, inputs = Odd("early", "late").eval(), images("grey")
    assert convolution_of(model, inputs) is model.late
    assert convolution_of(Odd("early", "late", "late").eval(), inputs, "early")
    for asked, name, said in (
        (Odd("early", "late", "late"), "", r"used once for an input \(got 2 uses\)"),
        (Odd("early", "late"), "unused", "must call its layer 'unused'"),
    ):
        with pytest.raises(InputError, match=said):
            attributions.attribute(
                asked.eval(), inputs, TARGETS, "grad_cam", settings("grey", grad_cam_layer=name)
            )


@pytest.mark.parametrize("kind", KINDS)
def test_what_follows_in_place_changes_no_map(kind: str) -> None:
    """A rectifier that overwrites what the convolution gave, as torchvision's models have it."""
    maps = []
    for in_place in (False, True):
        model = network(kind)
        model.register_module("5", nn.ReLU(inplace=in_place))
        maps.append(attributions.attribute(model, images(kind), TARGETS, "grad_cam", settings(kind)).own)
        found = attributions.identity_errors(
            model, images(kind), TARGETS, maps[-1], "grad_cam", settings(kind), seed=0
        )
        assert found is not None
        assert float(found.errors.max()) < 1e-4
    assert maps[0].any()
    assert torch.equal(*maps)
