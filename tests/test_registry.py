"""Names lead to what was registered under them, here or in another package, and to nothing else."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from harness import attributions, datasets, measurements
from harness.errors import ConfigurationError
from harness.registry import Registry, suggestion
from harness.report import page


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
    dist = None

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


def test_what_gives_way_is_replaced_once() -> None:
    """By the first of somebody's own, which may be defined anew; a second one is refused."""
    registry: Registry[object] = Registry("colour", giving_way=["red"])

    def one() -> None: ...

    def other() -> None: ...

    registry.add("red", "shipped")
    registry.add("red", one)
    registry.add("red", one)
    assert registry["red"] is one
    with pytest.raises(ConfigurationError, match="colour 'red' is registered twice"):
        registry.add("red", other)


def test_a_name_registered_twice_is_refused(colours: Registry[str]) -> None:
    """The second registration of a name is refused with that name, and the first one stays."""
    with pytest.raises(ConfigurationError, match="colour 'red' is registered twice"):
        colours.add("red", "#e00")
    with pytest.raises(ConfigurationError, match="colour 'red' is registered twice"):
        colours.register("red")("#e00")
    assert colours["red"] == "#f00"


def a_cell(registry: Registry[Any], value: int) -> None:
    """What a notebook's cell does each time it is run."""

    @registry.register("cell")
    def function() -> int:
        return value


def another_cell(registry: Registry[Any]) -> None:
    @registry.register("cell")
    def function() -> int:
        return -1


def test_a_cell_that_is_run_again_replaces_and_keeps_its_place(colours: Registry[Any]) -> None:
    """The same function defined anew is its newest version; every reader finds it where it was."""
    a_cell(colours, 1)
    colours.add("blue", "#00f")
    a_cell(colours, 2)
    assert colours["cell"]() == 2
    assert list(colours) == ["red", "green", "cell", "blue"]


def test_another_function_under_a_taken_name_is_told_who_has_it(colours: Registry[Any]) -> None:
    """The refusal names the module and function that came first, and says how."""
    a_cell(colours, 1)
    with pytest.raises(ConfigurationError) as caught:
        another_cell(colours)
    message = str(caught.value)
    assert "'cell' is registered twice, first by a_cell.<locals>.function" in message
    assert f"of module {__name__}" in message
    assert "names must differ" in message
    assert colours["cell"]() == 1


def test_a_lambda_is_the_same_on_the_same_line_only(colours: Registry[Any]) -> None:
    """It has no name of its own to tell it from its neighbours."""
    for value in (1, 2):
        colours.register("line")(lambda value=value: value)
    assert colours["line"]() == 2
    with pytest.raises(ConfigurationError, match="'line' is registered twice"):
        colours.register("line")(lambda: 3)


def test_a_borrowed_name_replaces_nothing(colours: Registry[Any]) -> None:
    """`functools.wraps` gives a function another's name and module; it is still not the other."""
    functions = Registry[Any]("function")
    functions.add("wraps", functools.wraps)

    @functools.wraps(functools.wraps)
    def mine() -> None: ...

    with pytest.raises(
        ConfigurationError, match="'wraps' is registered twice, first by wraps of module func"
    ):
        functions.add("wraps", mine)
    for _ in range(2):
        functions.add("mine", mine)


class Made:
    """Something that can be called."""

    def __call__(self) -> int:
        return 1


@pytest.mark.parametrize("make", [lambda: functools.partial(a_cell), Made], ids=["partial", "object"])
def test_partials_and_objects_are_replaced_by_their_newer_versions(
    make: Callable[[], Any], colours: Registry[Any]
) -> None:
    """A partial is placed by what it fills in, an object by its type; another's is refused."""
    for _ in range(2):
        newest = make()
        colours.add("thing", newest)
    assert colours["thing"] is newest
    with pytest.raises(ConfigurationError, match="'thing' is registered twice"):
        colours.add("thing", functools.partial(another_cell))


SHIPPED: list[tuple[Registry[Any], Callable[[str], Callable[[Any], Any]]]] = [
    (attributions.methods, lambda name: attributions.register(name, space="contribution")),
    (measurements.measurements, measurements.measurements.register),
    (datasets.datasets, datasets.datasets.register),
    (page.sections, lambda name: page.section(name, "Title")),
]


@pytest.mark.parametrize(("registry", "register"), SHIPPED, ids=lambda one: getattr(one, "kind", ""))
def test_every_registry_lets_a_cell_be_run_again_and_keeps_what_is_shipped(
    registry: Registry[Any], register: Callable[[str], Callable[[Any], Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Own functions are replaced by their newer versions, shipped ones by nobody's."""
    monkeypatch.setattr(registry, "_entries", dict(registry.items()))
    shipped = next(iter(registry))
    for _ in range(2):

        @register("own")
        def function(*arguments: Any) -> None: ...

    def held(name: str) -> Any:
        entry = registry[name]
        return next((getattr(entry, part) for part in ("maps", "fill") if hasattr(entry, part)), entry)

    assert held("own") is function
    with pytest.raises(ConfigurationError, match=f"{registry.kind} {shipped!r} is registered twice"):
        register(shipped)(function)
    for name in (
        "../x",
        "a/b",
        "",
        ".",
        "..",
        ".hidden",
        "-x",
        "a\\b",
        "a,b",
        " a",
        "a\n",
        "\x00",
        "x" * 101,
        5,
        None,
        print,
    ):
        with pytest.raises(ConfigurationError, match=f"{registry.kind}: a name must be a text"):
            register(name)(function)  # type: ignore[arg-type]
    register("größe 2.b-c")(function)


def test_an_unknown_name_suggests_the_nearest(colours: Registry[str]) -> None:
    """Looking up a misspelt name names the kind, the name and the one that was probably meant."""
    with pytest.raises(ConfigurationError, match="unknown colour 'gren': did you mean 'green'"):
        colours["gren"]


def test_a_name_unlike_any_other_lists_what_is_known(colours: Registry[str]) -> None:
    """Where no name is near, all of them are told, sorted."""
    with pytest.raises(ConfigurationError, match="unknown colour 'xyz': known are: green, red"):
        colours["xyz"]
    assert suggestion("xyz", ["b", "a"]) == "known are: a, b"
    assert suggestion("xyz", ["b10", "a", "b2", "b1", "10", "9"]) == "known are: 9, 10, a, b1, b2, b10"


def test_a_place_in_a_module_is_no_name_and_says_how_one_is_known(colours: Registry[str]) -> None:
    """As `module:function` is of a network."""
    with pytest.raises(ConfigurationError, match=r"known are: green, red; .* group harness.colours"):
        colours["mine:violet"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("features.9", "features.10"), ("features.31", "features.12"), ("block.1.conv2", "block.0.conv2")],
)
def test_of_names_that_differ_in_numbers_the_nearest_by_these_is_meant(name: str, nearest: str) -> None:
    """Not the one of as many digits, as of a network's layers."""
    known = ["features.0", "features.3", "features.12", "features.10", "block.0.conv1", "block.0.conv2", "b"]
    assert suggestion(name, known) == f"did you mean {nearest!r}?"


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


@pytest.mark.parametrize(
    "error",
    [
        ImportError("no module named theirs"),
        AttributeError("no such function"),
        ZeroDivisionError("whatever it does"),
        SystemExit("gone"),
    ],
)
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
