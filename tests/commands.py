"""A command of `harness` as a user calls it in a folder: in a process of its own, or in this one.

An interpreter and torch take seconds to load: a process of its own is for what only such a one can show.
"""

from __future__ import annotations

import contextlib
import gc
import io
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness import cli

Done = subprocess.CompletedProcess[str]


def alone(folder: Path, *arguments: str) -> Done:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "harness", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def called(folder: Path, *arguments: str) -> Done:
    """The command in this process, where no module of the folder stays loaded, and no other's is."""
    out, error = io.StringIO(), io.StringIO()
    for name in {path.stem for path in folder.glob("*.py")} & set(sys.modules):
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(tempfile.gettempdir()):
            del sys.modules[name]
    known, collects = set(sys.modules), gc.isenabled()
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setattr(sys, "argv", ["harness", *arguments])
        patched.setattr(signal, "signal", lambda *_: None)
        printed = contextlib.redirect_stdout(out), contextlib.redirect_stderr(error)
        with printed[0], printed[1], pytest.raises(SystemExit) as ended:
            cli.main()
    if collects:
        gc.enable()
    for name in set(sys.modules) - known:
        if Path(getattr(sys.modules[name], "__file__", None) or "/").is_relative_to(folder):
            del sys.modules[name]
    code = ended.value.code
    assert code is None or isinstance(code, int), code
    return subprocess.CompletedProcess(arguments, code or 0, out.getvalue(), error.getvalue())
