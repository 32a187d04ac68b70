"""Mutants change one thing each, and are killed only by tests that fail."""

from __future__ import annotations

import ast
import difflib
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.gate_quality import mutation
from tests.gate_quality.mutation import Mutant, all_mutants, alternatives, measure, mutants_of


@pytest.fixture(scope="module")
def mutants() -> list[Mutant]:
    return all_mutants()


def others(expression: str) -> set[str]:
    """What an expression's outermost node may be changed to."""
    return {ast.unparse(one) for one in alternatives(ast.parse(expression, mode="eval").body)}


@pytest.mark.parametrize(
    ("expression", "changed"),
    [
        ("a >= b", {"a > b", "a < b"}),
        ("a < b", {"a <= b", "a >= b"}),
        ("a == b", {"a != b"}),
        ("a is None", {"a is not None"}),
        ("a in b", {"a not in b"}),
        ("a <= b <= c", {"a < b <= c", "a > b <= c", "a <= b < c", "a <= b > c"}),
        ("a and b", {"a or b"}),
        ("not a", {"a"}),
        ("-a", {"a"}),
        ("a + b", {"a - b"}),
        ("a * b", {"a / b"}),
        ("a + 'text'", set()),
        ("min", {"max"}),
        ("np.isinf", {"np.isnan"}),
        ("np.mean(a, axis=0)", {"np.nanmean(a, axis=0)"}),
        ("a.mean(axis=0)", {"np.nanmean(a, axis=0)"}),
        ("0", {"1"}),
        ("2", {"3"}),
        ("True", {"False"}),
        ("'error'", {"'pass'", "'fail'"}),
        ("'word'", set()),
        ("0.5", set()),
        ("(low, high)", {"(high, low)"}),
        ("a if holds else b", {"a if not holds else b"}),
    ],
)
def test_each_node_is_changed_to_its_neighbours(expression: str, changed: set[str]) -> None:
    """Comparisons, connectives, bounds, constants and outcomes have neighbours; words have none."""
    assert others(expression) == changed


@pytest.mark.thorough
def test_every_mutant_differs_from_its_file_in_one_line_and_has_an_id_of_its_own(
    mutants: list[Mutant],
) -> None:
    """Each is a whole file that compiles, one line of it changed."""
    assert len({one.id for one in mutants}) == len(mutants)
    original: dict[Path, list[str]] = {}
    for one in mutants:
        if one.path not in original:
            text = (mutation.ROOT / one.path).read_text(encoding="utf-8")
            original[one.path] = ast.unparse(ast.parse(text)).splitlines()
        changed = [
            line
            for line in difflib.unified_diff(original[one.path], one.source.splitlines(), lineterm="", n=0)
            if line[:1] in "+-" and line[:3] not in ("+++", "---")
        ]
        assert [line[0] for line in changed] == ["-", "+"], one.id
        compile(one.source, str(one.path), "exec")


def test_the_comparing_code_is_mutated_where_it_decides(mutants: list[Mutant]) -> None:
    """The comparisons that a wrong verdict could hide in are among the mutants."""
    names = {one.id for one in mutants}
    assert {
        "criteria.judge: lowest <= number <= highest -> lowest < number <= highest",
        "criteria.judge: not inside and (not outside) -> not inside or not outside",
        "criteria.judge: 'error' -> 'pass'",
        "criteria.acceptable: (threshold, math.inf) -> (math.inf, threshold)",
        "criteria.overall: 'error' in outcomes -> 'error' not in outcomes",
        "judging.verdicts._verdict: criterion.id in rows -> criterion.id not in rows",
        "statistics.stratified_mean: np.mean(means, axis=0) -> np.nanmean(means, axis=0)",
    } <= names
    assert any(name.startswith("statistics.estimate: left_out > MISSING_SHARE") for name in names)


def test_what_is_listed_as_equivalent_is_there(mutants: list[Mutant]) -> None:
    """A reason stands for a mutant of today's code, and is a sentence."""
    assert set(mutation.EQUIVALENT) <= {one.id for one in mutants}
    assert all(len(reason.split()) > 4 for reason in mutation.EQUIVALENT.values())


def test_a_function_that_is_gone_is_told() -> None:
    """A target that was renamed is an error, not a smaller number of mutants."""
    with pytest.raises(ValueError, match="must define the function 'judged'"):
        mutants_of(Path("harness/criteria/__init__.py"), ["judged"], [], "criteria")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> list[Mutant]:
    """A mutant that a test kills, and the file as it is, which none can."""
    path, tests = Path("harness/criteria/__init__.py"), ("tests/test_criteria.py", "-k", "dash")
    text = (mutation.ROOT / path).read_text(encoding="utf-8")
    killed = text.replace('return "–" if value is None', 'return "–" if value is not None')
    assert killed != text
    found = [Mutant("killed", path, killed, tests), Mutant("alive", path, text + "# same\n", tests)]
    monkeypatch.setattr(mutation, "all_mutants", lambda: found)
    monkeypatch.setattr(mutation, "_digest", lambda: "this code")
    return found


@pytest.mark.thorough
def test_a_mutant_is_killed_exactly_if_its_tests_fail(
    few: list[Mutant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The survivor is named; what was measured is taken up again; the checkout is left as it was."""
    before = (mutation.ROOT / few[0].path).read_bytes()
    told: list[str] = []
    result = measure(False, tmp_path, told.append)
    assert (result["mutants"], result["killed"], result["survivors"]) == (2, 1, ["alive"])
    assert "survives: alive" in told
    assert (mutation.ROOT / few[0].path).read_bytes() == before
    assert not (tmp_path / "copy").exists()
    monkeypatch.setattr(mutation, "_copied", None)  # would be needed to measure anything anew
    with (tmp_path / "mutants.jsonl").open("a") as stream:
        stream.write('{"key": "broken o')
    assert measure(False, tmp_path, told.append) == result


@pytest.mark.thorough
def test_tests_that_fail_on_the_original_kill_nothing(
    few: list[Mutant], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the tests cannot pass, or none is collected, there is no result."""
    nothing = [Mutant("x", few[0].path, few[0].source, ("tests/test_criteria.py", "-k", "no_such_test"))]
    monkeypatch.setattr(mutation, "all_mutants", lambda: nothing)
    with pytest.raises(RuntimeError, match=r"must pass where nothing was mutated \(got exit code 5\)"):
        measure(False, tmp_path, print)
    assert not (tmp_path / "mutants.jsonl").read_text()


def test_the_quick_measurement_is_a_sample(
    mutants: list[Mutant], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It spreads over several files, and takes less than twice the number it aims at."""
    asked: list[Mutant] = []

    def killed(place: Path, run: mutation.Run, mutant: Mutant) -> bool:
        asked.append(mutant)
        return True

    monkeypatch.setattr(mutation, "all_mutants", lambda: mutants)
    monkeypatch.setattr(mutation, "_copied", lambda folder: nullcontext(folder))
    monkeypatch.setattr(mutation, "_server", lambda _: nullcontext(lambda _: 0))
    monkeypatch.setattr(mutation, "_is_killed", killed)
    measure(True, tmp_path, print)
    assert mutation.QUICK_MUTANTS <= len(asked) < 2 * mutation.QUICK_MUTANTS
    assert len({one.path for one in asked}) >= 3
