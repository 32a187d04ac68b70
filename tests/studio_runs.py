"""A run that answers as the studio's `Live` does, with no network behind it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from harness.records import Floats
from harness.studio.asked import Question

ABOUT: dict[str, Any] = {
    "id": "20250101T000000Z-abc1234",
    "title": "blobs",
    "verdict": "fail",
    "model": "k_sparse",
    "dataset": "blobs",
    "digest": "d" * 64,
    "seeds": [0, 3],
    "seed": 0,
    "classes": ["shirt", "boot", "bag"],
    "shape": [2, 3],
    "axes": ["row", "column"],
    "features": 6,
    "range": [0.0, 1.0],
    "capabilities": ["code", "k", "decoder", "gradient", "reconstruction", "rows"],
    "methods": [
        {"name": "gradients", "title": "Gradients", "space": "sensitivity", "control": False},
        {"name": "decoder_weighted", "title": "Decoder", "space": "contribution", "control": False},
        {"name": "random", "title": "Random", "space": "contribution", "control": True},
    ],
    "samples": [{"place": 0, "index": 4, "label": 1}],
    "width": 64,
    "tests": 30,
    "tolerance": 0.05,
    "noun": "image",
}
"""What a run of six pixels tells of itself."""


class FakeLive:
    """Names the class whose pixel is the brightest; agreement is the mean brightness.

    Attributes:
        asked: Every question that was begun.
        gate: Closed, it holds each answer up before its second part.
        lies: A method whose maps are not what they claim.
    """

    def __init__(self, about: dict[str, Any] | None = None, lies: str = "") -> None:
        self.about = ABOUT | (about or {})
        self.asked: list[Question] = []
        self.gate = threading.Event()
        self.gate.set()
        self.lies = lies
        self.error: Exception | None = None

    def input(self, index: int) -> Floats:
        """An input by its position."""
        return np.full(self.about["features"], index / 100, dtype=np.float32)

    def answer(self, question: Question) -> Iterator[dict[str, Any]]:
        """The prediction, then what was asked."""
        self.asked.append(question)
        if self.error is not None:
            raise self.error
        logits = question.inputs[: len(self.about["classes"])].astype(float)
        named = int(logits.argmax())
        shares = np.exp(logits) / np.exp(logits).sum()
        yield {
            "prediction": {
                "logits": logits.tolist(),
                "probabilities": shares.tolist(),
                "class": named,
                "confidence": float(shares[named]),
            },
            "target": named if question.target is None else question.target,
            "against": None if question.against == named and question.target is None else question.against,
            "changed": None,
            "reconstruction": None,
            "edited": None,
        }
        assert self.gate.wait(20), "nobody opened the gate"
        there = [one["name"] for one in self.about["methods"] if not one["control"]]
        if "integrity" in question.parts:
            yield {
                "integrity": [
                    {"method": name, "error": 0.0, "tolerance": 0.05, "holds": name != self.lies, "gap": None}
                    for name in (there if question.methods is None else question.methods)
                ]
            }
        if "agreement" in question.parts:
            value = float(question.inputs.mean())
            yield {"agreement": {"value": value, "pairs": [], "controls": [], "percentile": 0.5}}
