"""The command is the harness's own, whatever modules lie in the working folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.artifacts.directories import RunDirectory

OTHERS = ("jinja2", "matplotlib", "numpy", "pandas", "pydantic", "rich", "scipy", "text", "torch", "typer")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A working folder in which every module's name is taken, by a module that ends whoever imports it."""
    where = tmp_path / "here"
    where.mkdir()
    # what Python itself loads before `python -m` runs a module cannot be helped
    code = "import __future__, runpy, sys; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    for name in {*sys.stdlib_module_names, *OTHERS} - {*loaded.split(), "sitecustomize", "usercustomize"}:
        (where / f"{name}.py").write_text(f"import os; os.write(2, b'{name} is mine'); os._exit(9)")
    return where


def ended(folder: Path, *command: str, paths: str) -> tuple[int, str]:
    """The exit code and output of Python in the folder, where PYTHONPATH names these places too."""
    package = str(Path(harness.__file__).parent.parent)
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [paths, package]))}
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.thorough
def test_a_users_module_stands_for_no_other(folder: Path, finished: RunDirectory) -> None:
    """`python -m harness` in a folder with modules of every name."""
    code, printed = ended(folder, "-m", "harness", "datasets", paths="")
    assert code == 0, printed
    code, printed = ended(folder, "-m", "harness", "report", str(finished.path), paths="")
    assert code == 0, printed


@pytest.mark.parametrize("paths", [".", "../here", os.pathsep], ids=["here", "by another name", "empty"])
def test_a_named_working_folder_comes_last(tmp_path: Path, paths: str) -> None:
    """As CIs set it, PYTHONPATH may name the working folder: what only it holds is found, and no more."""
    where = tmp_path / "here"
    where.mkdir()
    for name in ("statistics", "random", "rich", "numpy", "text"):
        (where / f"{name}.py").write_text("raise SystemExit(9)")
    (where / "only_here.py").write_text("found = 5")
    code = "import only_here; import harness.cli; harness.cli.main = lambda: print(only_here.found)"
    program = f"import harness.__main__ as m, sys; sys.path[:] = m._without_here(sys.path); {code}; m.main()"
    got = ended(where, "-c", program, paths=paths)
    assert got == (0, "5\n")


def test_the_folder_of_the_package_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a checkout of the harness, and where the working folder is gone, the places are as they were."""
    monkeypatch.chdir(Path(harness.__file__).parent.parent)
    from harness.__main__ import _without_here

    assert _without_here(sys.path) == sys.path
    assert _without_here(["", *sys.path]) == ["", *sys.path]


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version_is_told_at_once(flag: str) -> None:
    """Without the packages that take long to load."""
    code = (
        "import sys, harness.cli\n"
        f"sys.argv[1:] = [{flag!r}]\n"
        "try: harness.cli.main()\n"
        "finally: assert not {'numpy', 'torch', 'pydantic', 'rich'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"harness {harness.__version__}\n"), done.stderr
