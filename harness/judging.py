"""Let the criteria judge a run directory: pytest over `validation/`, checked against the manifest.

The manifest is the configuration's list of criteria. What was not collected, was skipped, deselected or
crashed is an error: a check that did not run is not a check that passed.
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

from harness.artifacts import RunDirectory, shipped
from harness.config import Criterion
from harness.criteria import overall, show, show_threshold
from harness.errors import RunError
from harness.records import Verdict
from harness.text import clean

EXIT_CODES = {"pass": 0, "fail": 1, "error": 3, "interrupted": 3}
"""What a verdict ends the command with."""

SUITE_SECONDS = 600


def judge(
    run: RunDirectory | str | Path, *, strict: bool = False, suite: Path | None = None
) -> dict[str, Any]:
    """Judge a run: writes `verdict.json`, `junit.xml` and `summary.md`, and links `latest`.

    Args:
        run: Any run directory, or its path, whole or broken off.
        strict: The interval's bound decides; also if the run's configuration says so.
        suite: The folder of criteria; the shipped one by default.

    Returns:
        What stands in `verdict.json`, the criteria as records.
    """
    run = run if isinstance(run, RunDirectory) else RunDirectory.open(Path(run))
    config, provenance = run.read_config(), run.read_provenance()
    strict = strict or config.strict
    start = time.perf_counter()
    rows, printed = _run_suite(run, strict, suite or shipped("validation"))
    seconds = time.perf_counter() - start
    verdicts = [_verdict(criterion, rows, printed) for criterion in config.criteria]
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
        "seeds": list(config.seeds),
        "duration_s": stages | {"judging": seconds},
        "failure": failure,
    }
    run.write_json("verdict.json", values | {"criteria": [vars(verdict) for verdict in verdicts]})
    values["criteria"] = verdicts
    run.write_text("summary.md", summary(values))
    if run.path.parent.name == "runs":
        run.link_latest()
    return values


def _run_suite(run: RunDirectory, strict: bool, suite: Path) -> tuple[dict[str, Verdict], str]:
    """The verdicts that the suite's tests reached, by id, and what pytest printed."""
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
        command = [sys.executable, "-m", "pytest", str(suite), "-c", str(suite / "pytest.ini"), "-q"]
        command += ["--rootdir", str(suite), "--run", str(run.path), "--verdicts", str(verdicts)]
        command += ["--junitxml", str(run / "junit.xml"), "-o", "junit_suite_name=harness"]
        command += ["--strict-bounds"] * strict
        done = subprocess.run(  # noqa: S603 - a fixed program
            command,
            env=kept | {"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
            capture_output=True,
            text=True,
            timeout=SUITE_SECONDS,
            check=False,
        )
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


def sentence(verdict: Mapping[str, Any]) -> str:
    """The verdict in one sentence, on the data that was judged."""
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


def summary(verdict: Mapping[str, Any]) -> str:
    """The verdict in Markdown, for a CI's step summary."""
    lines = [f"## {_markdown(sentence(verdict))}", ""]
    if verdict["notice"]:
        lines += [f"> **{_markdown(verdict['notice'])}**", ""]
    lines += _table(verdict["criteria"])
    seeds = ", ".join(map(str, verdict["seeds"]))
    lines += [
        "",
        f"Run `{verdict['run_id']}`, data `{_markdown(verdict['dataset']['name'])}`, seeds {seeds}.",
    ]
    return "\n".join(lines) + "\n"


def _table(criteria: Sequence[Verdict]) -> list[str]:
    rows = ["| criterion | verdict | estimate | interval | threshold | n |", "|---|---|---|---|---|---|"]
    for one in criteria:
        word = one.verdict if one.gate else f"watched: {one.verdict}"
        interval = "–" if one.low is None else f"{show(one.low)} – {show(one.high)}"
        bound = f"{one.relation.replace('<', '&lt;').replace('>', '&gt;')} {show_threshold(one.threshold)}"
        cells = [one.title, word, show(one.estimate), interval, bound, str(one.n)]
        rows.append("| " + " | ".join(_markdown(cell) if cell != bound else cell for cell in cells) + " |")
    return rows


def _markdown(text: str) -> str:
    """Foreign text that stays text in Markdown and the HTML that Markdown lets through."""
    text = clean(text).replace("\n", " ").replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{character}" if character in "\\`*_[]|" else character for character in text)
