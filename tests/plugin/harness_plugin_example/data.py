"""Shoes alone, as a data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from harness.datasets import Dataset, datasets

KINDS = ("Sandal", "Sneaker", "Ankle boot")


@datasets.register("footwear")
def footwear(data_dir: Path | None = None) -> Dataset:
    """The three kinds of shoe in the excerpt of Fashion-MNIST: 500 training and 200 test images of each."""
    whole = datasets["fashion-mnist-mini"](data_dir)
    kept = [whole.classes.index(name) for name in KINDS]
    training, test = (np.isin(labels, kept) for labels in (whole.train_labels, whole.test_labels))
    return replace(
        whole,
        name="footwear",
        classes=KINDS,
        train_images=whole.train_images[training],
        train_labels=np.searchsorted(kept, whole.train_labels[training]).astype(np.uint8),
        test_images=whole.test_images[test],
        test_labels=np.searchsorted(kept, whole.test_labels[test]).astype(np.uint8),
    )
