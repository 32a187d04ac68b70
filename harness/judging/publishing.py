"""Publish what is known of a run in one act: verdict, JUnit, summary, badge and page, the verdict last.

Before there is a verdict, one that says so stands in its place, so that whatever ends a process early leaves
nothing of another night, and nothing green.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder, digest_of, storing
from harness.artifacts.model import model_of
from harness.artifacts.sealing import HISTORY
from harness.artifacts.staging import Staged, locked
from harness.ci.badges import badge, svg
from harness.ci.junit import junit
from harness.ci.summaries import summary
from harness.config import Config
from harness.config.parameters import Criterion
from harness.criteria import announcements
from harness.criteria.diagnosis import diagnosis
from harness.criteria.rows import PAST, Case, own_verdict
from harness.errors import HarnessError, RunError, StorageError
from harness.records import Provenance, Verdict

TWINS = ("junit.xml", "summary.md", "badge.json", "badge.svg")
"""What says the verdict again, and is published with it."""

UNENDED = "it has not ended: it goes on, or was killed"
"""What ended a run that is not known to have ended."""

Values = dict[str, Any]
"""What stands in `verdict.json`, the criteria as records."""

Amend = Callable[[str], Values]
"""Makes of a sentence on what broke the values of a verdict that says so."""

Beside = Callable[[RunDirectory, Values, Folder], None]
"""Told of a verdict before it is published: it may add what the past says, and files to publish."""

OF_THE_PAST = ("past", "regressions")
"""What stands in `verdict.json` of the nights before, beside their rows; `history.json` holds more."""

Page = Callable[[RunDirectory, Values, Folder, Amend], bool]
"""Draws the report of a verdict into a folder; of an amended one, where something cannot be drawn. Whether
there is a page."""


def values_of(run: RunDirectory, config: Config, provenance: Provenance) -> Values:
    """What a verdict says of its run before a criterion is judged."""
    failure = run.read_failure()
    return {
        "run_id": provenance.run_id,
        "verdict": word_of(failure),
        "strict": config.strict,
        "checks": [],
        "dataset": {key: provenance.dataset[key] for key in ("name", "asked", "train", "test", "sha256")},
        "notice": provenance.dataset["notice"],
        "announcements": announcements(config, _capabilities(run)),
        "remarks": [],
        "unrepeatable": run.read_unrepeatable(),
        "seeds": list(config.seeds),
        "duration_s": _seconds(run),
        "failure": failure,
        "criteria": [],
    }


def _capabilities(run: RunDirectory) -> tuple[str, ...] | None:
    try:
        return model_of(run).capabilities
    except RunError:  # told among the remarks; no gate rests on it
        return None


def _seconds(run: RunDirectory) -> dict[str, float]:
    try:
        return dict(run.read_stages().duration_s)
    except RunError:  # told among the remarks; no gate rests on it
        return {}


def word_of(failure: Mapping[str, Any] | None) -> str:
    """The verdict's word on a run that broke off."""
    return "interrupted" if failure and failure["kind"] == "interrupted" else "error"


def failure_of(stage: str, error: BaseException, trace: str | None = None) -> dict[str, Any]:
    """What `failure.json` and a verdict hold of what ended a run early."""
    interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
    return {
        "stage": stage,
        "kind": "interrupted" if interrupted else type(error).__name__,
        "message": str(error) or ("interrupted" if interrupted else type(error).__name__),
        "trace": trace,
    }


def unjudged(
    run: RunDirectory,
    failure: Mapping[str, Any],
    *,
    earlier: Values | None = None,
    manifest: str | None = None,
) -> Values:
    """Publish that a run has no verdict, and why: before there is one, or where there can be none.

    Args:
        run: The run.
        failure: Why, as `failure_of` has it.
        earlier: An earlier verdict; what it knew of tests of one's own is kept, for the next one to ask for.
        manifest: The digest of the manifest that the verdict is to name; of the one that is there by default.

    Raises:
        StorageError: it cannot be written; an earlier verdict is gone all the same.
    """
    config, provenance = None, None
    values: Values = {
        "run_id": run.path.name,
        "strict": False,
        "checks": [],
        "dataset": {"name": "unknown data", "asked": "", "train": 0, "test": 0, "sha256": {}},
        "notice": None,
        "announcements": [],
        "unrepeatable": [],
        "seeds": [],
        "duration_s": {},
    }
    with suppress(HarnessError):
        # whose verdict it is, told also where that is not as it was
        values["run_id"] = RunDirectory(run.path).read_provenance().run_id
    with suppress(HarnessError):
        config, provenance = run.read_config(), run.read_provenance()
        values = values_of(run, config, provenance)
    why = f"not judged: {failure['message']}"
    rows = [] if config is None else [error_of(one, why) for one in config.criteria]
    rows += own_rows(earlier, {one.id for one in rows}) + past_rows(earlier)
    values |= {key: earlier[key] for key in OF_THE_PAST if earlier and key in earlier}
    values |= {
        "manifest": manifest,
        "verdict": word_of(failure),
        "failure": dict(failure),
        "remarks": [],
        "criteria": rows,
    }
    try:
        with storing(run.path), Staged(run.path) as scratch:
            publish(run, values, {}, Folder(scratch), None)
    except StorageError:
        if not _says_that_there_is_none(run):  # an earlier verdict must not stand for this one
            withdraw(run)
        raise
    return values


