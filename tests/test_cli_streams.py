"""What cannot be printed has no say: the exit code is the program's own, and nobody complains."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli.streams import forgiving
from tests.written import a_run

PROGRAM = """
import sys, traceback
from harness.cli.streams import forgiving
with forgiving():
    for number in range(400):
        print("an en dash \\u2013, half a pair \\ud800, a sign \\U0001f600 " + 50 * "x")
        sys.stdout.buffer.write(b"bytes ")
        print("told \\u2013", file=sys.stderr)
    try:
        1 / 0
    except ZeroDivisionError:
        traceback.print_exc()
    sys.exit(5)
"""


def gone() -> int:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def full() -> int:
    """A file on a disk that is full."""
    return os.open("/dev/full", os.O_WRONLY)


def to_be_read() -> int:
    """A file that was opened to be read."""
    return os.open(os.devnull, os.O_RDONLY)


NOWHERE: dict[str, Callable[[], int]] = {"gone": gone, "full": full, "not to be written": to_be_read}
CLOSED = "closed"
ENCODINGS = (
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"PYTHONIOENCODING": "utf-16"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


def ended(command: list[str], numbers: tuple[int, ...], place: str, **changed: Any) -> tuple[int, str]:
    """The exit code of a command whose standard files of these numbers lead nowhere; the others' text."""
    shut = f"import os, sys; [os.close(n) for n in {numbers}]; os.execv(sys.argv[1], sys.argv[1:])"
    closes = place == CLOSED
    files = {number: NOWHERE[place]() for number in numbers if not closes and number}
    done = subprocess.run(
        [sys.executable, "-c", shut, *command] if closes else command,
        stdout=files.get(1, subprocess.PIPE),
        stderr=files.get(2, subprocess.PIPE),
        check=False,
        **changed,
    )
    for file in files.values():
        os.close(file)
    return done.returncode, ((done.stdout or b"") + (done.stderr or b"")).decode(errors="replace")


@pytest.mark.thorough
@needs_full
@pytest.mark.parametrize("numbers", [(1,), (2,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("place", [*NOWHERE, CLOSED])
def test_what_cannot_be_printed_changes_no_exit_code(place: str, numbers: tuple[int, ...]) -> None:
    """Whichever of the standard files leads nowhere: the code is 5, and what can be printed is there."""
    code, printed = ended([sys.executable, "-c", PROGRAM], numbers, place)
    assert code == 5
    assert "Exception ignored" not in printed
    assert "BrokenPipeError" not in printed
    assert ("an en dash" in printed) is (1 not in numbers)
    assert ("ZeroDivisionError" in printed) is (2 not in numbers)


@pytest.mark.parametrize("variables", ENCODINGS, ids=str)
def test_a_sign_that_the_encoding_lacks_is_an_escape(variables: dict[str, str]) -> None:
    """In every encoding all lines are there, and the exit code is the program's."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | variables, capture_output=True, check=False
    )
    assert done.returncode == 5
    text = done.stdout.decode(variables.get("PYTHONIOENCODING", "ascii"))
    assert text.count("an en dash \\u2013" if "16" not in str(variables) else "an en dash –") == 400
    assert text.count("half a pair \\ud800") == 400


def test_a_slow_reader_of_a_pipe_that_does_not_wait_gets_all() -> None:
    """Standard output may be shared with somebody who made it non-blocking: nothing is lost there."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=writing, stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        process.poll()
        threading.Event().wait(0.5)  # the pipe is full by then
        text = stream.read()
    assert process.wait() == 5
    assert text.count(b"an en dash") == text.count(b"bytes ") == 400


def test_streams_are_given_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Those of a notebook or a test are not touched, and after the block all are what they were."""
    before = sys.stdout, sys.stderr
    with forgiving():
        assert (sys.stdout, sys.stderr) == before
        sys.stdout.write("seen")
    assert capsys.readouterr().out == "seen"
    with io.StringIO() as own, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", own)
        with pytest.raises(KeyError), forgiving():
            sys.stdout.write("kept")
            raise KeyError
        assert sys.stdout is own
        assert own.getvalue() == "kept"


@pytest.mark.thorough
@needs_full
def test_the_exit_code_is_the_verdicts(tmp_path: Path) -> None:
    """A PASS of `harness judge` stays 0 and a FAIL 1, whatever their output is, on GitHub too."""
    run = a_run(tmp_path / "artifacts")
    command = [sys.executable, "-m", "harness", "judge", str(run.path)]
    environment = os.environ | {"GITHUB_ACTIONS": "true"}
    for place in (*NOWHERE, CLOSED):
        assert ended(command, (1, 2), place, env=environment)[0] == 0, place
    for variables in ENCODINGS:
        assert ended(command, (), CLOSED, env=environment | variables)[0] == 0, variables
    red = a_run(tmp_path / "red", {"accuracy": 0.5})
    assert ended([*command[:-1], str(red.path)], (1, 2), CLOSED)[0] == 1


@pytest.mark.thorough
@pytest.mark.parametrize("arguments", [["--help"], ["validate", "--help"], ["--version"], ["--nonsense"], []])
def test_help_may_be_read_in_part(arguments: list[str]) -> None:
    """`harness --help | head -1` ends as without `head`, and nothing is complained of."""
    command = [sys.executable, "-m", "harness", *arguments]
    whole = subprocess.run(command, capture_output=True, check=False)
    code, printed = ended(command, (1,), "gone")
    assert code == whole.returncode
    assert printed == whole.stderr.decode()
