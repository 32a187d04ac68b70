"""Draws one image under every shipped method, on two networks of the embedded data: `docs/methods.png`.

Usage: python tools/draw_methods.py [--output FOLDER] [--image INDEX]

Each network is trained by `harness validate` in a folder of its own; one whose run stands there already is
taken as it is. Two minutes on two cores. A method that a network cannot be asked with is not drawn for it.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

import harness
from harness import attributions, datasets
from harness.capabilities import lacking
from harness.figures.heat import DIVERGING, heat_limit
from harness.pipeline.work import REFERENCES, filled
from harness.runs import Run
from harness.text import words

MODELS = ("k-sparse", "convolutional")
PAGE = Path(__file__).parents[1] / "docs" / "methods.png"
COLUMNS = 8


def judged(model: str, folder: Path) -> Run:
    """The model's run; it is computed where none stands."""
    place = folder / model
    if not (place / "latest" / "verdict.json").is_file():
        command = [sys.executable, "-m", "harness", "validate", "--dataset", "fashion-mnist-mini"]
        subprocess.run(  # noqa: S603 - our own command
            [
                *command,
                "--model",
                model,
                "--methods",
                "integrated_gradients,gradients",
                "--output",
                str(place),
            ],
            check=False,
        )
    return harness.open_run(place / "latest")


def maps_of(run: Run, index: int) -> dict[str, Any]:
    """The signed contribution maps of one test image for its class, by method: float32 [rows, columns]."""
    data = datasets.load("fashion-mnist-mini")
    network = filled(run.config, data, run.config.seeds[0], run.directory.seed(run.config.seeds[0])).eval()
    image = torch.from_numpy(data.inputs(data.test_images[index : index + 1]))
    target = torch.tensor([int(data.test_labels[index])])
    generator = torch.Generator().manual_seed(0)
    some = torch.randperm(len(data.train_images), generator=generator)[:REFERENCES].numpy()
    asked = attributions.methods.items()
    names = [name for name, one in asked if not lacking(one, run.capabilities) and not one.twin]
    found = attributions.explain(
        network,
        image,
        target,
        names,
        shape=data.form.shape,
        axes=data.form.axes,
        references=torch.from_numpy(data.inputs(data.train_images[some])),
    )
    return {name: one[0].numpy().reshape(data.form.shape[-2:]) for name, one in found.items()}


def drawn(image: Any, maps: dict[str, dict[str, Any]]) -> Figure:
    """The image, and for each network its maps, each on a symmetric scale of its own."""
    cells: list[tuple[str, Any]] = [("the image", image)]
    for model, found in maps.items():
        cells += [(f"{textwrap.fill(words(name), 22)}\n{model}", one) for name, one in found.items()]
    rows = -(-len(cells) // COLUMNS)
    figure = Figure(figsize=(1.5 * COLUMNS, 1.95 * rows))
    for axes, (title, cell) in zip(figure.subplots(rows, COLUMNS).flat, cells, strict=False):
        limit = heat_limit(cell)
        look: dict[str, Any] = {"cmap": DIVERGING, "vmin": -limit, "vmax": limit}
        axes.imshow(cell, **({"cmap": "gray"} if title == "the image" else look))
        axes.set_title(title, fontsize=8)
    for axes in figure.axes:
        axes.set_axis_off()
    figure.subplots_adjust(left=0.01, right=0.99, top=0.93, bottom=0.01, wspace=0.08, hspace=0.4)
    return figure


def main() -> None:
    """Train what is missing, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("artifacts/methods"))
    parser.add_argument("--image", type=int, default=0, help="position among the test images")
    wanted = parser.parse_args()
    data = datasets.load("fashion-mnist-mini")
    maps = {model: maps_of(judged(model, wanted.output), wanted.image) for model in MODELS}
    image = np.asarray(data.test_images[wanted.image]).reshape(28, 28)
    drawn(image, maps).savefig(PAGE, dpi=110)
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
