"""Creating a workflow and editing its draft. A draft may be unfit to publish; it is never lost and never runs."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import load, owned
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.kernel.errors import Conflict, Problem, Refused
from domain.kernel.names import parse_name
from domain.workflows.definitions import parse_definition, starter_definition
from domain.workflows.payload_schemas import EMPTY_REF, check_registered
from domain.workflows.workflows import Workflow

KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
KEY_MAX_CHARACTERS = 128
DESCRIPTION_MAX_CHARACTERS = 2_000
LIMIT_MAX = 1_000
PINNED, INFERRED = "pinned", "inferred"
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
# What a published version is a snapshot of, and what a bundle carries.
_CONTENT = {"draft_definition", "draft_schema_ref", "draft_schema_mode", "name", "description", "key"}

# What a new workflow begins with: its runs never overlap until someone says they may.
NEW_CONCURRENCY_LIMIT = 1


@dataclass(frozen=True)
class _Draft:
    """The editable fields of a workflow, checked."""

    name: str
    description: str
    key: str
    draft_definition: dict[str, Any]
    draft_schema_ref: str | None
    draft_schema_mode: str
    concurrency_limit: int | None


def create_workflow(actor: Actor, name: str, now: datetime, key: str = "", description: str = "") -> Workflow:
    """A workflow with a small draft that can be published as it is. An empty `key` is made from the name.

    Raises Refused at `name`, `key` or `description`.
    """
    refusals = _Refusals()
    name = refusals.take(lambda: parse_name(name, "name"), "")
    description = refusals.take(lambda: _parse_description(description), "")
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


def save_draft(
    actor: Actor,
    workflow_id: UUID,
    revision: int,
    name: str,
    description: str,
    key: str,
    definition_text: str,
    schema_ref: str | None,
    schema_mode: str,
    concurrency_limit: int | None,
    now: datetime,
) -> Workflow:
    """Write the draft that someone edited at `revision`. Nothing that runs changes until it is published.

    Raises Refused at `name`, `description`, `key`, `definition`, `schema_ref`, `schema_mode` or `concurrency_limit`,
    and Conflict when somebody saved or published since `revision`.
    """
    workflow = load(actor.tenant_id, Workflow, workflow_id, lock="change")
    check_revision(workflow, revision)
    refusals = _Refusals()
    draft = _Draft(
        name=refusals.take(lambda: parse_name(name, "name"), ""),
        description=refusals.take(lambda: _parse_description(description), ""),
        key=refusals.take(lambda: parse_key(key), ""),
        draft_definition=refusals.take(lambda: parse_definition(definition_text), {}),
        draft_schema_ref=refusals.take(lambda: _parse_schema_ref(actor.tenant_id, schema_ref), None),
        draft_schema_mode=refusals.take(lambda: _parse_mode(schema_mode), PINNED),
        concurrency_limit=refusals.take(lambda: _parse_limit(concurrency_limit), None),
    )
    refusals.raise_if_any()
    return _change(actor, workflow, draft, now)


def _change(actor: Actor, workflow: Workflow, draft: _Draft, now: datetime) -> Workflow:
    before = {field: getattr(workflow, field) for field in vars(draft)}
    changed = {field: value for field, value in vars(draft).items() if not _is_same(value, before[field])}
    if not changed:
        return workflow
    for field, value in changed.items():
        setattr(workflow, field, value)
    if _CONTENT & set(changed):
        workflow.content_changed_at = now
    workflow.revision += 1
    workflow.updated_at = now
    _write(workflow)
    record_change(actor, "workflow.saved", workflow, before={field: before[field] for field in changed}, after=changed)
    return workflow


def check_revision(workflow: Workflow, revision: int) -> None:
    """Raises Conflict unless the workflow is still at `revision`."""
    if workflow.revision != revision:
        raise Conflict(
            "Someone else saved or published this workflow since you opened it. What you typed is still here: compare it"
            " with what is stored now, then save again."
        )


def parse_key(text: str, path: str = "key") -> str:
    """A key that bundles and other workflows may refer to; raises Refused at `path`."""
    key = text.strip()
    if not KEY_PATTERN.fullmatch(key):
        message = "A key begins with a small letter or digit and goes on with small letters, digits, dots, - and _."
        raise Refused.at(path, message, "KEY_INVALID")
    if len(key) > KEY_MAX_CHARACTERS:
        raise Refused.at(path, f"A key has at most {KEY_MAX_CHARACTERS} characters.", "KEY_INVALID")
    return key


def key_from(name: str) -> str:
    """A key that resembles `name`: its ASCII letters and digits joined by hyphens, `workflow` if it has none."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:100].strip("-") or "workflow"


def _free_key(tenant_id: UUID, wanted: str) -> str:
    # Until this one is written, whoever else wants a key made for them waits here: nobody is told of a key they never typed.
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"workflow key {tenant_id}", 0))))
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


def _parse_description(text: str) -> str:
    description = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if len(description) > DESCRIPTION_MAX_CHARACTERS:
        message = (
            f"A description has at most {DESCRIPTION_MAX_CHARACTERS:,} characters; this one has {len(description):,}."
        )
        raise Refused.at("description", message, "DESCRIPTION_TOO_LONG")
    if _UNREADABLE.search(description):
        message = "A description cannot contain control characters. Remove them."
        raise Refused.at("description", message, "DESCRIPTION_CHARACTERS")
    return description


def _parse_schema_ref(tenant_id: UUID, ref: str | None) -> str | None:
    if not ref:
        return None
    check_registered(tenant_id, ref)
    return ref


def _parse_mode(mode: str) -> str:
    if mode not in (PINNED, INFERRED):
        raise Refused.at("schema_mode", "Choose pinned or inferred.", "SCHEMA_MODE_INVALID")
    return mode


def _parse_limit(limit: int | None) -> int | None:
    if limit is not None and not 1 <= limit <= LIMIT_MAX:
        message = f"The limit is a whole number from 1 to {LIMIT_MAX:,}, or empty for no limit."
        raise Refused.at("concurrency_limit", message, "LIMIT_INVALID")
    return limit


def _is_same(one: Any, other: Any) -> bool:
    # 1 == True and 1 == 1.0 in Python; in a definition they differ.
    return type(one) is type(other) and (strict_json.dumps(one) == strict_json.dumps(other))


class _Refusals:
    """Collects what is wrong with each field, so that all of it is told at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def take(self, parse: Any, otherwise: Any) -> Any:
        try:
            return parse()
        except Refused as refusal:
            self.problems += refusal.problems
            return otherwise

    def raise_if_any(self) -> None:
        if self.problems:
            raise Refused(self.problems)
