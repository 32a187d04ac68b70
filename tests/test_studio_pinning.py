"""What was seen becomes a test: it is written once, only where it may be, and it can fail."""

from __future__ import annotations

import ast
import shutil
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.artifacts.directories import RunDirectory
from harness.errors import InputError, OutputError, RunError
from harness.judging import suite, verdicts
from harness.runs import Run
from harness.studio import pinning
from harness.studio.asked import Question
from harness.studio.pinning import Pinned
from tests.studio_runs import ABOUT, FakeLive
from tests.written import a_run

INPUTS = np.array([0, 1, 0.5, 0, 0, 0], dtype=np.float32)
HOSTILE = "'''\"\"\"\n{0}{name}\\'; import os; os._exit(9) #\u202e"


def a_question(**changed: Any) -> Question:
    known = Question(0, 0, None, None, None, (), frozenset(), 4, INPUTS)
    return pinning.to_pin(replace(known, **changed))


def answer_of(live: Any, question: Question) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for part in live.answer(question):
        found |= part
    return found


def pin(folder: Path, name: str = "boot", live: FakeLive | None = None, **changed: Any) -> dict[str, str]:
    live, question = live or FakeLive(), a_question(**changed)
    return pinning.pin(folder, name, question, live.about, answer_of(live, question))


STAND_IN = '''
"""Lets the checks beside it ask a run that answers without a network."""
import sys
from types import ModuleType

sys.path.insert(0, {tests!r})
from tests.studio_runs import FakeLive

class Live(FakeLive):
    def __init__(self, run):
        super().__init__({about!r}, {lies!r})

sys.modules["harness.studio.live"] = ModuleType("harness.studio.live")
sys.modules["harness.studio.live"].Live = Live
'''


def judged(
    tmp_path: Path, folder: Path, about: dict[str, Any] | None = None, lies: str = ""
) -> dict[str, str]:
    """What the checks of the folder say, in their own process, of a run whose network is a stand-in."""
    there = textwrap.dedent(STAND_IN).format(
        tests=str(Path(__file__).parent.parent), about=about or {}, lies=lies
    )
    (folder / "conftest.py").write_text(there, encoding="utf-8")
    run = a_run(tmp_path / "artifacts")
    try:
        found = suite.run(run.path, folder, strict=False, scratch=tmp_path, own=True)
    finally:
        shutil.rmtree(run.path)
    return {name: row.verdict for name, row in found.rows.items()}


def test_a_check_is_a_test_and_its_input(tmp_path: Path) -> None:
    """Both below the folder, the input to the last bit."""
    folder = tmp_path / "checks"
    assert pin(folder) == {"file": "checks/test_boot.py", "frozen": "checks/frozen/boot.npy"}
    assert sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*")) == [
        "frozen",
        "frozen/boot.npy",
        "test_boot.py",
    ]
    np.testing.assert_array_equal(np.load(folder / "frozen" / "boot.npy", allow_pickle=False), INPUTS)
    text = (folder / "test_boot.py").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 110


ALL = {"boot.the_class_stays", "boot.the_methods_agree_as_they_did", "boot.the_maps_are_what_they_claim"}


def test_a_check_holds_of_the_run_that_it_was_seen_in(tmp_path: Path) -> None:
    """Under `harness judge`, in its own process: three gates, each with a sentence."""
    pin(tmp_path / "checks")
    assert judged(tmp_path, tmp_path / "checks") == dict.fromkeys(ALL, "pass")


@pytest.mark.thorough
def test_a_check_can_fail(tmp_path: Path) -> None:
    """Each of its tests by itself: the class, the agreement, the definitions."""
    folder = tmp_path / "checks"
    pin(folder)
    others = judged(tmp_path, folder, {"classes": ["boot", "shirt", "bag"]})
    assert {name for name, verdict in others.items() if verdict == "fail"} == {"boot.the_class_stays"}
    lying = judged(tmp_path, folder, lies="gradients")
    assert {name for name, verdict in lying.items() if verdict == "fail"} == {
        "boot.the_maps_are_what_they_claim"
    }
    text = (folder / "test_boot.py").read_text(encoding="utf-8")
    assert "AGREEMENT, MARGIN = 0.25, 0.1" in text
    (folder / "test_boot.py").write_text(text.replace("= 0.25, 0.1", "= 0.36, 0.1"), encoding="utf-8")
    low = judged(tmp_path, folder)
    assert {name for name, verdict in low.items() if verdict == "fail"} == {
        "boot.the_methods_agree_as_they_did"
    }


