"""Names lead to what was registered under them, here or in another package, and to nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness import attributions, datasets, measurements
from harness.errors import ConfigurationError
from harness.registry import Registry, suggestion


class Points:
    """Stands in for the installed packages' entry points, and counts what was asked of them."""

    def __init__(self, **by_group: list[Callable[[], object]]) -> None:
        self.by_group = by_group
        self.asked: list[str] = []
        self.loaded = 0

    def __call__(self, *, group: str) -> list[Any]:
        self.asked.append(group)
        return [Point(self, load) for load in self.by_group.get(group.removeprefix("harness."), [])]


class Point:
    value = "theirs:load"

    def __init__(self, points: Points, act: Callable[[], object]) -> None:
        self.points, self.act = points, act

    def load(self) -> None:
        self.points.loaded += 1
        self.act()


@pytest.fixture
def colours(monkeypatch: pytest.MonkeyPatch) -> Registry[str]:
    """Two entries, and no other package's."""
    monkeypatch.setattr("harness.registry.entry_points", Points())
    registry: Registry[str] = Registry("colour")
    registry.add("red", "#f00")
    registry.add("green", "#0f0")
    return registry


def test_entries_are_found_by_name_in_order_of_registration(colours: Registry[str]) -> None:
    """A registry is a mapping that keeps the order in which its entries came."""
    assert dict(colours) == {"red": "#f00", "green": "#0f0"}
    assert list(colours) == ["red", "green"]
    assert len(colours) == 2
    assert "red" in colours
    assert "blue" not in colours


def test_the_decorator_leaves_the_function_as_it_was() -> None:
    """What is registered by decoration can still be called under its own name."""
    registry: Registry[Callable[[], int]] = Registry("number")

    def three() -> int:
        return 3

    assert registry.register("three")(three) is three
    assert registry["three"] is three


def test_a_name_registered_twice_is_refused(colours: Registry[str]) -> None:
    """The second registration of a name is refused with that name, and the first one stays."""
    with pytest.raises(ConfigurationError, match="colour 'red' is registered twice"):
        colours.add("red", "#e00")
    with pytest.raises(ConfigurationError, match="colour 'red' is registered twice"):
        colours.register("red")("#e00")
    assert colours["red"] == "#f00"


def test_an_unknown_name_suggests_the_nearest(colours: Registry[str]) -> None:
    """Looking up a misspelt name names the kind, the name and the one that was probably meant."""
    with pytest.raises(ConfigurationError, match="unknown colour 'gren': did you mean 'green'"):
        colours["gren"]


def test_a_name_unlike_any_other_lists_what_is_known(colours: Registry[str]) -> None:
    """Where no name is near, all of them are told, sorted."""
    with pytest.raises(ConfigurationError, match="unknown colour 'xyz': known are: green, red"):
        colours["xyz"]
    assert suggestion("xyz", ["b", "a"]) == "known are: a, b"


@pytest.mark.parametrize(
    ("look_up", "found"),
    [
        (lambda colours: colours["blue"], "#00f"),
        (lambda colours: "blue" in colours, True),
        (list, ["red", "blue"]),
        (len, 2),
    ],
    ids=["index", "in", "iter", "len"],
)
def test_other_packages_entries_are_loaded_at_the_first_look_up(
    look_up: Callable[[Registry[str]], object], found: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entry points are loaded once, by whatever looks first into the registry, and not by registering."""
    registry: Registry[str] = Registry("colour")
    points = Points(colours=[lambda: registry.add("blue", "#00f")])
    monkeypatch.setattr("harness.registry.entry_points", points)
    registry.add("red", "#f00")
    assert points.asked == []
    assert look_up(registry) == found
    assert dict(registry) == {"red": "#f00", "blue": "#00f"}
    assert points.asked == ["harness.colours"]
    assert points.loaded == 1


def test_another_package_cannot_take_an_existing_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry point that registers a name a second time is refused rather than let replace the first."""
    registry: Registry[str] = Registry("colour")
    points = Points(colours=[lambda: registry.add("red", "#e00")])
    monkeypatch.setattr("harness.registry.entry_points", points)
    registry.add("red", "#f00")
    with pytest.raises(ConfigurationError, match="colour 'red' is registered twice"):
        registry["red"]


@pytest.mark.parametrize("error", [ImportError("no module named theirs"), AttributeError("no such function")])
def test_another_package_that_cannot_be_loaded_is_refused(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken package is named in one line, with the reason."""
    registry: Registry[str] = Registry("colour")

    def fail() -> None:
        raise error

    monkeypatch.setattr("harness.registry.entry_points", Points(colours=[fail]))
    with pytest.raises(ConfigurationError, match=f"entry point 'theirs:load' of group .*colours .*{error}"):
        registry["red"]


def test_another_packages_data_set_is_loaded_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A data set that an installed package registers can be asked for like one of the harness's own."""
    monkeypatch.setattr(datasets, "datasets", Registry("dataset"))

    def register() -> None:
        datasets.datasets.add("theirs", datasets.fashion_mnist_mini)

    monkeypatch.setattr("harness.registry.entry_points", Points(datasets=[register]))
    assert datasets.load("theirs").name == "fashion-mnist-mini"


@pytest.mark.parametrize(
    ("registry", "group"),
    [
        (datasets.datasets, "harness.datasets"),
        (attributions.methods, "harness.attributions"),
        (measurements.measurements, "harness.measurements"),
    ],
)
def test_each_registry_asks_for_its_published_group(
    registry: Registry[Any], group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The entry-point groups bear the names that other packages hold on to."""
    points = Points()
    monkeypatch.setattr("harness.registry.entry_points", points)
    monkeypatch.setattr(registry, "_searched", False)
    assert len(registry) > 0
    assert points.asked == [group]
