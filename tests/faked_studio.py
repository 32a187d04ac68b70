"""A studio without a network: a server of the page whose answers, shaped as the real ones, are linear."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from harness.errors import InputError
from harness.records import Floats
from harness.studio import page, saved
from harness.studio.pinning import refuse_name

TOKEN = "a-token"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
CLASSES = (
    "T-shirt",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
METHODS = ("gradients", "integrated_gradients", "smoothgrad", "decoder_weighted")
FORMS: Mapping[str, tuple[tuple[str, ...], tuple[int, ...], tuple[float, float]]] = {
    "grey": (("row", "column"), (28, 28), (0.0, 1.0)),
    "colour": (("channel", "row", "column"), (3, 16, 16), (0.0, 1.0)),
    "series": (("channel", "time"), (2, 60), (-2.5, 3.0)),
    "table": (("feature",), (9,), (-1.0, 1.0)),
}
"""By name: axes, shape and range."""

WITH_CODE = ("code", "k", "reconstruction", "atoms", "gradient")
UNITS, TESTS = 40, 200


def about(
    form: str = "grey",
    *,
    name: str = "20261126T030000Z-c79d43a",
    classes: Sequence[str] = CLASSES,
    capabilities: Sequence[str] = WITH_CODE,
    methods: Sequence[str] = METHODS,
    title: str = "Fashion, tonight",
) -> dict[str, Any]:
    """What a run tells of itself."""
    axes, shape, bounds = FORMS[form]
    return {
        "id": name,
        "title": title,
        "verdict": "fail",
        "model": "k_sparse",
        "dataset": "fashion-mnist-mini",
        "digest": "5f3a" * 16,
        "seeds": [0, 1],
        "seed": 0,
        "classes": list(classes),
        "shape": list(shape),
        "axes": list(axes),
        "features": int(np.prod(shape)),
        "range": list(bounds),
        "capabilities": list(capabilities),
        "methods": [
            {"name": one, "title": one.replace("_", " "), "space": "contribution", "control": False}
            for one in methods
        ],
        "samples": [
            {"place": place, "index": 3 * place, "label": place % len(classes)}
            for place in range(3 * len(classes))
        ],
        "width": 64 if "code" in capabilities else 0,
        "tests": TESTS,
        "tolerance": 0.05,
        "noun": {"series": "series", "table": "row"}.get(form, "image"),
    }


def test_input(told: Mapping[str, Any], index: int) -> Floats:
    """A test input that can be looked at: float32 [features]."""
    rng = np.random.default_rng(index)
    low, high = told["range"]
    shape = tuple(told["shape"])
    axes = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    if "row" in told["axes"]:
        far = np.hypot(axes[-1] / rng.uniform(0.4, 0.9), axes[-2] / rng.uniform(0.4, 0.9))
        found = np.clip(1.3 - far + 0.1 * rng.standard_normal(shape), 0, 1)
        if len(shape) == 3:
            found = found * rng.uniform(0.2, 1, (3, 1, 1))
    else:
        found = 0.5 + 0.35 * np.sin(rng.uniform(3, 9) * axes[-1] + rng.uniform(0, 6, (*shape[:-1], 1)))
    return np.asarray(np.clip(low + found * (high - low), low, high).astype(np.float32).ravel())


def array(values: Floats) -> dict[str, Any]:
    """Numbers as an answer has them."""
    return {"f32": base64.b64encode(values.astype("<f4").tobytes()).decode(), "shape": list(values.shape)}


def ranks(values: Floats) -> dict[str, Any]:
    """Each feature's rank, the largest first."""
    order = np.argsort(np.argsort(-values)).astype("<u4")
    return {"u32": base64.b64encode(order.tobytes()).decode(), "shape": list(order.shape)}


def _softmax(logits: Floats) -> Floats:
    found = np.exp(logits - logits.max())
    return np.asarray(found / found.sum())


@dataclass(frozen=True)
class Question:
    """A question, as the saved view is given it."""

    seed: int
    units: tuple[tuple[int, str, float], ...]
    index: int | None
    inputs: Floats
    against: int | None = None
    share: int = 20
    order: str = ""


