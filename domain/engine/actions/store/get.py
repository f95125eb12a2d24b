"""Reads a value from the tenant's store."""

from __future__ import annotations

from typing import Any

from sqlalchemy import or_, select

from domain.engine.actions.action import LOCAL, Action, ActionContext, Example
from domain.engine.actions.schemas import ANY, BOOLEAN, object_schema
from domain.engine.actions.stored import KEY, MOMENT, NAMESPACE, VALUE_TYPE, moment, namespace_of
from domain.engine.actions.texts import json_type
from domain.kernel.db import db
from domain.runs.store_items import StoreItem


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    found = db.session.execute(
        select(StoreItem.value, StoreItem.revision, StoreItem.expires_at).where(
            StoreItem.tenant_id == context.tenant_id,
            StoreItem.namespace == namespace_of(inputs),
            StoreItem.key == inputs["key"],
            or_(StoreItem.expires_at.is_(None), StoreItem.expires_at > context.now),
        )
    ).one_or_none()
    if found is None:
        return {"found": False, "value": None, "value_type": "null", "revision": None, "expires_at": None}
    return {
        "found": True,
        "value": found.value,
        "value_type": json_type(found.value),
        "revision": found.revision,
        "expires_at": moment(found.expires_at),
    }


ACTION = Action(
    id="store.get",
    version=1,
    label="Read from the store",
    category="store",
    description="Reads the value kept under a key, if there is one that has not expired.",
    input_schema=object_schema(("namespace",), namespace=NAMESPACE, key=KEY),
    output_schema=object_schema(
        found=BOOLEAN,
        value=ANY,
        value_type=VALUE_TYPE,
        revision={"type": ["integer", "null"]},
        expires_at=MOMENT,
    ),
    effect=LOCAL,
    example=Example(
        {"key": "last-invoice"},
        {"found": False, "value": None, "value_type": "null", "revision": None, "expires_at": None},
    ),
    run=run,
)
