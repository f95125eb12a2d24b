"""Adds to a number in the tenant's store."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import text

from domain.engine.actions.action import LOCAL, Action, ActionContext, Example
from domain.engine.actions.schemas import NUMBER, described, object_schema
from domain.engine.actions.stored import KEY, NAMESPACE, namespace_of
from domain.engine.failures import VALIDATION, StepFailed
from domain.kernel.db import db

# One statement, so that a thousand runs counting at once count to a thousand. An expired number is as good as none.
_INCREMENT = text("""
    INSERT INTO store_items AS s (tenant_id, namespace, key, value)
    VALUES (:tenant_id, :namespace, :key, to_jsonb(CAST(:initial AS numeric) + CAST(:by AS numeric)))
    ON CONFLICT (tenant_id, namespace, key) DO UPDATE
    SET value = CASE WHEN s.expires_at <= :now THEN excluded.value
                     ELSE to_jsonb((s.value #>> '{}')::numeric + CAST(:by AS numeric)) END,
        expires_at = CASE WHEN s.expires_at <= :now THEN NULL ELSE s.expires_at END,
        revision = s.revision + 1, updated_at = clock_timestamp()
    WHERE jsonb_typeof(s.value) = 'number' OR s.expires_at <= :now
    RETURNING value, revision
""")


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    row = db.session.execute(
        _INCREMENT,
        {
            "tenant_id": context.tenant_id,
            "namespace": namespace_of(inputs),
            "key": inputs["key"],
            "initial": json.dumps(inputs.get("initial", 0)),
            "by": json.dumps(inputs.get("by", 1)),
            "now": context.now,
        },
    ).one_or_none()
    if row is None:
        message = f"The key {inputs['key']} does not hold a number, so nothing can be added to it."
        raise StepFailed(message, "NOT_A_NUMBER", VALIDATION)
    return {"value": row.value, "revision": row.revision}


ACTION = Action(
    id="store.increment",
    version=1,
    label="Count in the store",
    category="store",
    description="Adds to the number kept under a key, exactly once, however many runs count at the same time.",
    input_schema=object_schema(
        ("namespace", "by", "initial"),
        namespace=NAMESPACE,
        key=KEY,
        by=described(NUMBER, "What to add; 1 unless given."),
        initial=described(NUMBER, "What to add to when the key is new; 0 unless given."),
    ),
    output_schema=object_schema(value=NUMBER, revision={"type": "integer"}),
    effect=LOCAL,
    example=Example({"key": "runs-today"}, {"value": 1, "revision": 1}),
    run=run,
)
