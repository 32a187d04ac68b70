"""The studio as an ASGI application: one page, what it asks, and what is written for it.

The application keeps nothing between two requests: what a page shows stands in its address.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Collection, Generator, Hashable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from harness.errors import ConfigurationError, InputError, OutputError
from harness.records import Floats
from harness.studio import asked, pinning
from harness.studio.asked import About, Question
from harness.studio.security import FAILED, MALFORMED, Guard, as_json
from harness.studio.worker import Busy, Superseded, Worker
from harness.text import clean

Answer = dict[str, Any]
View = Callable[..., str]
"""Takes what a run tells, was asked and answered; then the same of a second one, as one, where it is open."""

SECONDS = 10.0
"""How long a body may take to arrive."""

ENDING = 3
"""Seconds that requests in work may take when the server ends."""

ARRIVING = 64
"""At most so many bodies arrive at once."""

PAGE = "x-harness-page"
"""The header by which several pages are told apart; without it an address is one page."""

_PAGE = re.compile(r"[A-Za-z0-9_-]{1,64}")


class _Protocol(H11Protocol):
    """HTTP, whose answer to what is none of it bears the headers, too."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - what is wrong tells nobody anything
        self.transport.write(MALFORMED)
        self.transport.close()


def settings() -> dict[str, Any]:
    """What uvicorn is told: plain HTTP, no websocket, and nothing logged of who asks what."""
    return {
        "loop": "asyncio",
        "http": _Protocol,
        "ws": "none",
        "lifespan": "off",
        "log_config": None,
        "log_level": "critical",
        "access_log": False,
        "server_header": False,
        "timeout_graceful_shutdown": ENDING,
    }


class Asked(Protocol):
    """A run that answers: `harness.studio.live.Live`."""

    @property
    def about(self) -> About:
        """What it tells of itself."""
        ...

    def input(self, index: int) -> Floats:
        """A test input: float32 [features], in the data's own scale."""
        ...

    def answer(self, question: Question) -> Iterator[Answer]:
        """The parts of an answer, the cheapest first."""
        ...