def answer(
    told: Mapping[str, Any], query: Mapping[str, str], inputs: Floats, *, broken: str = ""
) -> dict[str, Any]:
    """All parts that a question asks for; `broken` names a method whose maps are not what they claim."""
    run, features, classes = int(query.get("run", 0)), told["features"], len(told["classes"])
    rng = np.random.default_rng([7, run, int(query["seed"])])
    weights = rng.standard_normal((classes, features)).astype(np.float64)
    atoms = np.random.default_rng(3).standard_normal((UNITS, features))
    scaled = 6 / np.sqrt(features)
    logits = scaled * weights @ inputs
    probabilities = _softmax(logits)
    predicted = int(logits.argmax())
    target = int(query["target"]) if "target" in query else predicted
    against = int(query["against"]) if "against" in query else None
    if against == target:
        against = None
    direction = weights[target] - (0 if against is None else weights[against])
    names = [one["name"] for one in told["methods"]]
    if "methods" in query:
        names = [one for one in query["methods"].split(",") if one]
    contributions = {
        name: scaled * direction * inputs + 0.1 * place * scaled * rng.standard_normal(features)
        for place, name in enumerate(names)
    }
    has_code = "code" in told["capabilities"]
    units = [one.split(":") for one in query.get("units", "").split(",") if one]
    edited = None
    if units:
        after = logits - sum(0.8 * (float(value) == 0) + 0.3 for _, _, value in units) * (
            np.arange(classes) == predicted
        )
        edited = {
            "logits": after.tolist(),
            "probabilities": _softmax(after).tolist(),
            "class": int(after.argmax()),
            "reconstruction": array(inputs * 0.5) if has_code else None,
        }
    index = int(query["index"]) if "index" in query else None
    found: dict[str, Any] = {
        "prediction": {
            "logits": logits.tolist(),
            "probabilities": probabilities.tolist(),
            "class": predicted,
            "confidence": float(probabilities.max()),
        },
        "target": target,
        "against": against,
        "changed": None if index is None else float(np.abs(inputs - test_input(told, index)).max()),
        "reconstruction": array(0.9 * inputs) if has_code else None,
        "edited": edited,
    }
    parts = query.get("parts", "").split(",")
    if "maps" in parts:
        found["maps"] = [
            {
                "method": name,
                "title": name.replace("_", " "),
                "space": "contribution",
                "map": array(one),
                "raw": array(one),
                "control": False,
            }
            if against is None or name != "decoder_weighted"
            else {
                "method": name,
                "title": name,
                "space": "contribution",
                "map": None,
                "raw": None,
                "control": False,
                "reason": "it explains one logit alone",
            }
            for name, one in contributions.items()
        ]
    if "integrity" in parts:
        found["integrity"] = [
            {
                "method": name,
                "error": None if name == "smoothgrad" else 0.4 if name == broken else 2e-7,
                "tolerance": 0.05,
                "holds": None if name == "smoothgrad" else name != broken,
                "gap": 0.021 if name == "integrated_gradients" else None,
            }
            for name in names
        ]
    if "agreement" in parts:
        found["agreement"] = _agreement(contributions)
    if "deletion" in parts:
        shares = np.linspace(0, 1, 11)
        found["deletion"] = [
            {
                "method": name,
                "shares": shares.tolist(),
                "probabilities": (float(probabilities[target]) * np.exp(-shares * (2 + place))).tolist(),
                "order": ranks(one),
            }
            for place, (name, one) in enumerate(contributions.items())
        ]
    if "units" in parts:
        found["units"] = (
            None
            if not has_code
            else [
                {
                    "unit": unit,
                    "activation": 3.0 / (1 + place),
                    "contribution": (-1) ** place * 2.0 / (1 + place),
                    "atom": array(atoms[unit]),
                }
                for place, unit in enumerate(range(3, UNITS, 4))
            ]
        )
    if "path" in parts:
        found["path"] = None if not has_code else _path(float(logits[target]))
    return found