@pytest.mark.thorough
def test_a_light_that_was_red_is_a_red_check(tmp_path: Path) -> None:
    """Until the method is what it claims to be."""
    folder = tmp_path / "checks"
    pin(folder, live=FakeLive(lies="gradients"))
    assert judged(tmp_path, folder, lies="gradients")["boot.the_maps_are_what_they_claim"] == "fail"
    assert judged(tmp_path, folder)["boot.the_maps_are_what_they_claim"] == "pass"


@pytest.mark.thorough
@pytest.mark.parametrize(
    "about",
    [
        {"features": 7},
        {"methods": ABOUT["methods"][:1]},
        {"classes": ["trouser", "pullover", "bag"]},
    ],
    ids=["of other inputs", "without a method", "without the class"],
)
def test_a_run_that_cannot_be_asked_is_an_error(tmp_path: Path, about: dict[str, Any]) -> None:
    """Neither a pass nor a fail."""
    pin(tmp_path / "checks")
    assert set(judged(tmp_path, tmp_path / "checks", about).values()) == {"error"}


@pytest.mark.thorough
def test_an_input_that_was_changed_is_an_error(tmp_path: Path) -> None:
    """So is one that is gone: the test is of what was seen, and of nothing else."""
    folder = tmp_path / "checks"
    pin(folder)
    np.save(folder / "frozen" / "boot.npy", INPUTS * 0.5)
    assert set(judged(tmp_path, folder).values()) == {"error"}
    (folder / "frozen" / "boot.npy").unlink()
    assert set(judged(tmp_path, folder).values()) == {"error"}


def test_what_was_asked_is_asked_again(tmp_path: Path) -> None:
    """Classes by name, for their places may change; the seed where the run has it."""
    folder = tmp_path / "checks"
    pin(folder, target=2, against=0, methods=("gradients",), seed=3)
    values: dict[str, Any] = {"Pinned": Pinned, "Path": Path, "__file__": str(folder / "test_boot.py")}
    source = ast.parse((folder / "test_boot.py").read_text(encoding="utf-8"))
    node = next(one for one in source.body if isinstance(one, ast.Assign))
    exec(compile(ast.Module([node], []), "check", "exec"), values)
    pinned = values["PINNED"]
    assert (pinned.target, pinned.against, pinned.methods, pinned.seed) == ("bag", "shirt", ("gradients",), 3)
    question = pinned.question(ABOUT | {"classes": ["bag", "boot", "shirt"]})
    assert (question.target, question.against, question.seed, question.units) == (0, 2, 3, ())
    assert question.parts == pinning.PARTS
    np.testing.assert_array_equal(question.inputs, INPUTS)
    assert pinned.question(ABOUT | {"seeds": [8, 9], "seed": 8}).seed == 8
    with pytest.raises(RunError, match="has no class 'bag'"):
        pinned.question(ABOUT | {"classes": ["shirt", "boot", "sock"]})


def test_a_contrast_that_is_none_is_pinned_as_none(tmp_path: Path) -> None:
    """Where the class to be taken away is the predicted one, the check asks for that class alone."""
    pin(tmp_path, against=1)
    text = (tmp_path / "test_boot.py").read_text(encoding="utf-8")
    assert 'target="boot",' in text.replace("'", '"')
    assert "against=None," in text


def test_a_check_of_one_method_has_no_agreement(tmp_path: Path) -> None:
    """Nor of methods of which no definition is known a test of it; the class is always there."""
    question = a_question()
    answer = answer_of(FakeLive(), question) | {"agreement": None}
    answer["integrity"] = [one | {"holds": None} for one in answer["integrity"]]
    pinning.pin(tmp_path, "boot", question, ABOUT, answer)
    names = [
        one.name
        for one in ast.walk(ast.parse((tmp_path / "test_boot.py").read_text()))
        if hasattr(one, "name")
    ]
    assert [name for name in names if name.startswith("test_")] == ["test_the_class_stays"]


def test_hostile_names_are_literals_and_nothing_else(tmp_path: Path) -> None:
    """A class, a method, a run may be called anything; the file is what it would be, and runs nothing."""
    methods = [{"name": HOSTILE, "title": HOSTILE, "space": "contribution", "control": False}]
    live = FakeLive({"classes": ["a", HOSTILE, "c"], "methods": methods, "id": HOSTILE})
    plain = FakeLive({"methods": [methods[0] | {"name": "m"}]})
    pin(tmp_path / "hostile", live=live, against=2)
    pin(tmp_path / "plain", live=plain, against=2)
    text = (tmp_path / "hostile" / "test_boot.py").read_text(encoding="utf-8")
    assert text.isascii()
    trees = [ast.parse((tmp_path / name / "test_boot.py").read_text()) for name in ("hostile", "plain")]
    shapes = [[type(node) for node in ast.walk(tree)] for tree in trees]
    assert shapes[0] == shapes[1]
    literals = {node.value for node in ast.walk(trees[0]) if isinstance(node, ast.Constant)}
    assert HOSTILE in literals


