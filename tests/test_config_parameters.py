"""The tables of the configuration: nightly's, for the others are held by the tests of `config`."""

from __future__ import annotations

from typing import Any

import pytest

from harness.config import load
from harness.config.parameters import MIN_CHANGE, SWITCH_AWARE, TWO_STAGED, Nightly, shipped_criteria
from harness.errors import ConfigurationError


def test_every_gate_that_ships_has_a_smallest_change() -> None:
    """Whatever is held against its past has a change that is too small to wake anybody."""
    shipped = [
        one for recipe in TWO_STAGED for one in shipped_criteria(50, methods=[SWITCH_AWARE], recipe=recipe)
    ]
    assert {one.measurement for one in shipped if one.gate} == set(MIN_CHANGE)
    assert all(change > 0 for change in MIN_CHANGE.values())


def test_the_smallest_change_is_the_users_before_the_shipped_one() -> None:
    """A watched measurement's, also of one that is gated."""
    watch = [{"measurement": "dead_units", "min_change": 5}, {"measurement": "accuracy", "min_change": 0.1}]
    nightly = Nightly.model_validate({"watch": watch})
    asked = ("accuracy", "dead_units", "sparsity", "something")
    assert [nightly.smallest_change(one) for one in asked] == [0.1, 5.0, 0.5, 0.0]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"seed": 3}, "nightly.seed"),
        ({"seeds": 0}, "nightly.seeds"),
        ({"canary_seed": -1}, "nightly.canary_seed"),
        ({"watch": [{"measurement": "accuracy", "min_change": -0.1}]}, "min_change"),
        ({"watch": [{"measurement": "accuracy"}]}, "min_change"),
        ({"watch": [{"min_change": 1}]}, "measurement"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_key(tmp_path: Any, table: Any, said: str) -> None:
    """As in every table."""
    import tomli_w

    (tmp_path / "harness.toml").write_text(tomli_w.dumps({"nightly": table}))
    with pytest.raises(ConfigurationError, match=said):
        load(folder=tmp_path)
