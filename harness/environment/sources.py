"""Digests of the harness's own source, and of functions: what stored numbers were computed by."""

from __future__ import annotations

import hashlib
import inspect
import uuid
from collections.abc import Collection
from pathlib import Path


def ships(function: object) -> bool:
    """Whether a function stands in a module of the harness, whatever it says of itself."""
    return str(getattr(function, "__globals__", {}).get("__name__", "")).startswith("harness.")


def source_digest(function: object) -> str:
    """SHA-256 over the file of a function that ships; of any other a fresh random text.

    What a function of somebody's own does rests on more than its file: on what it calls, on values that it
    sees, on the version that is loaded while the file goes on. So what it gave is never taken for what it
    gives.
    """
    if not ships(function):
        return uuid.uuid4().hex
    return hashlib.sha256(Path(inspect.getfile(function)).read_bytes()).hexdigest()  # type: ignore[arg-type]


SHOWING = (
    "artifacts/cleaning",
    "blaming",
    "ci",
    "cli",
    "console",
    "criteria/diagnosis",
    "engines",
    "figures",
    "report",
    "runs",
    "studio",
    "sweeps",
    "text",
)
"""Modules and packages that show a verdict, and have no part in it."""

PACKAGE = Path(__file__).parents[1]
"""Where the harness's own source lies."""


def gate_digest() -> str:
    """SHA-256 over the source of all modules but those that only show what the others found."""
    return _digest_without(SHOWING)


ONLY_SHOWING = tuple(name for name in SHOWING if name not in ("runs", "text"))
"""Those of them that nothing imports which computes: it reads what it made through `runs`."""


def computing_digest() -> str:
    """SHA-256 over the source of all modules that can have a part in what is computed."""
    return _digest_without(ONLY_SHOWING)


def _digest_without(left_out: Collection[str]) -> str:
    folder = PACKAGE
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in sorted(folder.rglob("*.py"))]
    return code_digest(*(name for name in names if not is_one_of(name, left_out)))


def is_one_of(module: str, names: Collection[str]) -> bool:
    """Whether a module (`package/module`) is named, or a package that it is in."""
    return any(f"{module}/".startswith(f"{name}/") for name in names)


def code_digest(*modules: str) -> str:
    """SHA-256 over the source of these modules of the harness (`package/module` where they are in one).

    A package is all its modules; all modules count if none is named.
    """
    folder = PACKAGE
    paths = [
        path
        for module in modules or ("",)
        for path in (
            sorted((folder / module).rglob("*.py"))
            if (folder / module).is_dir()
            else [folder / f"{module}.py"]
        )
    ]
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()
