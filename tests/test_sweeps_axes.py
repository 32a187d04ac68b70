"""From what is asked to points: which there are, in which order, how they are called, what is refused."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import config
from harness.artifacts.files import key_of
from harness.config import HOW, Config
from harness.errors import ConfigurationError
from harness.sweeps import axes as asking
from harness.sweeps.records import Axis, Point, shown


def points(asked: dict[str, Any], zipped: Any = (), **flags: Any) -> tuple[Point, ...]:
    """The points of axes on top of flags."""
    return asking.points_of(asking.axes_of(asked, zipped), flags=flags, folder="/nowhere")


def base(**flags: Any) -> Config:
    """The configuration without axes."""
    return config.load(flags=flags, folder="/nowhere")


def test_axes_are_crossed_the_last_one_fastest() -> None:
    """In the order in which they and their values were asked for."""
    found = points({"k": [25, 10], "model.model": ["k-sparse", "dense"], "epochs": ["3", "4"]})
    wanted = itertools.product((25, 10), ("k-sparse", "dense"), (3, 4))
    assert [(p.config.model.k, p.config.model.model, p.config.training.epochs) for p in found] == list(wanted)
    assert found[1].title == "k 25, model k-sparse, epochs 4"
    assert len({point.id for point in found}) == len(found)


def test_axes_side_by_side() -> None:
    """Value by value, crossed with the others."""
    found = points({"k": [10, 20], "epochs": [1, 2], "seeds": [(0,), (1, 2)]}, [("k", "training.epochs")])
    told = [(p.config.model.k, p.config.training.epochs, p.config.seeds) for p in found]
    assert told == [(10, 1, (0,)), (10, 1, (1, 2)), (20, 2, (0,)), (20, 2, (1, 2))]


def test_flags_that_name_several_values_are_axes() -> None:
    """Of keys that hold one; those that hold a list are one value, and so is a title."""
    same, axes = asking.split(
        {"k": "10, 25", "seeds": "0,1,2", "methods": "gradients,smoothgrad", "title": "a, b", "epochs": "3"}
        | {"recipe": None, "output": "a,b", "learning_rate": "1e-3,1e-2", "image_size": "8,8", "quiet": True}
    )
    assert axes == {"k": ("10", "25"), "learning_rate": ("1e-3", "1e-2")}
    assert set(same) == {"seeds", "methods", "title", "epochs", "recipe", "output", "image_size", "quiet"}
    with pytest.raises(ConfigurationError, match="--learning-rate: an empty value"):
        asking.split({"learning_rate": "1e-3,"})


def test_a_reference_names_several_keys_and_lists() -> None:
    """What follows a key that holds a list is its own, up to the next key; its point is found."""
    assert asking.pairs(" k = 50, model=vae,") == {"k": "50", "model": "vae"}
    told = "methods=gradients, smoothgrad,k=20,attribution.methods=gradients,seeds=1,2"
    assert asking.pairs(told) == {
        "methods": "gradients,smoothgrad",
        "k": "20",
        "attribution.methods": "gradients",
        "seeds": "1,2",
    }
    for wrong, part in (("k=50,epochs", "epochs"), ("k=50,20", "20"), ("methods", "methods")):
        with pytest.raises(ConfigurationError, match=f"--reference: '{part}' names no value; write it as"):
            asking.pairs(wrong)
    found = points({"methods": [("gradients",), ("gradients", "smoothgrad")], "k": [20, 50]})
    wanted = asking.meant(asking.pairs("methods=gradients,smoothgrad,k=20"), folder="/nowhere")
    assert asking.reference_of(found, wanted, base()) == found[2].id


def test_lists_and_keywords_may_be_axes_of_a_file(tmp_path: Path) -> None:
    """Methods, and what the model's own factory takes; keys stand with their table, or without."""
    (tmp_path / "harness.toml").write_text(
        '[model]\nmodel = "relu-l1"\n[model.settings]\nother = 1\n'
        '[sweep]\nzipped = [["model.settings.sparsity", "attribution.methods"]]\n'
        '[sweep.axes]\n"model.settings.sparsity" = [0.1, 0.2]\n'
        '"attribution.methods" = [["gradients", "smoothgrad"], ["gradients"]]\n'
    )
    whole = config.load(folder=tmp_path)
    axes = asking.axes_of(whole.sweep.axes, whole.sweep.zipped)
    assert [axis.name for axis in axes] == ["settings.sparsity", "methods"]
    found = asking.points_of(axes, folder=tmp_path)
    assert [dict(p.config.model.settings) for p in found] == [
        {"other": 1, "sparsity": 0.1},
        {"other": 1, "sparsity": 0.2},
    ]
    assert [p.config.attribution.methods for p in found] == [("gradients", "smoothgrad"), ("gradients",)]
    assert found[0].title == "settings.sparsity 0.1, methods gradients,smoothgrad"


