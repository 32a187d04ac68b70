"""Functions of somebody's own modules: found by `module:function`, imported, called, or refused."""

from __future__ import annotations

import importlib
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from harness import environment
from harness.errors import ConfigurationError
from harness.registry import suggestion

NETWORKS = {
    "model": "def {}(*, shape, classes, seed): return {}(...); its trained weights go by --weights",
    "code": "def {}(): return {}(...)",
}
"""In one line the function that gives a network, by the kind of what is named."""

EXAMPLES = {"model": "build", "code": "load", "recipe": "train"}
"""What a function of one's own may be called, by what it gives."""


def attribute_of(kind: str, name: str, folder: Path | None) -> Callable[..., Any]:
    """What `module:function` names, of a module that may lie in a folder or the working folder.

    The folders are searched first while it is imported, and at no other time.

    Raises:
        ConfigurationError: a file in place of its module, no such module (with the places looked in), one
            that fails to import, no such function in it, or a network in place of the function.
    """
    module, _, attribute = name.partition(":")
    if (wanted := own_name(kind, name)) != name:
        folder = Path(module).parent
        beside = "" if folder == Path() else f" and --model-dir {folder}"
        raise ConfigurationError(f"{kind} {name!r}: must be named as module:function; say {wanted!r}{beside}")
    places = [*([folder.absolute()] if folder else []), Path.cwd()]
    with searched(places):
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise ConfigurationError(
                    f"{kind} {name!r}: the module is there, and cannot be imported: {error}"
                ) from error
            raise ConfigurationError(
                f"{kind} {name!r}: there is no module {error.name!r}; looked in "
                f"{', '.join(dict.fromkeys(map(str, places)))}, and where packages are installed"
            ) from None
        except (Exception, SystemExit) as error:  # whatever a user's module does when it is imported
            told = " ".join(str(error).split())[:300]
            raise ConfigurationError(
                f"{kind} {name!r}: the module is there, and cannot be imported: "
                f"{type(error).__name__}: {told}"
            ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [
                name
                for name, one in getattr(found, "__dict__", {}).items()
                if getattr(one, "__module__", "") == module
            ]
            known = [name for name in known if not name.startswith("_")] or ["no function of its own"]
            raise ConfigurationError(f"{kind} {name!r}: {module} has no {part!r}: {suggestion(part, known)}")
        found = getattr(found, part)
    if isinstance(found, torch.nn.Module) and kind in NETWORKS:
        form = NETWORKS[kind].format(EXAMPLES[kind], type(found).__name__)
        raise ConfigurationError(
            f"{kind} {name!r}: it is a network, and must be a function that makes one; write {form}"
        )
    if not callable(found):
        raise ConfigurationError(f"{kind} {name!r}: must be a function (got {type(found).__name__})")
    return found  # type: ignore[no-any-return]


@contextmanager
def searched(places: list[Path]) -> Iterator[None]:
    """Look for modules in these places first, in the body of the statement alone."""
    added = [str(place) for place in dict.fromkeys(places) if str(place) not in sys.path]
    sys.path[:0] = added
    importlib.invalidate_caches()
    try:
        yield
    finally:
        for one in added:
            sys.path.remove(one)


def own_name(kind: str, name: str) -> str:
    """How a function of a module of one's own is named, for somebody who named its file, or the module alone.

    Args:
        kind: A key of `EXAMPLES`, whose function stands where the name tells none.
        name: As it was given.
    """
    module, _, told = name.partition(":")
    path = Path(module)
    if path.suffix == ".py" or len(path.parts) > 1:
        module = path.name.removesuffix(".py")
    return f"{module}:{told or EXAMPLES[kind]}"


def place_of(error: BaseException, function: Callable[..., Any]) -> str:
    """Where in its own file a function failed, or else where the error arose: ` at nets.py, line 12`.

    Empty where it could not be called, and of what ships.
    """
    if environment.ships(function):
        return ""
    _, *frames = traceback.extract_tb(error.__traceback__)
    own = getattr(inspect.unwrap(function), "__code__", None)
    inside = [one for one in frames if own and one.filename == own.co_filename] or frames
    return f" at {Path(inside[-1].filename).name}, line {inside[-1].lineno}" if inside else ""


def called(kind: str, name: str, function: Callable[..., Any], **keywords: Any) -> Any:
    """What a function of somebody's gives.

    Raises:
        ConfigurationError: it fails, with its error, and what it was called with.
    """
    try:
        return function(**keywords)
    except (ConfigurationError, MemoryError, torch.OutOfMemoryError):
        raise
    except (Exception, SystemExit) as error:  # whatever it raises
        told = " ".join(str(error).split())[:300]
        given = ", ".join(f"{key}={value!r:.80}" for key, value in keywords.items())
        raise ConfigurationError(
            f"{kind} {name!r}: cannot be made: {type(error).__name__}{place_of(error, function)}: {told}; "
            f"it was called {f'with {given}' if given else 'without arguments'}"
        ) from error
