"""Let the criteria judge a run directory: pytest over `validation/`, checked against the manifest.

The manifest is the configuration's list of criteria. What was not collected, was skipped, deselected or
crashed is an error: a check that did not run is not a check that passed. Tests of one's own stand beside it;
their manifest is what the run's first judgement found.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from harness import config as configuration
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder, shipped, storing
from harness.artifacts.sealing import HISTORY, lies_in_data
from harness.artifacts.staging import Staged
from harness.config import Config
from harness.config.parameters import Criterion
from harness.criteria import overall
from harness.criteria.rows import identify, own_verdict
from harness.environment.state import clean as clean_state
from harness.errors import ConfigurationError, HarnessError, OutputError, RunError, StorageError
from harness.history.documents import is_of_a_night
from harness.judging import suite as suites
from harness.judging.publishing import (
    OF_THE_PAST,
    TWINS,
    UNENDED,
    Beside,
    Page,
    Values,
    error_of,
    failure_of,
    own_rows,
    past_rows,
    publish,
    unjudged,
    values_of,
)
from harness.records import Verdict
from harness.text import clean

EXIT_CODES = {"pass": 0, "fail": 1, "error": 3, "interrupted": 3}
"""What a verdict ends the command with."""


@clean_state()
def judge(
    run: RunDirectory | str | Path,
    *,
    strict: bool = False,
    suite: str | Path | None = None,
    checks: str | Path | Sequence[str | Path] = (),
    page: Page | None = None,
    beside: Beside | None = None,
) -> Values:
    """Judge a run: `verdict.json`, `junit.xml`, `summary.md`, the badge and the page, and `latest`.

    They are made aside and published together, the verdict last; until then the verdict says that there is
    none yet. A run is data: what is not as it was computed is told, and an error where a gate rests on it; no
    test that only the run's own configuration names is run.

    Args:
        run: Any run directory, or its path, whole or broken off.
        strict: The interval's bound decides; also if the run's configuration says so.
        suite: The folder of criteria; the shipped one by default.
        checks: Folders of tests of one's own to run; without, their rows stand as they were judged before.
        page: What draws the report that is published with the verdict; without, an earlier page goes, for it
            is of another verdict (`harness.render` draws it anew).
        beside: What holds the verdict against the nights before; without, what they said stands.

    Returns:
        What stands in `verdict.json`, the criteria as records.

    Raises:
        ConfigurationError: `strict` of two seeds, or `checks` that lie in a run or the cache.
        Pruned: what it would be judged by is gone.
        RunError: the criteria could not be run.
        StorageError: the verdict cannot be written.
    """
    run = RunDirectory.open(run.path if isinstance(run, RunDirectory) else run)
    run.manifest.refuse_pruned()
    folders = configuration.of({"checks": checks}, "checks").checks if checks else ()
    _refuse_data(folders)
    earlier, named = _earlier(run), run.named_manifest()
    try:
        remarks = [f"not as it was computed: {one}" for one in run.refuse_damage() if one.name not in TWINS]
        config, provenance = run.read_config(), run.read_provenance()
        values = values_of(run, config, provenance) | {"remarks": remarks, "strict": strict or config.strict}
        run.read_estimates()
    except RunError as error:
        # by the manifest that it was judged under: who judges again must see that it is another
        return unjudged(run, failure_of("reading", error), earlier=earlier, manifest=named)
    strict = bool(values["strict"])
    if strict and len(config.seeds) == 2:
        raise ConfigurationError(
            f"--strict needs intervals, and the two seeds of {run.path} give none for the recipe: "
            "judge without it, or run one seed, or three or more"
        )
    ended = values["failure"] or failure_of("judging", KeyboardInterrupt(UNENDED))
    unjudged(run, ended, earlier=earlier)
    values["remarks"] += _named_latest(run)
    start = time.perf_counter()
    declared = {criterion.id for criterion in config.criteria}
    own = own_rows(earlier, declared)
    try:
        with storing(run.path), Staged(run.path) as scratch:
            criteria = Path(suite or shipped("validation"))
            judged, said = _judged(run.path, criteria, folders, strict=strict, scratch=scratch)
            rows = judged.rows | ({} if folders else _standing(config, own, values["remarks"]))
            verdicts = [_verdict(criterion, rows, said) for criterion in config.criteria]
            verdicts += [row for row in rows.values() if row.id not in declared]
            verdicts += [_lost(one, said) for one in _gone(own, rows)]
            values["criteria"] = verdicts
            values["checks"] = [*map(str, folders)] or (earlier or {}).get("checks", [])
            values["duration_s"] = values["duration_s"] | {"judging": time.perf_counter() - start}
            published = Folder(scratch / "published")
            if not values["failure"]:
                values["verdict"] = overall(verdicts)
            if beside is not None:
                beside(run, values, published)
            elif earlier and OF_THE_PAST[0] in earlier:
                verdicts += past_rows(earlier)
                values |= {key: earlier[key] for key in OF_THE_PAST if key in earlier}
            elif is_of_a_night(run.path):
                _ask_the_past(run, values, published)
            if not values["failure"]:
                values["verdict"] = overall(verdicts)
            broken = publish(run, values, judged.cases, published, page)
    except HarnessError as error:
        with suppress(StorageError):
            unjudged(run, failure_of("judging", error), earlier=earlier)
        raise
    if broken is not None:
        raise broken
    return values


def _ask_the_past(run: RunDirectory, values: Values, into: Folder) -> None:
    """Let `history.json` say of a night what the nights before do; without it, that they were not asked."""
    from harness.history.comparison import unavailable
    from harness.history.documents import night_of_run
    from harness.history.past import Past
    from harness.history.rows import enter

    night = night_of_run(run, values)
    if night.kind != "night":
        return
    try:
        past = run.read_record(HISTORY, Past)
        if past.night != night.id:
            raise RunError(f"{HISTORY} is of night {past.night}")
    except RunError as error:
        past = unavailable(night, f"not compared: judged without the nights before it ({error})")
    enter(past, night, values, into)


def _named_latest(run: RunDirectory) -> list[str]:
    """Let `latest` name the run; the remark that it does not, where the folder of the runs refuses."""
    try:
        run.link_latest()
    except (OSError, OutputError, StorageError) as error:
        return [f"latest does not name this run: {error}"]
    return []


def _refuse_data(folders: Sequence[Path]) -> None:
    for folder in folders:
        if lies_in_data(folder):
            raise ConfigurationError(
                f"checks: {folder}: lies in a run or the cache, which are data, not code: keep tests apart"
            )


def _earlier(run: RunDirectory) -> Values | None:
    """An earlier verdict on the run that can be believed."""
    try:
        return run.read_verdict()
    except RunError:  # damaged, or of another run: it is about to be replaced
        return None


def _standing(config: Config, own: Sequence[Verdict], remarks: list[str]) -> dict[str, Verdict]:
    """The rows of tests of one's own that nobody asked to run: those of an earlier judgement, or errors."""
    if own:
        remarks.append(
            f"{len(own)} tests of one's own stand as they were judged before; harness judge --checks FOLDER "
            "runs them again"
        )
        return {one.id: one for one in own}
    if not config.checks:
        return {}
    rows = {}
    for folder in config.checks:
        why = f"checks {folder}: never judged this run, and a run is data: --checks FOLDER runs them"
        row = own_verdict(identify(folder.name), folder.name, str(folder), "error", why)
        rows[row.id] = row
    return rows


