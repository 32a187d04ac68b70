"""A small run, for whoever must not load torch to know of it."""

from __future__ import annotations

from typing import Any

SMALL: dict[str, Any] = dict(
    dataset="fashion-mnist-mini",
    code_width=256,
    k=32,
    epochs=4,
    classifier_epochs=12,
    batch_size=64,
    samples_per_class=4,
    confidence=0.5,
    attribution_steps=20,
    smoothgrad_samples=10,
    resamples=300,
    device="cpu",
)
"""Flags of a run of a few seconds in which every gate holds."""
