"""Whether two methods agree on an image because it is that image: permutations of the pairing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.records import Floats

_TIE = 1e-12
"""A permutation that gives the observed number again may miss it by the order of additions."""


def pairing_p_values(by_class: Sequence[Floats], permutations: int, generator: np.random.Generator) -> Floats:
    """One-sided p of each pair's agreement, under permutations of whose map meets whose within a class.

    The agreement is the mean over classes of the diagonals' means; under a permutation it takes one entry a
    row and a column. p = (1 + permutations that reach the observed one) / (1 + permutations), which is
    never 0 and exact at any number of them (Phipson and Smyth 2010; Good 2005). All pairs meet the same
    permutations.

    Args:
        by_class: For each class float64 [pairs, n, n]: how far the first method's map of image i agrees
            with the second's of image j.
        permutations: How many.
        generator: Draws them.

    Returns:
        float64 [pairs].
    """
    observed = np.mean([np.diagonal(one, axis1=1, axis2=2).mean(axis=1) for one in by_class], axis=0)
    permuted = np.zeros((permutations, len(observed)))
    for matrices in by_class:
        images = matrices.shape[1]
        orders = generator.permuted(np.tile(np.arange(images), (permutations, 1)), axis=1)
        entries = orders + images * np.arange(images)
        for column, matrix in enumerate(matrices):
            permuted[:, column] += matrix.ravel().take(entries).mean(axis=1)
    reached = (permuted / len(by_class) >= observed - _TIE).sum(axis=0)
    return np.asarray((1 + reached) / (1 + permutations))


def holm(p_values: Floats) -> Floats:
    """Step-down adjusted p-values, valid whatever the dependence (Holm 1979): float64 of the same shape."""
    order = np.argsort(p_values, kind="stable")
    raised = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(raised, 1)
    return adjusted
