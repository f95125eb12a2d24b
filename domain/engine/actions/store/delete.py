"""Removes a value from the tenant's store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete

from domain.engine.actions.action import LOCAL, Action, ActionContext, Example
from domain.engine.actions.schemas import BOOLEAN, object_schema
from domain.engine.actions.stored import KEY, NAMESPACE, namespace_of
from domain.kernel.db import db
from domain.runs.store_items import StoreItem


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    removed = db.session.execute(
        delete(StoreItem)
        .where(
            StoreItem.tenant_id == context.tenant_id,
            StoreItem.namespace == namespace_of(inputs),
            StoreItem.key == inputs["key"],
        )
        .returning(StoreItem.expires_at)
    ).one_or_none()
    # A value that had expired was not there any more.
    return {"deleted": removed is not None and (removed.expires_at is None or removed.expires_at > context.now)}


ACTION = Action(
    id="store.delete",
    version=1,
    label="Remove from the store",
    category="store",
    description="Removes the value kept under a key, and says whether there was one.",
    input_schema=object_schema(("namespace",), namespace=NAMESPACE, key=KEY),
    output_schema=object_schema(deleted=BOOLEAN),
    effect=LOCAL,
    example=Example({"key": "last-invoice"}, {"deleted": False}),
    run=run,
)
