"""A night: fresh seeds and the canary, recorded whatever becomes of them, then held against its past.

The run directory is the record. What the history cannot take tonight is recorded by a later night, out of
the run directories of the same output folder; a night that was killed is gone on with by the next one.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from harness import engines, environment, pipeline, warming
from harness.artifacts.directories import RunDirectory
from harness.artifacts.files import Folder
from harness.artifacts.latest import run_directories
from harness.artifacts.staging import Staged, leftovers, locked
from harness.config import Config
from harness.errors import ConfigurationError, HarnessError, OutputError, RunError
from harness.history import documents, pins
from harness.history.comparison import DRAWN, past_of, unavailable
from harness.history.documents import NIGHT, Written
from harness.history.kept import Kept, family_of, seeds_of
from harness.history.past import Past
from harness.history.records import Human, Night, NightKind, number_of
from harness.history.rows import enter
from harness.history.series import Series, series_of
from harness.history.store import History
from harness.judging import verdicts
from harness.judging.publishing import Page, Values
from harness.pipeline import admission
from harness.pipeline.started import Progress, Silence


@dataclass
class Nights:
    """The nights of one configuration.

    Attributes:
        config: What a night computes, but for its seeds.
        kept: The history.
        progress: Whom to tell.
        page: What draws a night's report.
        started: Told of each run directory when it is there.
        held: The nights that this process works on, each by a hidden folder that tells who does.
    """

    config: Config
    kept: Kept
    progress: Progress
    page: Page | None = None
    started: Callable[[RunDirectory], object] = lambda _: None
    held: ExitStack = field(default_factory=ExitStack)

    def catch_up(self) -> list[str]:
        """Record what the history lacks of this output folder's nights; their ids."""
        nights = self.kept.ask(History.nights)
        if nights is None:
            return []
        ended = {night.id for night in nights if night.status == "ended"}
        begun = {night.id for night in nights} - ended
        found = []
        for run, written in self._runs():
            if written.id in ended:
                continue
            try:
                night = documents.night_of_run(run)
            except RunError as error:
                self.progress.warn(f"{run.path}: cannot be recorded ({error})")
                continue
            if night.status == "ended" or written.id not in begun:
                self.kept.record(night)
                found.append(night.id)
        return found

    def _runs(self) -> Iterator[tuple[RunDirectory, Written]]:
        """The runs of this output folder that are nights."""
        for path in run_directories(self.config.output / "runs"):
            if documents.is_of_a_night(path):
                with suppress(HarnessError):
                    run = RunDirectory.open(path)
                    yield run, run.read_record(NIGHT, Written)

    @cached_property
    def identity(self) -> dict[str, str]:
        """What tonight's numbers mean, known before they are there.

        Raises:
            Refused: the data, the device or the model cannot be used.
        """
        data = pipeline.loaded(self.config)
        device = environment.choose_device(self.config.device)
        config, model = admission.admitted(self.config, data, device, Silence())
        one = config.model_copy(update={"seeds": tuple(range(self.config.nightly.seeds))})
        digest = model.weights.get("sha256", "")
        return documents.identity_of(one, data.name, data.digest, device.type, data.form.baseline, digest)

    def points(self) -> int:
        """How many nights of tonight's series count so far; 0 where the history cannot be asked."""
        return len(self._counted())

    def _counted(self) -> set[str]:
        """The ids of the nights of tonight's series that count."""
        nights, acts = self.kept.ask(History.nights) or [], self.kept.ask(History.acts) or []
        return {night.id for night in series_of(nights, acts, self.identity, ()).counted}

    def begin(self, kind: NightKind, of: str | None = None) -> Night:
        """A night's document: one that was killed here and is gone on with, or a new one."""
        output = self.config.output
        output.mkdir(parents=True, exist_ok=True)
        known = self.kept.ask(History.nights)
        with locked(output):
            for night in known or []:
                if night.status == "begun" and (night.kind, night.of) == (kind, of) and self._is_dead(night):
                    self.progress.say(f"night {night.id} was broken off, and is gone on with")
                    self._hold(night.id)
                    return night
        used = {seed for night in known or [] for seed in night.seeds} | {self.config.nightly.canary_seed}

        def make(name: str) -> Night:
            self._hold(name)
            count = self.config.nightly.seeds
            config = self.config.model_copy(update={"seeds": seeds_of(name, count, used)})
            return documents.begun(Written(id=name, kind=kind, of=of), config)

        reserved = self.kept.ask(lambda history: history.reserve(make))
        if reserved is not None:
            return reserved
        here = [number_of(written.id) for _, written in self._runs()]
        return make(f"{1 + max(here, default=0):06d}-{secrets.token_hex(3)}")

    def _hold(self, name: str) -> None:
        """Let others see that the night is worked on; who is interrupted leaves what tells where."""
        staged = Staged(self.config.output, f"night-{name}")

        def leave(kind: type[BaseException] | None, *_: object) -> None:
            ended = kind is None or issubclass(kind, Exception)
            (staged.close if ended else staged.abandon)()

        self.held.push(leave)

    def _is_dead(self, night: Night) -> bool:
        """Whether a night that has not ended is of this folder and series, and nobody works on it."""
        held = set(self.config.output.glob(f".night-{night.id}~*"))
        if night.place:
            # of several machines on one history, another may have a folder of the same name
            run = Path(night.place)
            ours = run.parent == (self.config.output / "runs").absolute() and _bears(run, night.id)
            ours = ours and night.identity == self.identity
        else:  # it was broken off before it had a run, and what it held tells where
            ours = bool(held) and len(night.seeds) == self.config.nightly.seeds
        return ours and held.issubset(leftovers(self.config.output))

    def compute(self, night: Night) -> tuple[RunDirectory, BaseException | None]:
        """A night's run directory, and what ended it early.

        Raises:
            HarnessError: it was refused before any work, which is recorded.
        """
        config = self.config.model_copy(update={"seeds": tuple(night.seeds)})
        try:
            work = pipeline.prepare(config, self.progress)
        except HarnessError as error:
            self.kept.record(documents.refused(night, error))
            raise
        run = work.run
        written = Written(id=night.id, kind=night.kind, of=night.of)
        documents.write_night(run, night)
        night = documents.begun(written, config, run)
        self.kept.record(night)
        self.started(run)
        stages = pipeline.STAGES
        if night.kind == "night":
            from harness.pipeline.canary import canary

            pin = self._pin(night)
            frozen = None if pin is None else np.array(pin.pinned["images"], dtype=np.int64)
            stages += (("canary", canary(config.nightly.canary_seed, frozen)),)
        failure = pipeline.finished(
            pipeline.Begun(run, lambda: pipeline.execute(work, stages)), self.progress
        )
        return run, failure

    def warm_up(self, points: int, jobs: int = 1) -> BaseException | None:
        """Make a young series' first points, as many as it lacks; what ended that early.

        Seeds are exchangeable, so that they need not be of different nights, nor one after another. One at a
        time is made here, on all threads as a night is. Several are processes of one thread each, on a CPU:
        the last bits of their numbers are other ones than a night's, by as little beside what seeds make of
        them as a night on another machine has, so that they are of one series, which knows no threads. The
        environment tells them.

        Args:
            points: How many nights of the series there are to be.
            jobs: How many are made at once.

        Raises:
            Refused: a point was, before any work.
            RunError: one ended with no number to count, or in a process that failed.
        """
        if not points:
            return None
        first, since = self.points(), time.monotonic()
        if jobs > 1 and first < points:
            warming.side_by_side(self.config, self.kept.place, first, points, jobs, self.progress)
            if self.points() < points:
                other = "warm-up: what was made is of another series: data or machine changed meanwhile"
                raise RunError(self.kept.trouble or other)
        while (there := self.points()) < points:
            told = engines.left(since, there - first, points - first)
            self.progress.say(f"warm-up: point {there + 1} of {points}{told}")
            failure = self.warm_up_once()
            if failure is not None:
                return failure
        return None

    def warm_up_once(self) -> BaseException | None:
        """Make one of these points, or go on with one that was killed; what ended it early.

        Raises:
            RunError: it counts for nothing, or cannot be recorded.
        """
        night = self.begin("warm-up")
        run, failure = self.compute(night)
        verdicts.judge(run, checks=self.config.checks, beside=self._recorded)
        if failure is None and night.id not in self._counted():
            raise RunError(f"{run.path}: gives no point; see its verdict, and why it cannot be recorded")
        return failure

    def _recorded(self, run: RunDirectory, values: Values, into: Folder) -> None:  # noqa: ARG002
        self.kept.record(documents.night_of_run(run, values))

    def tonight(self) -> tuple[RunDirectory, Values, BaseException | None]:
        """A night, whole: computed, judged, recorded, compared and published."""
        run, failure = self.compute(self.begin("night"))
        values = verdicts.judge(run, checks=self.config.checks, page=self.page, beside=self.beside)
        return run, values, failure

    def _pin(self, night: Night) -> Human | None:
        """The last pin of a night's series."""
        nights = {one.id: one for one in self.kept.ask(History.nights) or []}
        for act in reversed(self.kept.ask(History.acts) or []):
            pinned = nights.get(act.night)
            if act.kind == "pin" and pinned is not None and pinned.identity == night.identity:
                return act
        return None

    def beside(self, run: RunDirectory, values: Values, into: Folder) -> None:
        """Record tonight, then hold it against the nights before it."""
        night = documents.night_of_run(run, values)
        pin = self._pin(night)
        if night.canary is not None and pin is not None:
            night = replace(night, canary=pins.compared(run, night.canary, pin, self._margins(night)))
        self.kept.record(night)
        enter(self._past(night, run), night, values, into)

    def _margins(self, night: Night) -> dict[str, float]:
        return {one.measurement: one.min_change for one in family_of(self.config, [night])}

    def _past(self, night: Night, run: RunDirectory) -> Past:
        if night.status == "begun":
            return unavailable(night, "not compared: it has not ended")
        asked = self._asked(night)
        if asked is not None and not self.kept.trouble and asked.candidates:
            self._measure_again(night, asked.candidates)
            run.link_latest()
            asked = self._asked(night) or asked
        if asked is None or self.kept.trouble:
            return unavailable(night, f"comparison unavailable: {self.kept.trouble}")
        return past_of(asked, night, DRAWN)

    def _asked(self, night: Night) -> Series | None:
        nights, acts = self.kept.ask(History.nights), self.kept.ask(History.acts)
        if nights is None or acts is None:
            return None
        # what was recorded beside tonight with a higher number is not its past
        return self._series([one for one in nights if one.id <= night.id or one.of == night.id], acts, night)

    def _series(self, nights: list[Night], acts: list[Human], night: Night) -> Series:
        return series_of(nights, acts, night.identity, family_of(self.config, nights))

    def _measure_again(self, night: Night, names: Collection[str]) -> None:
        """Measure a night once more with new seeds, where one number alone would wake somebody."""
        self.progress.say(f"{', '.join(names)}: far from the nights before; measured again with new seeds")
        again = self.begin("confirmation", of=night.id)
        run, failure = self.compute(again)
        verdicts.judge(run, checks=self.config.checks, beside=self._recorded)
        if isinstance(failure, KeyboardInterrupt):
            raise failure


