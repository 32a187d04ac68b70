"""Series in the format `.ts`, which aeon, sktime and the archives of time series share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import DataError
from harness.text import is_number


@dataclass(frozen=True, eq=False)
class Series:
    """Series of one length, with their labels.

    Attributes:
        values: float32 [n, channels, time], or [n, time] of one channel.
        labels: n labels, as they are written.
        classes: All labels that the header declares, in its order; none where it declares none.
    """

    values: npt.NDArray[np.float32]
    labels: list[str]
    classes: tuple[str, ...]


def parse(text: str, name: str) -> Series:
    """The series of a `.ts` file's text: a header of `@` lines, and a line each after `@data`.

    In a line the channels are parted by colons, their points by commas, and the label comes last.

    Args:
        text: The file's content.
        name: The file, for messages.

    Raises:
        DataError: no such file, series of different lengths or channels, gaps, points with time stamps, or no
            class labels.
    """
    header, rows = _parts(text, name)
    if header.get("timestamps", "false") == "true":
        raise DataError(f"{name}: its points bear time stamps; write one number a point, at equal steps")
    declared = header.get("classlabel", "false").split()
    if declared[:1] != ["true"]:
        raise DataError(f"{name}: must declare its classes, as '@classLabel true a b', and label each series")
    series: list[list[list[float]]] = []
    labels: list[str] = []
    for number, row in rows:
        *channels, label = row.split(":")
        series.append([_numbers(channel, name, number) for channel in channels])
        labels.append(label.strip())
    if not series or not series[0]:
        raise DataError(f"{name}: must hold series after '@data', each 'points:label' (got none)")
    for (number, _), points in zip(rows, series, strict=True):
        lengths = [len(one) for one in points]
        if lengths != [len(series[0][0])] * len(series[0]):
            first = f"{len(series[0])} of {len(series[0][0])} points"
            raise DataError(
                f"{name}: line {number}: series must be of one length, and as many channels as the first "
                f"has, {first} (got {len(lengths)} of {', '.join(map(str, dict.fromkeys(lengths)))}); "
                "cut them, pad them, or bring them to one length before"
            )
    values = np.array(series, dtype=np.float32)
    return Series(values[:, 0] if values.shape[1] == 1 else values, labels, tuple(declared[1:]))


def _parts(text: str, name: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The header by lower-case key, and the numbered lines after it."""
    header: dict[str, str] = {}
    rows: list[tuple[int, str]] = []
    is_data = False
    for number, line in enumerate(text.splitlines(), 1):
        row = line.strip()
        if not row or row.startswith("#"):
            continue
        if is_data:
            rows.append((number, row))
        elif row.lower() == "@data":
            is_data = True
        elif row.startswith("@"):
            key, _, value = row[1:].partition(" ")
            header[key.lower()] = value.strip() if key.lower() == "classlabel" else value.strip().lower()
        else:
            raise DataError(f"{name}: line {number}: must be a '@' line of the header, or come after '@data'")
    return header, rows


def _numbers(text: str, name: str, number: int) -> list[float]:
    try:
        return [float(one) for one in text.split(",")]
    except ValueError:
        got = next((one for one in text.split(",") if not is_number(one)), text)
        mend = "fill the gap before" if got.strip() in ("?", "") else "write numbers with commas between them"
        raise DataError(
            f"{name}: line {number}: points must be numbers (got {got.strip()!r:.40}); {mend}"
        ) from None
