"""A criterion that is not what it should be is named by its id; one that is nearly a shipped one, by that."""

from __future__ import annotations

from typing import Any

import pytest

from harness import config
from harness.config.merging import judged
from harness.errors import ConfigurationError


def refused(*criteria: dict[str, Any], **values: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        config.of({"criteria": list(criteria), **values}, "harness.toml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            {"id": "acuracy", "threshold": 0.9},
            "no shipped criterion 'acuracy' judges this configuration: did you mean 'accuracy'? one of your "
            "own needs measurement, relation and threshold (it has no relation)",
        ),
        ({"id": "agreemnt", "gate": False}, "did you mean 'agreement'? one of your own needs"),
        ({"id": "agreemnt", "gate": False}, "(it has no relation and no threshold)"),
        ({"id": "qqq", "threshold": 1}, "judges this configuration: known are: accuracy, "),
        ({"id": "surrogate_fit", "threshold": 1}, "no shipped criterion 'surrogate_fit' judges this"),
    ],
)
def test_a_table_that_changes_no_shipped_criterion_is_told_the_nearest(
    table: dict[str, Any], said: str
) -> None:
    """And what one of one's own needs."""
    assert said in refused(table)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"id": "mine.own", "relation": "=", "threshold": 1}, "criteria.mine.own.relation: "),
        ({"id": "mine", "relation": ">=", "threshold": "x"}, "criteria.mine.threshold: "),
        ({"id": "mine", "relation": ">=", "threshold": [0, 1]}, "criteria.mine: threshold must be"),
        ({"id": "agreement", "treshold": 1}, "unknown key 'criteria.agreement.treshold' in harness.toml: "),
        ({"id": "agreement", "treshold": 1}, "did you mean 'threshold'?"),
    ],
)
def test_a_criterion_is_named_by_its_id(table: dict[str, Any], said: str) -> None:
    """No position that counts the shipped criteria too."""
    assert said in refused(table)
    assert said in refused({"id": "accuracy", "threshold": 0.8}, table)


def test_an_incomplete_table_that_does_not_apply_is_left_out() -> None:
    """What a model cannot be judged by needs no threshold."""
    rows = judged({"criteria": [{"id": "gone"}], "without": {"gone": "it has no code"}})
    assert "gone" not in [row["id"] for row in rows]
