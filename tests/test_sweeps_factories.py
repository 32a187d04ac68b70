"""What points ask of shipped models is found out where torch is, which a sweep's own process is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from harness.config.parameters import Model
from harness.errors import ConfigurationError
from harness.sweeps import factories

LOADED = """
import sys
from pathlib import Path
from harness import sweeps
from harness.errors import ConfigurationError
from harness.pipeline.started import Silence

model, folder = sys.argv[1:]
flags = {{"dataset": "fashion-mnist-mini", "output": Path(folder)}}
try:
    plan = sweeps.plan({{"k": [10, 25], "model": [model]}} | {more}, flags=flags, folder=folder)
    running = plan.running(Silence())
    assert len(running.look()) == 2
    assert running.digest(plan.points[0].config)
except ConfigurationError as error:
    print(error)
print(sorted({{"torch", "scipy", "pandas"}} & sys.modules.keys()))
"""


def planned(folder: Path, model: str, more: str = "{}") -> list[str]:
    """What a process of its own prints that plans, and looks at, two points."""
    command = [sys.executable, "-c", LOADED.format(more=more), model, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.thorough
@pytest.mark.parametrize("model", ["k-sparse", "relu-l1"])
def test_who_plans_never_loads_torch(tmp_path: Path, model: str) -> None:
    """Neither of the default model nor of another is it asked in the process that holds all points, which
    reads their data, too."""
    assert planned(tmp_path, model) == ["[]"]


@pytest.mark.thorough
def test_what_is_refused_elsewhere_is_refused_here(tmp_path: Path) -> None:
    """The other process's sentence is that of this one's: the keyword, and what was meant."""
    told, loaded = planned(tmp_path, "relu-l1", '{"settings.ll": [1e-4]}')
    assert "unknown keyword 'll'" in told
    assert "l1" in told
    assert loaded == "[]"


def test_a_process_that_breaks_keeps_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """An end that is neither is a bug, and has its traceback."""
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="ended with 1"):
        factories.refuse_unbuildable([Model(model="relu-l1")])


def test_one_that_has_torch_asks_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a notebook that loaded it no process is begun."""
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("begun"))
    monkeypatch.setitem(sys.modules, "torch", pytest.importorskip("torch"))
    with pytest.raises(ConfigurationError, match="unknown model 'relu-l2'"):
        factories.refuse_unbuildable([Model(model="relu-l2")])
