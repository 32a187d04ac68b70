"""Let the criteria judge a run directory: pytest over `validation/`, checked against the manifest.

The manifest is the configuration's list of criteria. What was not collected, was skipped, deselected or
crashed is an error: a check that did not run is not a check that passed. Tests of one's own stand beside it;
their manifest is what the run's first judgement found.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.artifacts import UNREPEATABLE, RunDirectory, shipped
from harness.badges import badge, svg
from harness.config import Config, Criterion
from harness.criteria import announcements, overall
from harness.diagnosis import details
from harness.errors import ConfigurationError, RunError
from harness.records import Verdict
from harness.state import clean as clean_state
from harness.summaries import summary
from harness.text import clean

EXIT_CODES = {"pass": 0, "fail": 1, "error": 3, "interrupted": 3}
"""What a verdict ends the command with."""

SUITE_SECONDS = 600


@clean_state()
def judge(
    run: RunDirectory | str | Path,
    *,
    strict: bool = False,
    suite: Path | None = None,
    reported: bool = False,
) -> dict[str, Any]:
    """Judge a run: writes `verdict.json`, `junit.xml`, `summary.md` and the badge, and links `latest`.

    Args:
        run: Any run directory, or its path, whole or broken off.
        strict: The interval's bound decides; also if the run's configuration says so.
        suite: The folder of criteria; the shipped one by default.
        reported: Whether a report is rendered next, which the summary then points to.

    Returns:
        What stands in `verdict.json`, the criteria as records.

    Raises:
        ConfigurationError: `strict` of two seeds.
        RunError: the criteria could not be run.
    """
    run = run if isinstance(run, RunDirectory) else RunDirectory.open(run)
    config, provenance = run.read_config(), run.read_provenance()
    strict = strict or config.strict
    if strict and len(config.seeds) == 2:
        raise ConfigurationError(
            f"--strict needs intervals, and the two seeds of {run.path} give none for the recipe: "
            "judge without it, or run one seed, or three or more"
        )
    known = _own_tests(run, config)
    start = time.perf_counter()
    rows, printed = _run_suite(run, strict, [suite or shipped("validation"), *config.checks])
    seconds = time.perf_counter() - start
    verdicts = [_verdict(criterion, rows, printed) for criterion in config.criteria]
    declared = {criterion.id for criterion in config.criteria}
    verdicts += [row for row in rows.values() if row.id not in declared]
    verdicts += [_lost(one, printed) for one in known if one.id not in rows]
    failure = run.read_json("failure.json") if (run / "failure.json").is_file() else None
    interrupted = failure is not None and failure["kind"] == "interrupted"
    stages = run.read_json("stages.json")["duration_s"] if (run / "stages.json").is_file() else {}
    outcome = "interrupted" if interrupted else "error" if failure else overall(verdicts)
    values: dict[str, Any] = {
        "run_id": provenance.run_id,
        "verdict": outcome,
        "strict": strict,
        "dataset": {key: provenance.dataset[key] for key in ("name", "asked", "train", "test", "sha256")},
        "notice": provenance.dataset["notice"],
        "announcements": announcements(config),
        "unrepeatable": run.read_json(UNREPEATABLE)["names"] if (run / UNREPEATABLE).is_file() else [],
        "seeds": list(config.seeds),
        "duration_s": stages | {"judging": seconds},
        "failure": failure,
    }
    run.write_json("verdict.json", values | {"criteria": [vars(verdict) for verdict in verdicts]})
    values["criteria"] = verdicts
    run.write_text("summary.md", summary(run, values, diagnosis(run, values, reported=reported)))
    values_of_badge = badge(values)
    # no schema of ours: shields knows its own keys alone
    run.write_text("badge.json", json.dumps(values_of_badge, ensure_ascii=False) + "\n")
    run.write_text("badge.svg", svg(values_of_badge))
    if run.path.parent.name == "runs":
        run.link_latest()
    return values


def _own_tests(run: RunDirectory, config: Config) -> list[Verdict]:
    """The tests of one's own that an earlier judgement of the run found."""
    try:
        before = run.read_verdict()
    except RunError:  # damaged, or of another run: it is about to be replaced
        return []
    declared = {criterion.id for criterion in config.criteria}
    rows = before["criteria"] if before else []
    return [row for row in rows if row.id not in declared and "::" in row.measurement]