def test_side_by_side_a_value_may_come_again_and_a_keyword_may_be_left_out(tmp_path: Path) -> None:
    """Models of different keywords in one sweep: where one takes none, `none` is its factory's default."""
    (tmp_path / "harness.toml").write_text("[model.settings]\nl1 = 1.0\n")
    axes = asking.axes_of(
        {
            "model": ["k-sparse", "k-sparse", "relu-l1"],
            "k": [10, 25, 50],
            "settings.l1": ["none", "none", 0.1],
        },
        [("model", "k", "settings.l1")],
    )
    found = asking.points_of(axes, folder=tmp_path)
    assert [dict(p.config.model.settings) for p in found] == [{}, {}, {"l1": 0.1}]
    assert found[0].title == "model k-sparse, k 10, settings.l1 none"
    base = config.load(folder=tmp_path)
    wanted = {"model": "k-sparse", "k": 25, "settings.l1": "none"}
    assert asking.reference_of(found, wanted, base) == found[1].id
    assert [axis.values for axis in asking.typed(axes, found)][2] == (None, 0.1)


@pytest.mark.parametrize(
    ("asked", "zipped", "told"),
    [
        ({"kk": [1, 2]}, (), "unknown axis 'kk'"),
        ({"output": ["a", "b"]}, (), "can be no axis"),
        ({"report.title": ["a", "b"]}, (), "can be no axis"),
        ({"k": []}, (), "must be a list of values"),
        ({"k": "10"}, (), "must be a list of values"),
        ({"k": [10, "10"]}, (), "names a value twice: 10"),
        (
            {"k": [1, 1], "epochs": [2, 2]},
            [("k", "epochs")],
            "'k' with 'epochs' names a value twice: 1 with 2",
        ),
        ({"k": [1, 2], "model.k": [3]}, (), "stands twice"),
        ({"k": [1, 2], "epochs": [1]}, [("k", "epochs")], r"as many values each \(k has 2, epochs has 1\)"),
        ({"k": [1, 2]}, [("k", "epochs")], "'epochs' is no axis"),
        ({"k": [1, 2], "epochs": [1, 2]}, [("k", "epochs"), ("epochs",)], "zipped twice"),
    ],
)
def test_what_is_no_axis_is_refused(asked: dict[str, Any], zipped: Any, told: str) -> None:
    """With what was expected."""
    with pytest.raises(ConfigurationError, match=told):
        asking.axes_of(asked, zipped)


def test_a_point_that_cannot_be_is_named() -> None:
    """By what its axes are, before anything runs; and so are two that are one."""
    with pytest.raises(ConfigurationError, match=r"point k 5000: model\.k must be in 1\.\.1024"):
        points({"k": [10, 5000]})
    with pytest.raises(ConfigurationError, match=r"learning_rate 0\.001 and learning_rate 1e-3 are one"):
        points({"learning_rate": ["0.001", "1e-3"]})


