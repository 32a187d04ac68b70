"""What tests share: small real data, a tiny network, and one finished run."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# tiny networks gain nothing from threads, and lose much where the cores are shared; before torch loads
os.environ.setdefault("OMP_NUM_THREADS", "1")
# tests start hundreds of processes: where no bytecode is to lie beside sources, each would compile torch anew
if sys.dont_write_bytecode:
    compiled = tempfile.TemporaryDirectory(prefix="compiled-")
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix = compiled.name
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
# with a GPU, many runs share this process, and an older torch keeps the workspace of its first product
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
import torch

from harness import config, pipeline, report
from harness.artifacts.directories import RunDirectory
from harness.config import Config
from harness.datasets import fetching
from harness.judging import suite, verdicts
from harness.subjects.models import Classifier, KSparseAutoencoder, PixelClassifier
from tests import gpu, postgresql, written
from tests.small import SMALL

collect_ignore = ["plugin"]  # a package of its own, whose checks judge a run

Only = Callable[..., None]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test downloads data, wherever the suite runs."""
    monkeypatch.setattr(fetching, "fetch", lambda folder, *_: f"no download to {folder} in tests.")
    monkeypatch.delenv("HARNESS_DATA_DIR", raising=False)


@pytest.fixture(autouse=True)
def _gpu(request: pytest.FixtureRequest) -> None:
    """A test marked `gpu` is skipped where there is none, with the reason; it fails where one is promised."""
    if request.node.get_closest_marker("gpu") is not None and gpu.missing():
        (pytest.fail if gpu.required() else pytest.skip)(gpu.missing())


@pytest.fixture
def small_flags() -> dict[str, Any]:
    """The flags of a small run."""
    return dict(SMALL)


@pytest.fixture(scope="session")
def finished_output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of one small run, computed and judged; to be read, not written."""
    output = tmp_path_factory.mktemp("finished") / "artifacts"
    settings = config.load(flags=SMALL | {"output": output}, folder=output.parent)
    verdicts.judge(RunDirectory.open(pipeline.run(settings)))
    return output


@pytest.fixture
def small_config(tmp_path: Path, finished_output: Path) -> Callable[..., Config]:
    """Makes the configuration of a small run in a folder of its own, with flags changed.

    The folder starts with the finished run's cache, so a run that changes nothing of the training need
    not train.
    """
    output = tmp_path / "artifacts"
    shutil.copytree(finished_output / "cache", output / "cache")

    def make(**flags: Any) -> Config:
        return config.load(flags=SMALL | {"output": output} | flags, folder=tmp_path)

    return make


@pytest.fixture
def finished(finished_output: Path, tmp_path: Path) -> RunDirectory:
    """A copy of the small run, to do with as one likes."""
    source = (finished_output / "latest").resolve()
    target = tmp_path / "artifacts" / "runs" / source.name
    shutil.copytree(source, target)
    # not opened, so that a test may change a file and read it; whoever opens it finds its seal
    return RunDirectory(target)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Only:
    """Leaves these sections of the page alone: a whole one takes seconds to draw."""

    def keep(*names: str) -> None:
        kept = {name: one for name, one in report.sections.items() if name in names}
        monkeypatch.setattr(report.sections, "_entries", kept)

    return keep


@pytest.fixture
def judged_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets criteria be judged without their process, where a verdict is not what is tested."""
    monkeypatch.setattr(suite, "run", written.judged_here)


@pytest.fixture
def tiny_model() -> PixelClassifier:
    """An untrained network of 12 pixels, 8 code units of which 3 are active, and 3 classes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        autoencoder = KSparseAutoencoder(k=3, pixels=12, code_width=8)
        return PixelClassifier(autoencoder, Classifier(8, hidden=(6, 5), classes=3)).eval()


@pytest.fixture(scope="session")
def server() -> Iterator[postgresql.Server]:
    """A PostgreSQL server of the session's own."""
    with postgresql.served() as started:
        yield started


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new history may be: a file, and a server's database."""
    if request.param == "sqlite":
        return str(tmp_path / "history.db")
    return str(request.getfixturevalue("server").new())
