"""What the browser's tests share: the browser, rendered pages, and a way to open them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from playwright.sync_api import Error as BrowserError

from harness import report
from harness.artifacts.directories import RunDirectory
from harness.judging import verdicts
from harness.report import comparison
from tests.browser import visits
from tests.browser.visits import Visit
from tests.hostile import HOSTILE
from tests.written import sealed_anew

PATIENCE = 30_000
"""Milliseconds to wait for what must come: many, for machines are shared."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    path = visits.installed()
    if path is None:
        visits.without_browser(f"no browser: none of {', '.join(visits.NAMES)} is installed")
    with sync_playwright() as driver:
        try:
            started = driver.chromium.launch(executable_path=path, args=visits.flags())
        except BrowserError as error:
            visits.without_browser(f"{path} does not start: {error.message.splitlines()[0]}")
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """Opens files in the browser; a page that asks for anything, or complains, fails the test at its end."""
    opened: list[Visit] = []
    expect.set_options(timeout=PATIENCE)

    def open_page(
        file: Path,
        fragment: str = "",
        *,
        width: int = 1280,
        height: int = 720,
        dark: bool = False,
        script: bool = True,
    ) -> Visit:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        context.set_default_timeout(PATIENCE)
        opened.append(Visit(context.new_page(), file))
        opened[-1].listen()
        opened[-1].page.goto(file.as_uri() + fragment)
        return opened[-1]

    yield open_page
    complaints = [one for visited in opened for one in visited.complaints()]
    for visited in opened:
        visited.page.context.close()
    assert complaints == []


@pytest.fixture(scope="session")
def finished_run(finished_output: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """A copy of the small run with its report; to be read, not written."""
    target = tmp_path_factory.mktemp("page") / "artifacts" / "runs" / "small"
    shutil.copytree((finished_output / "latest").resolve(), target)
    run = RunDirectory.open(target)
    report.render(run)
    return run


@pytest.fixture(scope="session")
def page_file(finished_run: RunDirectory) -> Path:
    """The report of the small run."""
    return finished_run / "report.html"


@pytest.fixture(scope="session")
def hostile_run(finished_output: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    """The small run, red, with hostile names of classes, branch, data set and title, and its report."""
    target = tmp_path_factory.mktemp("hostile") / "artifacts" / "runs" / "small"
    shutil.copytree((finished_output / "latest").resolve(), target)
    run = RunDirectory(target)
    known = run.read_json("environment.json")
    known["branch"] = known["commit"] = known["dataset"]["name"] = HOSTILE[0]
    known["dataset"]["notice"] = HOSTILE[2]
    known["dataset"]["classes"] = list(HOSTILE)
    (run / "environment.json").write_text(json.dumps(known), encoding="utf-8")
    samples = run.read_table("samples.csv")
    run.write_table(
        "samples.csv", samples.assign(**{"class": [HOSTILE[label] for label in samples["label"]]})
    )
    config = run.read_config()
    title = config.report.model_copy(update={"title": HOSTILE[1]})
    run.write_config(config.model_copy(update={"report": title}))
    estimates = run.read_json("estimates.json")
    for row in estimates["estimates"]:
        if row["name"] == "agreement":
            row |= {"estimate": 0.5, "low": 0.4, "high": 0.55}
    (run / "estimates.json").write_text(json.dumps(estimates), encoding="utf-8")
    verdicts.judge(sealed_anew(run))
    report.render(run)
    return run


@pytest.fixture(scope="session")
def hostile_file(hostile_run: RunDirectory) -> Path:
    """The report of the hostile run."""
    return hostile_run / "report.html"


@pytest.fixture(scope="session")
def compared_file(finished_run: RunDirectory, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run beside a red one of the same samples, one method's maps those of other images."""
    folder = tmp_path_factory.mktemp("compared")
    shutil.copytree(finished_run.path, folder / "artifacts/runs/moved")
    moved = RunDirectory(folder / "artifacts/runs/moved")
    maps = moved.seed(0).read_arrays("attributions/smoothgrad.npz")
    moved.seed(0).write_arrays(
        "attributions/smoothgrad.npz", maps | {"maps": np.roll(maps["maps"], 1, axis=0)}
    )
    estimates = moved.read_json("estimates.json")
    for row in estimates["estimates"]:
        if row["name"] == "agreement":
            row |= {"estimate": 0.5, "low": 0.4, "high": 0.55}
    moved.write_json("estimates.json", estimates)
    verdicts.judge(sealed_anew(moved))
    comparison.compare(finished_run, moved, folder / "compared.html")
    return folder / "compared.html"
