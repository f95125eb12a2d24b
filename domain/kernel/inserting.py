"""Many rows of one table in few statements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

from domain.kernel.db import Base, db

_AT_ONCE = 2_000


def insert_rows(model: type[Base], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows by the names of their columns, all of the same columns; what is left out gets the default of the database.

    In a `jsonb` column None is no value. What the session has of the table is not changed.
    """
    if not rows:
        return
    columns = ", ".join(rows[0])
    table = model.__tablename__
    # Names of tables and columns come from the models, never from anybody's input.
    statement = text(
        f"INSERT INTO {table} ({columns})"  # noqa: S608
        f" SELECT {columns} FROM jsonb_populate_recordset(CAST(NULL AS {table}), CAST(:rows AS jsonb))"
    )
    for start in range(0, len(rows), _AT_ONCE):
        chunk = [dict(row) for row in rows[start : start + _AT_ONCE]]
        db.session.execute(statement, {"rows": json.dumps(chunk, default=str, ensure_ascii=False, allow_nan=False)})
