"""How often alarms on the nights before are false, and how soon they find what is wrong.

Years of simulated nights go through the very class that holds a series' nights against each other. A second
measurement of a night is another draw.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from harness.artifacts.files import key_of
from harness.config.parameters import Criterion, Nightly, shipped_criteria
from harness.history import charts
from harness.history.charts import SILENT, Monitor, Spell
from harness.records import Floats
from harness.statistics import monitoring
from tests.gate_quality.components import Say
from tests.gate_quality.runs import store, stored

CHARTS = 10
"""As many share the false alarms in a simulation of one measurement."""

NIGHTS = 1000
SERIES, QUICK_SERIES = 2500, 60
FAMILIES, QUICK_FAMILIES = 200, 6
SEARCHES, QUICK_SEARCHES = 400, 20
HORIZON = 180
"""Nights after a change in which it is looked for."""

STARTS = (30, 60)
STEPS = (1.0, 2.0, 3.0, 5.0)
DRIFTS = (0.02, 0.05)
OUTLIER, OUTLIER_AT = 8.0, 60
MISSING = 0.1
TOLERATED = 1.2
"""False alarms a year of all charts together; one is what the limit promises."""

YEAR = 365.0

Draw = Callable[[np.random.Generator, int], Floats]
"""`(generator, nights)`: the numbers of nights without a change, the larger the worse."""


@dataclass(frozen=True)
class Noise:
    """How nights without a change differ: how they are drawn, and their standard deviation."""

    draw: Draw
    sd: float


NOISES: Mapping[str, Noise] = {
    "normal": Noise(lambda generator, n: generator.standard_normal(n), 1.0),
    "heavy-tailed (t3)": Noise(lambda generator, n: generator.standard_t(3, n), 3**0.5),
    "skewed to the worse (lognormal)": Noise(
        lambda generator, n: np.exp(generator.standard_normal(n)), float(np.sqrt((np.e - 1) * np.e))
    ),
    "skewed to the better (lognormal)": Noise(
        lambda generator, n: -np.exp(generator.standard_normal(n)), float(np.sqrt((np.e - 1) * np.e))
    ),
    "rounded to half an sd": Noise(lambda generator, n: np.round(2 * generator.standard_normal(n)) / 2, 1.0),
}
SEEDS_A_NIGHT = {f"real seeds, {seeds} a night": seeds for seeds in (Nightly().seeds, 1)}
KINDS = (*NOISES, *SEEDS_A_NIGHT)

Estimates = Mapping[str, Sequence[float]]
"""By gate, its number in each of the real seeds, in the same order of seeds."""


def tasks(
    estimates: Estimates, quick: bool, folder: Path, say: Say
) -> list[tuple[str, Callable[[], dict[str, Any]]]]:
    """What can be measured side by side, by name; each result is kept in the folder as it comes."""
    work: dict[str, Callable[[], dict[str, Any]]] = {
        **{kind: partial(_of_noise, kind, quick) for kind in NOISES},
        **{kind: partial(_of_seeds, estimates, seeds, quick) for kind, seeds in SEEDS_A_NIGHT.items()},
    }
    key = key_of(
        {
            "code": [inspect.getsource(module) for module in (charts, monitoring)]
            + [Path(__file__).read_text(encoding="utf-8")],
            "estimates": {name: list(values) for name, values in estimates.items()},
            "quick": quick,
        }
    )
    return [(f"nightly-{kind}", partial(_kept, kind, work[kind], folder, key, say)) for kind in KINDS]


def gathered(found: Mapping[str, Any]) -> dict[str, Any]:
    """The part `nightly` of `gate-quality.json`, of the tasks' results.

    Returns:
        `charts`, `limit` and `expected` nights of the cumulative sums, and by kind of noise `false_alarms`,
        `naive` (the rule 'last night plus or minus two standard deviations'), `found` (what was planted, and
        after how many nights it was found), `outliers` and `missing` where they were measured.
    """
    h = monitoring.limit(CHARTS)
    return {
        "charts": CHARTS,
        "limit": h,
        "expected": {f"{shift:g}": monitoring.expected_nights(h, shift) for shift in STEPS},
        "kinds": {kind: found[f"nightly-{kind}"] for kind in KINDS},
    }


def problems(nightly: Mapping[str, Any], *, quick: bool = False) -> list[str]:
    """Where false alarms come more often than promised; a quick sample must prove that they do."""
    bound = "lower_bound" if quick else "upper_bound"
    return [
        f"nightly, {kind}: {part['false_alarms']['a_year']:.2f} false alarms a year, with 95 % at "
        f"{'least' if quick else 'most'} {part['false_alarms'][bound]:.2f}; {TOLERATED} are tolerated"
        for kind, part in nightly["kinds"].items()
        if part["false_alarms"][bound] > TOLERATED
    ]


def show(nightly: Mapping[str, Any]) -> None:
    """The tables, for readers."""
    expected = ", ".join(f"{nights:.1f} ({shift} sd)" for shift, nights in nightly["expected"].items())
    print(f"nightly: {nightly['charts']} charts, h {nightly['limit']:.2f}, expected nights: {expected}")
    print("  false alarms a year, all charts (with 95 % at most); red; second measurements; naive rule")
    for kind, part in nightly["kinds"].items():
        false, naive = part["false_alarms"], part["naive"]
        print(
            f"  {kind:34s} {false['a_year']:5.2f} ({false['upper_bound']:.2f}) {false['red_a_year']:5.2f} "
            f"{false['second_measurements_a_year']:5.2f} {naive['a_year']:7.1f}   open for "
            f"{false['nights_open']:.0f} nights"
        )
    print(
        "  nights to find it: median; within 10 and 90 nights; its first night is in the range; naive, in 1"
    )
    for kind, part in nightly["kinds"].items():
        for row in part["found"]:
            median = "-" if row["median"] is None else f"{row['median']:.0f}"
            print(
                f"  {kind:34s} {row['what']:22s} from {row['start']:3d}: {median:>4s} "
                f"{row['within_10']:4.0%} {row['within_90']:4.0%} {row['in_range']:4.0%} {row['naive']:4.0%}"
            )
        if "outliers" in part:
            outlier, missing = part["outliers"], part["missing"]
            print(
                f"  {kind:34s} one night {outlier['sd']:g} sd off: alarms that night "
                f"{outlier['alarms_that_night']:.1%}, within 10 nights {outlier['alarms_within_10']:.1%}"
            )
            print(
                f"  {kind:34s} {missing['share']:.0%} of nights missing: {missing['a_year']:.2f} false "
                f"alarms a year, median {missing['median_of_2_sd']} nights to find 2 sd"
            )


def _kept(name: str, work: Callable[[], dict[str, Any]], folder: Path, key: str, say: Say) -> dict[str, Any]:
    stem = "nightly-" + "".join(one if one.isalnum() else "-" for one in name)
    result = stored(folder, stem, key)
    if result is None:
        result = work()
        store(folder, stem, key, result)
        false = result["false_alarms"]
        say(f"nightly, {name}: {false['a_year']:.2f} false alarms a year, at most {false['upper_bound']:.2f}")
    return result


def _generator(*parts: object) -> np.random.Generator:
    return np.random.default_rng(list(" ".join(map(str, parts)).encode()))


@dataclass(frozen=True)
class _Seen:
    """What a monitor made of a series: harmful spells and the nights that asked for a second measurement."""

    spells: list[Spell]
    asked: int


def _seen(
    numbers: Floats,
    again: Floats,
    h: float,
    *,
    higher_is_better: bool | None = False,
    min_change: float = 0.0,
) -> _Seen:
    monitor, asked = Monitor(higher_is_better, h, min_change), 0
    for number, second in zip(numbers.tolist(), again.tolist(), strict=True):
        monitor.add(number, second)
        asked += monitor.candidate
    return _Seen([one for one in monitor.spells if one.harmful], asked)


def _naive(numbers: Floats) -> Floats:
    """The nights [nights - 10] that the rule 'last night plus two sd' finds, the sd of all nights before."""
    n = np.arange(len(numbers))
    sums, squares = numbers.cumsum(), (numbers**2).cumsum()
    spread = np.sqrt(np.maximum(squares - sums**2 / (n + 1), 0) / np.maximum(n, 1))
    return np.asarray((numbers[SILENT:] - numbers[SILENT - 1 : -1]) > 2 * spread[SILENT - 1 : -1])


def _rate(seen: Sequence[_Seen], years: float, nights: int) -> dict[str, Any]:
    """False alarms a year, with Poisson's exact bounds of 95 % each."""
    spells = [spell for one in seen for spell in one.spells]
    found = len(spells)
    open_for = [(nights if one.ended is None else one.ended) - one.found for one in spells]
    return {
        "alarms": found,
        "years": years,
        "a_year": found / years,
        "lower_bound": float(stats.chi2.ppf(0.05, 2 * found) / 2 / years) if found else 0.0,
        "upper_bound": float(stats.chi2.ppf(0.95, 2 * found + 2) / 2 / years),
        "red_a_year": sum(one.red for one in spells) / years,
        "by_rule": {
            rule: sum(one.rule == rule for one in spells) for rule in ("one night", "drift", "constant")
        },
        "nights_open": float(np.median(open_for)) if open_for else 0.0,
        "second_measurements_a_year": sum(one.asked for one in seen) / years,
    }


