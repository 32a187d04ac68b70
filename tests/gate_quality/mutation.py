"""Mutants of the code that compares numbers with thresholds, and which of them the unit tests kill.

Each comparison, connective, bound, constant and outcome of the named functions is changed once, into a copy
of the package; the tests named for that file then run against the copy until one fails. A mutant that they
let pass is a fault that nobody would notice.
"""

from __future__ import annotations

import ast
import compileall
import copy
import hashlib
import importlib
import inspect
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
QUICK_MUTANTS = 16
SECONDS = 60
"""Longer than any test file takes: a mutant that runs on for ever is killed by the clock."""


@dataclass(frozen=True)
class Target:
    """Functions to mutate, by name, and what has to notice.

    Attributes:
        functions: Dotted names; the file is found by what they name.
        tests: Arguments of pytest.
    """

    functions: tuple[str, ...]
    tests: tuple[str, ...]


TARGETS = (
    Target(
        tuple(
            f"harness.criteria.{name}"
            for name in (
                "acceptable",
                "judge",
                "minimum_detectable_difference",
                "_interval",
                "_finite",
                "overall",
                "blame_dead_units",
                "loosened",
                "_loosenings",
                "_inside",
                "loosened_selection",
            )
        ),
        ("tests/test_criteria.py",),
    ),
    Target(
        (
            *(f"harness.judging.verdicts.{name}" for name in ("_verdict", "_gone", "_lost")),
            "harness.judging.publishing.own_rows",
            "harness.criteria.diagnosis._sentence",
        ),
        (
            "tests/test_judging_verdicts.py",
            "-k",
            "the_sentence_ or no_test_judged or suites_verdict or earlier_judgement",
        ),
    ),
    Target(
        ("harness.checks.ended",),
        ("tests/test_checks.py", "-k", "the_end_of_a_phase"),
    ),
    Target(
        tuple(
            f"harness.criteria.rows.{name}"
            for name in ("identify", "settled", "_told_apart", "_single", "_suffixed")
        ),
        ("tests/test_criteria_rows.py",),
    ),
    Target(
        ("harness.statistics.estimate",),
        ("tests/test_statistics.py", "-k", "not covers and not bootstrap and not two_way"),
    ),
    Target(
        ("harness.statistics.stratified_mean",),
        ("tests/test_statistics.py", "-k", "mean and not covers and not two_way"),
    ),
)

EQUIVALENT: dict[str, str] = {
    f"criteria._inside: {mutated}": "at equality the other side of the `or` holds: equal numbers are close"
    for mutated in ("low >= lowest -> low > lowest", "high <= highest -> high < highest")
} | {
    "statistics.estimate: 12 -> 13": "a confidence has few digits: either rounding gives the same number",
    "statistics.estimate: (0, 2) -> (2, 0)": "the order of the axes that are joined changes nothing",
    "statistics.estimate: (0, 2) -> (2, 0) #2": "the order of the axes that are joined changes nothing",
    "statistics.estimate: 0 -> 1 #4": "of seeds that are numbers any may be the first",
}
"""Mutants that no test can tell from the original, by id, with the reason."""


@dataclass(frozen=True)
class Mutant:
    """One change of one file.

    Attributes:
        id: Function, what stood there and what stands there now; numbered where it is changed twice alike.
        path: The file, below the checkout.
        source: The whole changed file.
        tests: Arguments of pytest that have to fail.
    """

    id: str
    path: Path
    source: str
    tests: tuple[str, ...]


COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
NAMES = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "mean": "nanmean",
    "isinf": "isnan",
    "isnan": "isinf",
}
OUTCOMES = {"pass": ("fail", "error"), "fail": ("pass", "error"), "error": ("pass", "fail")}


