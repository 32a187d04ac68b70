"""The maps themselves: their size, and whether they add up to what they explain."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from harness.measurements.evidence import Evidence, measurements, not_finite, sampled
from harness.records import Floats, Measurement
from harness.text import words


@measurements.register("map_statistics")
def map_statistics(evidence: Evidence) -> Iterator[Measurement]:
    """Mean, maximum, standard deviation and 99th percentile of each contribution map."""
    rules: dict[str, tuple[str, Callable[[Floats], Floats]]] = {
        "mean": ("Mean", lambda maps: maps.mean(axis=1)),
        "maximum": ("Maximum", lambda maps: maps.max(axis=1)),
        "standard_deviation": ("Standard deviation", lambda maps: maps.std(axis=1)),
        "percentile_99": ("99th percentile", lambda maps: np.quantile(maps, 0.99, axis=1)),
    }
    for name, maps in evidence.contributions().items():
        for rule, (title, reduce) in rules.items():

            def values(maps: Floats = maps, reduce: Callable[[Floats], Floats] = reduce) -> Floats:
                return np.asarray(reduce(maps), dtype=np.float64)

            yield sampled(
                evidence,
                f"map_statistics.{name}.{rule}",
                f"{title} of {name}",
                values,
                unit=f"logits a {evidence.words.feature}",
                higher_is_better=None,
                reason=not_finite({name: maps}),
            )


COMPLETE = {
    "integrated_gradients": "completeness",
    "switch_aware_integrated_gradients": "completeness.switch_aware_integrated_gradients",
}
"""Methods whose maps promise to add up, and what their gap is called."""


@measurements.register("completeness")
def completeness(evidence: Evidence) -> Iterator[Measurement]:
    """Gap |sum of contributions - (f_y(x) - f_y(0))| / |f_y(x) - f_y(0)| of integrated gradients.

    A top-k network is not continuous: where a unit enters or leaves the k along the path, f jumps, and no
    gradient sees a jump. A gap is therefore a property of the method, not of its steps. Those that see jumps
    (`completeness.switch_aware_integrated_gradients`) have none but what lies between their points.
    """
    rows = np.arange(len(evidence.labels))
    reached = evidence.logits[evidence.indices][rows, evidence.labels].astype(np.float64)
    change = reached - evidence.baseline_logits[evidence.labels]
    for name, base in COMPLETE.items():
        if name not in evidence.maps:
            continue
        total = evidence.maps[name].contribution(evidence.images).sum(axis=1, dtype=np.float64)

        def gaps(total: Floats = total) -> Floats:
            return np.asarray(np.abs(total - change) / np.abs(change))

        for rule in ("median", "95th percentile"):
            yield sampled(
                evidence,
                base if rule == "median" else f"{base}.percentile_95",
                f"Completeness gap of {words(name)} ({rule})",
                gaps,
                unit="share of the logit's change",
                higher_is_better=False,
                reduction=rule,
                reason=not_finite({name: evidence.maps[name].own}),
            )
