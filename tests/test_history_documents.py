"""A night's document says what its numbers mean, whatever lies where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.directories import RunDirectory
from harness.artifacts.model import MODEL, ModelRecord
from harness.config import Config
from harness.history import documents
from harness.history.documents import Written, identity_of
from tests.written import a_run

FIRST, SECOND = "1" * 64, "2" * 64


def identity(digest: str = "", **model: Any) -> dict[str, str]:
    return identity_of(Config.model_validate({"model": model}), "blobs", "d" * 64, "cpu", weights=digest)


def test_a_module_that_moved_is_the_same_series(tmp_path: Path) -> None:
    """Also where nobody said where it lies."""
    own = {"model": "nets:build"}
    there, bare = identity(**own, model_dir=tmp_path), identity(**own)
    assert there == bare == identity(**own, model_dir=tmp_path / "moved")
    assert bare["model.model"] == "nets:build"


def test_weights_are_told_by_their_content() -> None:
    """The same file elsewhere is the same series; other weights at its place are another."""
    here = identity(FIRST, weights="best.pth")
    assert here == identity(FIRST, weights="elsewhere/best.pth")
    assert here["model.weights"] == FIRST[:16]
    assert here != identity(SECOND, weights="best.pth")
    assert "model.weights" not in identity()


@pytest.mark.parametrize("sha256", [FIRST, SECOND])
def test_a_night_tells_the_weights_that_it_loaded(sha256: str, tmp_path: Path) -> None:
    """By its run's record, where the file itself may be gone; so does the canary's fingerprint."""
    run = a_run(tmp_path, config={"model": {"model": "nets:build", "weights": "gone.pth"}})
    run.write_json(MODEL, ModelRecord(weights={"file": "gone.pth", "sha256": sha256}).model_dump(mode="json"))
    run.write_json(documents.NIGHT, {"id": "000001-abcdef", "kind": "night", "of": None})
    canary = {"seed": 0, "frozen": "f", "digests": {}, "right": 1, "images": 2}
    RunDirectory(run / documents.CANARY).write_json("canary.json", canary)
    run.finish()
    night = documents.begun(Written(id="000001-abcdef", kind="night"), run.read_config(), run)
    assert night.identity == identity(sha256, model="nets:build", weights="gone.pth")
    found = documents.canary_of(run)
    assert found is not None
    assert found.fingerprint["model.weights"] == sha256[:16]
