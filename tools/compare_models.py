"""Compares the shipped models at five seeds on the embedded data; writes the tables of `docs/comparison.md`.

Usage: python -m tools.compare_models [--output FOLDER] [--seeds 0,1,2,3,4] [--models k-sparse,...]

Each model is judged by `harness validate` in a folder of its own; one whose run stands there already is taken
as it is. An hour on two cores. Intervals are those of the recipe, over seeds and images crossed; differences
are paired, image by image and seed by seed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import harness
from harness.records import Floats
from harness.runs import Run
from harness.statistics.crossed import two_way
from tools.tables import markdown

MODELS = ("k-sparse", "topk-auxk", "relu-l1", "dense", "vae", "mlp", "convolutional")
PAGE = Path(__file__).parents[1] / "docs" / "comparison.md"
BEGIN, END = "<!-- {}: written by tools/compare_models.py -->", "<!-- end -->"


def judged(model: str, seeds: str, folder: Path) -> Run:
    """The model's run; it is computed where none stands."""
    place = folder / model
    if not (place / "latest" / "verdict.json").is_file():
        flags = [
            "--dataset",
            "fashion-mnist-mini",
            "--model",
            model,
            "--seeds",
            seeds,
            "--output",
            str(place),
        ]
        subprocess.run(  # noqa: S603 - our own command
            [sys.executable, "-m", "harness", "validate", *flags], check=False
        )
    return harness.open_run(place / "latest")


def estimated(run: Run, name: str) -> str:
    """A measurement of the run with its interval; a dash where there is none."""
    one = run.estimate(name)
    if one is None or one.estimate is None:
        return "–"
    if one.low is None or one.high is None or one.low == one.high:
        return f"{one.estimate:.3g}"
    digits = 3 if abs(one.estimate) < 10 else 1 if abs(one.estimate) < 100 else 0
    return f"{one.estimate:.{digits}f} [{one.low:.{digits}f}, {one.high:.{digits}f}]"


def crossed(run: Run, values: Callable[[], Floats]) -> str:
    """The mean of values by seed and image (float64 [seeds, n]) with its interval; a dash without any."""
    try:
        found = values()
    except harness.HarnessError:
        return "–"
    if not found.size:
        return "–"
    labels = run.directory.read_arrays("samples.npz")["labels"]
    whole = np.isfinite(found).all(axis=0)
    one = two_way(found[:, whole], labels[whole], 0.95)
    return f"{one.estimate:.3f} [{one.low:.3f}, {one.high:.3f}]"


def above_untrained(run: Run, trained: str, untrained: str) -> str:
    """How much more the maps agree than those of the same network before its training."""
    return crossed(run, lambda: run.per_sample(trained) - run.per_sample(untrained))


COLUMNS: dict[str, dict[str, Callable[[Run], str]]] = {
    "what they are": {
        "accuracy": lambda run: estimated(run, "accuracy"),
        "active units": lambda run: estimated(run, "sparsity"),
        "dead units": lambda run: estimated(run, "dead_units"),
        "variance unexplained": lambda run: estimated(run, "fraction_unexplained"),
        "images judged": lambda run: str(len(run.directory.read_arrays("samples.npz")["labels"])),
        "verdict": lambda run: str((run.verdict or {}).get("verdict", "–")),
    },
    "agreement": {
        "of all methods": lambda run: estimated(run, "agreement"),
        "above its own untrained network": lambda run: above_untrained(run, "agreement", "control_untrained"),
        "of the gradient methods": lambda run: estimated(run, "agreement_gradient_family"),
        "those above their untrained": lambda run: above_untrained(
            run, "agreement_gradient_family", "control_untrained.gradient_family"
        ),
        "gradient with decoder": lambda run: estimated(run, "agreement_decoder_family"),
    },
    "what maps are worth": {
        "completeness gap": lambda run: crossed(run, lambda: run.per_sample("completeness")),
        "max-sensitivity, integrated gradients": lambda run: estimated(
            run, "max_sensitivity.integrated_gradients"
        ),
        "max-sensitivity, gradients": lambda run: estimated(run, "max_sensitivity.gradients"),
        "faithfulness, integrated gradients": lambda run: estimated(run, "faithfulness.integrated_gradients"),
        "faithfulness, decoder-weighted": lambda run: estimated(run, "faithfulness.decoder_weighted"),
        "largest correlation of two": lambda run: estimated(run, "attribution_copies"),
    },
}
"""The tables by title: each column's number of a run."""


def table(title: str, runs: dict[str, Run]) -> str:
    """A table of Markdown, a row for each model."""
    columns = COLUMNS[title]
    rows = {name: [number(run) for number in columns.values()] for name, run in runs.items()}
    return markdown("model", list(columns), rows)


def main() -> None:
    """Compute what is missing, and write the tables between their marks in the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("artifacts/models"))
    parser.add_argument("--seeds", default="0,1,2,3,4")
    parser.add_argument("--models", default=",".join(MODELS), help="which of them")
    wanted = parser.parse_args()
    runs = {name: judged(name, wanted.seeds, wanted.output) for name in wanted.models.split(",")}
    text = PAGE.read_text(encoding="utf-8")
    for title in COLUMNS:
        begin = BEGIN.format(title)
        before, _, rest = text.partition(begin)
        after = rest.partition(END)[2]
        text = f"{before}{begin}\n{table(title, runs)}\n{END}{after}"
        print(f"\n{title}\n{table(title, runs)}")
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
