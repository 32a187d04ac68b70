"""Points side by side: each is asked for once, what was killed again, and what failed ends them all."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from harness import config as configuration
from harness import engines, warming
from harness.artifacts.staging import Staged
from harness.config import Config
from harness.errors import Refused, RunError
from harness.pipeline.started import Silence
from harness.processes import Processes, Stopped


@dataclass
class Played:
    """In the place of processes: what each ends with, by its log's name, one after another; 0 by default.

    Attributes:
        codes: What they end with; None for one that runs until all are stopped.
        printed: By exit code.
        asked: The logs' names, as they were asked for.
    """

    codes: dict[str, list[int | None]] = field(default_factory=dict)
    printed: dict[int, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    commands: list[Sequence[str]] = field(default_factory=list)
    variables: list[Mapping[str, str]] = field(default_factory=list)
    settings: list[Config] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    ended: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, command: Sequence[str], log: Path, variables: Mapping[str, str]) -> int:
        with self.lock:
            if self.stopped.is_set():
                raise Stopped
            self.asked.append(log.stem)
            self.commands.append(command)
            self.variables.append(variables)
            self.texts.append(Path(command[command.index("--config") + 1]).read_text())
            self.settings.append(configuration.load(command[command.index("--config") + 1]))
            codes = self.codes.get(log.stem, [])
            code = codes.pop(0) if codes else 0
            log.write_text(self.printed.get(code or 0, f"ends with {code}\n"))
        if code is None:
            assert self.stopped.wait(20)
            code = -15
        self.ended.append(code)
        return code

    def stop(self) -> None:
        with self.lock:
            self.stopped.set()


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    """It stands in the place of real ones."""
    made = Played()
    monkeypatch.setattr(Processes, "run", lambda _, *asked: made.run(*asked))
    monkeypatch.setattr(Processes, "stop", lambda _: made.stop())
    return made


class Heard(Silence):
    """What was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def settings(folder: Path, **values: Any) -> Config:
    """Of nights on a CPU."""
    return Config.model_validate({"output": folder / "artifacts", "device": "cpu"} | values)


def test_as_many_are_made_as_are_missing(played: Played, tmp_path: Path) -> None:
    """Each once, of the same configuration, with one thread however many run, and the history's place."""
    config, heard = settings(tmp_path, quiet=True, training={"epochs": 3}), Heard()
    warming.side_by_side(config, "there.db", 2, 7, 3, heard)
    assert sorted(played.asked) == ["3", "4", "5", "6", "7"]
    assert played.settings == [config] * 5
    told = {"HARNESS_HISTORY_PLACE": "there.db"} | dict.fromkeys(engines.THREADS, "1")
    assert played.variables == [told] * 5
    assert {command[-1] for command in played.commands} == {warming.ONE_POINT}
    assert heard.said[0] == "warm-up: 5 of 7 points are missing; 3 at once, 1 thread each"
    assert [line.partition(";")[0] for line in heard.said[1:]] == [
        f"warm-up: point {n} of 7" for n in range(3, 8)
    ]
    assert all(line.endswith("left") for line in heard.said[1:-1])
    assert heard.said[-1] == "warm-up: point 7 of 7"
    assert list(config.output.iterdir()) == []