class _Refusal(Exception):
    """A request that is answered with an error, of that status."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Gone(Exception):
    """Nobody is there any more to take the answer."""


class Studio:
    """The studio of one run or two.

    Attributes:
        worker: The thread that asks the runs; `close` it when the server has ended.
        application: What a server runs.
    """

    def __init__(
        self,
        runs: Sequence[Asked],
        *,
        token: str,
        port: int,
        names: Collection[str] = (),
        checks: Path,
        seed: int | None = None,
        files: dict[str, tuple[str, bytes]],
        view: View,
        report: Callable[[Exception], object],
        seconds: float = SECONDS,
    ) -> None:
        """Ready to be served.

        Args:
            runs: One run, or two of inputs of one form.
            token: What a page must know.
            port: Where the server listens.
            names: Hosts beside the loopback's that it may be asked by.
            checks: The folder that checks are written into.
            seed: Of the network that a page shows first; each run's own first one where None.
            files: By public path what is there: its type, and its content.
            view: Makes a page of its own of one answer.
            report: Takes an error that nobody foresaw.
            seconds: How long a body may take to arrive.

        Raises:
            InputError: the runs are of inputs of different forms, or one has no such seed.
        """
        self._runs, self._checks, self._seconds = tuple(runs), checks, seconds
        self._abouts = tuple(_started(run.about, seed) for run in runs)
        _refuse_different(self._abouts)
        self._about = as_json({"runs": self._abouts})
        self._view = view
        self._arriving = 0
        self.worker = Worker()
        routes = [_file(path, kind, content) for path, (kind, content) in files.items()]
        routes += [
            Route("/api/about", self._tell),
            Route("/api/input", self._give),
            Route("/api/answer", self._answer, methods=["POST"]),
            Route("/api/check", self._check, methods=["POST"]),
            Route("/api/view", self._save, methods=["POST"]),
        ]
        handled: dict[Any, Callable[..., Any]] = dict.fromkeys(_STATUS, _refused) | {Exception: _failed}
        inner = Starlette(routes=routes, exception_handlers=handled)
        inner.router.redirect_slashes = False
        self.application = Guard(inner, token=token, port=port, names=names, public=set(files), report=report)

    async def _tell(self, request: Request) -> Response:
        _refuse_keys(request, ())
        return Response(self._about, media_type="application/json")

    async def _give(self, request: Request) -> Response:
        _refuse_keys(request, ("run", "index"))
        run = asked.run_of(request.query_params.get("run", "0"), self._abouts)
        index = asked.index_of(request.query_params.get("index", ""), self._abouts[run])
        content = np.ascontiguousarray(self._runs[run].input(index), dtype="<f4").tobytes()
        return Response(content, media_type="application/octet-stream")

    async def _answer(self, request: Request) -> Response:
        begun = time.perf_counter()
        question = await self._asked(request, request.query_params.multi_items())
        answer = await self._answered(request, "answer", question)
        took = {"ms": round(1000 * (time.perf_counter() - begun), 3), "superseded": False}
        return Response(as_json(answer | took), media_type="application/json")

    async def _check(self, request: Request) -> Response:
        pairs = request.query_params.multi_items()
        names = [value for key, value in pairs if key == "name"]
        if len(names) != 1:
            raise InputError(f"a check has one name (got {len(names)})")
        pinning.refuse_name(names[0])
        question = await self._asked(request, [pair for pair in pairs if pair[0] != "name"])
        about = self._abouts[question.run]
        question = pinning.to_pin(question)

        def pin(answer: Answer) -> Answer:
            return {"pinned": pinning.pin(self._checks, names[0], question, about, answer)}

        answer = await self._answered(request, "check", question, pin)
        return Response(as_json(answer["pinned"]), media_type="application/json")

    async def _save(self, request: Request) -> Response:
        question = await self._asked(request, request.query_params.multi_items())
        about = self._abouts[question.run]
        beside = asked.beside(question, self._abouts)

        def draw(answer: Answer, *others: Answer) -> Answer:
            told = [(self._abouts[one.run], one, other) for one, other in zip(beside, others, strict=True)]
            return {"page": self._view(about, question, answer, *told)}

        page = (await self._answered(request, "view", question, draw, beside))["page"]
        name = asked.file_of(question, self._abouts, datetime.now(timezone.utc))
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(page, media_type="text/html", headers=headers)

    async def _asked(self, request: Request, pairs: Sequence[tuple[str, str]]) -> Question:
        """The question of a request, its inputs with it: the body is read once all else is in order."""
        question = asked.asked(pairs, self._abouts)
        about = self._abouts[question.run]
        is_kept = self._arriving < ARRIVING
        self._arriving += is_kept
        try:
            arriving = _body(request, 4 * int(about["features"]), is_kept=is_kept)
            body = await asyncio.wait_for(arriving, self._seconds)
        except asyncio.TimeoutError:
            raise _Refusal(408, f"the body did not arrive within {self._seconds:g} s") from None
        finally:
            self._arriving -= is_kept
        if not is_kept:
            raise Busy("too many pages ask at once; ask again in a moment")
        return asked.with_inputs(question, body, about)

    async def _answered(
        self,
        request: Request,
        purpose: str,
        question: Question,
        then: Callable[..., Answer] | None = None,
        beside: Sequence[Question] = (),
    ) -> Answer:
        """What the worker says to a question, for as long as somebody is there to hear it.

        `then` is done with the whole of it, and of what is asked beside it, on the worker's thread, too:
        methods draw from the process's generators, which nothing else may touch meanwhile.
        """

        def work() -> Generator[Answer, None, None]:
            found: list[Answer] = []
            for one in (question, *beside):
                found.append({})
                for part in self._runs[one.run].answer(one):
                    found[-1] |= part
                    yield part if one is question else {}
            if then is not None:
                yield then(*found)

        who: Hashable = (_page_of(request), purpose, question.run)
        future: asyncio.Future[Any] = asyncio.wrap_future(self.worker.ask(who, work))
        gone: asyncio.Future[Any] = asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait({future, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not future.done():
                raise _Gone
            answer: Answer = future.result()
            return answer
        finally:
            future.cancel()
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone


def _started(about: About, seed: int | None) -> About:
    """What a run tells of itself, with the seed that a page shows first."""
    if seed is None:
        return about
    if seed not in about["seeds"]:
        there = ", ".join(map(str, about["seeds"]))
        raise InputError(f"--seed must be one of the run's: {there} (got {seed})")
    return {**about, "seed": seed}


def _refuse_different(abouts: Sequence[About]) -> None:
    first = abouts[0]
    for other in abouts[1:]:
        for key in ("axes", "shape", "range", "classes"):
            if list(first[key]) != list(other[key]):
                raise InputError(
                    f"two runs side by side are asked about one input, so their {key} must be alike "
                    f"(got {first[key]} and {other[key]})"
                )


def _file(path: str, kind: str, content: bytes) -> Route:
    async def give(_: Request) -> Response:
        return Response(content, media_type=kind)

    return Route(path, give)


def _refuse_keys(request: Request, known: Collection[str]) -> None:
    keys = [key for key, _ in request.query_params.multi_items()]
    if unknown := [key for key in keys if key not in known]:
        raise InputError(f"unknown key {unknown[0][:60]!r}; known are {', '.join(known) or 'none'}")
    if len(set(keys)) != len(keys):
        raise InputError("each key may stand only once")


def _page_of(request: Request) -> str:
    """Which page asks, as it says itself; else from where."""
    named = request.headers.get(PAGE)
    if named is None:
        return "" if request.client is None else request.client.host
    if not _PAGE.fullmatch(named):
        raise InputError(f"{PAGE}: must be 1 to 64 letters, digits, - or _")
    return f"page {named}"


async def _body(request: Request, size: int, *, is_kept: bool) -> bytes:
    """A body of exactly so many bytes; of one that is of another size no more is read than tells it.

    One that is not kept is read all the same: a browser that is still sending hears no refusal.
    """
    told = request.headers.get("content-length")
    if told is not None and not re.fullmatch(r"[0-9]{1,20}", told):
        raise _Refusal(400, "content-length must be a number")
    if told is not None and int(told) != size:
        raise _of_size(int(told), size)
    body, got = bytearray(), 0
    async for part in request.stream():
        got += len(part)
        if got > size:
            raise _of_size(got, size)
        body += part if is_kept else b""
    if got != size:
        raise _of_size(got, size)
    return bytes(body)


def _of_size(got: int, size: int) -> _Refusal:
    status, sign = (413, "at least ") if got > size else (400, "")
    return _Refusal(status, f"a body must have {size} bytes (got {sign}{got})")


async def _disconnected(request: Request) -> None:
    """Ends when the other side has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


_STATUS: dict[type[Exception], int] = {
    HTTPException: 404,
    _Refusal: 400,
    InputError: 400,
    ConfigurationError: 400,
    Superseded: 409,
    OutputError: 409,
    Busy: 503,
    _Gone: 499,
    ClientDisconnect: 499,
}
"""What was foreseen, and its messages may be told; where an error has a status of its own, that counts."""


async def _refused(_: Request, error: Exception) -> Response:
    """An error that was foreseen, as one line."""
    status = next(number for kind, number in _STATUS.items() if isinstance(error, kind))
    told: dict[str, object] = {"error": clean(error) or "nobody is there"}
    headers: dict[str, str] = {}
    if isinstance(error, HTTPException):
        status, told["error"] = error.status_code, error.detail
        headers = dict(error.headers or {})
    elif isinstance(error, _Refusal):
        status = error.status
        headers["connection"] = "close"  # what is left of the body is not read
    elif isinstance(error, Superseded):
        told["superseded"] = True
    return Response(as_json(told), status_code=status, media_type="application/json", headers=headers)


async def _failed(*_: object) -> Response:
    """An error that was not; the guard gets it too, and tells the terminal."""
    return Response(as_json({"error": FAILED}), status_code=500, media_type="application/json")
