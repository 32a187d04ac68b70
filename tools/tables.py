"""Tables of Markdown, as the tools write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def markdown(corner: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """A table with a row for each name; the corner says what the names are of."""
    lines = [[corner, *columns], ["---"] * (1 + len(columns))]
    lines += [[f"`{name}`", *cells] for name, cells in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
