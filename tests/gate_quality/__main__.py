"""Judge the gate: `python -m tests.gate_quality` writes `artifacts/gate-quality.json`.

Coverage of each kind of interval, false alarms of clean seeds, planted faults and what caught them, mutants
of the comparing code and what killed them, alarms of nights in which nothing or something changed. Each
result is stored as it comes, so a measurement that was broken off goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch loads; the cores are shared by processes

import numpy as np
from scipy import stats

from harness import engines, environment
from harness.artifacts.files import key_of
from harness.environment import repository
from tests.gate_quality import coverage, curves, explainers, mutation, nights, runs
from tests.gate_quality.components import Components
from tests.gate_quality.faults import FAULTS, LADDERS, Fault

SCHEMA = 1
CLEAN_SEEDS, FAULT_SEEDS, CROSSED_SEEDS = 60, (0, 1, 2), (0, 1, 2, 3, 4)
QUICK_CLEAN_SEEDS, QUICK_COMMANDS = 4, ("sign", "copy", "criterion-skipped")
QUICK_FLAGS = {"samples_per_class": 4}
QUICK_STEP = 3
"""The quick measurement plants each third fault, beside those that go through the command."""

KEEP_THEIR_OWN = ("coverage", "operating-curves", "mutation", "nightly-")
"""What the names of tasks begin with that store their parts themselves, under keys of what they depend on."""

FULL_DATA, FULL_DATA_SEEDS = "fashion-mnist", 20
"""Of what `--only full-data` measures, which takes an hour."""

TOLERATED_ALARMS = 0.05
"""The rate of false alarms that a gate may have."""

Task = tuple[str, Callable[[], Any]]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("artifacts/gate-quality.json"))
    parser.add_argument("--quick", action="store_true", help="a sample of everything, in under 5 minutes")
    parser.add_argument("--fresh", action="store_true", help="take no result of an earlier measurement")
    parser.add_argument(
        "--only",
        choices=["nightly", "full-data", "explainers"],
        help="measure this part alone, and put it in the place of the one that is written",
    )
    asked = parser.parse_args()
    parts = {"nightly": measure_nights, "full-data": measure_full_data, "explainers": measure_explainers}
    measured = parts.get(asked.only, measure)
    result = measured(asked.output, quick=asked.quick, fresh=asked.fresh)
    if asked.only == "full-data":
        alarms = result["false_alarms_full_data"]
        show_alarms(alarms)
        wrong = [f"a clean seed is red: {sentence}" for sentence in alarms["sentences"]]
        result = (_written(asked.output) or {}) | result
    elif asked.only == "explainers":
        show_explainers(result["explainers"])
        wrong = problems_of_explainers(result["explainers"])
        result = (_written(asked.output) or {}) | result
    elif asked.only:
        nights.show(result["nightly"])
        wrong = nights.problems(result["nightly"], quick=asked.quick)
        result = (_written(asked.output) or {}) | result
    else:
        show(result)
        wrong = problems(result)
    if "coverage" in result:
        asked.output.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        print(f"written: {asked.output}")
    else:
        print(f"not written: {asked.output} holds no whole measurement that this part could stand in")
    for sentence in wrong:
        print(f"PROBLEM: {sentence}")
    sys.exit(bool(wrong))


class _Work:
    """Where a measurement keeps what it has, whom it tells, and how it has tasks done."""

    def __init__(self, output: Path, *, quick: bool, fresh: bool) -> None:
        self.start, self.key = time.perf_counter(), code_key()
        looked = repository.look()
        self.commit = looked.commit + (" (changed)" if looked.dirty else "")
        self.folder = output.parent.absolute() / ("gate-quality-quick" if quick else "gate-quality")
        if fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
        self.shared = self.folder / "artifacts"
        self.shared.mkdir(parents=True, exist_ok=True)
        self.cleans = range(QUICK_CLEAN_SEEDS if quick else CLEAN_SEEDS)
        self.clean_tasks = [(f"clean-{seed}", partial(runs.clean, self.shared, seed)) for seed in self.cleans]

    def say(self, text: str) -> None:
        print(f"[{time.perf_counter() - self.start:5.0f} s] {text}", flush=True)

    def run(self, tasks: Iterable[Task]) -> dict[str, Any]:
        """Every task's result, by name."""
        return _all(tasks, folder=self.folder / "runs", key=self.key, say=self.say)

    def false_alarms(self, found: Mapping[str, Any]) -> dict[str, Any]:
        return _false_alarms([found[name] for name, _ in self.clean_tasks])

    def nightly(self, found: Mapping[str, Any]) -> dict[str, Any]:
        return {"commit": self.commit, **nights.gathered(found)}

    def explainers(self, found: Mapping[str, Any], seeds: tuple[int, ...]) -> dict[str, Any]:
        """Each method with nothing planted, and each fault: what counts is the gates that hold its maps."""
        planted = [
            _of_fault(one, seeds, found, explainers.CHECKED)
            for one in explainers.FAULTS
            if f"fault-{one.id}-{seeds[0]}" in found
        ]
        clean = {
            name: [found[f"unspoiled-{name}-{seed}"] for seed in seeds]
            for name in explainers.METHODS
            if f"unspoiled-{name}-{seeds[0]}" in found
        }
        red = {
            name: sum(bool(set(one["by"]) & set(explainers.CHECKED)) for one in results)
            for name, results in clean.items()
        }
        return {"commit": self.commit, "seeds": list(seeds), "unspoiled": red, "planted_faults": planted}


