"""Closing a tenant for good: nothing of it runs, nobody gets in, its secrets are gone, its history stays readable."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Select, Table, Text, cast, delete, select, true, update

from domain.accounts.audit import Actor, record_change
from domain.accounts.secrets import Secret
from domain.accounts.sessions import Session
from domain.accounts.tenants import Tenant, owned
from domain.accounts.tokens import ApiToken
from domain.accounts.users import Membership
from domain.extensions.installs import Install
from domain.firing.tick import settle
from domain.kernel.db import db
from domain.kernel.resealing import sealed_columns
from domain.kernel.secret_values import SEALED, shown
from domain.publishing.holding import delete_workflow
from domain.runs.runs import UNFINISHED, Run
from domain.schedules.schedules import Schedule
from domain.upgrades.uninstalling import cancel_runs, uninstall
from domain.workflows.workflows import Workflow

# Triggers keep their rows as they are; what is written there is masked before.
NEVER_REWRITTEN = frozenset({"audit_entries", "workflow_versions"})


@dataclass(frozen=True)
class Closed:
    """How much ended with a tenant."""

    workflows: int
    installs: int
    schedules: int
    runs: int
    tokens: int
    members: int
    secrets: int


def delete_tenant(actor: Actor, now: datetime) -> Closed | None:
    """Close the actor's tenant: end its schedules, delete its workflows, uninstall its extensions, cancel what is not
    finished, revoke tokens, end sessions and memberships, erase secrets. None when it was closed before.

    Its slug stays taken, and its history stays until it is pruned.
    """
    tenant = db.session.get_one(Tenant, actor.tenant_id, with_for_update={"key_share": True}, populate_existing=True)
    if tenant.deleted_at is not None:
        return None
    # Locked as everywhere: installs, workflows, cursors, runs.
    installs = _locked(owned(tenant.id, Install).order_by(Install.id))
    workflows = _locked(owned(tenant.id, Workflow).order_by(Workflow.id))
    schedules = db.session.scalars(owned(tenant.id, Schedule).with_only_columns(Schedule.id)).all()
    settle(sorted({*schedules, *_scheduled(tenant.id)}), now)
    for install_id in installs:
        uninstall(actor, install_id, now)
    for workflow_id in workflows:
        delete_workflow(actor, workflow_id, now)
    runs = cancel_runs(actor, true(), f"{tenant.name} was deleted", now)
    closed = Closed(len(workflows), len(installs), len(schedules), runs, *_shut(tenant.id, now))
    tenant.deleted_at = now
    db.session.flush()
    record_change(actor, "tenant.deleted", tenant, before={"deleted": False}, after={"deleted": True, **asdict(closed)})
    return closed


def _locked(query: Select[Any]) -> list[UUID]:
    rows = query.with_for_update(key_share=True).execution_options(populate_existing=True)
    return [row.id for row in db.session.scalars(rows)]


def _scheduled(tenant_id: UUID) -> list[UUID]:
    """The schedules, deleted ones too, whose runs have not finished."""
    query = select(Run.schedule_id).where(Run.tenant_id == tenant_id, Run.status.in_(UNFINISHED))
    return [found for found in db.session.scalars(query.distinct()) if found is not None]


def _shut(tenant_id: UUID, now: datetime) -> tuple[int, int, int]:
    """Let nobody in any more and erase what only runs needed; how many tokens, members and secrets there were."""
    usable = update(ApiToken).where(ApiToken.tenant_id == tenant_id, ApiToken.revoked_at.is_(None))
    tokens = db.session.scalars(usable.values(revoked_at=now).returning(ApiToken.id)).all()
    db.session.execute(delete(Session).where(Session.tenant_id == tenant_id))
    members = db.session.scalars(delete(Membership).where(Membership.tenant_id == tenant_id).returning(Membership.id))
    secrets = db.session.scalars(delete(Secret).where(Secret.tenant_id == tenant_id).returning(Secret.id))
    counted = len(tokens), len(members.all()), len(secrets.all())
    _forget_sealed(tenant_id)
    return counted


def _forget_sealed(tenant_id: UUID) -> None:
    """What was typed as a secret, and wherever a run took it from there, leaves only the mark that there was one."""
    db.session.flush()
    runs = select(Run.id).where(Run.tenant_id == tenant_id)
    for table, column in sealed_columns():
        if column.name == "sealed" or table.name in NEVER_REWRITTEN:
            continue
        if "tenant_id" in table.columns:
            _forget_in(table, column, table.columns["tenant_id"] == tenant_id)
        elif "run_id" in table.columns:
            _forget_in(table, column, table.columns["run_id"].in_(runs))
    db.session.expire_all()


def _forget_in(table: Table, column: Column[Any], whose: ColumnElement[bool]) -> None:
    keys = list(table.primary_key.columns)
    held = select(column, *keys).where(whose, cast(column, Text).contains(f'"{SEALED}"'))
    for value, *key in db.session.execute(held).all():
        row = [one == part for one, part in zip(keys, key, strict=True)]
        db.session.execute(update(table).where(*row).values({column.name: shown(value)}))
