"""Draw more samples until every gate is decided, or the pool is used up: `--until-decided`."""

from __future__ import annotations

from harness import criteria
from harness.pipeline.explanations import attribute, select
from harness.pipeline.numbers import measure
from harness.pipeline.probes import probe
from harness.pipeline.work import Work
from harness.runs import Run


def decide(work: Work) -> None:
    """Explain and measure more samples while the interval of a gate that rests on them straddles.

    The sizes were planned before the first look, and every look's intervals are wide enough for all of
    them together; so looking again and again costs no false alarm.
    """
    while undecided := _undecided(work):
        size, named = work.looks[work.look], ", ".join(undecided)
        if work.look + 1 == len(work.looks):
            work.progress.warn(f"still undecided with all {size} samples a class there are: {named}")
            return
        work.look += 1
        work.progress.say(
            f"undecided with {size} samples a class: {named}; {work.looks[work.look]} are explained"
        )
        for stage in (select, attribute, probe, measure):
            stage(work)


def _undecided(work: Work) -> list[str]:
    """The gates whose interval straddles the threshold, of those that are measured on explained images."""
    if not work.config.statistics.until_decided:
        return []
    run = Run(work.run)
    return [
        one.id
        for one in work.config.criteria
        if one.gate
        and criteria.judge(one, run.estimate(one.measurement)).marginal
        and "strata" in run.directory.read_arrays(f"measurements/{one.measurement.split('.')[0]}.npz")
    ]