def test_the_time_left_goes_by_what_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unknown before anything is, and none where all is."""
    monkeypatch.setattr(time, "monotonic", lambda: 160.0)
    assert engines.left(100.0, 2, 5) == "; 0:01:30 left"
    assert engines.left(100.0, 0, 5) == engines.left(100.0, 5, 5) == ""


def test_a_point_that_is_killed_is_tried_again(played: Played, tmp_path: Path) -> None:
    """Once, which is told; by a shell's exit code of it too; the second time it is lost, and ends all."""
    played.codes = {"1": [-9], "2": [143]}
    heard = Heard()
    warming.side_by_side(settings(tmp_path), "h.db", 0, 3, 1, heard)
    assert sorted(played.asked) == ["1", "1", "2", "2", "3"]
    assert sum("at try 2" in line for line in heard.said) == 2
    played.codes, played.asked = {"1": [-9, -9]}, []
    played.stopped.clear()
    with pytest.raises(RunError, match=r"lost 2 times: its process was killed by signal 9: ends with -9"):
        warming.side_by_side(settings(tmp_path), "h.db", 0, 3, 1, Heard())
    assert played.asked.count("1") == 2


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (2, Refused, r"\A--device cuda: none here\Z"),
        (3, RunError, "a point of the warm-up ended with 3: --device"),
        (1, RunError, "a point of the warm-up ended with 1: --device"),
    ],
)
def test_a_point_that_fails_by_itself_ends_all(
    played: Played,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    code: int,
    error: type[Exception],
    said: str,
) -> None:
    """It is not tried again; those beside it are stopped; its exit code stands, and a trace is shown."""
    played.codes = {"1": [code], "2": [None]}
    played.printed = {code: "Traceback: here\nerror: --device cuda: none here\n"}
    config = settings(tmp_path)
    with pytest.raises(error, match=said):
        warming.side_by_side(config, "h.db", 0, 9, 2, Heard())
    assert set(played.asked) <= {"1", "2"}
    assert played.asked.count("1") == 1
    assert played.stopped.is_set()
    assert ("Traceback: here" in capsys.readouterr().err) == (code != 2)
    assert list(config.output.iterdir()) == []


def test_an_interrupt_ends_all(played: Played, tmp_path: Path) -> None:
    """Those that run are stopped, and none is begun."""

    class Interrupted(Heard):
        def say(self, text: str) -> None:
            super().say(text)
            if "point 1" in text:
                raise KeyboardInterrupt

    played.codes = {"2": [None], "3": [None]}
    with pytest.raises(KeyboardInterrupt):
        warming.side_by_side(settings(tmp_path), "h.db", 0, 9, 2, Interrupted())
    assert played.stopped.is_set()
    assert set(played.asked) <= {"1", "2", "3"}


def test_a_password_is_written_nowhere(played: Played, tmp_path: Path) -> None:
    """The place goes by the environment, and stands in no command."""
    place = "postgresql+psycopg://me:secret@there/nights"
    warming.side_by_side(settings(tmp_path, nightly={"history": place}), place, 0, 1, 2, Heard())
    assert played.variables[0][warming.PLACE] == place
    assert "secret" not in played.texts[0]
    assert "there/nights" in played.texts[0]
    assert not any("secret" in part for part in played.commands[0])


def test_what_a_killed_command_left_goes(played: Played, tmp_path: Path) -> None:
    """Another's that runs stays, and so does what tells of a night that was killed."""
    config = settings(tmp_path)
    running, gone = Staged(config.output, "warm-up"), "~00000000-1-0123456789ab"
    for name in ("warm-up", "night-000001-abcdef"):
        (config.output / f".{name}{gone}").mkdir()
        os.utime(config.output / f".{name}{gone}", (0, 0))
    warming.side_by_side(config, "h.db", 0, 1, 2, Heard())
    left = {path.name for path in config.output.iterdir()}
    assert left == {running.path.name, f".night-000001-abcdef{gone}"}
    assert played.asked == ["1"]


def test_a_core_each_but_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, played: Played) -> None:
    """Unless somebody says how many; beside a GPU the cores are shared."""
    monkeypatch.setattr(engines, "cores", lambda: 6)
    cpu, gpu = settings(tmp_path), settings(tmp_path, device="cuda")
    assert (warming.at_once(cpu, None), warming.at_once(gpu, None)) == (6, 1)
    assert (warming.at_once(cpu, 2), warming.at_once(gpu, 2)) == (2, 2)
    warming.side_by_side(gpu, "h.db", 0, 2, 2, Heard())
    assert {one["OMP_NUM_THREADS"] for one in played.variables} == {"3"}
