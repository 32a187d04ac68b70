"""The commands of a night, as a user calls them; `test_nightly` and `test_canary` hold what they do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from harness.history.documents import NIGHT
from harness.history.kept import Kept, place_of
from harness.history.store import History, Unreachable
from tests.commands import alone, called
from tests.small import SMALL

pytestmark = pytest.mark.thorough

TOML = "[nightly]\nseeds = 1\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder after two nights, the first of them pinned, and in a process of its own."""
    place = tmp_path_factory.mktemp("user")
    (place / "harness.toml").write_text(TOML)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    for number, call in enumerate((alone, called)):
        done = call(place, "nightly", *flags)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"not compared: {number} of 10 nights" in done.stdout
        if number == 0:
            done = called(place, "pin", "artifacts/latest", "--reason", "the first")
            assert done.returncode == 0, done.stderr
            assert "pinned: night 000001-" in done.stdout
    return place


def test_two_nights_are_two_rows_and_the_second_is_held_against_the_pin(folder: Path) -> None:
    """The canary of unchanged code is the pinned one, to the bit, though it was trained again."""
    first, second = History.open(folder / "artifacts/history.db").nights()
    assert first.canary is not None
    assert second.canary is not None
    assert first.canary.digests == second.canary.digests
    assert first.seeds != second.seeds
    assert {one.word for one in second.canary.differences} == {"not worse"}
    assert second.canary.pin is not None
    assert (folder / "artifacts/latest/history.json").is_file()
    assert (folder / "artifacts/latest" / NIGHT).is_file()


def test_blame_finds_nothing_where_nothing_changed(folder: Path) -> None:
    """Tonight against the last green night, without a training."""
    done = called(folder, "blame")
    assert (done.returncode, done.stdout.splitlines()[-1].split(":")[0]) == (0, "nothing"), done.stderr
    assert "epoch" not in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nightly", "--seeds", "1"), "a night draws fresh ones"),
        (("nightly", "--warm-up", "-1"), "--warm-up"),
        (("nightly", "--warm-up", "2", "--jobs", "0"), "--jobs"),
        (("nightly", "--history", "mysql://there/db"), "mysql is no store of a history"),
        (("pin", "nowhere"), "is no run directory"),
        (("blame", "artifacts/latest", "--against", "nowhere"), "is no run directory"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    """With exit code 2, and nothing is recorded."""
    done = called(folder, *arguments)
    assert done.returncode == 2, done.stdout
    assert said in done.stderr
    assert len(History.open(folder / "artifacts/history.db").nights()) == 2


def test_a_night_that_is_refused_is_recorded_as_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that is not there: exit code 2, no latest run, and the history tells why."""
    (tmp_path / "harness.toml").write_text(TOML)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    done = alone(tmp_path, "nightly", "--device", "cuda")
    assert done.returncode == 2, done.stdout
    assert not (tmp_path / "artifacts/latest").exists()
    (night,) = History.open(tmp_path / "artifacts/history.db").nights()
    assert (night.status, night.verdict) == ("ended", "error")
    assert "--device cuda" in night.sentence


def test_help_names_no_flag_that_only_processes_give(tmp_path: Path) -> None:
    """How a process of a warm-up is asked for is nobody's business; whoever gives it is understood."""
    from harness import warming

    told = called(tmp_path, "nightly", "--help").stdout
    assert "--jobs" in told
    assert warming.ONE_POINT not in told
    done = called(tmp_path, "nightly", warming.ONE_POINT, "--dataset", "nowhere.npz")
    assert done.returncode == 2
    assert "nowhere.npz" in done.stderr


@pytest.mark.slow
def test_a_warm_up_in_processes_survives_its_own(tmp_path: Path) -> None:
    """One that is killed is gone on with; each has one thread, a number and a seed; the night follows."""
    (tmp_path / "harness.toml").write_text(TOML)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]
    output, killed = tmp_path / "artifacts", list[str]()
    command = [sys.executable, "-m", "harness", "nightly", *flags, "--warm-up", "3", "--jobs", "2"]
    with subprocess.Popen(
        command, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        while process.poll() is None and not killed:
            for path in output.glob(".night-*"):
                # a night is held by a hidden folder whose name ends with who holds it
                name, holder = path.name.removeprefix(".night-").partition("~")[0], path.name.split("-")[-2]
                with suppress(ProcessLookupError):
                    os.kill(int(holder), signal.SIGSTOP)
                    going = False
                    with suppress(Unreachable):  # it was stopped while it wrote there
                        nights = History.open(output / "history.db", patience=0.1).nights()
                        going = any((one.id, one.status) == (name, "begun") and one.place for one in nights)
                    os.kill(int(holder), signal.SIGKILL if going else signal.SIGCONT)
                    if going:
                        killed.append(name)
                        break
            time.sleep(0.05)
        printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    assert "at try 2" in printed
    assert "warm-up: point 3 of 3" in printed
    nights = History.open(output / "history.db").nights()
    assert [one.kind for one in nights] == ["warm-up"] * 3 + ["night"]
    assert [one.status for one in nights] == ["ended"] * 4
    assert killed[0] in {one.id for one in nights}
    assert len({seed for one in nights for seed in one.seeds}) == 4
    assert {one.environment["machine.threads"] for one in nights[:3]} == {"1"}
    assert len({tuple(sorted(one.identity.items())) for one in nights}) == 1
    assert not list(output.glob(".*"))


def test_the_place_of_a_history_is_asked_configured_or_beside_the_runs(tmp_path: Path) -> None:
    """In that order."""
    from harness.config import Config

    config = Config.model_validate({"output": tmp_path})
    assert place_of(config) == tmp_path / "history.db"
    configured = Config.model_validate({"output": tmp_path, "nightly": {"history": "~/h.db"}})
    assert str(place_of(configured)) == "~/h.db"
    assert place_of(configured, "other.db") == "other.db"
    said: list[str] = []
    assert Kept(tmp_path / "missing" / "h.db", said.append).trouble
    assert len(said) == 1