def _run_suite(run: RunDirectory, strict: bool, folders: Sequence[Path]) -> tuple[dict[str, Verdict], str]:
    """The verdicts that the tests of all folders reached, by id, and what pytest printed.

    Args:
        run: What they judge.
        strict: The interval's bound decides.
        folders: The suite, which brings pytest's configuration, and folders of tests of one's own.
    """
    suite = folders[0]
    # of this process's surroundings, nothing that could select, plug in or disarm tests
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_") and name != "PYTHONOPTIMIZE"
    }
    package = str(Path(__file__).parent.parent)
    path = os.pathsep.join(filter(None, [package, kept.get("PYTHONPATH", "")]))
    with tempfile.TemporaryDirectory() as folder:
        verdicts = Path(folder) / "verdicts.json"
        command = [sys.executable, "-m", "pytest", "-c", str(suite / "pytest.ini"), "-q"]
        command += [str(folder) for folder in folders if folder.is_dir()]
        command += ["--rootdir", str(suite), "--run", str(run.path), "--verdicts", str(verdicts)]
        command += ["--continue-on-collection-errors"]
        command += ["--junitxml", str(run / "junit.xml"), "-o", "junit_suite_name=harness"]
        command += ["--strict-bounds"] * strict
        try:
            done = subprocess.run(  # noqa: S603 - a fixed program
                command,
                env=kept | {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
                capture_output=True,
                text=True,
                timeout=SUITE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise RunError(
                f"the criteria took over {SUITE_SECONDS} s over {run.path}; judge it again"
            ) from None
        printed = clean(done.stdout + done.stderr, longest=2000)
        if not verdicts.is_file():
            if done.returncode == 5:  # pytest: no tests were collected
                return {}, printed
            raise RunError(f"the criteria could not be run over {run.path}:\n{printed}")
        rows = json.loads(verdicts.read_text(encoding="utf-8"))
    return {row["id"]: Verdict.from_json(row) for row in rows}, printed


def _verdict(criterion: Criterion, rows: Mapping[str, Verdict], printed: str) -> Verdict:
    """The suite's verdict on a declared criterion; an error where it reached none."""
    if criterion.id in rows:
        return rows[criterion.id]
    last = printed.strip().splitlines()[-1:] or ["it printed nothing"]
    return Verdict(
        id=criterion.id,
        title=criterion.title or criterion.id,
        measurement=criterion.measurement,
        estimate=None,
        low=None,
        high=None,
        confidence=0.95,
        n=0,
        relation=criterion.relation,
        threshold=criterion.threshold,
        unit="",
        margin_se=None,
        gate=criterion.gate,
        verdict="error",
        marginal=False,
        why=f"{criterion.id}: no test judged it: not collected, or deselected (pytest: {clean(last[0])})",
    )


def _lost(known: Verdict, printed: str) -> Verdict:
    """The error of a test of one's own that an earlier judgement found and this one did not."""
    last = printed.strip().splitlines()[-1:] or ["it printed nothing"]
    why = f"{known.id}: {known.measurement} judged this run before, and is gone (pytest: {clean(last[0])})"
    return Verdict(**vars(known) | {"verdict": "error", "why": why})


def diagnosis(run: RunDirectory, verdict: Mapping[str, Any], *, reported: bool | None = None) -> list[str]:
    """A verdict that is not a pass in five lines: what, by how much, where worst, where to look, how again.

    Args:
        run: The run.
        verdict: What stands in its `verdict.json`, the criteria as records.
        reported: Whether there is a report to look at; None looks for it.
    """
    return [sentence(verdict), *details(run, verdict, reported=reported)]


def sentence(verdict: Mapping[str, Any]) -> str:
    """The verdict in one sentence: on which data, by which rules that are looser than shipped, and by which
    methods that are not repeatable.
    """
    looser = ", ".join(clean(one).split(":")[0] for one in verdict.get("announcements", ()))
    moving = ", ".join(clean(one) for one in verdict.get("unrepeatable", ()))
    told = {"looser than shipped": looser, "not repeatable": moving}
    return _sentence(verdict) + "".join(f" ({what}: {names})" for what, names in told.items() if names)


def _sentence(verdict: Mapping[str, Any]) -> str:
    name = verdict["dataset"]["name"] + (" (not the full data)" if verdict["notice"] else "")
    word = str(verdict["verdict"]).upper()
    if verdict["failure"]:
        failure = verdict["failure"]
        return f"{word} on {name}: the run broke off in stage {failure['stage']}: {clean(failure['message'])}"
    gates = [criterion for criterion in verdict["criteria"] if criterion.gate]
    wrong = [criterion for criterion in gates if criterion.verdict == verdict["verdict"]]
    if verdict["verdict"] == "pass":
        return f"{word} on {name}: all {len(gates)} gates hold"
    if not wrong:
        return f"{word} on {name}: no gate was declared"
    more = len([criterion for criterion in gates if criterion.verdict != "pass"]) - 1
    return f"{word} on {name}: {wrong[0].why}" + (f"; and {more} more" if more > 0 else "")
