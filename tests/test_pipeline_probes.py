"""What is asked of a network beside its maps: where the code changes, and by how much the logit jumps."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.artifacts.directories import RunDirectory
from harness.pipeline import probes


def test_a_run_holds_what_happens_at_switches(finished: RunDirectory) -> None:
    """Whatever methods were asked: every change of every sample's path, and the logit along it."""
    asked, chosen = finished.seed(0).read_arrays("sanity/switches.npz"), finished.read_arrays("samples.npz")
    predictions, labels = finished.seed(0).read_arrays("predictions.npz"), chosen["labels"]
    rows = np.arange(len(labels))
    end = predictions["logits"][chosen["indices"]][rows, labels]
    np.testing.assert_allclose(asked["along"][:, -1], end, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(asked["along"][:, 0], predictions["baseline_logits"][labels], rtol=1e-4)
    assert (asked["levels"] > 0).sum(axis=1).min() > 5
    assert not asked["jumps"][asked["levels"] == 0].any()
    assert (np.diff(asked["positions"], axis=1) >= 0).all()
    assert asked["leaving"].dtype == asked["entering"].dtype == np.int32


def asked_of(network: nn.Module) -> Any:
    return SimpleNamespace(
        network=network,
        images=torch.rand(3, 6),
        targets=torch.tensor([0, 1, 2]),
        settings={"chunk_size": 512},
        now=lambda *_: None,
    )


def test_a_model_whose_switches_cannot_be_found_says_why() -> None:
    """The reason stands in the probe's place."""
    found = probes._switches(asked_of(nn.Sequential(nn.Linear(6, 3)).eval()))
    assert list(found) == ["reason"]
    assert str(found["reason"]).startswith("switches of a code: the model must be a linear encoder")


@pytest.mark.parametrize(("there", "is_asked"), [({"code", "k"}, True), ({"code"}, False), ((), False)])
def test_switches_are_asked_of_models_with_k_active_units(there: Any, is_asked: bool) -> None:
    """Of others nothing is stored."""
    asked: Any = SimpleNamespace(work=SimpleNamespace(capabilities=frozenset(there)))
    assert probes.WHERE["switches"](asked) is is_asked
