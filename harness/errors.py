"""What can go wrong, told apart by what the user has to do about it.

Every message says what was wrong, what was expected, what was got, and the mend.
"""

from __future__ import annotations

import errno
from pathlib import Path


class HarnessError(Exception):
    """Something that the harness foresaw: one line for the user, no traceback.

    `exit_code` is what the command ends with: 2 when it was refused before any work, 3 when something
    could not be evaluated.
    """

    exit_code = 3


class Refused(HarnessError):
    """Refused before any work was done; no verdict is written. Mend what the message names, run again."""

    exit_code = 2


class ConfigurationError(Refused):
    """A key, flag or value of the configuration is unknown or out of range. Correct it where it was set."""


class DataError(Refused):
    """Data is missing, damaged, or not what its digest says. Fetch it anew, or name another place."""


class DeviceError(Refused):
    """The device asked for is not there. Name another one with `--device`."""


class OutputError(Refused):
    """The output folder cannot be written to. Name another one with `--output`, or free the place."""


class InputError(Refused, ValueError):
    """What a caller handed over cannot be meant. Hand over what the message says was expected."""


class Pruned(Refused):
    """A run has lost, to save room, what was asked for. Take a copy of it that is whole."""


class SeedsAlike(HarnessError):
    """Several seeds gave one network, so their spread says nothing. Look at what is to draw by seed."""


class TrainingDiverged(HarnessError):
    """A loss was NaN or infinite; training stopped there. Lower the learning rate, look at the data."""

    @classmethod
    def at(cls, what: str, epoch: int, step: int, loss: float) -> TrainingDiverged:
        """The error of a training whose loss is no number at that step, counted from 1."""
        return cls(
            f"{what}: the loss is {loss} at epoch {epoch}, step {step}; "
            "look at the training data, or lower --learning-rate"
        )


class RecipeError(HarnessError):
    """A recipe of somebody's own fails, or gives no records. Mend it where the message says."""


class MemoryExhausted(HarnessError):
    """Memory ran out twice, the second time with smaller chunks. Lower `--chunk-size`, or explain fewer."""


class CheckpointError(HarnessError):
    """Weights on disk are damaged, foreign, not finite, or hold more than tensors. Train anew: `--fresh`."""


class StorageError(HarnessError):
    """What was made cannot be stored: a full disk, a folder that is read-only. Free the place, run again."""

    @classmethod
    def of(cls, path: Path, error: OSError) -> StorageError:
        """The error of a path that the system refuses to write, with what to do about it."""
        mend = "free the place"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            mend = "make it writable"
        elif error.errno in (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY):
            mend = "move what is there out of the way"
        return cls(f"{path}: cannot be written ({error.strerror or error}); {mend}, and run again")


class RunError(HarnessError):
    """A run directory lacks a file, or holds one that is not as it was, or of another run or schema."""


class DamageError(RunError):
    """A file of a run is not as it was computed. Take it from a copy of the run, or compute the run again."""
