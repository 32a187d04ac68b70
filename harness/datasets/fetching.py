"""Published files: the places where they are looked for, their download, and what is told of absent ones."""

from __future__ import annotations

import http.client
import os
import socket
import tempfile
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

from harness.config.values import named_place
from harness.datasets.registered import Absent, downloading

DOWNLOAD_SECONDS = 10.0
"""A download that has not begun by then is given up, and so is one that stalls for as long."""


def places(data_dir: Path | None = None) -> list[Path]:
    """The folders where published files are looked for, in order; a download goes to the first."""
    variable = os.environ.get("HARNESS_DATA_DIR")
    named = [data_dir, named_place("HARNESS_DATA_DIR", variable) if variable else None, Path("data")]
    return [place for place in named if place is not None]


def found(
    title: str,
    looked: list[Path],
    find: Callable[[Path], Path | None],
    download: Callable[[Path], str | None],
    files: str,
    package: str = "",
    instead: str = "",
) -> Path:
    """Where a published set lies: in the first place that has it, or downloaded to the first of all.

    Args:
        title: The set's, for messages.
        looked: The places, in order.
        find: Its files in a place, or None where that has none.
        download: Fetches them to a place; the reason in words where that did not work.
        files: What to put into a folder by hand, for messages.
        package: The command that installs it, and where, for messages.
        instead: What can be taken in its place, for messages.

    Raises:
        Absent: it is nowhere; with the places looked in and the ways to get it.
    """
    if there := next(filter(None, map(find, looked)), None):
        return there
    reason: str | None = "Nothing is downloaded where only what is there is asked for."
    if downloading.get():
        reason = download(looked[0])
        if reason is None and (there := find(looked[0])):
            return there
        reason = reason or f"The download left no files in {looked[0]}."
    ways = [
        *([package] if package else []),
        f"put {files} in a folder and name it with --data-dir or HARNESS_DATA_DIR",
        "run once with a network: the download is tried by itself",
    ]
    raise Absent(
        "\n".join(
            [
                f"{title} was not found. Looked in:",
                *(f"  - {place}" for place in looked),
                f"{reason} {'Three' if package else 'Two'} ways to get it:",
                *(f"  {number}. {way}" for number, way in enumerate(ways, 1)),
                *([instead] if instead else []),
            ]
        ),
        reason or "",
    )


def fetch(folder: Path, url: str, download: Callable[[Path], object]) -> str | None:
    """Download files into a folder; the reason in words where that did not work.

    They come into it when all are there: what broke off would pass for damaged data next time.

    Args:
        folder: Made where it is not there.
        url: An address that must answer before the download begins.
        download: Fetches the files into the folder that it is given, each where it belongs below `folder`.
    """
    if problem := _why_silent(url):
        return f"The download could not start within {DOWNLOAD_SECONDS:.0f} s ({problem})."
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as part:
            download(Path(part))
            for file in [one for one in Path(part).rglob("*") if one.is_file()]:
                target = folder / file.relative_to(part)
                target.parent.mkdir(parents=True, exist_ok=True)
                file.replace(target)
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        return f"The download failed ({error})."
    finally:
        socket.setdefaulttimeout(patience)
    return None


def _why_silent(url: str) -> str:
    """Why an address does not answer in time; empty where it does. A name's look-up knows no time limit."""
    problem, finished = ["no answer"], threading.Event()

    def knock() -> None:
        try:
            with urllib.request.urlopen(url, timeout=DOWNLOAD_SECONDS) as answer:  # noqa: S310 - https or http
                answer.read(1)
            problem[0] = ""
        except (OSError, http.client.HTTPException) as error:
            problem[0] = str(error) or type(error).__name__
        finally:
            finished.set()

    threading.Thread(target=knock, daemon=True).start()
    finished.wait(DOWNLOAD_SECONDS)
    return problem[0]
