"""Load matplotlib also where the user's own settings of it are broken: no figure of ours rests on them.

Where they are whole, matplotlib is loaded as the user wants it, for it is theirs too.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

NEEDED = ("matplotlib.figure", "matplotlib.backends.backend_svg")
"""What loads all of matplotlib that figures need, its fonts among it."""

SETTINGS = Path(__file__).parent / "settings" / "matplotlibrc"
"""A file of settings that sets nothing."""

_VARIABLES = ("MATPLOTLIBRC", "MPLBACKEND", "MPLCONFIGDIR")


def load() -> None:
    """Load matplotlib: as it is set up, else without its settings, else without its folder too."""
    if "matplotlib" in sys.modules:
        return
    ways: list[AbstractContextManager[Any]] = [nullcontext(), _without_settings(), _without_folder()]
    before = {name: os.environ.get(name) for name in _VARIABLES}
    for number, way in enumerate(ways, start=1):
        try:
            with way:
                for name in NEEDED:
                    import_module(name)
        except Exception:
            if number == len(ways):
                raise
            # it is half loaded
            for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
                del sys.modules[name]
        else:
            return
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


@contextmanager
def _without_settings() -> Iterator[None]:
    """Inside the block this thread finds no settings of matplotlib's but `SETTINGS`.

    Whatever its variables say, it looks into the working folder first. To go elsewhere would move the whole
    process, so this thread alone is told that there is no such file.
    """
    thread, real = threading.get_ident(), os.path.exists
    os.environ["MATPLOTLIBRC"] = str(SETTINGS)
    os.environ.pop("MPLBACKEND", None)

    def told(path: Any) -> bool:
        hidden = threading.get_ident() == thread and Path(os.fsdecode(path)).name == SETTINGS.name
        return real(path) and not (hidden and path != str(SETTINGS))

    os.path.exists = told
    try:
        yield
    finally:
        os.path.exists = real


@contextmanager
def _without_folder() -> Iterator[None]:
    """The same, and what matplotlib keeps from process to process goes to a folder that does not stay."""
    with _without_settings(), tempfile.TemporaryDirectory() as folder:
        os.environ["MPLCONFIGDIR"] = folder
        yield


load()