def measure_nights(output: Path, *, quick: bool, fresh: bool) -> dict[str, Any]:
    """The part `nightly` alone; the real seeds are those of the last measurement, where there was one."""
    work = _Work(output, quick=quick, fresh=fresh)
    known = (_written(output) or {}).get("false_alarms", {}).get("estimates")
    estimates = known or work.false_alarms(work.run(work.clean_tasks))["estimates"]
    tasks = nights.tasks(estimates, quick, work.folder / "simulations", runs.tell)
    return {"nightly": work.nightly(work.run(tasks))}


def measure_full_data(output: Path, *, quick: bool, fresh: bool) -> dict[str, Any]:
    """False alarms on the full data, of fewer seeds: each is minutes of training."""
    work = _Work(output, quick=quick, fresh=fresh)
    seeds = range(2 if quick else FULL_DATA_SEEDS)
    tasks = [(f"full-{seed}", partial(runs.clean, work.shared, seed, FULL_DATA)) for seed in seeds]
    found = work.run(tasks)
    alarms = _false_alarms([found[name] for name, _ in tasks])
    return {"false_alarms_full_data": {"commit": work.commit, "dataset": FULL_DATA, **alarms}}


def measure_explainers(output: Path, *, quick: bool, fresh: bool) -> dict[str, Any]:
    """The part `explainers` alone."""
    work, seeds = _Work(output, quick=quick, fresh=fresh), FAULT_SEEDS[:1] if quick else FAULT_SEEDS
    return {"explainers": work.explainers(work.run(_explainer_tasks(work.shared, seeds, quick)), seeds)}


def _explainer_tasks(shared: Path, seeds: tuple[int, ...], quick: bool) -> Iterable[Task]:
    """Those of the cheapest method where it has to be quick."""
    methods = explainers.METHODS[:1] if quick else explainers.METHODS
    for seed in seeds:
        for name in methods:
            yield f"unspoiled-{name}-{seed}", partial(runs.unspoiled, shared, name, seed)
        for fault in explainers.FAULTS:
            if fault.id.split("-")[0] in methods:
                name = f"fault-{fault.id}-{seed}"
                yield name, partial(runs.planted, shared, fault.id, seed, explainers.FLAGS)


