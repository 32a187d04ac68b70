"""The judging process: nothing of the user's surroundings reaches it, and own tests find their own."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from harness.artifacts.files import shipped
from harness.errors import RunError
from harness.judging import suite
from tests.written import a_run

VALIDATION = shipped("validation")
HOSTILE = "raise SystemExit(f'{__name__} of the working folder was loaded')\n"
PACKAGES = (
    "harness",
    "numpy",
    "pytest",
    "_pytest",
    "pluggy",
    "iniconfig",
    "packaging",
    "pydantic",
    "tomli_w",
)
CUSTOM = ("sitecustomize", "usercustomize", "conftest")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run by which every shipped criterion holds."""
    return a_run(tmp_path / "artifacts").path


@pytest.fixture
def judge(tmp_path: Path, run: Path) -> Any:
    """Judges that run by a folder of tests of one's own."""

    def judged(folder: Path, **changed: Any) -> suite.Judged:
        known: dict[str, Any] = dict(strict=False, scratch=tmp_path, own=True)
        return suite.run(run, folder, **known | changed)

    return judged


def folder_of(path: Path, **files: str) -> Path:
    """A folder of Python files."""
    path.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (path / f"{name}.py").write_text(textwrap.dedent(text), encoding="utf-8")
    return path


def outcomes(judged: suite.Judged) -> dict[str, str]:
    return {name: row.verdict for name, row in judged.rows.items()}


def shadows(path: Path) -> Path:
    """A folder in which every module that an interpreter could import has a namesake that ends it."""
    names = [name for name in sys.stdlib_module_names if importlib.util.find_spec(name) is not None]
    return folder_of(path, **dict.fromkeys([*names, *PACKAGES, *CUSTOM], HOSTILE))


HOSTILE_VARIABLES = {
    "PYTEST_ADDOPTS": "-k nothing",
    "PYTEST_PLUGINS": "not_there",
    "PYTEST_DEBUG": "1",
    "PYTHONINSPECT": "1",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONIOENCODING": "ascii:strict",
    "PYTHONSAFEPATH": "",
    "PYTHONUTF8": "0",
    "PYTHONVERBOSE": "1",
    "PYTHONDEVMODE": "1",
    "PYTHONBREAKPOINT": "nowhere.at_all",
    "LC_ALL": "C",
    "TMPDIR": "/not/there",
}


