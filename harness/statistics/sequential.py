"""Looking again with more images, at no cost in false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np

_NODES = 100
"""Of the rule that integrates over a look; 400 give the same ten digits of a confidence."""


def looks(first: int, pool: int) -> tuple[int, ...]:
    """The sizes at which the numbers are looked at: `first`, doubled again and again, and the whole pool.

    Args:
        first: Images a class at the first look, at least 1.
        pool: Images a class that there are; where they are no more than `first`, the only look takes them.
    """
    if first < 1 or pool < 1:
        raise ValueError(f"looks need at least one image a class (got first {first}, pool {pool})")
    sizes = [min(first, pool)]
    while sizes[-1] < pool:
        sizes.append(min(2 * sizes[-1], pool))
    return tuple(sizes)


def look_confidence(sizes: Sequence[int], confidence: float) -> float:
    """The confidence of every look's interval that keeps all looks together at `confidence`.

    A constant for all looks (Pocock 1977), for means of growing samples: their standardised values have the
    correlation sqrt(n_i / n_j), i < j, whatever the sizes (Jennison and Turnbull 2000, sections 2.4 and 3.1).
    What does not grow with the images, such as seeds, raises the correlations, and so the confidence.

    Args:
        sizes: Images at each look, in any unit; equal ones are one look.
        confidence: That no look's interval misses.
    """
    distinct = tuple(sorted({float(size) for size in sizes}))
    return confidence if len(distinct) == 1 else _pocock(distinct, confidence)


@lru_cache(maxsize=32)
def _pocock(sizes: tuple[float, ...], confidence: float) -> float:
    """Of two sizes or more, in order. Every measurement of a run asks the same."""
    # the reach of one look is too short; Bonferroni's is long enough
    from scipy import optimize, special  # only where looks were planned

    shortest, longest = (float(special.ndtri(1 - (1 - confidence) / 2 / n)) for n in (1, len(sizes)))
    reach = optimize.brentq(lambda reach: chance_within(sizes, reach) - confidence, shortest, longest)
    return float(2 * special.ndtr(reach) - 1)


def chance_within(sizes: Sequence[float], reach: float) -> float:
    """The chance that no look's standardised mean lies further than `reach` from its truth.

    Sums of growing samples are a random walk; its density, cut off at each look, is carried from look to
    look (Armitage, McPherson and Rowe 1969), by Gauss and Legendre's rule. No draws: always the same answer.

    Args:
        sizes: Images at each look, growing.
        reach: In standard errors.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    walked = reach * nodes * np.sqrt(sizes[0])
    density = np.exp(-(walked**2) / (2 * sizes[0])) / np.sqrt(2 * np.pi * sizes[0])
    mass = density * weights * reach * np.sqrt(sizes[0])
    for before, size in pairwise(sizes[:-1]):
        step, further = size - before, reach * nodes * np.sqrt(size)
        kernel = np.exp(-((further[:, None] - walked) ** 2) / (2 * step)) / np.sqrt(2 * np.pi * step)
        walked, mass = further, (kernel @ mass) * weights * reach * np.sqrt(size)
    if len(sizes) == 1:
        return float(mass.sum())
    from scipy import special  # a report needs none of it, and it takes half a second to import

    bound, spread = reach * np.sqrt(sizes[-1]), np.sqrt(sizes[-1] - sizes[-2])
    stays = special.ndtr((bound - walked) / spread) - special.ndtr((-bound - walked) / spread)
    return float(mass @ stays)
