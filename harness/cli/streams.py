"""Printing that never decides: what cannot be printed is left out, and the command ends as it would have.

A reader goes away, a disk is full, a terminal is gone, an encoding lacks a sign, or there is no standard
output at all: none of these says anything of a model.
"""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Sink(io.RawIOBase):
    """Bytes for a file of the system; those that it does not take are gone, and nobody is told."""

    def __init__(self, number: int) -> None:
        """`number` is the file's descriptor, which stays open when the sink is closed."""
        self.number = number

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self.number

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self.number)

    def write(self, data: Buffer) -> int:
        """How many bytes are done with: taken, or gone."""
        while True:
            try:
                return os.write(self.number, data)
            except BlockingIOError:  # somebody shares it who does not wait: we do
                select.select([], [self.number], [])
            except OSError:
                return memoryview(data).nbytes


@contextmanager
def forgiving() -> Iterator[None]:
    """Inside the block, standard output and standard error raise nothing, whatever is behind them.

    A sign that their encoding lacks is printed as its escape. A stream that somebody put in their place, as
    notebooks and tests do, is left as it is.
    """
    _open_standard_files()
    out, err = _forgiving(sys.stdout, 1), _forgiving(sys.stderr, 2)
    with redirect_stdout(out), redirect_stderr(err):
        try:
            yield
        finally:
            out.flush()
            err.flush()


def _open_standard_files() -> None:
    """Give the null device to the standard files that are closed, lest the next file to be opened be one."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # what is opened gets the lowest number that is free
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _forgiving(stream: TextIO | None, number: int) -> TextIO:
    """A text stream over the same file of the system, or over `number` where there is no stream."""
    encoding = "utf-8"
    if stream is not None:
        try:
            number = stream.fileno()
        except (OSError, ValueError, AttributeError):
            return stream
        encoding = stream.encoding
    buffer = io.BufferedWriter(Sink(number))
    return io.TextIOWrapper(buffer, encoding=encoding, errors="backslashreplace", line_buffering=True)
