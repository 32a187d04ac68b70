"""`model.json`, and runs of before there was one."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.artifacts.directories import RunDirectory
from harness.artifacts.model import MODEL, ModelRecord, model_of
from harness.capabilities import FIRST
from harness.errors import RunError


def test_a_run_of_before_explained_the_k_sparse_network(tmp_path: Path) -> None:
    """It had everything but truth, which no run of then measured."""
    assert set(model_of(RunDirectory(tmp_path)).capabilities) == set(FIRST)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """And what is none is refused by name."""
    run = RunDirectory(tmp_path)
    record = ModelRecord(
        model="nets:build", capabilities=("gradient",), layers=("model.0",), shape=(1, 28, 28)
    )
    run.write_json(MODEL, record.model_dump(mode="json"))
    assert model_of(run) == record
    (tmp_path / MODEL).write_text('{"capabilities": 3}')
    with pytest.raises(RunError, match=MODEL):
        model_of(run)