def _written(output: Path) -> dict[str, Any] | None:
    return dict(json.loads(output.read_text(encoding="utf-8"))) if output.is_file() else None


def measure(output: Path, *, quick: bool, fresh: bool) -> dict[str, Any]:
    """Everything, as it stands in `gate-quality.json`."""
    work, code = _Work(output, quick=quick, fresh=fresh), environment.gate_digest()
    crossed_seeds = CROSSED_SEEDS[:3] if quick else CROSSED_SEEDS
    seeds = FAULT_SEEDS[:1] if quick else FAULT_SEEDS
    flags = QUICK_FLAGS if quick else runs.FAULT_FLAGS
    simulations = work.folder / "simulations"
    # the clean networks come first, for the faults use them; what is long starts early
    found = work.run(
        [
            ("mutation", partial(mutation.measure, quick, work.folder / "mutation", runs.tell)),
            *work.clean_tasks,
            ("crossed", partial(runs.crossed, work.shared, crossed_seeds)),
        ]
    )
    values, false_alarms = _components(found["crossed"]), work.false_alarms(found)
    found |= work.run(
        [
            ("coverage", partial(coverage.measure, values, quick, simulations, runs.tell)),
            ("operating-curves", partial(curves.operating_curves, values, quick, simulations, runs.tell)),
            *nights.tasks(false_alarms["estimates"], quick, simulations, runs.tell),
            *_fault_tasks(work.shared, seeds, flags, quick),
            *_explainer_tasks(work.shared, seeds, quick),
        ]
    )
    if code_key() != work.key:
        raise RuntimeError("the code changed while it was measured; the results are of neither state")
    planted = [_of_fault(one, seeds, found) for one in _faults(quick)]
    visible = [row for row in planted if not row["invisible"]]
    return {
        "schema": SCHEMA,
        "commit": work.commit,
        "code": code,
        "quick": quick,
        "dataset": runs.FLAGS["dataset"],
        "recipe": "reference",
        "coverage": found["coverage"],
        "operating_curves": found["operating-curves"],
        "false_alarms": false_alarms,
        "planted_faults": planted,
        "kill_rate": {
            "caught": sum(row["red"] == len(row["seeds"]) for row in visible),
            "planted": len(planted),
            "invisible": len(planted) - len(visible),
        },
        "smallest_caught": {name: _smallest(name, ladder, found) for name, ladder in LADDERS.items()},
        "mutation": found["mutation"],
        "nightly": work.nightly(found),
        "explainers": work.explainers(found, seeds),
        "seconds": round(time.perf_counter() - work.start),
    }


def problems(result: Mapping[str, Any]) -> list[str]:
    """What a gate that can be trusted would not do; the command then ends with 1."""
    alarms = result["false_alarms"]
    at_least = stats.binomtest(alarms["red"], alarms["runs"], alternative="greater").proportion_ci(0.95).low
    found = _missed(result["planted_faults"]) + problems_of_explainers(result["explainers"])
    found += [f"mutant {name} survives" for name in result["mutation"]["survivors"]]
    if at_least > TOLERATED_ALARMS:
        found.append(f"{alarms['red']} of {alarms['runs']} clean seeds are red: {alarms['sentences'][0]}")
    return found + nights.problems(result["nightly"], quick=result["quick"])


def problems_of_explainers(result: Mapping[str, Any]) -> list[str]:
    """Of the part `explainers`."""
    false = [
        f"{name}: {red} of {len(result['seeds'])} seeds red with nothing planted"
        for name, red in result["unspoiled"].items()
        if red
    ]
    return false + _missed(result["planted_faults"])