class Seen(HTMLParser):
    """Elements of a page with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if {"script", "style"} & set(self.inside):
            self.elements.append(("inline", {"text": data}))
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def attributes(self) -> list[tuple[str, str, str]]:
        return [(tag, key, value or "") for tag, found in self.elements for key, value in found.items()]


def view(told: dict[str, Any], *, units: tuple[tuple[int, str, float], ...] = (), **query: str) -> str:
    """The saved view of test input 3, asked as a query would; the gradients are not what they claim."""
    inputs = test_input(told, 3)
    asked = {"seed": "0", "parts": "maps,integrity,agreement,deletion,units,path", "index": "3"} | query
    if units:
        asked["units"] = ",".join(f"{unit}:{how}:{value:g}" for unit, how, value in units)
    found = answer(told, asked, inputs, broken="gradients")
    return saved.render(told, question_of(asked, inputs, units), found)


def question_of(
    query: Mapping[str, str], inputs: Floats, units: tuple[tuple[int, str, float], ...] = ()
) -> Question:
    """The question that a query is."""
    index, against = (int(query[key]) if key in query else None for key in ("index", "against"))
    share, order = int(query.get("share", 20)), query.get("order", "")
    return Question(int(query["seed"]), units, index, inputs, against, share, order)


def beside(told: Mapping[str, Any], query: Mapping[str, str], inputs: Floats) -> dict[str, Any]:
    """What the second run answers, whose maps stand beside those of the first."""
    return answer(told, {**query, "run": "1", "parts": "maps"}, inputs)


def _agreement(maps: Mapping[str, Floats]) -> dict[str, Any] | None:
    if len(maps) < 2:
        return None
    names = [*maps]
    pairs = [
        [a, b, float(np.corrcoef(maps[a], maps[b])[0, 1])]
        for place, a in enumerate(names)
        for b in names[place + 1 :]
    ]
    controls = {"untrained": 0.71, "brightness": 0.42, "edges": 0.2, "random": 0.01}
    return {
        "value": float(np.mean([value for _, _, value in pairs])),
        "pairs": pairs,
        "controls": [{"name": name, "title": name, "value": value} for name, value in controls.items()],
        "percentile": 0.314,
    }


def _path(logit: float) -> dict[str, Any]:
    places = np.linspace(0, 1, 50)
    along = logit * places + 0.5 * (places > 0.08) - 0.8 * (places > 0.3)
    return {
        "t": places.tolist(),
        "logit": along.tolist(),
        "jumps": [
            {"t": 0.08, "size": 0.5, "leaving": None, "entering": 7},
            {"t": 0.3, "size": -0.8, "leaving": 11, "entering": 15},
        ],
        "nearest_tie": 0.012,
    }


@dataclass
class Faked:
    """A server that is running.

    Attributes:
        address: Of the page, with its token.
        abouts: The runs.
        asked: Each request: method, path, query by key, and the bytes of its body.
        broken: A method whose maps are not what they claim.
        superseding: How many of the next questions are said to be overtaken.
        refusing: Why every question is refused; empty where none is.
        most_at_once: How many questions for maps were worked on at once.
    """

    address: str
    abouts: Sequence[Mapping[str, Any]]
    asked: list[tuple[str, str, dict[str, str], int]] = field(default_factory=list)
    broken: str = ""
    superseding: int = 0
    refusing: str = ""
    most_at_once: int = 0

    def posted(self, path: str = "/api/answer", part: str = "maps") -> list[dict[str, str]]:
        """Queries of what was posted there, of those that asked for a part."""
        return [
            query
            for method, at, query, _ in self.asked
            if method == "POST" and at == path and part in query.get("parts", "")
        ]


@contextmanager
def serving(*abouts: Mapping[str, Any]) -> Iterator[Faked]:
    """Serve the page of these runs, on a port of the loopback."""
    files = page.files(abouts)
    faked = Faked("", abouts)
    at_once: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def give(self, kind: str, content: bytes, status: int = 200, **more: str) -> None:
            self.send_response(status)
            headers = {
                "Content-Type": kind,
                "Content-Length": str(len(content)),
                "Content-Security-Policy": POLICY,
            } | {key.replace("_", "-"): value for key, value in more.items()}
            for key, value in headers.items():
                self.send_header(key, value)
            with suppress(ConnectionError):  # whoever asked may be gone
                self.end_headers()
                self.wfile.write(content)

        def told(self, record: object, status: int = 200) -> None:
            self.give("application/json", json.dumps(record).encode(), status)

        def do_GET(self) -> None:
            self.serve(b"")

        def do_POST(self) -> None:
            self.serve(self.rfile.read(int(self.headers["Content-Length"])))

        def serve(self, body: bytes) -> None:
            parts = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(parts.query, True).items()}
            faked.asked.append((self.command, parts.path, query, len(body)))
            if parts.path in files:
                return self.give(*files[parts.path])
            if self.headers.get("X-Harness-Token") != TOKEN:
                return self.told({"error": "a token is needed"}, 403)
            if parts.path == "/api/about":
                return self.told({"runs": abouts})
            run = int(query.get("run", 0))
            told = abouts[run]
            if parts.path == "/api/input":
                content = test_input(told, int(query["index"])).astype("<f4").tobytes()
                return self.give("application/octet-stream", content)
            inputs = np.frombuffer(body, dtype="<f4")
            if parts.path == "/api/answer" and faked.superseding:
                faked.superseding -= 1
                return self.told({"error": "a later question took its place", "superseded": True}, 409)
            if faked.refusing:
                return self.told({"error": faked.refusing}, 400)
            at_once.append(query.get("parts", ""))
            quick = [one for one in at_once if "maps" in one]
            faked.most_at_once = max(faked.most_at_once, len(quick))
            try:
                return self.answered(parts.path, query, told, inputs)
            finally:
                at_once.remove(query.get("parts", ""))

        def answered(self, path: str, query: dict[str, str], told: Mapping[str, Any], inputs: Floats) -> None:
            found = answer(told, query, inputs, broken=faked.broken)
            if path == "/api/answer":
                return self.told({**found, "ms": 12.3, "superseded": False})
            if path == "/api/check":
                try:
                    refuse_name(query.get("name", ""))
                except InputError as error:
                    return self.told({"error": str(error)}, 400)
                return self.told({"file": f"checks/test_{query['name']}.py", "frozen": "checks/frozen.npz"})
            if path == "/api/view":
                question = question_of(query, inputs)
                others = [(one, question, beside(one, query, inputs)) for one in abouts if one is not told]
                name = f"studio-view-{len(faked.posted('/api/view'))}.html"
                drawn = saved.render(told, question, found, *others).encode()
                return self.give("text/html", drawn, Content_Disposition=f'attachment; filename="{name}"')
            return self.told({"error": "nothing is there"}, 404)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    faked.address = f"http://127.0.0.1:{server.server_address[1]}/#token={TOKEN}"
    try:
        yield faked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