@pytest.mark.parametrize(
    "name", ["", "..", "../x", "a/b", "a\\b", "A", "1a", "a-b", "a b", "a.py", "a\n", "a" * 61, "é", "a\0"]
)
def test_a_name_is_a_plain_one(tmp_path: Path, name: str) -> None:
    """Anything else is refused before a folder is made."""
    with pytest.raises(InputError, match="a check's name has"):
        pin(tmp_path / "checks", name)
    assert not (tmp_path / "checks").exists()


def test_switched_units_are_no_check() -> None:
    """Another network's units are others."""
    with pytest.raises(InputError, match="reset them"):
        a_question(units=((1, "set", 0.0),))


@pytest.mark.parametrize("taken", ["test_boot.py", "frozen/boot.npy"])
@pytest.mark.parametrize("how", ["file", "link", "link to nothing", "folder"])
def test_nothing_is_overwritten(tmp_path: Path, taken: str, how: str) -> None:
    """Neither of the two files, nor what a link in its place leads to; the other is not left behind."""
    folder, elsewhere = tmp_path / "checks", tmp_path / "precious"
    place = folder / taken
    place.parent.mkdir(parents=True)
    if how == "folder":
        place.mkdir()
    elif how == "file":
        place.write_text("mine")
    else:
        place.symlink_to(elsewhere)
        if how == "link":
            elsewhere.write_text("mine")
    with pytest.raises(OutputError, match="is there already") as refused:
        pin(folder)
    assert str(tmp_path) not in str(refused.value)
    assert [one for one in folder.rglob("*") if one.name != "frozen"] == [place]
    assert how in ("folder", "link to nothing") or place.read_text() == "mine"
    assert elsewhere.exists() == (how == "link")


def test_a_frozen_folder_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    """Nothing is written outside of the folder of checks."""
    folder, elsewhere = tmp_path / "checks", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (folder / "frozen").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="leads out"):
        pin(folder)
    assert not [*elsewhere.iterdir()]


def test_a_file_in_the_place_of_the_frozen_folder_is_named(tmp_path: Path) -> None:
    """Another name of the check would not help."""
    (tmp_path / "frozen").write_text("mine")
    with pytest.raises(OutputError, match="frozen is there, and is no folder"):
        pin(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["frozen"]


def test_a_folder_of_checks_that_is_a_link_is_where_it_leads(tmp_path: Path) -> None:
    """Whoever named it meant it."""
    (tmp_path / "real").mkdir()
    (tmp_path / "checks").symlink_to(tmp_path / "real")
    pin(tmp_path / "checks")
    assert (tmp_path / "real" / "test_boot.py").is_file()


def test_a_run_is_no_place_for_a_check(tmp_path: Path) -> None:
    """It is data, and `judge` would refuse the folder."""
    run = a_run(tmp_path / "artifacts")
    with pytest.raises(OutputError, match="which are data"):
        pin(run.path / "checks")
    assert not (run.path / "checks").exists()


def test_a_disk_that_refuses_leaves_nothing_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a test without its input nor an input without its test."""
    written = pinning._write_new

    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".py":
            raise OSError(28, "No space left on device", str(path))
        written(path, content)

    monkeypatch.setattr(pinning, "_write_new", full)
    with pytest.raises(
        OutputError, match=r"test_boot.py cannot be written \(No space left on device\)"
    ) as refused:
        pin(tmp_path / "checks")
    assert str(tmp_path) not in str(refused.value)
    assert [one.name for one in (tmp_path / "checks").rglob("*")] == ["frozen"]


@pytest.mark.thorough
def test_a_check_asks_a_real_run(finished: RunDirectory, tmp_path: Path) -> None:
    """Made of what the studio says of a test image, and judged as nights are: it holds."""
    from harness.studio.live import Live  # torch with it

    live = Live(Run(RunDirectory.open(finished.path)))
    inputs = live.input(live.about["samples"][0]["index"])
    question = a_question(inputs=inputs, index=live.about["samples"][0]["index"])
    pinning.pin(tmp_path / "checks", "boot", question, live.about, answer_of(live, question))
    found = verdicts.judge(finished, checks=tmp_path / "checks")
    rows = {row.id: row for row in found["criteria"] if row.id in ALL}
    assert {name: row.verdict for name, row in rows.items()} == dict.fromkeys(ALL, "pass")
    assert all(row.gate for row in rows.values())
