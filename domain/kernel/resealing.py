"""After the secret key was replaced: everything that is sealed is sealed again with the new one.

Found by shape, in every table: columns named `sealed` hold a token, JSON columns may hold `{"$sealed": token}` anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Column, Table, Text, cast, select, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB

from domain.kernel.db import Base, db
from domain.kernel.secret_values import SEALED, is_sealed
from domain.kernel.vault import Unsealable, resealed

BATCH = 500


class SealedColumn(NamedTuple):
    table: Table
    column: Column[Any]


@dataclass(frozen=True)
class Resealed:
    """Of one batch: rows that changed, rows with something that no known key opens, and the key of the last row.

    `last` is None behind the last batch.
    """

    changed: int
    unreadable: int
    last: tuple[Any, ...] | None


def sealed_columns() -> Iterator[SealedColumn]:
    """Where sealed values can be, in all models that are imported."""
    for table in Base.metadata.sorted_tables:
        for column in table.columns:
            if column.name == "sealed" or isinstance(column.type, JSONB):
                yield SealedColumn(table, column)


def reseal_batch(place: SealedColumn, after: tuple[Any, ...] | None = None, limit: int = BATCH) -> Resealed:
    """Seal what at most `limit` rows behind the key `after` hold with the first key. A row changed meanwhile is left."""
    table, column = place
    keys = list(table.primary_key.columns)
    query = select(column, *keys).order_by(*keys).limit(limit)
    if column.name != "sealed":
        query = query.where(cast(column, Text).contains(f'"{SEALED}"', autoescape=True))
    if after is not None:
        query = query.where(tuple_(*keys) > tuple_(*after))
    changed, unreadable, last = 0, 0, None
    for value, *key in db.session.execute(query).all():
        last = tuple(key)
        try:
            anew = resealed(value) if column.name == "sealed" else _resealed(value)
        except Unsealable:
            unreadable += 1
            continue
        if anew != value:
            row = [one == part for one, part in zip(keys, key, strict=True)]
            written = db.session.execute(update(table).where(*row, column == value).values({column.name: anew}))
            changed += written.rowcount  # type: ignore[attr-defined]
    return Resealed(changed, unreadable, last)


def _resealed(value: Any) -> Any:
    if is_sealed(value):
        return {SEALED: resealed(value[SEALED])}
    if isinstance(value, dict):
        return {key: _resealed(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_resealed(item) for item in value]
    return value
