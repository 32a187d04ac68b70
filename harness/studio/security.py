"""Who may ask the studio: this machine's own page with its token, and nobody that a browser is talked into.

A page elsewhere can let a browser send requests here, and a name elsewhere can be made to mean this machine.
So the `Host` must be one that was told, the `Origin` and `Sec-Fetch-Site` of whatever is not a plain visit
must be this page's, and all but the page itself needs a token that stands in the printed address' fragment,
which no browser sends anywhere. It is no guard against other programs of the same user.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from typing import Any

from harness.errors import ConfigurationError
from harness.text import clean

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
"""The names of this machine for itself, as a `Host` has them."""

TOKEN = b"x-harness-token"

FAILED = "the studio failed here; its terminal says how"
"""What is told outside of an error that nobody foresaw."""

HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
"""What stands on every response."""

_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
_NAME = re.compile(r"(?:[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def new_token() -> str:
    """A random token of 32 bytes, in characters that stand in an address as they are."""
    return secrets.token_urlsafe(32)


def allowed_names(names: Iterable[str]) -> frozenset[str]:
    """The hosts' names that `--allow-host` names.

    Raises:
        ConfigurationError: one is no name: it holds a port, a scheme or a star.
    """
    found = frozenset(name.lower() for name in names)
    for name in sorted(found):
        if not _NAME.fullmatch(name):
            raise ConfigurationError(
                f"--allow-host: must be a host's name, without scheme or port (got {clean(name, 80)!r})"
            )
    return found


class Guard:
    """An ASGI application around another, which hands on only what may ask.

    Every response bears `HEADERS`; whatever the inner one raises is told to `report`, and to nobody outside.
    A websocket is refused.
    """

    def __init__(
        self,
        inner: Application,
        *,
        token: str,
        port: int,
        names: Collection[str] = (),
        public: Collection[str] = (),
        report: Callable[[Exception], object],
    ) -> None:
        """The guard of one server.

        Args:
            inner: What answers.
            token: What a request needs to be handed on.
            port: Where the server listens.
            names: Hosts beside the loopback's that it may be asked by, at any port.
            public: Paths that need no token.
            report: Takes an error that nobody foresaw.
        """
        self._inner = inner
        self._token = token.encode()
        self._hosts = frozenset(f"{name}:{port}" for name in LOOPBACK)
        if port == 80:
            self._hosts |= frozenset(LOOPBACK)
        self._names = frozenset(names)
        self._public = frozenset(public)
        self._report = report

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        begun = False

        async def sent(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message = {**message, "headers": _with_headers(message.get("headers", ()))}
            await send(message)

        why = self.refusal(scope)
        if why is not None:
            await refuse(sent, 403, why)
            return
        try:
            await self._inner(scope, receive, sent)
        except Exception as error:  # whoever asked learns that it failed; who started the studio, how
            self._report(error)
            if not begun:
                await refuse(sent, 500, FAILED)

    def refusal(self, scope: Message) -> str | None:
        """Why a request is refused; None where it is not."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or not self._is_ours(hosts[0].decode("latin-1")):
            return "this host is not served; --allow-host NAME allows one"
        is_public = scope["method"] in ("GET", "HEAD") and scope["path"] in self._public
        if is_public:
            return None
        for origin in headers.get(b"origin", []):
            scheme, _, host = origin.decode("latin-1").partition("://")
            if scheme not in ("http", "https") or not self._is_ours(host):
                return "another origin may not ask"
        if any(site not in (b"same-origin", b"none") for site in headers.get(b"sec-fetch-site", [])):
            return "another site may not ask"
        tokens = headers.get(TOKEN, [])
        if len(tokens) != 1 or not secrets.compare_digest(tokens[0], self._token):
            return "the token is missing or wrong; open the address that the studio printed"
        return None

    def _is_ours(self, host: str) -> bool:
        host = host.lower()
        if host in self._hosts:
            return True
        name, _, port = host.partition(":")
        return name in self._names and (not port or (port.isascii() and port.isdigit()))


def _with_headers(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [one for one in headers if one[0].lower().decode("latin-1") not in HEADERS] + _HEADERS


def as_json(values: Any) -> bytes:
    """Values as JSON in ASCII, in which nothing can be taken for markup.

    Raises:
        ValueError: a number is not finite.
    """
    text = json.dumps(values, allow_nan=False, separators=(",", ":"))
    # these stand in strings alone, where JSON reads their codes as themselves
    return text.translate(_ESCAPES).encode("ascii")


_ESCAPES = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&'"}


_WHY = as_json({"error": "this is no HTTP request"})
MALFORMED = b"".join(
    (
        b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: application/json\r\n",
        b"content-length: %d\r\n" % len(_WHY),
        *(b"%s: %s\r\n" % header for header in _HEADERS),
        b"\r\n",
        _WHY,
    )
)
"""The whole answer to what no application gets to see."""


async def refuse(send: Send, status: int, why: str) -> None:
    """Answer with an error, as one line of JSON, and read nothing more of what was sent."""
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    content = as_json({"error": clean(why)})
    headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