def _bears(run: Path, night: str) -> bool:
    """Whether a run directory is there, and is that night's."""
    with suppress(HarnessError):
        return RunDirectory.open(run).read_record(NIGHT, Written).id == night
    return False


def last_green(history: History, run: RunDirectory) -> RunDirectory:
    """The run directory of the last green night before a run's own, of its series.

    Raises:
        RunError: there is none, or it is not there any more.
    """
    night, config = documents.night_of_run(run), run.read_config()
    nights = [one for one in history.nights() if one.id < night.id] + [night]
    series = series_of(nights, history.acts(), night.identity, family_of(config, nights))
    green = past_of(series, night).green
    if not green:
        raise RunError(
            f"{history.name}: no night of its series before {night.id} was green; name one by --against RUN"
        )
    place = Path(next(one.place for one in nights if one.id == green))
    if not (place / NIGHT).is_file():
        raise RunError(
            f"{place}: the last green night's run is not there any more; name one by --against RUN"
        )
    return RunDirectory.open(place)


@contextmanager
def nights_of(
    config: Config,
    place: str | Path,
    progress: Progress,
    page: Page | None = None,
    started: Callable[[RunDirectory], object] = lambda _: None,
) -> Iterator[Nights]:
    """The nights of a configuration, kept in one place.

    Raises:
        ConfigurationError: no night of so many seeds could be judged.
        OutputError: the output folder cannot be made.
        NewerSchema: a newer harness wrote the history.
    """
    if config.strict and config.nightly.seeds == 2:
        raise ConfigurationError(
            "strict needs intervals, and two seeds give none for the recipe: "
            "[nightly] seeds must be 1, or 3 or more (got 2)"
        )
    try:
        config.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"--output {config.output}: cannot be written to ({error.strerror}); name another folder"
        ) from None
    nights = Nights(config, Kept(place, progress.warn), progress, page, started)
    with nights.held:
        yield nights
