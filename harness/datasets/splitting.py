"""Which inputs are held back for the test, where their source does not say."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.records import Ints

TEST_SHARE = 0.2
"""Of each class, where nobody says otherwise."""


def held_back(inputs: npt.NDArray[Any], labels: Ints, share: float) -> npt.NDArray[np.bool_]:
    """The inputs of the test: of each class those whose content has the lowest SHA-256.

    So the split follows from the inputs alone, whatever their order or their files' names are, and moves
    little where others join them. Inputs of one class that are equal stand in one half.

    Args:
        inputs: [n, ...].
        labels: int [n].
        share: Of each class, above 0 and below 1; at least one input, and not all.

    Returns:
        bool [n]; none of a class whose inputs are all equal.
    """
    digests = np.array([hashlib.sha256(one.tobytes()).hexdigest() for one in inputs])
    held = np.zeros(len(inputs), dtype=bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        ranked = np.sort(digests[members])
        below = ranked[ranked < ranked[-1]]
        if len(below):
            last = below[min(max(1, round(share * len(members))), len(below)) - 1]
            held[members] = digests[members] <= last
    return held
