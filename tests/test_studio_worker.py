"""The worker: of a page's questions the last wins, nothing queues up, and whoever goes is noticed."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Generator, Iterator
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
import pytest

from harness.studio import worker
from harness.studio.worker import Busy, Superseded, Work, Worker

LONG = 20
"""Seconds after which a test is lost; none waits so long."""


@pytest.fixture
def one() -> Iterator[Worker]:
    found = Worker()
    yield found
    found.close(LONG)
    assert not found._thread.is_alive()


class Held:
    """Work that waits between its two parts until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self.parts = 0
        self.ended = threading.Event()

    def __call__(self) -> Generator[dict[str, Any], None, None]:
        try:
            self.parts = 1
            yield {"first": 1}
            self.begun.set()
            assert self.go.wait(LONG)
            self.parts = 2
            yield {"second": 2}
            self.parts = 3
            yield {"third": 3}
        finally:
            self.ended.set()


def giving(**values: Any) -> Work:
    def work() -> Generator[dict[str, Any], None, None]:
        yield values

    return work


def test_parts_come_as_one(one: Worker) -> None:
    """In the worker's own thread."""

    def work() -> Generator[dict[str, Any], None, None]:
        yield {"a": 1}
        yield {"thread": threading.current_thread().name}

    assert one.ask("page", work).result(LONG) == {"a": 1, "thread": "studio"}


def test_one_thread_does_all_the_work(one: Worker) -> None:
    """Whoever asks, no two parts are made at once."""
    seen: set[int] = set()

    def work() -> Generator[dict[str, Any], None, None]:
        seen.add(threading.get_ident())
        yield {}

    for answer in [one.ask(number, work) for number in range(30)]:
        answer.result(LONG)
    assert len(seen) == 1
    assert threading.get_ident() not in seen


def test_a_later_question_ends_the_one_in_work_after_its_part(one: Worker) -> None:
    """The earlier is told at once; its next part is never made."""
    held = Held()
    earlier = one.ask("page", held)
    assert held.begun.wait(LONG)
    later = one.ask("page", giving(later=True))
    with pytest.raises(Superseded):
        earlier.result(LONG)
    held.go.set()
    assert later.result(LONG) == {"later": True}
    assert held.ended.is_set()
    assert held.parts == 2  # the part that it was in, and not the third


def test_of_one_page_at_most_one_question_waits(one: Worker) -> None:
    """A thousand are asked while another is answered: the last one is, the others are told so."""
    held = Held()
    one.ask("other page", held)
    assert held.begun.wait(LONG)
    answers = [one.ask("page", giving(number=number)) for number in range(1000)]
    assert one.waiting == 1
    assert sum(answer.done() for answer in answers) == 999
    held.go.set()
    assert answers[-1].result(LONG) == {"number": 999}
    for answer in answers[:-1]:
        with pytest.raises(Superseded):
            answer.result(0)


def test_another_page_is_not_superseded(one: Worker) -> None:
    """Each has an answer, in the order in which they came."""
    order: list[str] = []

    def work(name: str) -> Work:
        def parts() -> Generator[dict[str, Any], None, None]:
            order.append(name)
            yield {"name": name}

        return parts

    held = Held()
    first = one.ask("a", held)
    assert held.begun.wait(LONG)
    answers = [one.ask("b", work("b")), one.ask("c", work("c")), one.ask("b", work("b again"))]
    held.go.set()
    assert first.result(LONG)["third"] == 3
    assert answers[1].result(LONG) == {"name": "c"}
    # who asks often keeps its place, and takes nobody else's
    assert order == ["b again", "c"]


def test_too_many_pages_are_told_to_wait(one: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bounded, whoever asks."""
    held = Held()
    one.ask("busy", held)
    assert held.begun.wait(LONG)
    answers = [one.ask(number, giving(number=number)) for number in range(worker.WAITING)]
    with pytest.raises(Busy):
        one.ask("one more", giving())
    assert one.waiting == worker.WAITING
    again = one.ask(5, giving(number="again"))  # of a page that waits already
    held.go.set()
    assert again.result(LONG) == {"number": "again"}
    assert answers[6].result(LONG) == {"number": 6}


def test_a_waiting_question_that_nobody_wants_any_more_is_not_asked(one: Worker) -> None:
    """It is cancelled, and its place is free."""
    held, asked = Held(), []

    def work() -> Generator[dict[str, Any], None, None]:
        asked.append(1)
        yield {}

    one.ask("busy", held)
    assert held.begun.wait(LONG)
    gone = one.ask("gone", work)
    assert gone.cancel()
    assert one.waiting == 0
    held.go.set()
    one.ask("next", giving()).result(LONG)
    assert not asked


def test_work_that_nobody_wants_any_more_ends_after_its_part(one: Worker) -> None:
    """A client that hangs up cancels; the worker turns to the next."""
    held = Held()
    gone = one.ask("gone", held)
    assert held.begun.wait(LONG)
    assert gone.cancel()
    held.go.set()
    one.ask("next", giving()).result(LONG)
    assert held.parts == 2
    with pytest.raises(CancelledError):
        gone.result(0)


def test_an_error_is_its_askers_alone(one: Worker) -> None:
    """The thread goes on."""

    def work() -> Generator[dict[str, Any], None, None]:
        yield {"a": 1}
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        one.ask("page", work).result(LONG)
    assert one.ask("page", giving(b=2)).result(LONG) == {"b": 2}


def test_work_that_cannot_begin_is_an_error_too(one: Worker) -> None:
    """Not of the thread."""

    def work() -> Any:
        raise KeyError("no such run")

    with pytest.raises(KeyError):
        one.ask("page", work).result(LONG)
    assert one.ask("page", giving(b=2)).result(LONG) == {"b": 2}


def test_a_closed_worker_answers_nobody() -> None:
    """What waits is told, what is in work ends after its part, and the thread is gone."""
    found, held = Worker(), Held()
    current = found.ask("a", held)
    assert held.begun.wait(LONG)
    waits = found.ask("b", giving())
    held.go.set()
    found.close(LONG)
    assert not found._thread.is_alive()
    with pytest.raises(Superseded):
        waits.result(0)
    assert current.done()
    with pytest.raises(Busy):
        found.ask("c", giving())


@pytest.mark.thorough
def test_an_answer_that_was_given_is_not_kept(one: Worker) -> None:
    """Neither the input nor the answer of the last question lies about until the next."""

    class Large:
        array = np.zeros(1000)

    large = Large()
    known = weakref.ref(large)

    def asking(value: Large) -> Work:
        def work() -> Generator[dict[str, Any], None, None]:
            yield {"large": value}

        return work

    answer = one.ask("page", asking(large))
    answer.result(LONG)
    del large, answer
    settled = threading.Event()
    for _ in range(1000):
        gc.collect()
        if known() is None:
            break
        settled.wait(0.01)
    assert known() is None


def test_an_event_loop_can_wait_for_it(one: Worker) -> None:
    """And by cancelling its own wait take the question back."""
    held = Held()

    async def waits() -> None:
        future = asyncio.wrap_future(one.ask("page", held))
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(future, 0.05)

    asyncio.run(waits())
    held.go.set()
    one.ask("next", giving()).result(LONG)
    assert held.parts <= 2
