"""The tutorial in a real JupyterLab: its figures can be seen in both themes, and its cells can be run."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import PATIENCE
from tests.test_tour import PICTURES
from tools.execute_tour import PAGE

pytestmark = pytest.mark.thorough

SETTINGS = {
    # every cell is drawn, also those outside the window
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/themes": {"adaptive-theme": True},
    # nobody outside is asked for news
    "apputils-extension/notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}


def _free_port() -> int:
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def _answers(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    end = time.monotonic() + 3 * PATIENCE / 1000
    while True:
        try:
            with urllib.request.urlopen(f"{address}/api/status?token=tour", timeout=5):
                return
        except OSError:
            assert process.poll() is None, "JupyterLab ended"
            assert time.monotonic() < end, "JupyterLab does not answer"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def jupyter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab with a copy of the notebook, and nobody's settings but ours."""
    home = tmp_path_factory.mktemp("jupyter")
    (home / "docs").mkdir()
    shutil.copy(PAGE, home / "docs")
    for name, values in SETTINGS.items():
        file = home / f"settings/@jupyterlab/{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values), encoding="utf-8")
    folders = {
        name: str(home / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    folders |= {
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
    }
    port = _free_port()
    settings = {
        "ServerApp.ip": "127.0.0.1",
        "ServerApp.port": port,
        "ServerApp.port_retries": 0,
        "ServerApp.root_dir": home / "docs",
        "IdentityProvider.token": "tour",
        "LabApp.extension_manager": "readonly",
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--{name}={value}" for name, value in settings.items()]
    with (home / "said").open("wb") as said:
        process = subprocess.Popen(command, env=os.environ | folders, stdout=said, stderr=said)
        try:
            address = f"http://127.0.0.1:{port}"
            _answers(address, process)
            yield address
        finally:
            process.terminate()
            process.wait(PATIENCE / 1000)


@pytest.fixture
def lab(browser: Browser, jupyter: str) -> Iterator[Callable[..., Page]]:
    """Opens the notebook; a page that asks anybody else, or in which something fails, fails the test."""
    opened: list[Page] = []
    asked: list[str] = []
    said: list[str] = []
    expect.set_options(timeout=2 * PATIENCE)

    def open_notebook(*, dark: bool) -> Page:
        context = browser.new_context(
            viewport={"width": 1280, "height": 900},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        context.set_default_timeout(2 * PATIENCE)
        page = context.new_page()
        opened.append(page)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{jupyter}/lab/workspaces/{'dark' if dark else 'light'}/tree/tour.ipynb?token=tour")
        expect(page.locator(".jp-Notebook h2").last).to_contain_text("From here")
        return page

    yield open_notebook
    for page in opened:
        page.context.close()
    strangers = [url for url in asked if not url.startswith((jupyter, "data:", f"blob:{jupyter}"))]
    assert strangers + said == []


def figures(page: Page) -> Locator:
    return page.locator(".jp-OutputArea-output img")


def whole(page: Page) -> None:
    """Every figure is loaded, and no cell shows an error or a complaint."""
    expect(figures(page)).to_have_count(sum(PICTURES.values()))
    page.wait_for_function(
        "[...document.querySelectorAll('.jp-OutputArea-output img')].every(one => one.naturalWidth > 300)"
    )
    for kind in ("error", "stderr"):
        expect(page.locator(f'[data-mime-type="application/vnd.jupyter.{kind}"]')).to_have_count(0)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_its_figures_are_seen(lab: Callable[..., Page], dark: bool) -> None:
    """In both themes, before anything was run: pictures, tables and the verdict."""
    page = lab(dark=dark)
    whole(page)
    expect(page.locator("body")).to_have_attribute("data-jp-theme-light", "false" if dark else "true")
    expect(page.locator(".jp-RenderedHTMLCommon", has_text="PASS on fashion-mnist-mini")).to_be_visible()


def test_its_cells_can_be_run(lab: Callable[..., Page]) -> None:
    """The first cells in a fresh kernel, and one of them again, whose figure is drawn anew."""
    page = lab(dark=False)
    whole(page)
    drawing = page.locator(".jp-CodeCell", has_text="def draw_rows")
    before = figures(page).first.element_handle()
    page.locator(".jp-CodeCell .cm-content").first.click()
    # the cells with code, and the text between them
    for _ in range(4):
        page.keyboard.press("Shift+Enter")
    drawing.locator(".cm-content").click()
    page.keyboard.press("Shift+Enter")
    expect(drawing.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\[4\]:"))
    assert before is not None
    page.wait_for_function("one => !one.isConnected", arg=before)
    whole(page)
