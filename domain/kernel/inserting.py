"""Many rows of one table, or the rows of several that belong together, in few statements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import TextClause, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import make_transient_to_detached

from domain.kernel.db import PLANNED_ONCE, Base, db, plan_checks_of

Rows = Sequence[Mapping[str, Any]]
Model = TypeVar("Model", bound=Base)

_AT_ONCE = 2_000
_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]

# Table, columns whose values each row has, columns whose value all rows have.
_Shape = tuple[type[Base], tuple[str, ...], tuple[str, ...]]


class _Part(NamedTuple):
    """Rows of a table without what all of them have in common."""

    model: type[Base]
    rows: Rows
    common: Mapping[str, Any]


def insert_rows(*tables: tuple[type[Base], Rows]) -> None:
    """Insert rows by the names of their columns, all rows of a table of the same columns; what is left out gets the default
    of the database. Tables may refer to each other where their rows are at about the same places.

    In a `jsonb` column None is no value, or null where there must be one. What the session has is not changed.
    """
    most = max(len(rows) for _, rows in tables)
    plan_checks_of(most)
    for start in range(0, most, _AT_ONCE):
        parts = [_part(model, rows[start : start + _AT_ONCE]) for model, rows in tables]
        db.session.execute(_statement(*map(_shape, parts)), _values(parts))


def insert_one(model: type[Model], row: Mapping[str, Any], *beside: tuple[type[Base], Rows]) -> Model:
    """Insert a row, and those of other tables that belong to it, in one statement; the row as it is stored, of the session.

    The rest is as in `insert_rows`.
    """
    tables: list[tuple[type[Base], Rows]] = [*beside, (model, [row])]
    parts = [_Part(table, rows, {}) for table, rows in tables]
    added = db.session.execute(_returning(*map(_shape, parts)), _values(parts)).one()
    stored = model(**{**row, **added._mapping})
    make_transient_to_detached(stored)
    db.session.add(stored)
    return stored


def _part(model: type[Base], rows: Rows) -> _Part:
    """What all rows hold as one and the same object is said once: of a thousand new rows that is most of each."""
    first = rows[0]
    common = {name: first[name] for name in first if all(row[name] is first[name] for row in rows)}
    if len(common) == len(first):
        return _Part(model, rows, {})
    own = [name for name in first if name not in common]
    return _Part(model, [{name: row[name] for name in own} for row in rows], common)


def _shape(part: _Part) -> _Shape:
    return part.model, tuple(part.rows[0]), tuple(part.common)


def _values(parts: Sequence[_Part]) -> dict[str, str]:
    values = {f"rows_{number}": part.rows for number, part in enumerate(parts)}
    values |= {f"common_{number}": [part.common] for number, part in enumerate(parts) if part.common}
    return {
        name: json.dumps([dict(row) for row in rows], default=str, ensure_ascii=False, allow_nan=False)
        for name, rows in values.items()
    }


@lru_cache(maxsize=256)
def _statement(*shapes: _Shape) -> TextClause:
    """Inserts into all of the tables at once: references between them are checked at its end."""
    inserts = [_insert(number, *shape) for number, shape in enumerate(shapes)]
    before = ", ".join(f"part_{number} AS ({insert})" for number, insert in enumerate(inserts[:-1]))
    return text(f"WITH {before} {inserts[-1]}" if before else inserts[-1])


@lru_cache(maxsize=256)
def _returning(*shapes: _Shape) -> Any:
    """Gives back what the last row does not say itself: what it left out, and JSON, which is stored in an order of its
    own."""
    model, given, _ = shapes[-1]
    columns = [one for one in model.__table__.columns if one.name not in given or isinstance(one.type, JSONB)]
    names = ", ".join(column.name for column in columns)
    returning = text(f"{_statement(*shapes).text} RETURNING {names}").columns(*columns)
    return returning.execution_options(**PLANNED_ONCE)


def _insert(number: int, model: type[Base], own: Sequence[str], common: Sequence[str]) -> str:
    # Names of tables and columns come from the models, never from anybody's input.
    table, sources = model.__table__, [_source(f"rows_{number}", model, own)]
    if common:
        sources.append(_source(f"common_{number}", model, common))
    columns = [*own, *common]
    values = ", ".join(
        f"coalesce({name}, 'null')" if isinstance(table.c[name].type, JSONB) and not table.c[name].nullable else name
        for name in columns
    )
    return (
        f"INSERT INTO {model.__tablename__} ({', '.join(columns)})"  # noqa: S608
        f" SELECT {values} FROM {', '.join(sources)}"
    )


def _source(name: str, model: type[Base], columns: Sequence[str]) -> str:
    """The rows of a parameter as a table of these columns."""
    typed = ", ".join(f"{column} {model.__table__.c[column].type.compile(_DIALECT)}" for column in columns)
    return f"jsonb_to_recordset(CAST(:{name} AS jsonb)) AS {name}({typed})"