def test_a_point_is_what_it_computes_and_not_how() -> None:
    """Where it writes, and what it prints, have no part in its id; seeds and gates have."""
    plain = points({"k": [10]})[0].id
    assert points({"k": [10]}, output="elsewhere", quiet=True, fresh=True, cache="there")[0].id == plain
    assert points({"k": ["10"], "epochs": ["30"]})[0].id == plain
    for other in ({"seeds": "1"}, {"strict": True}, {"confidence": 0.7}):
        assert points({"k": [10]}, **other)[0].id != plain


def test_a_title_makes_no_other_point() -> None:
    """It names a run; ids are what they are without any, digests of the whole configuration."""
    (plain,), (titled,) = points({"k": [10]}), points({"k": [10]}, title="mine")
    assert titled.config.report.title == "mine"
    assert titled.id == plain.id
    dumped = plain.config.model_dump(mode="json", exclude={*HOW, "sweep", "nightly"})
    assert dumped["report"]["title"]
    assert key_of(dumped)[: asking.NAMES] == plain.id
    axes = asking.axes_of({"k": [10, 20]})
    assert asking.sweep_id(axes, base(title="mine")) == asking.sweep_id(axes, base())
    few = points({"k": [10]}, figure_samples=2)
    assert few[0].id != plain.id


def test_more_values_are_the_same_sweep() -> None:
    """And another base, or another axis, is another; what the base has in an axis's place plays no part."""
    few, more = (asking.axes_of({"k": values}) for values in ([10, 20], [10, 20, 30]))
    assert asking.sweep_id(few, base()) == asking.sweep_id(more, base(k=7))
    assert asking.sweep_id(few, base()) != asking.sweep_id(few, base(epochs=1))
    both = asking.axes_of({"k": [10, 20], "epochs": [1, 2]})
    assert asking.sweep_id(few, base()) != asking.sweep_id(both, base())


def test_the_reference() -> None:
    """The asked one, with the base's values where it says nothing; else the base; else the first."""
    found = points({"k": [10, 50], "epochs": [3, 30]})

    def named(asked: dict[str, Any], **flags: Any) -> str:
        chosen = asking.reference_of(found, asked, base(**flags))
        return {point.id: point.title for point in found}[chosen]

    assert named({}) == "k 50, epochs 30"
    assert named({}, k=7) == "k 10, epochs 3"
    assert named({"k": "10"}) == "k 10, epochs 30"
    assert named({"model.k": 10, "epochs": 3}) == "k 10, epochs 3"
    with pytest.raises(ConfigurationError, match="2 points are the reference k 10"):
        named({"k": 10}, epochs=7)
    with pytest.raises(ConfigurationError, match="no point is the reference k 11"):
        named({"k": 11})
    with pytest.raises(ConfigurationError, match="'seeds', which is no axis"):
        named({"seeds": 0})


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.data())
def test_there_are_as_many_points_as_combinations(sizes: list[int], data: st.DataObject) -> None:
    """Groups of axes side by side count once, and every combination of theirs is there once."""
    groups = [data.draw(st.integers(0, n)) for n in range(len(sizes))]
    length = {group: sizes[groups.index(group)] for group in set(groups)}
    axes = [Axis(f"a{n}", tuple(range(length[group])), group) for n, group in enumerate(groups)]
    found = [tuple(one.values()) for one in asking.combinations(axes)]
    expected = 1
    for many in length.values():
        expected *= many
    assert len(set(found)) == len(found) == expected
    for one in found:
        for n, m in itertools.combinations(range(len(axes)), 2):
            assert groups[n] != groups[m] or one[n] == one[m]


def test_values_are_written_as_a_user_would() -> None:
    """Lists with commas, switches as words."""
    assert [shown(one) for one in (True, None, (1, 2), 0.5, "a")] == ["on", "none", "1,2", "0.5", "a"]