def _of_noise(name: str, quick: bool) -> dict[str, Any]:
    """One measurement of a family of ten, with one kind of noise."""
    noise, h = NOISES[name], monitoring.limit(CHARTS)
    generator, series = _generator(name), QUICK_SERIES if quick else SERIES
    years = series * NIGHTS / YEAR / CHARTS
    seen, naive = [], 0
    for _ in range(series):
        numbers, again = noise.draw(generator, NIGHTS), noise.draw(generator, NIGHTS)
        seen.append(_seen(numbers, again, h))
        naive += int(_naive(numbers).sum())
    return {
        "false_alarms": _rate(seen, years, NIGHTS),
        "naive": {"a_year": naive / years},
        "found": _searched(noise, h, generator, quick),
        "outliers": _outliers(noise, h, generator, quick),
        "missing": _missing(noise, h, generator, quick),
    }


def _of_seeds(estimates: Estimates, seeds: int, quick: bool) -> dict[str, Any]:
    """The whole gated family at once, a night the mean of some of the real seeds, drawn without return."""
    generator, families = _generator("real seeds", seeds), QUICK_FAMILIES if quick else FAMILIES
    gates = [one for one in shipped_criteria(50) if one.measurement in estimates]
    numbers = np.array([estimates[one.measurement] for one in gates])
    h = monitoring.limit(sum(2 if _direction(one) is None else 1 for one in gates))
    seen, naive, years = [], 0, families * NIGHTS / YEAR

    def nights(generator: np.random.Generator, n: int) -> Floats:
        chosen = generator.random((n, numbers.shape[1])).argpartition(seeds - 1, axis=1)[:, :seeds]
        return np.asarray(numbers[:, chosen].mean(axis=2))

    for _ in range(families):
        first, second = nights(generator, NIGHTS), nights(generator, NIGHTS)
        for gate, row, again in zip(gates, first, second, strict=True):
            direction, smallest = _direction(gate), Nightly().smallest_change(gate.measurement)
            seen.append(_seen(row, again, h, higher_is_better=direction, min_change=smallest))
            naive += sum(int(_naive(side * row).sum()) for side in _harmful(direction))
    at = [one.measurement for one in gates].index("agreement")
    agreement = Noise(
        lambda generator, n: -nights(generator, n)[at], float(nights(generator, 20_000)[at].std())
    )
    return {
        "charts": sum(len(_harmful(_direction(one))) for one in gates),
        "seeds": numbers.shape[1],
        "false_alarms": _rate(seen, years, NIGHTS),
        "naive": {"a_year": naive / years},
        "found": _searched(agreement, h, generator, quick),
    }


