"""Lists what the tenant's store keeps in a namespace."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text

from domain.engine.actions.action import LOCAL, Action, ActionContext, Example
from domain.engine.actions.schemas import ANY, TEXT, described, object_schema
from domain.engine.actions.stored import KEY, MOMENT, NAMESPACE, VALUE_TYPE, moment, namespace_of
from domain.engine.actions.texts import json_type
from domain.kernel.db import db

DEFAULT_LIMIT, MAX_LIMIT = 100, 200
# A step holds no more than 256 kB: a page ends before its values are larger than this, but never before the first.
PAGE_BYTES = 128_000

_PAGE = text("""
    SELECT key, value, revision, expires_at, updated_at FROM (
        SELECT *, sum(octet_length(value::text) + octet_length(key)) OVER (ORDER BY key) AS bytes,
               row_number() OVER (ORDER BY key) AS number
        FROM (SELECT * FROM store_items
              WHERE tenant_id = :tenant_id AND namespace = :namespace AND key > :after AND starts_with(key, :prefix)
                AND (expires_at IS NULL OR expires_at > :now)
              ORDER BY key LIMIT :limit) AS page
    ) AS measured
    WHERE number = 1 OR bytes <= :bytes
    ORDER BY key
""")


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    limit = int(inputs.get("limit", DEFAULT_LIMIT))
    asked = {
        "tenant_id": context.tenant_id,
        "namespace": namespace_of(inputs),
        "after": inputs.get("cursor") or "",
        "prefix": inputs.get("prefix", ""),
        "now": context.now,
        "limit": limit + 1,
        "bytes": PAGE_BYTES,
    }
    rows = db.session.execute(_PAGE, asked).all()
    items = [
        {
            "key": row.key,
            "value": row.value,
            "value_type": json_type(row.value),
            "revision": row.revision,
            "expires_at": moment(row.expires_at),
            "updated_at": moment(row.updated_at),
        }
        for row in rows[:limit]
    ]
    has_more = len(rows) > limit or (bool(rows) and _is_more(asked, rows[-1].key))
    return {"items": items, "next_cursor": items[-1]["key"] if has_more else None}


def _is_more(asked: dict[str, Any], last: str) -> bool:
    return bool(db.session.execute(_PAGE, asked | {"after": last, "limit": 1}).all())


_ITEM = object_schema(
    key=TEXT, value=ANY, value_type=VALUE_TYPE, revision={"type": "integer"}, expires_at=MOMENT, updated_at=MOMENT
)
ACTION = Action(
    id="store.list",
    version=1,
    label="List the store",
    category="store",
    description="Lists the values of a namespace by key, page by page; expired ones are not there.",
    input_schema=object_schema(
        ("namespace", "prefix", "limit", "cursor"),
        namespace=NAMESPACE,
        prefix=described({"type": "string", "maxLength": 256}, "Only keys that begin with this."),
        limit=described(
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
            f"{DEFAULT_LIMIT} unless given; large values end a page earlier.",
        ),
        cursor=described({**KEY, "type": ["string", "null"]}, "The next_cursor of the page before."),
    ),
    output_schema=object_schema(items={"type": "array", "items": _ITEM}, next_cursor={"type": ["string", "null"]}),
    effect=LOCAL,
    example=Example({"prefix": "invoice-"}, {"items": [], "next_cursor": None}),
    run=run,
)
