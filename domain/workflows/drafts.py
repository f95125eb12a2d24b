"""Creating a workflow and editing its draft. A draft may be unfit to publish; it is never lost and never runs."""

from __future__ import annotations

import re
import unicodedata
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import load, owned
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.kernel.errors import Conflict, Refused
from domain.kernel.names import parse_name
from domain.workflows.definitions import starter_definition
from domain.workflows.draft_fields import (
    INFERRED,
    PINNED,
    DraftFields,
    Refusals,
    checked_fields,
    fields_of,
    parse_description,
    parse_key,
)
from domain.workflows.payload_schemas import EMPTY_REF
from domain.workflows.triggers import event_name_of
from domain.workflows.versions import version_of
from domain.workflows.workflows import Workflow

__all__ = [
    "INFERRED",
    "PINNED",
    "DraftFields",
    "check_revision",
    "create_workflow",
    "fields_of",
    "hold_keys",
    "key_from",
    "parse_key",
    "restore_version",
    "save_draft",
]

# What a published version is a snapshot of, and what a bundle carries.
_CONTENT = {"draft_definition", "draft_trigger", "draft_schema_ref", "draft_schema_mode", "name", "description", "key"}

# What a new workflow begins with: its runs never overlap until someone says they may.
NEW_CONCURRENCY_LIMIT = 1


def create_workflow(actor: Actor, name: str, now: datetime, key: str = "", description: str = "") -> Workflow:
    """A workflow with a small draft that can be published as it is. An empty `key` is made from the name.

    Raises Refused at `name`, `key` or `description`.
    """
    refusals = Refusals()
    name = refusals.take(lambda: parse_name(name, "name"), "")
    description = refusals.take(lambda: parse_description(description), "")
    typed = refusals.take(lambda: parse_key(key), "") if key.strip() else ""
    refusals.raise_if_any()
    workflow = Workflow(
        tenant_id=actor.tenant_id,
        key=typed or _free_key(actor.tenant_id, key_from(name)),
        name=name,
        description=description,
        draft_definition=starter_definition(name),
        draft_schema_ref=EMPTY_REF,
        concurrency_limit=NEW_CONCURRENCY_LIMIT,
        content_changed_at=now,
        created_at=now,
        updated_at=now,
    )
    _write(workflow, is_new=True)
    record_change(actor, "workflow.created", workflow, after={"name": name, "key": workflow.key})
    return workflow


def save_draft(actor: Actor, workflow_id: UUID, revision: int, fields: DraftFields, now: datetime) -> Workflow:
    """Write the draft that someone edited at `revision`. Nothing that runs changes until it is published.

    Raises Refused with every problem (see `checked_fields`), and Conflict when somebody saved or published since
    `revision`.
    """
    workflow = load(actor.tenant_id, Workflow, workflow_id, lock="change")
    check_revision(workflow, revision)
    return _change(actor, workflow, checked_fields(actor.tenant_id, fields), now, "workflow.saved")


def restore_version(actor: Actor, workflow_id: UUID, version: int, revision: int, now: datetime) -> Workflow:
    """Put a version's definition, trigger and schema choice into the draft, which must be at `revision`.

    The version itself stays as it is, and so does what runs. Raises NotFound and Conflict.
    """
    workflow = load(actor.tenant_id, Workflow, workflow_id, lock="change")
    check_revision(workflow, revision)
    stored = version_of(actor.tenant_id, workflow_id, version)
    definition = stored.definition
    if isinstance(definition, dict):
        # Versions that came from elsewhere may name a trigger in the text; a draft has it in its settings.
        definition = {key: value for key, value in definition.items() if key != "trigger"}
    columns = {
        "draft_definition": definition,
        "draft_trigger": stored.trigger if event_name_of(stored.trigger) else None,
        "draft_schema_mode": stored.payload_schema_mode,
        "draft_schema_ref": stored.payload_schema_ref,
    }
    return _change(actor, workflow, columns, now, "workflow.restored", f"Version {version}")


def _change(
    actor: Actor, workflow: Workflow, columns: dict[str, Any], now: datetime, action: str, reason: str | None = None
) -> Workflow:
    """Write those of the checked columns that differ, and put them on record; no difference changes nothing."""
    before = {name: getattr(workflow, name) for name in columns}
    changed = {name: value for name, value in columns.items() if not _is_same(value, before[name])}
    if not changed:
        return workflow
    for name, value in changed.items():
        setattr(workflow, name, value)
    if _CONTENT & set(changed):
        workflow.content_changed_at = now
    workflow.revision += 1
    workflow.updated_at = now
    _write(workflow)
    old = {name: before[name] for name in changed}
    record_change(actor, action, workflow, before=old, after=changed, reason=reason)
    return workflow


def check_revision(workflow: Workflow, revision: int) -> None:
    """Raises Conflict unless the workflow is still at `revision`."""
    if workflow.revision != revision:
        raise Conflict(
            "Someone else saved or published this workflow since you opened it. What you typed is still here: compare it"
            " with what is stored now, then save again."
        )


def key_from(name: str) -> str:
    """A key that resembles `name`: its ASCII letters and digits joined by hyphens, `workflow` if it has none."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:100].strip("-") or "workflow"


def hold_keys(tenant_id: UUID) -> None:
    """Until the commit whoever else in the tenant wants a key made for them, or imports workflows, waits."""
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"workflow key {tenant_id}", 0))))


def _free_key(tenant_id: UUID, wanted: str) -> str:
    # Nobody is told of a key they never typed.
    hold_keys(tenant_id)
    taken = set(
        db.session.scalars(
            select(Workflow.key).where(
                Workflow.tenant_id == tenant_id,
                Workflow.deleted_at.is_(None),
                Workflow.key.startswith(wanted, autoescape=True),
            )
        )
    )
    if wanted not in taken:
        return wanted
    return next(key for number in range(2, len(taken) + 3) if (key := f"{wanted}-{number}") not in taken)


def _write(workflow: Workflow, is_new: bool = False) -> None:
    taken = Refused.at("key", f"The key {workflow.key} is taken by another workflow. Choose another.", "KEY_TAKEN")
    same = owned(workflow.tenant_id, Workflow).where(Workflow.key == workflow.key)
    with db.session.no_autoflush:
        if any(other is not workflow for other in db.session.scalars(same)):
            raise taken
    try:
        with db.session.begin_nested():
            if is_new:
                db.session.add(workflow)
            db.session.flush()
    except IntegrityError as error:
        # Somebody took the key between the look and the write.
        if "uq_workflows_key" in str(error.orig):
            raise taken from None
        raise


def _is_same(one: Any, other: Any) -> bool:
    # 1 == True and 1 == 1.0 in Python; in a definition they differ.
    return type(one) is type(other) and (strict_json.dumps(one) == strict_json.dumps(other))
