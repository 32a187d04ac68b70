"""What a finished run was computed of, and what it explained, as they were when it ran."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import datasets, pipeline
from harness.environment.state import clean
from harness.errors import DataError, InputError

if TYPE_CHECKING:
    from torch import nn

    from harness.runs import Run


def data_of(run: Run) -> datasets.Dataset:
    """The data that a run was computed of, read again from where it lies.

    Raises:
        DataError: it is not there, or is other data by now.
    """
    found, known = pipeline.loaded(run.config), run.provenance.dataset["digest"]
    if known and known != found.digest:
        raise DataError(
            f"{run.directory.path}: was computed of other data than {found.name} is here "
            f"(digest {known[:12]}, got {found.digest[:12]}); bring that data"
        )
    return found


@clean()
def load_network(run: Run, seed: int | None = None) -> nn.Module:
    """What one seed of a finished run explained: a new copy with its weights, on the CPU, in evaluation mode.

    It takes float32 inputs [n, features] and gives logits [n, classes]. A factory of one's own, which the
    run's configuration names, is imported: its code runs.

    Args:
        run: The run.
        seed: One of its seeds; the first by default.

    Raises:
        InputError: the seed is none of the run's.
        ConfigurationError: the model's factory is not there.
        DataError: the data, whose sides and classes a factory is given, is not there or is other data.
        RunError: the weights are missing or damaged.
    """
    from harness.pipeline.work import filled

    seed = run.config.seeds[0] if seed is None else seed
    if seed not in run.config.seeds:
        raise InputError(f"seed: must be one of {list(run.config.seeds)}, the run's (got {seed})")
    found: nn.Module = filled(run.config, data_of(run), seed, run.directory.seed(seed))
    return found.eval()
