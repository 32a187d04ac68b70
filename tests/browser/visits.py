"""A page opened in a browser: what it asks for, what it complains of, and what axe finds in it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDTHS = (360, 768, 1280, 1920)
"""A telephone, a tablet, a laptop, a large screen."""

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
CONTRAST = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


def without_browser(reason: str) -> NoReturn:
    """Skip with the reason; fail with it where `HARNESS_BROWSER` is `required`."""
    if os.environ.get("HARNESS_BROWSER") == "required":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def installed() -> str | None:
    """The path of the first browser that is there."""
    return next((path for path in map(shutil.which, NAMES) if path is not None), None)


def flags() -> list[str]:
    """A browser's sandbox refuses root, as whom builds in containers run."""
    return ["--no-sandbox"] if os.geteuid() == 0 else []


@dataclass
class Visit:
    """An open page.

    Attributes:
        page: The page.
        file: The file that was opened.
        asked: Addresses that the page asked for, the file's own first.
        said: Messages of the console, of every level, and errors that nothing caught.
    """

    page: Page
    file: Path
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """From now on, note what the page asks for and says."""
        self.page.on("request", lambda request: self.asked.append(request.url.split("#")[0]))
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))

    def complaints(self) -> list[str]:
        """All that a page must not do: speak to the console, fail, ask for anything but its own file."""
        strangers = [url for url in self.asked if url != self.file.as_uri() and not url.startswith("data:")]
        return self.said + [f"asked for {url}" for url in strangers]


def violations(page: Page, within: str = "html") -> list[str]:
    """What axe finds wrong in a part of the page, a line for each rule and element.

    The insides of drawings, which are but pictures to axe, and the further rows of folded tables, which are
    like those before them, leave the page first: they would take more than half of axe's time.
    """
    page.evaluate(
        "document.querySelectorAll('figure svg > *, details tr:nth-child(n+7)').forEach(one => one.remove())"
    )
    page.evaluate(AXE)
    found = page.evaluate("part => axe.run(part, {resultTypes: ['violations']})", within)
    return [
        f"{rule['id']} ({rule['impact']}): {rule['help']}: {node['target'][0]}: {node['html'][:200]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def faint(page: Page) -> list[str]:
    """Texts of drawings with less than 4.5:1 against what is drawn below them, which axe does not judge."""
    return list(page.evaluate(CONTRAST))


def unfold(page: Page) -> None:
    """Open every folded part."""
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


def sideways(page: Page) -> list[str]:
    """Where the page is wider than its window: the innermost elements whose content flows over their side."""
    return list(
        page.evaluate(
            """() => {
              if (document.documentElement.scrollWidth <= innerWidth) return [];
              const over = (one) =>
                one.scrollWidth > one.clientWidth && getComputedStyle(one).overflowX === "visible";
              const wide = [...document.querySelectorAll("body, body *")].filter(
                (one) => one.clientWidth > 0 && over(one) && ![...one.children].some(over));
              return ["the page", ...wide.map((one) => one.outerHTML.slice(0, 160))].slice(0, 9);
            }"""
        )
    )