def _says_that_there_is_none(run: RunDirectory) -> bool:
    """Whether the verdict that stands in the run is that there is none."""
    try:
        return run.read_json("verdict.json").get("verdict") in ("error", "interrupted")
    except RunError:
        return False


def withdraw(run: RunDirectory) -> None:
    """Take back whatever says a verdict on the run, as far as it lets itself be taken.

    One that was to be computed alone, and is, has none; nor has one over which none can be written.
    """
    for name in ("report.html", *TWINS, "verdict.json"):
        with suppress(OSError):
            (run / name).unlink()


def publish(
    run: RunDirectory,
    values: Values,
    cases: Mapping[str, Case],
    staged: Folder,
    page: Page | None,
) -> Exception | None:
    """Put what was judged into the run directory, the verdict last; a bug by which the page broke.

    Args:
        run: The run.
        values: The verdict; amended where the page cannot be drawn.
        cases: The tests that judged.
        staged: An empty folder on the run's file system.
        page: What draws the report.
    """
    broken: Exception | None = None
    drawn = False

    def amended(what: str) -> Values:
        values["verdict"] = "error"
        values["failure"] = values["failure"] or failure_of("reporting", RunError(what))
        return values

    if page is not None:
        try:
            drawn = page(run, values, staged, amended)
        except HarnessError as error:
            amended(str(error))
        except Exception as error:
            broken = error
            amended(str(error) or type(error).__name__)
    values_of_badge = badge(values)
    staged.write_text("junit.xml", junit(values, cases))
    staged.write_text("summary.md", summary(run, values, diagnosis(run, values, reported=drawn)))
    # no schema of ours: shields knows its own keys alone
    staged.write_text("badge.json", json.dumps(values_of_badge, ensure_ascii=False) + "\n")
    staged.write_text("badge.svg", svg(values_of_badge))
    values["published"] = {name: digest_of(staged / name) for name in TWINS}
    for folder in (staged, run):  # what the past said stands, where nothing else is told tonight
        if (folder / HISTORY).is_file():
            values["published"].setdefault(HISTORY, digest_of(folder / HISTORY))
    run.write_verdict(values, into=staged)
    with locked(run.path), undisturbed():
        try:
            if not drawn:  # of another verdict
                with suppress(FileNotFoundError):
                    (run / "report.html").unlink()
            move(staged, run)
        except OSError:
            withdraw(run)
            raise
    return broken


def move(staged: Folder, run: RunDirectory) -> None:
    """Put staged files into a run directory, the verdict after all others; figures of an earlier page go."""
    names = [path.relative_to(staged.path).as_posix() for path in staged.path.rglob("*") if path.is_file()]
    for name in sorted(names, key=lambda name: (name == "verdict.json", name in TWINS, name)):
        (run / name).parent.mkdir(exist_ok=True)
        (staged / name).replace(run / name)
    if "report.html" in names:
        for path in (run / "figures").glob("*.svg"):
            if f"figures/{path.name}" not in names:
                path.unlink()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Inside, for the moment that some renames take, no signal that can be caught ends this process.

    One that comes then comes too late: what is published stands, and the process ends by it.
    """
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def error_of(criterion: Criterion, why: str) -> Verdict:
    """The verdict on a criterion that has none."""
    name = criterion.id
    row = own_verdict(name, criterion.title or name, criterion.measurement, "error", why, criterion.gate)
    return replace(row, relation=criterion.relation, threshold=criterion.threshold, why=f"{name}: {why}")


def past_rows(verdict: Values | None) -> list[Verdict]:
    """The rows in a verdict that the nights before gave."""
    return [row for row in (verdict["criteria"] if verdict else []) if row.relation == PAST]


def own_rows(verdict: Values | None, declared: Collection[str]) -> list[Verdict]:
    """The tests of one's own in a verdict: what stands in a file, and is no declared criterion by its id."""
    rows = verdict["criteria"] if verdict else []
    return [row for row in rows if row.id not in declared and "::" in row.measurement]
