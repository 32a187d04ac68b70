"""Makes the excerpt `fashion-mnist-mini` that the package carries, from the full Fashion-MNIST.

Usage: python tools/make_fashion_mnist_mini.py [--data-dir FOLDER] [--output FOLDER]

Of each class the 500 training and 200 test images with the smallest SHA-256 of `seed:split:index` are
taken, in the order of the full set. No random generator is involved, so every library version draws the
same images, and a second run gives the same bytes (another build of zlib may pack the same content
otherwise).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np

from harness import datasets
from harness.datasets import published

SEED = 2017
PER_CLASS = {"train": 500, "t10k": 200}


def chosen(labels: datasets.Bytes, split: str) -> list[int]:
    """Indices of the images taken from a split, ascending."""

    def rank(index: int) -> bytes:
        return hashlib.sha256(f"{SEED}:{split}:{index}".encode()).digest()

    taken: list[int] = []
    for label in range(len(datasets.FASHION_CLASSES)):
        members = np.flatnonzero(labels == label).tolist()
        taken += sorted(members, key=rank)[: PER_CLASS[split]]
    return sorted(taken)


def write(path: Path, header: tuple[int, ...], payload: bytes) -> str:
    """Write a gzipped IDX file without a time stamp; the digest of its content."""
    content = struct.pack(f">{len(header)}i", *header) + payload
    # unlike gzip.compress, a GzipFile writes the same header under every version of Python
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as stream:
        stream.write(content)
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Make the four files and print their digests."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, help="where the full set lies")
    parser.add_argument("--output", type=Path, default=published.MINI_FOLDER, help="where the excerpt goes")
    arguments = parser.parse_args()
    full = datasets.load("fashion-mnist", arguments.data_dir)
    arguments.output.mkdir(parents=True, exist_ok=True)
    splits = {
        "train": (full.train_images, full.train_labels),
        "t10k": (full.test_images, full.test_labels),
    }
    for split, (images, labels) in splits.items():
        indices = chosen(labels, split)
        n = len(indices)
        names = f"{split}-images-idx3-ubyte", f"{split}-labels-idx1-ubyte"
        digest = write(arguments.output / f"{names[0]}.gz", (2051, n, 28, 28), images[indices].tobytes())
        print(names[0], digest)
        digest = write(arguments.output / f"{names[1]}.gz", (2049, n), labels[indices].tobytes())
        print(names[1], digest)


if __name__ == "__main__":
    main()
