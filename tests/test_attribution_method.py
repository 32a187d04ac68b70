"""What is registered as an attribution method can be called as one, and its space is one that there is."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import pytest

from harness import attributions
from harness.attributions.method import Method, methods, refuse_twins, register
from harness.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _own_methods(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A registry to add to, which is as before afterwards."""
    monkeypatch.setattr(methods, "_entries", dict(methods.items()))
    yield
    monkeypatch.undo()


def maps(model: Any, images: Any, targets: Any) -> Any:
    return images


def with_a_setting(model: Any, images: Any, targets: Any, chunk_size: int, *, attribution_steps: int) -> Any:
    return images


def with_any_setting(model: Any, images: Any, targets: Any, **settings: Any) -> Any:
    return images


@pytest.mark.parametrize(
    ("space", "suggested"),
    [
        ("contributions", "did you mean 'contribution'?"),
        ("Sensitivity", "did you mean 'sensitivity'?"),
        ("", "known are: contribution, sensitivity"),
        (None, "known are: contribution, sensitivity"),
        (3, "known are: contribution, sensitivity"),
    ],
)
def test_an_unknown_space_is_refused_with_a_suggestion(space: Any, suggested: str) -> None:
    """Taken for a sensitivity, its maps would be multiplied by the image in silence."""
    for call in (
        lambda: register("own", space=space),
        lambda: Method("own", space, maps),
    ):
        with pytest.raises(ConfigurationError) as caught:
            call()
        assert f"attribution 'own': unknown space {space!r}: {suggested}" == str(caught.value)
    assert "own" not in methods


@pytest.mark.parametrize(
    "function", [None, 5, "maps", [maps], lambda: None, lambda _: None, lambda _, __: None, object()]
)
@pytest.mark.parametrize("part", ["maps", "sensitivity", "identity"])
def test_what_cannot_be_called_as_a_method_is_refused(function: Any, part: str) -> None:
    """At registering, not after the training."""
    if function is None and part != "maps":
        return
    with pytest.raises(ConfigurationError, match=f"attribution 'own': {part} must be a function of"):
        Method("own", "contribution", **{"maps": maps} | {part: function})


@pytest.mark.parametrize(
    "function",
    [
        maps,
        functools.partial(maps),
        with_a_setting,
        with_any_setting,
        lambda *all_of_them: all_of_them,
    ],
)
def test_what_can_be_called_as_a_method_is_taken(function: Any) -> None:
    """Settings come by name, whether the function has a default for them or not."""
    assert register("own", space="contribution")(function) is function
    assert methods["own"].maps is function


@pytest.mark.parametrize("name", ["image", "random", "predictions"])
def test_the_names_of_controls_are_reserved(name: str) -> None:
    """A method of that name would take the place of the control that it is measured beside."""
    with pytest.raises(ConfigurationError, match=f"attribution: the name {name!r} stands for something else"):
        register(name, space="contribution")


def test_the_module_of_attributions_still_has_it_all() -> None:
    """Where users and other packages hold on to it."""
    assert (attributions.register, attributions.methods, attributions.Method) == (register, methods, Method)


def test_two_names_of_one_map_are_refused() -> None:
    """Their agreement would count one decision twice; an unknown name is refused as ever."""
    with pytest.raises(ConfigurationError, match="input_x_gradient beside gradients is the same map"):
        refuse_twins(["gradients", "input_x_gradient"])
    refuse_twins(["input_x_gradient", "integrated_gradients"])
    with pytest.raises(ConfigurationError, match="gradient"):
        refuse_twins(["gradeint"])
