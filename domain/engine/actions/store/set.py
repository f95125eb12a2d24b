"""Keeps a value in the tenant's store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from domain.engine.actions.action import LOCAL, Action, ActionContext, Example
from domain.engine.actions.schemas import ANY, BOOLEAN, described, object_schema
from domain.engine.actions.stored import KEY, NAMESPACE, YEAR_SECONDS, namespace_of
from domain.engine.failures import ACTION as ACTION_ERROR
from domain.engine.failures import StepFailed
from domain.kernel.db import db
from domain.runs.store_items import StoreItem


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    ttl, expected = inputs.get("ttl_seconds"), inputs.get("if_revision")
    place = {"tenant_id": context.tenant_id, "namespace": namespace_of(inputs), "key": inputs["key"]}
    seen, living = _current_revision(place, context)
    if expected is not None and expected != living:
        raise _conflict(inputs["key"], living)
    expires_at = None if ttl is None else context.now + timedelta(seconds=ttl)
    row = insert(StoreItem).values(**place, value=inputs["value"], expires_at=expires_at)
    upsert = row.on_conflict_do_update(
        index_elements=["tenant_id", "namespace", "key"],
        set_={
            "value": row.excluded.value,
            "expires_at": row.excluded.expires_at,
            "revision": StoreItem.revision + 1,
            "updated_at": func.clock_timestamp(),
        },
        # Somebody may have created the key since it was looked up; whoever named a revision did not mean that one.
        where=None if expected is None else StoreItem.revision == seen,
    ).returning(StoreItem.revision)
    revision = db.session.execute(upsert).scalar_one_or_none()
    if revision is None:
        raise _conflict(inputs["key"], None)
    return {"revision": revision, "created": living == 0}


def _current_revision(place: dict[str, Any], context: ActionContext) -> tuple[int, int]:
    """The revision of the key's row, locked, and of the value in it that has not expired; 0 stands for none."""
    columns = select(StoreItem.revision, StoreItem.expires_at).filter_by(**place).with_for_update(key_share=True)
    found = db.session.execute(columns).one_or_none()
    if found is None:
        return 0, 0
    is_living = found.expires_at is None or found.expires_at > context.now
    return found.revision, found.revision if is_living else 0


def _conflict(key: str, revision: int | None) -> StepFailed:
    now_at = "was changed at the same moment" if revision is None else f"is at revision {revision}"
    return StepFailed(f"The key {key} {now_at}, not at the expected one.", "REVISION_CONFLICT", ACTION_ERROR)


ACTION = Action(
    id="store.set",
    version=1,
    label="Keep in the store",
    category="store",
    description="Keeps a value under a key, for a time or for good; on request only over a known revision.",
    input_schema=object_schema(
        ("namespace", "ttl_seconds", "if_revision"),
        namespace=NAMESPACE,
        key=KEY,
        value=ANY,
        ttl_seconds={"type": "integer", "minimum": 1, "maximum": YEAR_SECONDS},
        if_revision=described({"type": "integer", "minimum": 0}, "0 creates the key and fails if it is there."),
    ),
    output_schema=object_schema(revision={"type": "integer"}, created=BOOLEAN),
    effect=LOCAL,
    example=Example({"key": "last-invoice", "value": {"number": 42}}, {"revision": 1, "created": True}),
    run=run,
)