def _missed(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Faults that are not caught as expected."""
    return [
        f"fault {row['id']}: {row['red']} of {len(row['seeds'])} seeds red, "
        f"by {', '.join(row['by']) or 'none'}; expected: {', '.join(row['expected'])}"
        for row in rows
        if not row["invisible"] and not (row["as_expected"] and row["red"] == len(row["seeds"]))
    ]


def code_key() -> str:
    """Of all code that a run's result may depend on; simulations and mutants have keys of their own."""
    here = [Path(__file__).with_name(f"{name}.py") for name in ("explainers", "faults", "planted", "runs")]
    suite = sorted((Path(__file__).parents[2] / "validation").glob("*.py"))
    return key_of(
        {
            "harness": environment.gate_digest(),
            "files": [path.read_text("utf-8") for path in (*here, *suite)],
            "versions": environment.versions(),
            "seeds": [FAULT_SEEDS, CROSSED_SEEDS],
        }
    )


def _faults(quick: bool) -> list[Fault]:
    """Those that are planted."""
    return [
        one
        for place, one in enumerate(FAULTS)
        if not quick or place % QUICK_STEP == 0 or one.id in QUICK_COMMANDS
    ]


def _fault_tasks(
    shared: Path, seeds: tuple[int, ...], flags: Mapping[str, Any], quick: bool
) -> Iterable[Task]:
    for fault in _faults(quick):
        if not quick or fault.id in QUICK_COMMANDS:
            name = f"fault-{fault.id}-{seeds[0]}"
            yield name, partial(runs.through_the_command, shared, fault.id, seeds[0], flags)
        else:
            yield f"fault-{fault.id}-{seeds[0]}", partial(runs.planted, shared, fault.id, seeds[0], flags)
        for seed in seeds[1:]:
            yield f"fault-{fault.id}-{seed}", partial(runs.planted, shared, fault.id, seed, flags)
    if not quick:
        for ladder in LADDERS.values():
            for fault in ladder.values():
                yield f"ladder-{fault.id}", partial(runs.planted, shared, fault.id, seeds[0], flags)


def _all(tasks: Iterable[Task], folder: Path, key: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Every task's result: stored ones, and the others from processes side by side, stored as they come."""
    found: dict[str, Any] = {}
    failed: list[BaseException] = []
    todo: list[engines.Task[Any]] = []
    for name, task in tasks:
        result = None if name.startswith(KEEP_THEIR_OWN) else runs.stored(folder, name, key)
        if result is None:
            todo.append(engines.Task(name, task))
        else:
            found[name] = result
    for number, done in enumerate(engines.finished(todo, engines.pool()), start=1):
        name, result = done.task.name, done.result
        if done.lost is not None or result is None:  # what the others find is kept all the same
            say(f"{number}/{len(todo)} {name}: {done.lost}")
            failed.append(done.lost or RuntimeError(f"{name} found nothing"))
            continue
        if not name.startswith(KEEP_THEIR_OWN):
            runs.store(folder, name, key, result)
        found[name] = result
        words = f"{result['verdict']}, red: {', '.join(result['by']) or '-'}" if "by" in result else "done"
        say(f"{number}/{len(todo)} {name}: {words}")
    if failed:
        raise failed[0]
    return found


def _components(crossed: Mapping[str, Any]) -> Components:
    return Components(**{one.name: np.array(crossed[one.name]) for one in fields(Components)})


def _false_alarms(cleans: list[dict[str, Any]]) -> dict[str, Any]:
    """How many clean seeds were red, and the rate that this bounds with 95 % (Clopper and Pearson 1934)."""
    red = [one for one in cleans if one["verdict"] != "pass"]
    upper = stats.binomtest(len(red), len(cleans), alternative="less").proportion_ci(0.95).high
    margins = {
        gate: [
            one["gates"][gate]["margin_se"] for one in cleans if one["gates"][gate]["margin_se"] is not None
        ]
        for gate in cleans[0]["gates"]
    }
    return {
        "runs": len(cleans),
        "red": len(red),
        "upper_bound": float(upper),
        "sentences": [one["sentence"] for one in red],
        "estimates": {
            gate: [one["gates"][gate]["estimate"] for one in cleans] for gate in cleans[0]["gates"]
        },
        "smallest_margin_se": {gate: min(values) for gate, values in margins.items() if values},
        "median_margin_se": {gate: float(np.median(values)) for gate, values in margins.items() if values},
    }


def _of_fault(
    fault: Fault, seeds: tuple[int, ...], found: Mapping[str, Any], counting: Iterable[str] | None = None
) -> dict[str, Any]:
    """One row of `planted_faults`; where only some gates count, a run is red by one of them."""
    results = [found[f"fault-{fault.id}-{seed}"] for seed in seeds]
    if counting is not None:
        results = [one | {"by": [gate for gate in one["by"] if gate in counting]} for one in results]
    red = sum(bool(one["by"]) if counting else one["verdict"] != "pass" for one in results)
    interval = stats.binomtest(red, len(seeds)).proportion_ci(0.95, method="wilson")
    return {
        "id": fault.id,
        "what": fault.what,
        "seeds": list(seeds),
        "red": red,
        "low": float(interval.low),
        "high": float(interval.high),
        "expected": list(fault.by),
        "by": sorted({gate for one in results for gate in one["by"]}),
        "as_expected": all(bool(set(fault.by) & set(one["by"])) == bool(fault.by) for one in results),
        "invisible": fault.invisible,
        "sentence": results[0]["sentence"],
    }


def _smallest(name: str, ladder: Mapping[float, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """Which sizes of a fault were caught and which were missed."""
    sizes: dict[str, list[float]] = {"caught": [], "missed": []}
    for size, fault in ladder.items():
        result = found.get(f"ladder-{fault.id}")
        if result is not None:
            sizes["missed" if result["verdict"] == "pass" else "caught"].append(size)
    return sizes


def show_alarms(alarms: Mapping[str, Any]) -> None:
    """How many clean seeds were red, and how near to their thresholds the gates were."""
    print(f"false alarms: {alarms['red']} of {alarms['runs']}; with 95 % at most {alarms['upper_bound']:.1%}")
    for gate, smallest in alarms["smallest_margin_se"].items():
        print(f"  {gate}: smallest margin {smallest:.1f} s.e., median {alarms['median_margin_se'][gate]:.1f}")


def show(result: Mapping[str, Any]) -> None:
    """The tables, for readers."""
    print("\ncoverage of nominal intervals")
    for kind, row in result["coverage"].items():
        shares = [cell["coverage"] for cell in row["cells"]]
        print(f"  {kind:34s} {row['nominal']:.2f}  {min(shares):.3f} to {max(shares):.3f}", end="")
        print(f"  exceptions: {len(row['exceptions'])}" if row["exceptions"] else "")
    show_alarms(result["false_alarms"])
    print("planted faults")
    _show_faults(result["planted_faults"])
    rate = result["kill_rate"]
    print(f"caught: {rate['caught']} of {rate['planted']}, {rate['invisible']} known to be invisible")
    for name, sizes in result["smallest_caught"].items():
        print(f"  {name}: caught {sizes['caught']}, missed {sizes['missed']}")
    mutants = result["mutation"]
    print(f"mutants of the comparing code: {mutants['killed']} of {mutants['mutants']} killed")
    nights.show(result["nightly"])
    show_explainers(result["explainers"])


def show_explainers(result: Mapping[str, Any]) -> None:
    """Of the part `explainers`."""
    count = len(result["seeds"])
    told = ", ".join(f"{name} {red}/{count}" for name, red in result["unspoiled"].items())
    print(f"other explainers, red with nothing planted: {told}\nfaults planted in them")
    _show_faults(result["planted_faults"])


def _show_faults(rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        seen = ", ".join(row["by"]) or (f"invisible: {row['invisible']}" if row["invisible"] else "NOTHING")
        print(f"  {row['id']:26s} {row['red']}/{len(row['seeds'])}  {seen}")


if __name__ == "__main__":
    main()
