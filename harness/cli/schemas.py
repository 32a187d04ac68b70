"""The command `schema`: the forms of the documents, as JSON Schemas that were written with this version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import ConfigurationError
from harness.registry import suggestion

FOLDER = Path(__file__).parents[1] / "schemas"
"""Where they lie: `python -m tools.write_reference` writes them, of the documents' own records."""

ENDING = ".schema.json"


def add_to(app: typer.Typer) -> None:
    """Give the `harness` command that of the schemas."""
    app.command()(schema)


def schema(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="such as verdict; without it, all by name", show_default=False),
    ] = None,
) -> None:
    """Print the JSON Schema (draft 2020-12) of a document that runs, nights and sweeps write."""
    known = {path.name.removesuffix(ENDING): path for path in sorted(FOLDER.glob(f"*{ENDING}"))}
    if name is None:
        for one, path in known.items():
            typer.echo(f"{one:11}  {json.loads(path.read_text(encoding='utf-8'))['description']}")
        return
    asked = name.removesuffix(".json")
    if asked not in known:
        raise ConfigurationError(f"unknown schema {name!r}: {suggestion(asked, known)}")
    typer.echo(known[asked].read_text(encoding="utf-8"), nl=False)