def _direction(criterion: Criterion) -> bool | None:
    return None if criterion.relation == "within" else criterion.relation == ">="


def _harmful(higher_is_better: bool | None) -> tuple[int, ...]:
    return (1, -1) if higher_is_better is None else (-1 if higher_is_better else 1,)


def _searched(noise: Noise, h: float, generator: np.random.Generator, quick: bool) -> list[dict[str, Any]]:
    """After how many nights a lasting change is found, by its size and the night in which it begins."""
    rows = []
    slopes = [(f"step of {size:g} sd", size, 0.0) for size in STEPS]
    slopes += [(f"{size:g} sd more a night", 0.0, size) for size in DRIFTS]
    for start in STARTS:
        for what, step, slope in slopes:
            after = np.arange(HORIZON) + 1.0
            change = noise.sd * np.concatenate([np.zeros(start), step + slope * after])
            rows.append({"what": what, "start": start, **_found(noise, change, start, h, generator, quick)})
    return rows


def _found(
    noise: Noise, change: Floats, start: int, h: float, generator: np.random.Generator, quick: bool
) -> dict[str, Any]:
    nights, in_range, naive = [], [], 0
    searches = QUICK_SEARCHES if quick else SEARCHES
    for _ in range(searches):
        numbers = noise.draw(generator, len(change)) + change
        seen = _seen(numbers, noise.draw(generator, len(change)) + change, h)
        naive += bool(_naive(numbers)[start - SILENT])
        first = next((one for one in seen.spells if one.found >= start), None)
        nights.append(np.inf if first is None else first.found - start + 1)
        in_range.append(first is not None and first.earliest <= start <= first.latest)
    median = float(np.median(nights))
    return {
        "median": median if np.isfinite(median) else None,
        "first_night": float(np.mean(np.equal(nights, 1))),
        "within_10": float(np.mean(np.less_equal(nights, 10))),
        "within_90": float(np.mean(np.less_equal(nights, 90))),
        "in_range": float(np.mean(in_range)),
        "naive": naive / searches,
    }


