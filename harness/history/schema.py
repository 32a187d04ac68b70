"""The tables of a history's store, and how an older store becomes one of this schema.

SQLAlchemy Core, and only what 2.0 and 2.1 have in common; imported by who opens a store, nobody else.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, Text, inspect, select, update

VERSION = 1
"""The schema of the store, which is not that of its documents: a document is upgraded on reading."""

METADATA = MetaData()

version = Table("harness_schema", METADATA, Column("version", Integer, nullable=False))

night = Table(
    "harness_night",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("document", Text, nullable=False),
)

act = Table(
    "harness_act",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("document", Text, nullable=False),
)


def _from_nothing(connection: Connection) -> None:
    METADATA.create_all(connection, checkfirst=False)
    connection.execute(version.insert().values(version=0))


STEPS: dict[int, Callable[[Connection], None]] = {0: _from_nothing}
"""By version: what makes of a store one of the next. A step is never changed once it was released."""


def version_of(connection: Connection) -> int:
    """The schema of a store; 0 of one without tables.

    Raises:
        ValueError: there are tables, and they do not tell.
    """
    there = set(inspect(connection).get_table_names())  # one question: another may be making them just now
    if version.name not in there:
        if there & {night.name, act.name}:
            raise ValueError(f"{version.name} is missing")
        return 0
    found = list(connection.scalars(select(version.c.version)))
    if len(found) != 1:
        raise ValueError(f"{version.name} must have one row (got {len(found)})")
    return int(found[0])


def upgrade(connection: Connection) -> None:
    """Let a store be of this schema, step by step; a newer one stays as it is.

    Args:
        connection: Of a transaction in which no other writes.
    """
    for number in range(version_of(connection), VERSION):
        STEPS[number](connection)
        connection.execute(update(version).values(version=number + 1))