def alternatives(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place: its neighbours, one change each."""
    changed: Any = copy.deepcopy(node)
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            for other in COMPARISONS[type(operator)]:
                changed = copy.deepcopy(node)
                changed.ops[place] = other()
                yield changed
    elif isinstance(node, ast.BoolOp):
        changed.op = ast.And() if isinstance(node.op, ast.Or) else ast.Or()
        yield changed
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
        yield changed.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC and not _is_text(node):
        changed.op = ARITHMETIC[type(node.op)]()
        yield changed
    elif isinstance(node, ast.Name) and node.id in NAMES:
        changed.id = NAMES[node.id]
        yield changed
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        changed.attr = NAMES[node.attr]
        # only numpy itself has nanmean: values.mean() becomes np.nanmean(values) one floor up
        if node.attr != "mean":
            yield changed
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "mean":
        owner = node.func.value
        own = isinstance(owner, ast.Name) and owner.id == "np"
        changed.func = ast.Attribute(ast.Name("np", ast.Load()), "nanmean", ast.Load())
        changed.args = changed.args if own else [copy.deepcopy(owner), *changed.args]
        yield changed
    elif isinstance(node, ast.Constant):
        yield from (ast.Constant(value) for value in _other_constants(node.value))
    elif isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Load) and len(node.elts) == 2:
        changed.elts.reverse()
        yield changed
    elif isinstance(node, ast.If | ast.IfExp) and isinstance(node.test, ast.Name | ast.Attribute | ast.Call):
        changed.test = ast.UnaryOp(ast.Not(), changed.test)
        yield changed


def _is_text(node: ast.BinOp) -> bool:
    """Whether it joins texts or lists, which have no neighbouring operator."""
    sides = (node.left, node.right)
    kinds = (ast.JoinedStr, ast.List, ast.ListComp)
    return any(
        isinstance(s, kinds) or (isinstance(s, ast.Constant) and isinstance(s.value, str)) for s in sides
    )


def _other_constants(value: object) -> Sequence[int | str]:
    if isinstance(value, bool):
        return (not value,)
    if isinstance(value, int):
        return {0: (1,), 1: (0,)}.get(value, (value + 1,))
    return OUTCOMES.get(value, ()) if isinstance(value, str) else ()


def _sites(function: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Every place below a function that holds a node: parent, field and place in a list; texts left out."""
    for name, value in ast.iter_fields(function):
        # signatures and annotations compare nothing; a docstring and what is shown are words
        if name in ("args", "returns", "annotation", "decorator_list") and not isinstance(function, ast.Call):
            continue
        children = value if isinstance(value, list) else [value]
        for place, child in enumerate(children):
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr | ast.Raise):
                yield function, name, place if isinstance(value, list) else None
                yield from _sites(child)


def mutants_of(path: Path, functions: Sequence[str], tests: Sequence[str], module: str) -> list[Mutant]:
    """Every mutant of a file's functions.

    Raises:
        ValueError: a function that the file does not define at its top.
    """
    text = (ROOT / path).read_text(encoding="utf-8")
    found: list[Mutant] = []
    counts: Counter[str] = Counter()
    for name in functions:
        tree = ast.parse(text)
        function = next(
            (one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == name), None
        )
        if function is None:
            raise ValueError(f"{path}: must define the function {name!r}, which is to be mutated")
        for parent, field, place in list(_sites(function)):
            held = getattr(parent, field)
            node = held if place is None else held[place]
            for other in alternatives(node):
                _put(parent, field, place, other)
                change = f"{module}.{name}: {_shown(node)} -> {_shown(other)}"
                counts[change] += 1
                number = f" #{counts[change]}" if counts[change] > 1 else ""
                source = ast.unparse(ast.fix_missing_locations(tree))
                found.append(Mutant(change + number, path, source, tuple(tests)))
            _put(parent, field, place, node)
    return found


def _put(parent: ast.AST, field: str, place: int | None, node: ast.AST) -> None:
    if place is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[place] = node


def _shown(node: ast.AST) -> str:
    """A node in one short line; of a branch its condition."""
    text = ast.unparse(node.test if isinstance(node, ast.If) else node)
    return " ".join(text.split())[:120]


def all_mutants() -> list[Mutant]:
    """Every mutant of every target, in their order."""
    found: list[Mutant] = []
    for target in TARGETS:
        by_file: dict[Path, list[str]] = {}
        modules: dict[Path, str] = {}
        for dotted in target.functions:
            module, _, name = dotted.rpartition(".")
            defined = inspect.getsourcefile(getattr(importlib.import_module(module), name))
            assert defined is not None
            path = Path(defined).relative_to(ROOT)
            by_file.setdefault(path, []).append(name)
            modules[path] = module.removeprefix("harness.")
        for path, names in by_file.items():
            found += mutants_of(path, names, target.tests, modules[path])
    return found


