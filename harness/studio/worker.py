"""One thread that owns the networks: of one page's questions the last wins, and nothing queues up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Hashable
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from harness.errors import HarnessError

Answer = dict[str, Any]
Work = Callable[[], Generator[Answer, None, None]]

WAITING = 64
"""At most so many questions wait, each of another page."""


class Superseded(HarnessError):
    """The same page has asked anew; the answer would be of what it does not show any more."""


class Busy(HarnessError):
    """As many pages wait as may. Ask again in a moment."""


@dataclass(eq=False)
class _Asked:
    who: Hashable
    work: Work
    answer: Future[Answer] = field(default_factory=Future)


class Worker:
    """Answers questions one after another, in a thread of its own.

    Of one asker at most one question waits, in the place where its first one stood, and one is worked on:
    a new question ends both, the latter when its current part is done. An answer whose future is cancelled,
    because nobody is there any more to take it, ends likewise.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, _Asked] = {}
        self._current: _Asked | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="studio", daemon=True)
        self._thread.start()

    def ask(self, who: Hashable, work: Work) -> Future[Answer]:
        """Let work be done as soon as it is its turn.

        Args:
            who: Whose earlier question this one replaces.
            work: Gives the answer in parts, on the worker's thread; between two it may be ended.

        Returns:
            The parts as one. It may be cancelled at any time. It raises what the work raises, and
            `Superseded` where a later question took the place of this one.

        Raises:
            Busy: too many others wait, or the worker is closed.
        """
        asked = _Asked(who, work)
        with self._changed:
            self._drop_cancelled()
            earlier = self._waiting.get(who)
            if self._closed or (earlier is None and len(self._waiting) >= WAITING):
                raise Busy("too many pages ask at once; ask again in a moment")
            if earlier is not None:
                _end(earlier, Superseded("a later question took its place"))
            if self._current is not None and self._current.who == who:
                _end(self._current, Superseded("a later question took its place"))
            self._waiting[who] = asked
            self._changed.notify()
        return asked.answer

    @property
    def waiting(self) -> int:
        """How many questions wait for their turn."""
        with self._changed:
            self._drop_cancelled()
            return len(self._waiting)

    def close(self, seconds: float = 10) -> None:
        """Answer nothing more: what waits and what is worked on is superseded.

        Args:
            seconds: How long the part in work may take to end.
        """
        with self._changed:
            self._closed = True
            for asked in (*self._waiting.values(), *filter(None, [self._current])):
                _end(asked, Superseded("the studio is ending"))
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(seconds)

    def _drop_cancelled(self) -> None:
        for who in [who for who, asked in self._waiting.items() if asked.answer.cancelled()]:
            del self._waiting[who]

    def _serve(self) -> None:
        while (asked := self._next()) is not None:
            self._work(asked)
            with self._changed:
                self._current = None
            del asked  # an answer, and the input in it, are nobody's while the thread waits

    def _next(self) -> _Asked | None:
        with self._changed:
            while True:
                self._drop_cancelled()
                if self._closed:
                    return None
                if self._waiting:
                    self._current = self._waiting.pop(next(iter(self._waiting)))
                    return self._current
                self._changed.wait()

    def _work(self, asked: _Asked) -> None:
        answer: Answer = {}
        try:
            with closing(asked.work()) as parts:
                while not asked.answer.done() and (part := next(parts, None)) is not None:
                    answer |= part
        except Exception as error:  # whoever asked is told, and the thread goes on
            with self._changed:
                _end(asked, error)
        else:
            with self._changed:
                if _claimed(asked):
                    asked.answer.set_result(answer)


def _end(asked: _Asked, error: Exception) -> None:
    if _claimed(asked):
        asked.answer.set_exception(error)


def _claimed(asked: _Asked) -> bool:
    """Whether the answer is still wanted; from here on it cannot be cancelled.

    Called under the worker's lock, so that nobody but who asked, by cancelling, can be quicker.
    """
    return not asked.answer.done() and asked.answer.set_running_or_notify_cancel()