@pytest.mark.thorough
@pytest.mark.parametrize("path", ["", ".", ":", "..:.", "HERE"])
def test_nothing_of_the_users_goes_before_what_is_installed(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """Namesakes of every module, also on PYTHONPATH, and options of any kind reach no process (fault 59)."""
    working = shadows(tmp_path / "working")
    (working / "pytest.ini").write_text("[pytest]\naddopts = -k nothing\n")
    monkeypatch.chdir(working)
    for name, value in HOSTILE_VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PYTHONPATH", path.replace("HERE", str(working)))
    judged = suite.run(run, VALIDATION, strict=False, scratch=tmp_path, own=False)
    assert set(outcomes(judged).values()) == {"pass"}, judged.printed
    own = folder_of(working / "checks", test_x="def test_a(run, estimates): assert run.classes\n")
    (own / "statistics.py").write_text(HOSTILE)
    judged = suite.run(run, own, strict=False, scratch=tmp_path, own=True)
    assert outcomes(judged) == {"x.a": "pass"}, judged.printed


def test_own_tests_find_their_own_neighbours(
    tmp_path: Path, judge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Modules beside them, in the working folder and on PYTHONPATH, relative files, variables, conftest."""
    working = folder_of(tmp_path / "working", of_working="value = 1\n")
    (working / "data.txt").write_text("ü", encoding="utf-8")
    folder_of(working / "lent", of_path="value = 2\n")
    folder_of(working / "shop", __init__="", pricing="value = 4\n")
    own = folder_of(
        working / "checks",
        beside="value = 3\n",
        conftest="""
            from pathlib import Path

            import pytest

            import beside
            text = Path("data.txt").read_text()

            @pytest.fixture
            def lent():
                return text
            """,
        test_x="""
            import os
            import subprocess
            import sys
            import tempfile

            import beside
            import of_path
            import of_working
            from shop import pricing

            def test_modules():
                assert (of_working.value, of_path.value, beside.value, pricing.value) == (1, 2, 3, 4)

            def test_files(lent, tmp_path):
                assert lent == "ü"
                (tmp_path / "x").write_text("x")

            def test_processes():
                code = "import of_path; print(of_path.value)"
                assert subprocess.check_output([sys.executable, "-c", code]) == b"2\\n"
                assert os.environ["PYTHONHARNESS"] == "theirs"
                assert "HARNESS_ASIDE_PYTHONPATH" not in os.environ

            def test_temporary():
                with tempfile.NamedTemporaryFile() as file:
                    assert "judging-" in file.name
            """,
    )
    monkeypatch.chdir(working)
    monkeypatch.setenv("PYTHONPATH", "lent")
    monkeypatch.setenv("PYTHONHARNESS", "theirs")
    judged = judge(Path("checks"), scratch=Path(".."))
    assert outcomes(judged) == dict.fromkeys(("x.modules", "x.files", "x.processes", "x.temporary"), "pass")
    assert own.is_dir()


def test_a_conftest_above_the_folder_is_not_loaded(tmp_path: Path, judge: Any) -> None:
    """It belongs to the user's own tests; the folder's is loaded, and those below it."""
    fixture = "import pytest\n@pytest.fixture\ndef {}(): return 1\n"
    folder_of(tmp_path / "project", conftest="import a_module_of_theirs\n", __init__="")
    own = folder_of(
        tmp_path / "project" / "checks",
        conftest=fixture.format("upper"),
        test_x="def test_a(upper): assert upper == 1\n",
    )
    folder_of(own / "below", conftest=fixture.format("lower"), test_x="def test_a(upper, lower): ...\n")
    judged = judge(own)
    assert sorted(row.measurement for row in judged.rows.values()) == [
        "below/test_x.py::test_a",
        "test_x.py::test_a",
    ]
    assert set(outcomes(judged).values()) == {"pass"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name",
    [
        "a[1]",
        "[x]",
        "a::b",
        "\udcff",
        "a b%20$HOME'\"",
        "ünïcode 漢",
        "-q",
        "build",
        ".hidden",
        "harness",
        "test_x.py",
    ],
)
def test_a_folder_may_bear_any_name(tmp_path: Path, judge: Any, name: str) -> None:
    """What pytest would take for parameters, options or folders to pass over is a name like any other."""
    own = folder_of(
        tmp_path / name / name,
        __init__="",
        beside="value = 1\n",
        test_x="""
            import harness.records
            from beside import value

            def test_a(run): assert value == 1 and harness.records.Verdict
            """,
    )
    assert outcomes(judge(own)) == {"x.a": "pass"}


@pytest.mark.thorough
def test_the_harness_may_lie_anywhere(tmp_path: Path, run: Path) -> None:
    """An installation whose path pytest would read otherwise judges as any, with its own package."""
    place = tmp_path / "p[2] ü%41 $HOME"
    place.mkdir()
    (place / "harness").symlink_to(Path(suite.__file__).parents[1])
    (place / "validation").symlink_to(VALIDATION)
    code = (
        "import sys; from pathlib import Path; from harness.judging import suite\n"
        "from harness.artifacts.files import shipped; run, scratch = map(Path, sys.argv[1:])\n"
        "found = suite.run(run, shipped('validation'), strict=False, scratch=scratch, own=False)\n"
        "assert found.rows and all(row.holds for row in found.rows.values()), found.printed\n"
    )
    command = [sys.executable, "-c", code, str(run), str(tmp_path)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(place)}, cwd=place)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("conftest", "test", "words"),
    [
        ("raise RuntimeError('broken set-up')", "def test_a(): ...", "broken set-up"),
        ("import a_module_of_theirs", "def test_a(): ...", "No module named 'a_module_of_theirs'"),
        ("", "import os\ndef test_a(): os._exit(0)", "could not be run (pytest ended with 0)"),
        (
            "",
            "import os, signal\ndef test_a(): os.kill(os.getpid(), signal.SIGKILL)",
            "could not be run (pytest ended with -9)",
        ),
        (
            "def pytest_sessionfinish(session): session.exitstatus = 1",
            "def test_a(): ...",
            "did not run to their end (pytest ended with 1)",
        ),
        ("", "", "no test was collected from it"),
    ],
    ids=["conftest", "missing module", "leaves", "killed", "code", "empty"],
)
def test_a_folder_that_cannot_be_judged_is_an_error_of_its_own(
    tmp_path: Path, judge: Any, run: Path, conftest: str, test: str, words: str
) -> None:
    """Own tests that end their process take no other row with them; the suite's that do raise (fault 49)."""
    own = folder_of(tmp_path / "Mine", conftest=conftest, test_x=test)
    judged = judge(own)
    assert judged.rows["mine"].verdict == "error"
    assert judged.rows["mine"].gate
    assert words in judged.rows["mine"].why
    assert judged.cases["mine"].classname == "checks"
    if test:
        (own / "pytest.ini").write_text((VALIDATION / "pytest.ini").read_text())
        with pytest.raises(RunError, match=r"the criteria (could not|did not)"):
            judge(own, own=False)


def test_a_folder_that_must_not_be_entered_is_an_error_of_its_own(
    tmp_path: Path, judge: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's words say why; so does an error of the suite."""

    def refused(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied", "mine")

    monkeypatch.setattr(subprocess, "Popen", refused)
    assert "Permission denied: 'mine'" in judge(folder_of(tmp_path / "mine")).rows["mine"].why
    with pytest.raises(RunError, match="Permission denied"):
        judge(VALIDATION, own=False)


def test_the_working_folder_may_be_gone(tmp_path: Path, judge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of an absolute path is judged wherever one stands."""
    own = folder_of(tmp_path / "mine", test_x="def test_a(): ...\n")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert outcomes(judge(own)) == {"x.a": "pass"}


def test_a_folder_that_is_not_there_is_an_error_of_its_own(tmp_path: Path, judge: Any) -> None:
    """Nothing is run for it."""
    assert judge(tmp_path / "gone").rows["gone"].why == f"checks {tmp_path / 'gone'}: there is no such folder"


def test_time_that_is_over_is_an_error(tmp_path: Path, judge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the suite it raises, of own tests it is a row."""
    monkeypatch.setattr(suite, "SECONDS", 0.01)
    own = folder_of(tmp_path / "mine", test_x="def test_a(): ...\n")
    assert "took over 0.01 s" in judge(own).rows["mine"].why
    with pytest.raises(RunError, match=r"the criteria took over 0\.01 s"):
        judge(VALIDATION, own=False)


def test_a_red_part_of_a_test_makes_the_test_red(tmp_path: Path, judge: Any) -> None:
    """Whatever the whole says after it."""
    pytest.importorskip("_pytest.subtests")
    own = folder_of(
        tmp_path / "mine",
        test_x="""
            def test_a(subtests):
                for number in (1, 2, 3):
                    with subtests.test():
                        assert number != 2, "two"
            """,
    )
    judged = judge(own)
    assert judged.rows["x.a"].verdict == "fail"
    assert "two" in judged.cases["x.a"].text


def test_every_row_has_the_test_that_gave_it(tmp_path: Path, judge: Any) -> None:
    """Its class with the file's path, its name, its time, and what pytest says where it is red."""
    own = folder_of(
        tmp_path / "mine",
        test_x="""
            import time

            class TestGroup:
                def test_a(self):
                    time.sleep(0.01)
                    assert 1 == 2, "one\\x1b[31m is\\x00 not two"
            """,
        test_broken="this is no Python\n",
    )
    cases = judge(own).cases
    assert (cases["x.group.a"].classname, cases["x.group.a"].name) == ("test_x.TestGroup", "test_a")
    assert 0.01 <= cases["x.group.a"].seconds < 60
    assert "one is not two" in cases["x.group.a"].text
    assert "SyntaxError" in cases["broken"].text


@pytest.mark.thorough
def test_tests_of_several_folders_are_one_set_of_rows(tmp_path: Path, judge: Any) -> None:
    """What they share is settled: of a criterion the worst, of one id two, each with its test."""
    asserting = (
        "import pytest\n@pytest.mark.criterion('accuracy')\ndef test_it(criterion): assert {}, 'few'\n"
    )
    one = folder_of(tmp_path / "a", test_x="def test_A(): ...\n", test_c=asserting.format(True))
    two = folder_of(tmp_path / "b", test_x="def test_a(): assert False\n", test_c=asserting.format(False))
    judged = suite.together([judge(one), judge(two)])
    found = sorted((row.measurement, row.verdict) for row in judged.rows.values())
    assert found == [("accuracy", "fail"), ("test_x.py::test_A", "pass"), ("test_x.py::test_a", "fail")]
    assert set(judged.cases) == set(judged.rows)
    assert "few" in judged.cases["accuracy"].text


@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_interrupts_judging_leaves_no_process_behind(
    tmp_path: Path, run: Path, number: signal.Signals
) -> None:
    """The process is killed with all that it started."""
    own = folder_of(
        tmp_path / "mine",
        test_x=f"""
            import pathlib, subprocess, sys, time

            def test_a():
                code = "import time; time.sleep(600)"
                child = subprocess.Popen([sys.executable, "-c", code])
                pathlib.Path({str(tmp_path / "pid")!r}).write_text(f"{{child.pid}}\\n")
                time.sleep(600)
            """,
    )
    code = (
        "import signal, sys; from pathlib import Path; from harness.judging import suite\n"
        "def end(*_): raise KeyboardInterrupt\n"
        "signal.signal(signal.SIGTERM, end); signal.signal(signal.SIGINT, end)\n"
        "run, own, scratch = map(Path, sys.argv[1:])\n"
        "try: suite.run(run, own, strict=False, scratch=scratch, own=True)\n"
        "except KeyboardInterrupt: sys.exit(7)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(run), str(own), str(tmp_path)])
    while not ((tmp_path / "pid").is_file() and (tmp_path / "pid").read_text().endswith("\n")):
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(number)
    assert process.wait(60) == 7
    child = int((tmp_path / "pid").read_text())
    for _ in range(200):
        if not alive(child):
            return
        time.sleep(0.05)
    pytest.fail("what a test had started still runs")


def alive(number: int) -> bool:
    """Whether a process runs; one that only waits to be asked how it ended does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
