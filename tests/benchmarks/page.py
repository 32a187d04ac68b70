"""How large the report is, how long it takes to render, and how soon a reader can use it.

`python -m tests.benchmarks.page` makes a run of 200 and one of 1,000 samples, or takes the run directories
that are named; it prints, and writes into `artifacts/bench.json`. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from harness import config, pipeline
from harness.artifacts.directories import RunDirectory
from harness.judging import verdicts
from tests.browser import visits

RECIPE: dict[str, Any] = dict(epochs=3, classifier_epochs=10, confidence=0.5, quiet=True)
"""Enough training for a page of every size; what the pictures show does not matter to its speed."""

# from a choice in the gallery's form to the frame that shows what it did
ACT = """async ([name, value]) => {
  const field = document.querySelector(`#gallery-controls [name=${name}]`), start = performance.now();
  if (field.type === "checkbox") field.checked = value; else field.value = value;
  field.dispatchEvent(new Event("change", {bubbles: true}));
  const view = document.querySelector("#gallery-view");
  while (name === "shared" && !view.classList.contains("on-shared")) await new Promise(setTimeout);
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - start;
}"""

ACTS = {
    "sort_ms": ("sort", "-confidence"),
    "filter_ms": ("class", "3"),
    "shared_scale_ms": ("shared", True),
}


def open_once(page: Page) -> dict[str, float]:
    """Times of one visit in milliseconds: from the start of loading, then of each act.

    Returns:
        `interactive_ms`: the page's script has run to its end. `painted_ms`: something was to be seen.
        `loaded_ms`: pictures too. And the acts.
    """
    found: dict[str, float] = page.evaluate(
        """async () => {
          const seen = () => performance.getEntriesByName("first-contentful-paint")[0];
          while (!seen()) await new Promise(setTimeout);
          const [load] = performance.getEntriesByType("navigation");
          return {
            interactive_ms: load.domContentLoadedEventStart,
            painted_ms: seen().startTime,
            loaded_ms: load.loadEventStart,
          };
        }"""
    )
    return found | {name: float(page.evaluate(ACT, list(act))) for name, act in ACTS.items()}


def visit(browser: Browser, file: Path, rounds: int) -> dict[str, float]:
    """Medians over visits, each in a window of its own that keeps nothing of those before."""
    times: list[dict[str, float]] = []
    for _ in range(rounds):
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.goto(file.as_uri())
        times.append(open_once(page))
        page.close()
    return {name: statistics.median(one[name] for one in times) for name in times[0]}


def render(run: Path, rounds: int) -> dict[str, float]:
    """The median of the command's seconds, with its start, and the page's size."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        command = [sys.executable, "-m", "harness", "report", str(run)]
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    return {"render_s": statistics.median(seconds), "mb": (run / "report.html").stat().st_size / 1e6}


def make(output: Path, samples: int, dataset: str) -> Path:
    """A judged run of so many samples."""
    flags = RECIPE | dict(dataset=dataset, samples_per_class=samples // 10, output=output)
    run = RunDirectory.open(pipeline.run(config.load(flags=flags, folder=output.parent)))
    verdicts.judge(run)
    return run.path


def measure(browser: Browser, run: Path, rounds: int) -> dict[str, float]:
    """Everything told of one run's page."""
    samples = len(RunDirectory.open(run).read_arrays("samples.npz")["indices"])
    return {"samples": samples, **render(run, rounds), **visit(browser, run / "report.html", rounds)}


def keep(path: Path, **told: Any) -> None:
    """Write results into a file, beside those of others that it has."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(known | told, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=Path, help="run directories, rendered anew")
    parser.add_argument("--output", type=Path, default=Path("artifacts/bench.json"))
    parser.add_argument("--dataset", default="auto")
    parser.add_argument("--quick", action="store_true", help="one visit of a page of 200 samples")
    asked = parser.parse_args()
    path = visits.installed()
    if path is None:
        sys.exit(f"no browser: none of {', '.join(visits.NAMES)} is installed")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        sizes = (200,) if asked.quick else (200, 1000)
        runs = asked.runs or [make(Path(folder) / "artifacts", size, asked.dataset) for size in sizes]
        browser = driver.chromium.launch(executable_path=path, args=visits.flags())
        told = [measure(browser, run, 1 if asked.quick else 5) for run in runs]
        browser.close()
    for one in told:
        print(", ".join(f"{name} {value:.4g}" for name, value in one.items()), flush=True)
    keep(asked.output, page=told)


if __name__ == "__main__":
    main()
