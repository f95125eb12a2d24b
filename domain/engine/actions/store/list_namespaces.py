"""Lists the namespaces of the tenant's store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, or_, select

from domain.engine.actions.action import LOCAL, Action, ActionContext, Example
from domain.engine.actions.schemas import TEXT, object_schema
from domain.kernel.db import db
from domain.runs.store_items import StoreItem

MAX_NAMESPACES = 1_000


def run(_inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    living = or_(StoreItem.expires_at.is_(None), StoreItem.expires_at > context.now)
    rows = db.session.execute(
        select(StoreItem.namespace, func.count().label("keys"))
        .where(StoreItem.tenant_id == context.tenant_id, living)
        .group_by(StoreItem.namespace)
        .order_by(StoreItem.namespace)
        .limit(MAX_NAMESPACES)
    )
    return {"namespaces": [{"namespace": row.namespace, "key_count": row.keys} for row in rows]}


ACTION = Action(
    id="store.list_namespaces",
    version=1,
    label="List the namespaces",
    category="store",
    description=f"Lists the namespaces of the store that hold something, {MAX_NAMESPACES:,} at most, with how many keys.",
    input_schema=object_schema(),
    output_schema=object_schema(
        namespaces={"type": "array", "items": object_schema(namespace=TEXT, key_count={"type": "integer"})}
    ),
    effect=LOCAL,
    example=Example({}, {"namespaces": []}),
    run=run,
)
