"""What `torch.cuda` has for CUDA graphs, played on the second device: a graph is a tape of operations.

Recording leaves no trace, in memory and in the generator: what was overwritten is put back, what was made is
NaN until a replay. A replay runs the same operations on the same storages. While recording, the host may
neither wait nor copy. Streams must be of the tensors' device and wait for one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from tests.played import device as played
from tests.played.device import LOG, Operation, Played


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


class Tape:
    """Operations with their arguments and what they made, in order."""

    def __init__(self) -> None:
        self.operations: list[tuple[Operation, played.Arguments, list[Tensor]]] = []
        self.made: set[int] = set()
        """Storages that came to be while recording."""
        self.before: dict[int, tuple[Any, Any]] = {}
        """Other storages that were written to, and what stood in them."""

    def take(self, operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Take an operation down; raise where it may not be recorded."""
        there = [one.held for one in played.tensors_of(args, kwargs) if isinstance(one, Played)]
        if operation in played.SORTED or played.waits(operation, args, kwargs):
            raise RuntimeError(f"{operation}: not permitted while recording: the host would wait")
        if played.from_host(operation, args, kwargs):
            raise RuntimeError(f"{operation}: not permitted while recording: a copy from the host")
        self._keep(operation, args)
        found = played.compute(operation, args, kwargs)
        given = {_storage(one) for one in there}
        results = [one.held for one in played.tensors_of(found) if isinstance(one, Played)]
        fresh = [one for one in results if _storage(one) not in given]
        self.made |= {_storage(one) for one in fresh}
        self.operations.append((operation, played.on_cpu(args, kwargs), fresh))
        return found

    def _keep(self, operation: Any, args: tuple[Any, ...]) -> None:
        for argument, value in zip(operation._schema.arguments, args, strict=False):
            if argument.alias_info is None or not argument.alias_info.is_write:
                continue
            for one in played.tensors_of(value):
                if isinstance(one, Played) and not {_storage(one.held)} & (self.made | self.before.keys()):
                    memory = one.held.untyped_storage()
                    self.before[_storage(one.held)] = memory, memory.clone()

    def forget(self) -> None:
        """Put back what recording wrote."""
        for memory, before in self.before.values():
            memory.copy_(before)
        for _, _, fresh in self.operations:
            for one in fresh:
                if one.is_floating_point():
                    one.fill_(torch.nan)

    def replay(self) -> None:
        """The operations again, where they were."""
        CUDA.in_order()
        for operation, (args, kwargs), fresh in self.operations:
            found = operation(*args, **kwargs)
            for old, new in zip(fresh, played.tensors_of(found) if fresh else (), strict=True):
                old.copy_(new)


class Side:
    """A stream of the device that is current."""

    def __init__(self) -> None:
        CUDA.at_home()
        CUDA.streams += 1
        self.ready = False
        """Whether it has waited for the current stream since it was last worked on."""

    def wait_stream(self, other: Side) -> None:
        """The work handed over here from now on comes after that of the other stream."""
        if self is CUDA.main:
            CUDA.pending.discard(other)
        self.ready = True


class Cuda:
    """In place of the module `torch.cuda`; another device than the tensors' is current at first."""

    CUDAGraph, Stream = Tape, Side

    def __init__(self) -> None:
        self.home = False
        self.streams = self.graphs = 0
        self.pending: set[Side] = set()
        """Streams whose work the current one has not waited for."""
        self.main: Side | None = None

    def at_home(self) -> None:
        """Raise where another device than the tensors' is current."""
        if not self.home:
            raise RuntimeError("a stream or a graph on another device than the tensors'")

    def in_order(self) -> None:
        """Raise where work of another stream may not be done yet."""
        if self.pending:
            raise RuntimeError("the current stream has not waited for the side stream")

    @contextmanager
    def device(self, device: torch.device) -> Iterator[None]:
        """The current device."""
        before, self.home = self.home, device == played.DEVICE
        try:
            yield
        finally:
            self.home = before

    def current_stream(self) -> Side:
        """The stream that is worked on outside `stream`."""
        if self.main is None:
            self.main = Side()
            self.streams -= 1
        return self.main

    @contextmanager
    def stream(self, side: Side) -> Iterator[None]:
        """Work on another stream."""
        self.at_home()
        self.in_order()
        if not side.ready:
            raise RuntimeError("the side stream has not waited for the current one")
        yield
        side.ready = False
        self.pending.add(side)

    @contextmanager
    def graph(self, graph: Tape, stream: Side) -> Iterator[None]:
        """Record instead of computing."""
        self.at_home()
        self.in_order()
        self.graphs += 1
        state = torch.get_rng_state()
        LOG.recording = graph
        try:
            yield
        finally:
            LOG.recording = None
            graph.forget()
            torch.set_rng_state(state)


CUDA = Cuda()