def measure(quick: bool, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """How many mutants the unit tests kill, and which survive.

    Args:
        quick: A sample of the mutants.
        folder: Where each result is stored as it comes; those of the same code and tests are taken up.
        say: Tells how far it is.

    Raises:
        RuntimeError: the tests fail where nothing was mutated, or none was collected.
    """
    folder.mkdir(parents=True, exist_ok=True)
    mutants = [one for one in all_mutants() if one.id not in EQUIVALENT]
    if quick:
        mutants = mutants[:: max(1, len(mutants) // QUICK_MUTANTS)]
    log = folder / "mutants.jsonl"
    key = _digest()
    known = {row["id"]: row["killed"] for row in _rows(log) if row["key"] == key}
    todo = [one for one in mutants if one.id not in known]
    start = time.perf_counter()
    if todo:
        with _copied(folder) as place, _server(place) as run, log.open("a", encoding="utf-8") as stream:
            for tests in dict.fromkeys(one.tests for one in todo):
                _check_original(run, tests)
            for number, mutant in enumerate(todo, start=1):
                known[mutant.id] = _is_killed(place, run, mutant)
                row = {"key": key, "id": mutant.id, "killed": known[mutant.id]}
                stream.write(json.dumps(row) + "\n")
                stream.flush()
                if not known[mutant.id]:
                    say(f"survives: {mutant.id}")
                if number % 25 == 0 or number == len(todo):
                    say(f"mutants: {number}/{len(todo)} in {time.perf_counter() - start:.0f} s")
    survivors = [one.id for one in mutants if not known[one.id]]
    return {
        "mutants": len(mutants),
        "killed": len(mutants) - len(survivors),
        "survivors": survivors,
        "equivalent": EQUIVALENT,
    }


def _rows(log: Path) -> Iterator[dict[str, Any]]:
    """The stored results; a line that was broken off is none."""
    for line in log.read_text(encoding="utf-8").splitlines() if log.is_file() else ():
        with suppress(json.JSONDecodeError):
            yield json.loads(line)


def _digest() -> str:
    """Of everything that a result depends on: the package, its tests and this file."""
    digest = hashlib.sha256(sys.version.encode())
    files = [*(ROOT / "harness").rglob("*.py"), *(ROOT / "tests").glob("*.py"), Path(__file__)]
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@contextmanager
def _copied(folder: Path) -> Iterator[Path]:
    """A copy of package, suite and tests, compiled; it is gone afterwards."""
    place = folder / "copy"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    ignored = shutil.ignore_patterns("__pycache__", "data")
    for name in ("harness", "validation", "tests"):
        shutil.copytree(ROOT / name, place / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", place)
    compileall.compile_dir(str(place / "harness"), quiet=1)
    try:
        yield place
    finally:
        shutil.rmtree(place)


Run = Callable[[Sequence[str]], int]


@contextmanager
def _server(place: Path) -> Iterator[Run]:
    """Runs pytest in the copy: a process of its own for each, forked from one that has numpy loaded."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, __file__, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=place,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    asked, told = process.stdin, process.stdout

    def run(arguments: Sequence[str]) -> int:
        asked.write(json.dumps(list(arguments)) + "\n")
        asked.flush()
        return int(told.readline())

    try:
        yield run
    finally:
        asked.close()
        told.close()
        process.wait()


def _arguments(tests: Sequence[str]) -> list[str]:
    return [*tests, "-x", "-q", "--noconftest", "-p", "no:cacheprovider"]


def _check_original(run: Run, tests: Sequence[str]) -> None:
    """Without it a broken copy would pass for a test that kills everything."""
    code = run(_arguments(tests))
    if code != 0:
        raise RuntimeError(
            f"pytest {' '.join(tests)}: must pass where nothing was mutated (got exit code {code})"
        )


def _is_killed(place: Path, run: Run, mutant: Mutant) -> bool:
    target = place / mutant.path
    original = target.read_text(encoding="utf-8")
    # bytecode is told apart by seconds and size, which a mutant may share with the original
    Path(cache_from_source(str(target))).unlink(missing_ok=True)
    target.write_text(mutant.source, encoding="utf-8")
    try:
        return run(_arguments(mutant.tests)) != 0
    finally:
        target.write_text(original, encoding="utf-8")


def serve(place: Path) -> None:
    """Answer each line of pytest's arguments with its exit code, from a fork."""
    import pytest

    for name in ("hypothesis", "numpy", "pandas", "pydantic", "scipy.special", "scipy.stats"):
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
                os.dup2(nowhere.fileno(), 1)
                os.dup2(nowhere.fileno(), 2)
            # the mutated file leaves no bytecode behind
            sys.dont_write_bytecode = True
            os._exit(int(pytest.main(json.loads(line))))
        print(_waited(child), flush=True)


def _waited(child: int) -> int:
    """The child's exit code; -9 where it had to be stopped."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


if __name__ == "__main__":
    # beside this file lie modules of common names
    sys.path[0] = sys.argv[1]
    serve(Path(sys.argv[1]))
