"""What a run keeps of the form of its inputs: the record of its data, and the file of a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.artifacts.files import Folder
from harness.artifacts.sealing import REFERENCE
from harness.forms import Form


def keep(run: Folder, form: Form) -> None:
    """Write `baseline.npz` (float32 [features]) where the record of the data cannot tell the baseline.

    Raises:
        StorageError: it cannot be written.
    """
    if form.is_stored:
        run.write_arrays(REFERENCE, {"baseline": form.reference})


def form_of(run: Folder, record: Mapping[str, Any]) -> Form:
    """The form of a run's inputs, by the record of its data in its provenance.

    Raises:
        RunError: the baseline's file is missing or damaged.
        KeyError, TypeError, ValueError: the record is not one of this version's.
    """
    stored = record.get("baseline") in ("mean", "array")
    return Form.of_record(record, run.read_arrays(REFERENCE)["baseline"] if stored else None)
