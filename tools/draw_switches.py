"""Draws what a switch of a top-k code is, on one image of the embedded data: `docs/switches.png`.

Usage: python -m tools.draw_switches [--output FOLDER] [--image POSITION]

The reference network is trained by `harness validate` in a folder of its own, or taken from there.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from harness import attributions, datasets
from harness.attributions.paths import Explained, explained, jumps_of
from harness.figures.heat import DIVERGING, heat_limit
from harness.pipeline.work import filled
from harness.runs import Run
from tools.draw_methods import judged

PAGE = Path(__file__).parents[1] / "docs" / "switches.png"
PLACES = 401
SEEN, TRUE, OUT, IN = "#777777", "#222222", "#b2182b", "#2166ac"


@dataclass(frozen=True)
class Shown:
    """One image, the network that decides on it, and its path."""

    network: Any
    image: Tensor
    target: Tensor
    path: Explained

    @property
    def largest(self) -> int:
        """The number of the largest jump."""
        return int(self.path.jumps.parts.sum(dim=1).abs().argmax())


def shown_of(run: Run, position: int | None) -> Shown:
    """The image at a position among the explained ones, or that of which most happens at switches."""
    data, seed = datasets.load("fashion-mnist-mini"), run.config.seeds[0]
    network = filled(run.config, data, seed, run.directory.seed(seed)).eval()
    chosen = run.evidence(seed)
    images = torch.from_numpy(data.inputs(data.test_images[chosen.indices]))
    targets = torch.from_numpy(chosen.labels)
    if position is None:
        whole = jumps_of(network, images, targets)
        position = int((whole.jumps.sum(dim=1) / (whole.along[:, -1] - whole.along[:, 0])).argmax())
    image, target = images[position : position + 1], targets[position : position + 1]
    (path,) = explained(network, image, target, steps=50, across=8)
    return Shown(network, image, target, path)


@torch.no_grad()
def draw_path(axes: Axes, shown: Shown) -> None:
    """The logit along the path, and what gradients see of it."""
    place = torch.linspace(0, 1, PLACES)
    logit = shown.network(place[:, None] * shown.image)[:, int(shown.target)].numpy()
    jumps, found = shown.path.jumps, shown.path.lines.switches
    at = found.positions[0, jumps.event].numpy()
    sizes = jumps.parts.sum(dim=1).numpy()
    seen = logit - (sizes[None] * (at[None] < place.numpy()[:, None])).sum(axis=1)
    axes.plot(place, logit, color=TRUE, lw=1.6, label="the logit")
    axes.plot(place, seen, color=SEEN, lw=1.4, ls="--", label="what its gradients add up to")
    axes.vlines(at, logit.min() - 0.06 * np.ptp(logit), logit.min(), color=SEEN, lw=0.6)
    here, number = at[shown.largest], shown.largest
    axes.axvline(here, color=IN, lw=0.8, ls=":")
    axes.annotate(
        f"the largest jump: {sizes[number]:+.2f}",
        (here, logit[int(here * (PLACES - 1))]),
        xytext=(0.70, 0.66),
        textcoords="axes fraction",
        fontsize=8,
        arrowprops={"arrowstyle": "-", "color": IN, "lw": 0.8},
    )
    axes.annotate(
        "",
        (1.012, seen[-1]),
        (1.012, logit[-1]),
        annotation_clip=False,
        arrowprops={"arrowstyle": "<->", "color": SEEN},
    )
    axes.annotate(
        "missed", (1.025, (logit[-1] + seen[-1]) / 2), fontsize=8, annotation_clip=False, va="center"
    )
    axes.set(xlabel="place on the path from black to the image", ylabel="logit", xlim=(0, 1))
    axes.set_title(f"{len(at)} switches on one path", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper left")


def draw_lines(axes: Axes, shown: Shown) -> None:
    """The units' lines where the largest switch is."""
    lines, jumps, number = shown.path.lines, shown.path.jumps, shown.largest
    here = float(lines.switches.positions[0, jumps.event[number]])
    level = float(lines.switches.levels[0, jumps.event[number]])
    around = torch.linspace(max(0.0, here - 0.03), min(1.0, here + 0.03), 61)
    h = (lines.offsets[0] + around[:, None] * lines.rates[0]).numpy()
    near = np.abs(h - level).min(axis=0) < 0.25 * level
    for unit in np.flatnonzero(near):
        axes.plot(around, h[:, unit], color="#bbbbbb", lw=0.8, zorder=1)
    for unit, color, label in zip(
        jumps.units[number].tolist(), (OUT, IN), ("leaves the 50", "enters"), strict=True
    ):
        axes.plot(around, h[:, unit], color=color, lw=2, label=label, zorder=2)
    axes.plot([here], [level], "o", color=TRUE, ms=5, zorder=3)
    spread = float(np.abs(h[:, jumps.units[number].numpy()] - level).max())
    axes.set(ylim=(level - 2.5 * spread, level + 2.5 * spread), xlim=(float(around[0]), float(around[-1])))
    axes.set(xlabel="place on the path", ylabel="pre-activation")
    axes.set_title("two units change places", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def pictures_of(shown: Shown) -> list[tuple[str, Any, bool]]:
    """The image, both units' atoms, and maps: title, picture, and whether it has a sign."""
    units = shown.path.jumps.units[shown.largest]
    atoms = shown.network.autoencoder.atoms[units].detach()
    plain, whole = (
        attributions.attribute(shown.network, shown.image, shown.target, name).own[0]
        for name in ("integrated_gradients", "switch_aware_integrated_gradients")
    )
    return [
        ("the image", shown.image[0], False),
        ("what leaves", atoms[0], True),
        ("what enters", atoms[1], True),
        ("integrated gradients", plain, True),
        ("switch-aware", whole, True),
        ("what it adds (own scale)", whole - plain, True),
    ]


def drawn(shown: Shown) -> Figure:
    """The whole figure."""
    figure = Figure(figsize=(10.5, 5.6))
    grid = figure.add_gridspec(2, 12, height_ratios=[1.7, 1], hspace=0.42, wspace=0.9)
    draw_path(figure.add_subplot(grid[0, :7]), shown)
    draw_lines(figure.add_subplot(grid[0, 8:]), shown)
    pictures = pictures_of(shown)
    maps = heat_limit(torch.stack([one for _, one, _ in pictures[3:5]]).numpy())
    atoms = heat_limit(torch.stack([one for _, one, _ in pictures[1:3]]).numpy())
    for number, (title, picture, signed) in enumerate(pictures):
        axes = figure.add_subplot(grid[1, 2 * number : 2 * number + 2])
        limit = atoms if number < 3 else maps if number < 5 else heat_limit(picture.numpy())
        look: dict[str, Any] = (
            {"cmap": DIVERGING, "vmin": -limit, "vmax": limit} if signed else {"cmap": "gray"}
        )
        axes.imshow(picture.numpy().reshape(28, 28), **look)
        axes.set_title(title, fontsize=8)
        axes.set_axis_off()
    for axes in figure.axes[:2]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    figure.subplots_adjust(left=0.07, right=0.97, top=0.94, bottom=0.02)
    return figure


def main() -> None:
    """Train what is missing, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("artifacts/methods"))
    parser.add_argument("--image", type=int, help="position among the explained images")
    wanted = parser.parse_args()
    drawn(shown_of(judged("k-sparse", wanted.output), wanted.image)).savefig(PAGE, dpi=110)
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