def _judged(
    run: Path, suite: Path, checks: Sequence[Path], *, strict: bool, scratch: Path
) -> tuple[suites.Judged, str]:
    """What the tests of all folders say, and what the suite's own printed."""
    places = [(suite, False), *((one, True) for one in {one.resolve(): one for one in checks}.values())]
    parts = [suites.run(run, one, strict=strict, scratch=scratch, own=own) for one, own in places]
    return suites.together(parts), parts[0].printed


def _verdict(criterion: Criterion, rows: Mapping[str, Verdict], printed: str) -> Verdict:
    """The suite's verdict on a declared criterion; an error where it reached none."""
    if criterion.id in rows:
        return rows[criterion.id]
    said = clean(suites.last_line(printed))
    return error_of(criterion, f"no test judged it: not collected, or deselected (pytest: {said})")


def _gone(known: Sequence[Verdict], rows: Mapping[str, Verdict]) -> list[Verdict]:
    """The tests that an earlier judgement found, by their place or id, and this one did not."""
    places = {row.measurement for row in rows.values()}
    return [one for one in known if one.id not in rows and one.measurement not in places]


def _lost(known: Verdict, printed: str) -> Verdict:
    """The error of a test of one's own that an earlier judgement found and this one did not."""
    said = clean(suites.last_line(printed))
    why = f"{known.id}: {known.measurement} judged this run before, and is gone (pytest: {said})"
    return Verdict(**vars(known) | {"verdict": "error", "why": why})
