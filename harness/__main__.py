"""`python -m harness` is the `harness` command, whatever modules lie in the working folder."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """The `harness` command. Before anything else is imported, the user's own modules are out of its way."""
    sys.path[:] = _without_here(sys.path)
    from harness.cli import main as command

    command()


def _without_here(entries: list[str]) -> list[str]:
    """The places of modules, with none of the working folder ahead of the standard library's.

    A `statistics.py` there is the user's. `python -m` puts that folder first, though nobody asked for it: it
    goes. Where PYTHONPATH names it, it becomes the last. The folder that holds this package stays.
    """
    try:
        here = os.path.realpath("")
    except OSError:  # it was removed
        return entries
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - nothing of pathlib is loaded yet
    if _holds_this_package(here) or library not in entries:
        return entries
    ahead = entries[: entries.index(library)]
    kept = [entry for entry in ahead if os.path.realpath(entry) != here]
    named = os.environ.get("PYTHONPATH")
    last = [here] if named and here in map(os.path.realpath, named.split(os.pathsep)) else []
    return kept + entries[len(ahead) :] + last


def _holds_this_package(folder: str) -> bool:
    return os.path.realpath(__file__) == os.path.join(folder, "harness", "__main__.py")  # noqa: PTH118


if __name__ == "__main__":
    main()