def _outliers(noise: Noise, h: float, generator: np.random.Generator, quick: bool) -> dict[str, Any]:
    """One night far off, whose second measurement is as ever: how often it alarms, that night and after."""
    that_night = soon = 0
    searches = QUICK_SEARCHES if quick else SEARCHES
    for _ in range(searches):
        numbers = noise.draw(generator, OUTLIER_AT + 10)
        numbers[OUTLIER_AT] += OUTLIER * noise.sd
        found = [one.found for one in _seen(numbers, noise.draw(generator, len(numbers)), h).spells]
        that_night += OUTLIER_AT in found
        soon += any(one >= OUTLIER_AT for one in found)
    return {
        "sd": OUTLIER,
        "night": OUTLIER_AT,
        "alarms_that_night": that_night / searches,
        "alarms_within_10": soon / searches,
    }


def _missing(noise: Noise, h: float, generator: np.random.Generator, quick: bool) -> dict[str, Any]:
    """False alarms, and the nights to find two standard deviations, where one night in ten is missing."""
    series = (QUICK_SERIES if quick else SERIES) // 3
    seen = []
    for _ in range(series):
        there = int((generator.random(NIGHTS) >= MISSING).sum())
        seen.append(_seen(noise.draw(generator, there), noise.draw(generator, there), h))
    nights, start = [], STARTS[-1]
    for _ in range(QUICK_SEARCHES if quick else SEARCHES):
        calendar = np.flatnonzero(generator.random(start + HORIZON) >= MISSING)
        change = 2 * noise.sd * (calendar >= start)
        numbers, again = (noise.draw(generator, len(calendar)) + change for _ in range(2))
        found = [calendar[one.found] for one in _seen(numbers, again, h).spells]
        nights.append(next((one - start + 1 for one in found if one >= start), np.inf))
    median = float(np.median(nights))
    return {
        "share": MISSING,
        "a_year": sum(len(one.spells) for one in seen) / (series * NIGHTS / YEAR / CHARTS),
        "median_of_2_sd": median if np.isfinite(median) else None,
    }
