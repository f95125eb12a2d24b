"""Many rows of one table, or the rows of several that belong together, in few statements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import TextClause, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import make_transient_to_detached

from domain.kernel.db import PLANNED_ONCE, Base, db, plan_checks_of

Rows = Sequence[Mapping[str, Any]]
Model = TypeVar("Model", bound=Base)

_AT_ONCE = 2_000


def insert_rows(*tables: tuple[type[Base], Rows]) -> None:
    """Insert rows by the names of their columns, all rows of a table of the same columns; what is left out gets the default
    of the database. Tables may refer to each other where their rows are at about the same places.

    In a `jsonb` column None is no value, or null where there must be one. What the session has is not changed.
    """
    most = max(len(rows) for _, rows in tables)
    plan_checks_of(most)
    for start in range(0, most, _AT_ONCE):
        parts = [(model, rows[start : start + _AT_ONCE]) for model, rows in tables]
        db.session.execute(_statement(*_shapes(parts)), _values(parts))


def insert_one(model: type[Model], row: Mapping[str, Any], *beside: tuple[type[Base], Rows]) -> Model:
    """Insert a row, and those of other tables that belong to it, in one statement; the row as it is stored, of the session.

    The rest is as in `insert_rows`.
    """
    parts: list[tuple[type[Base], Rows]] = [*beside, (model, [row])]
    added = db.session.execute(_returning(model, *_shapes(parts)), _values(parts)).one()
    stored = model(**{**row, **added._mapping})
    make_transient_to_detached(stored)
    db.session.add(stored)
    return stored


def _shapes(parts: Sequence[tuple[type[Base], Rows]]) -> tuple[tuple[type[Base], tuple[str, ...]], ...]:
    return tuple((model, tuple(rows[0])) for model, rows in parts)


def _values(parts: Sequence[tuple[type[Base], Rows]]) -> dict[str, str]:
    return {
        f"rows_{number}": json.dumps([dict(row) for row in rows], default=str, ensure_ascii=False, allow_nan=False)
        for number, (_, rows) in enumerate(parts)
    }


@lru_cache(maxsize=256)
def _statement(*shapes: tuple[type[Base], tuple[str, ...]]) -> TextClause:
    """Inserts into all of the tables at once: references between them are checked at its end."""
    inserts = [_insert(number, model, columns) for number, (model, columns) in enumerate(shapes)]
    before = ", ".join(f"part_{number} AS ({insert})" for number, insert in enumerate(inserts[:-1]))
    return text(f"WITH {before} {inserts[-1]}" if before else inserts[-1])


@lru_cache(maxsize=256)
def _returning(model: type[Base], *shapes: tuple[type[Base], tuple[str, ...]]) -> Any:
    """Gives back what the row does not say itself: what it left out, and JSON, which is stored in an order of its own."""
    given = shapes[-1][1]
    columns = [one for one in model.__table__.columns if one.name not in given or isinstance(one.type, JSONB)]
    names = ", ".join(column.name for column in columns)
    returning = text(f"{_statement(*shapes).text} RETURNING {names}").columns(*columns)
    return returning.execution_options(**PLANNED_ONCE)


def _insert(number: int, model: type[Base], columns: Sequence[str]) -> str:
    # Names of tables and columns come from the models, never from anybody's input.
    table = model.__table__
    values = ", ".join(
        f"coalesce({name}, 'null')" if isinstance(table.c[name].type, JSONB) and not table.c[name].nullable else name
        for name in columns
    )
    return (
        f"INSERT INTO {model.__tablename__} ({', '.join(columns)})"  # noqa: S608
        f" SELECT {values} FROM"
        f" jsonb_populate_recordset(CAST(NULL AS {model.__tablename__}), CAST(:rows_{number} AS jsonb))"
    )
