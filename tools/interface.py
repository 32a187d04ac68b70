"""The page of the public names: their signatures and docstrings, as their source has them."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import harness

Node = ast.FunctionDef | ast.ClassDef

HEAD = (
    "`import harness` imports nothing else; each name is imported when it is first asked for. Shapes are of "
    "arrays and tensors, `pixels` any number of features. What cannot be meant is refused with an error of "
    "`harness.errors`, whose message says what was expected, what was got, and the mend."
)

SECTIONS = ("Args", "Attributes", "Returns", "Raises")


def interface() -> list[str]:
    """The page's parts."""
    parts = ["# From Python", HEAD]
    for name in sorted(one for one in harness.__all__ if one != "__version__"):
        found: Any = getattr(harness, name)
        node = _node(found.__module__, found.__qualname__)
        called = f"harness.{name}"
        if isinstance(node, ast.FunctionDef):
            parts += [f"## `{called}`", _code(signature(node, called)), *told(node)]
            continue
        parts += [f"## `{called}`", *_class(node, _methods(found), called)]
    return parts


@lru_cache(maxsize=64)
def _tree(module: str) -> ast.Module:
    """The source of a module, parsed."""
    place = inspect.getsourcefile(__import__(module, fromlist=["_"]))
    assert place is not None
    return ast.parse(Path(place).read_text(encoding="utf-8"))


def _node(module: str, path: str) -> Node:
    """Where a function or class is defined."""
    found: Any = _tree(module)
    for part in path.split("."):
        found = next(one for one in found.body if isinstance(one, Node) and one.name == part)
    assert isinstance(found, Node)
    return found


def _methods(found: type) -> list[ast.FunctionDef]:
    """The public methods and properties of a class, its own first, then those of what it is made of."""
    met: dict[str, ast.FunctionDef] = {}
    for one in found.__mro__:
        if one.__module__.startswith("harness."):
            for inside in _node(one.__module__, one.__qualname__).body:
                if isinstance(inside, ast.FunctionDef) and not inside.name.startswith("_"):
                    met.setdefault(inside.name, inside)
    return list(met.values())


def _class(node: ast.ClassDef, methods: list[ast.FunctionDef], called: str) -> Iterator[str]:
    """A class: how it is made, what it is, and its public methods and properties."""
    made = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
    yield _code(signature(made[0], called) if made else f"class {called}")
    yield from told(node)
    if called == "harness.Config":
        yield "Its fields are the keys and tables of the [configuration](configuration.md)."
    short = called.rsplit(".", 1)[-1]
    for one in methods:
        marks = {ast.unparse(mark) for mark in one.decorator_list}
        if marks & {"property", "cached_property"}:
            gives = "" if one.returns is None else f" -> {ast.unparse(one.returns)}"
            yield f"### `{short}.{one.name}`"
            yield _code(f"{short}.{one.name}{gives}")
        else:
            yield f"### `{short}.{one.name}()`"
            yield _code(signature(one, f"{short}.{one.name}"))
        yield from told(one)


def signature(node: ast.FunctionDef, called: str) -> str:
    """How a function is called; a line each where it is long."""
    known, several = node.args, list[str]()
    positional = [*known.posonlyargs, *known.args]
    first = len(positional) - len(known.defaults)
    for number, one in enumerate(positional):
        if one.arg in ("self", "cls") and number == 0:
            continue
        several.append(_parameter(one, known.defaults[number - first] if number >= first else None))
    if known.vararg:
        several.append(f"*{_parameter(known.vararg, None)}")
    elif known.kwonlyargs:
        several.append("*")
    several += [
        _parameter(one, value) for one, value in zip(known.kwonlyargs, known.kw_defaults, strict=True)
    ]
    if known.kwarg:
        several.append(f"**{_parameter(known.kwarg, None)}")
    gives = f" -> {ast.unparse(node.returns)}" if node.returns is not None and node.name != "__init__" else ""
    line = f"{called}({', '.join(several)}){gives}"
    if len(line) <= 100:
        return line
    return "\n".join([f"{called}(", *(f"    {one}," for one in several), f"){gives}"])


def _parameter(one: ast.arg, default: ast.expr | None) -> str:
    hint = "" if one.annotation is None else f": {ast.unparse(one.annotation)}"
    if default is None:
        return f"{one.arg}{hint}"
    return f"{one.arg}{hint} = {ast.unparse(default)}" if hint else f"{one.arg}={ast.unparse(default)}"


def _code(text: str) -> str:
    return f"```python\n{text}\n```"


def told(node: Node) -> Iterator[str]:
    """A docstring as Markdown: its sections as lists."""
    for part in re.split(r"\n\n(?! )", ast.get_docstring(node) or ""):
        name, _, rest = part.partition(":\n")
        if name not in SECTIONS:
            yield part
            continue
        lines = textwrap.dedent(rest)
        entries = (
            re.findall(r"^([\w., ]+): (.*(?:\n +.*)*)", lines, re.MULTILINE) if name != "Returns" else []
        )
        yield f"**{name}**"
        if entries:
            yield "\n".join(f"- `{key}`: {' '.join(text.split())}" for key, text in entries)
        else:
            yield lines
