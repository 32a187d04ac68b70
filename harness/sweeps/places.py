"""Where sweeps lie in an output folder, and what stands there of a point: the run directory is the result.

sweeps/<id>/               points.csv, sweep.json, index.html: one question
sweeps/points/<id>/        a point, which several sweeps may ask for:
    point.toml             its configuration
    outcome.json           how its process ended, and what its run says
    log.txt                what its process printed, the last time
    runs/<run>, latest     its run directory
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pydantic

from harness.artifacts import latest
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder, digest_of
from harness.config import Config
from harness.errors import ConfigurationError, HarnessError, RunError
from harness.records import Estimate, Verdict
from harness.sweeps.records import Judged, Number, Point, Row, State

SWEEPS, POINTS, OUTCOME, POINT, LOG = "sweeps", "points", "outcome.json", "point.toml", "log.txt"

EXIT_CODES = {"pass": 0, "fail": 1, "error": 3}
"""What a process ends with, by the verdict of its run."""

REFUSED = 2
"""What a process ends with that did no work, for its configuration cannot be used."""

NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What a sweep may be called."""

KEPT = ("max_sensitivity.", "control_untrained", "dead_units")
"""How the names of estimates begin that a sweep keeps beside those of criteria."""


class Outcome(pydantic.BaseModel):
    """`outcome.json`: how a point's process ended, and what its run's files said then.

    `judged` is the digest of the run's `verdict.json`: where that is another now, the run is read again.
    """

    exit_code: int | None = None
    attempts: int = 0
    seconds: float | None = None
    memory_mb: float | None = None
    run: str = ""
    judged: str = ""
    verdict: Literal["", "pass", "fail", "error", "interrupted"] = ""
    why: str = ""
    threads: int | None = None
    data: str = ""
    code: str = ""
    criteria: list[Verdict] = []
    estimates: list[Estimate] = []


class Place:
    """A point's folder."""

    def __init__(self, output: Path, point: str) -> None:
        """`point` is its id."""
        self.folder = Folder(output / SWEEPS / POINTS / point)

    @classmethod
    def at(cls, folder: Path) -> Place:
        """Of the point of a folder."""
        return cls(folder.parents[2], folder.name)

    def prepare(self, point: Point, cache: Path) -> Config:
        """Write the point's configuration, as its process is given it; that configuration.

        Raises:
            StorageError: it cannot be written.
        """
        config = point.config.model_copy(
            update={"output": self.folder.path.absolute(), "cache": cache.absolute(), "quiet": True}
        )
        self.folder.write_toml(POINT, config.as_toml_values())
        return config

    @property
    def run(self) -> Path | None:
        """The run directory that the point began last.

        Of a process that was killed, or refused, before it began one: the one before, if that stands.
        """
        return latest.named(self.folder / latest.LATEST) or self._before

    @property
    def sequence(self) -> int:
        """That run's number among those of the point; 0 without one."""
        return 0 if (run := self.run) is None else latest.sequence_of(run)

    @cached_property
    def _written(self) -> Outcome:
        """What was written down; nothing where that cannot be read."""
        with suppress(RunError, OSError):
            return self.folder.read_record(OUTCOME, Outcome)
        return Outcome()

    @property
    def _before(self) -> Path | None:
        known = self._written
        path = self.folder / "runs" / known.run
        return path if known.run and _digest(path / "verdict.json") == known.judged else None

    @cached_property
    def outcome(self) -> Outcome:
        """What is known of the point, whoever was killed before it could be written down."""
        found, run = self._written, self.run
        if run is None:
            # what a run told that is gone is not known any more
            return found if not found.run else Outcome()
        judged = _digest(run / "verdict.json")
        if (found.run, found.judged) == (run.name, judged):
            return found
        # another run than was written down, or judged anew
        known = found if found.run == run.name else Outcome()
        return known.model_copy(update=_told_by(run, judged))

    def end(
        self,
        exit_code: int | None,
        attempts: int,
        seconds: float | None,
        why: str,
        threads: int | None = None,
    ) -> Outcome:
        """Write down how the process ended.

        Raises:
            StorageError: it cannot be written.
        """
        for known in ("outcome", "_written"):
            self.__dict__.pop(known, None)
        ended = {"exit_code": exit_code, "attempts": attempts, "seconds": seconds, "threads": threads}
        outcome = self.outcome.model_copy(update=ended)
        if outcome.verdict not in ("pass", "fail", "error"):
            outcome = outcome.model_copy(update={"why": why})
        self.folder.write_json(OUTCOME, outcome.model_dump(mode="json"))
        self.outcome = outcome
        return outcome

    def row(self, point: Point) -> Row:
        """The point with what is known of it."""
        one, run = self.outcome, self.run
        judged = one.verdict in ("pass", "fail", "error")
        tried: State = "refused" if one.exit_code == REFUSED else "lost" if one.attempts else "missing"
        return Row(
            point,
            "finished" if judged else tried,
            # whose end nobody told is known by its verdict, of which its exit code is the contract
            exit_code=EXIT_CODES.get(one.verdict) if one.exit_code is None else one.exit_code,
            verdict=one.verdict if judged else "",
            run=run if judged else None,
            why=one.why,
            criteria=tuple(map(Judged.of, one.criteria)),
            estimates={sys.intern(each.name): Number.of(each) for each in one.estimates},
            seconds=one.seconds,
            memory_mb=one.memory_mb,
            code=sys.intern(one.code),
            threads=one.threads,
            judged=one.judged,
        )


def _digest(path: Path) -> str:
    """Of a file; empty where it cannot be read."""
    try:
        return digest_of(path)
    except OSError:
        return ""


_OF_RUN = ("run", "judged", "verdict", "why", "data", "code", "memory_mb", "criteria", "estimates")
"""What of an outcome is told by the run."""


def _told_by(path: Path, judged: str) -> dict[str, Any]:
    """What a run's own files say."""
    from harness.criteria.diagnosis import sentence

    told = Outcome(run=path.name, judged=judged).model_dump(include={*_OF_RUN})
    try:
        run = RunDirectory.open(path)
        verdict, provenance = run.read_verdict(), run.read_provenance()
    except HarnessError as error:
        return told | {"why": str(error)}
    if verdict is None:
        return told | {"why": "its run has no verdict"}
    told |= {"verdict": verdict["verdict"], "data": provenance.dataset["digest"], "code": provenance.gate}
    told["why"] = "" if verdict["verdict"] == "pass" else sentence(verdict)
    with suppress(HarnessError):
        told["memory_mb"] = run.read_stages().memory_mb.get("resident")
        told["criteria"] = verdict["criteria"]
        named = {one.measurement for one in verdict["criteria"]}
        estimates = [one for one in run.read_estimates() if one.name in named or one.name.startswith(KEPT)]
        whole = [one for one in estimates if one.seed is None]
        told["estimates"] = whole or estimates
    return told


def named(name: str) -> str:
    """A sweep's name of one's own.

    Raises:
        ConfigurationError: no folder may be called that.
    """
    if not NAMED.fullmatch(name) or name == POINTS:
        raise ConfigurationError(
            f"--name must be letters, digits, '_', '-' and '.', 64 at most, and not {POINTS!r} "
            f"(got {name!r:.80})"
        )
    return name
