"""Runs that other runs start: launched by a step, ended with their parent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import text

from domain.accounts.audit import Actor
from domain.accounts.tenants import owned
from domain.kernel.db import db
from domain.kernel.errors import DomainError, NotFound
from domain.runs.canceling import request_cancel
from domain.runs.claims import Claim
from domain.runs.launch import launch
from domain.runs.runs import BY_PARENT, Run
from domain.workflows.versions import version_of
from domain.workflows.workflows import Workflow

MAX_DEPTH = 10
BATCH = 500


class ChildRefused(DomainError):
    """This workflow cannot be called from here. Call one that does not lead back, or split the work differently."""

    code = "CHILD_REFUSED"


_ANCESTORS = text("""
    WITH RECURSIVE line(id, parent_run_id, workflow_id, depth) AS (
        SELECT id, parent_run_id, workflow_id, 1 FROM runs WHERE id = :run_id
        UNION ALL
        SELECT r.id, r.parent_run_id, r.workflow_id, line.depth + 1
        FROM runs r JOIN line ON r.id = line.parent_run_id WHERE line.depth <= :most
    )
    SELECT workflow_id FROM line
""")
_ORPHANS = text("""
    SELECT r.id FROM runs r JOIN runs p ON p.id = r.parent_run_id
    WHERE r.finished_at IS NULL AND r.parent_run_id IS NOT NULL AND p.finished_at IS NOT NULL
        AND r.cancel_requested_at IS NULL
    ORDER BY r.id LIMIT :limit
""")


def launch_child(parent: Claim, key: str, version: int | None, payload: Any, now: datetime) -> Run:
    """Start a run of the workflow with that key, in that version or the published one, for a step of `parent`.

    Raises NotFound, Refused (payload), Held (paused, unpublished), and ChildRefused when the workflow is the parent's
    own or one of its ancestors', or the calls are nested too deep.
    """
    query = owned(parent.tenant_id, Workflow).where(Workflow.key == key).with_for_update(read=True)
    workflow = db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()
    if workflow is None:
        raise NotFound
    line = db.session.scalars(_ANCESTORS, {"run_id": parent.run_id, "most": MAX_DEPTH}).all()
    if workflow.id in line:
        raise ChildRefused(f"{workflow.name} is already running above this run: it would call itself without end.")
    if len(line) > MAX_DEPTH:
        raise ChildRefused(f"Runs call each other more than {MAX_DEPTH} levels deep.")
    metadata = {"parentRunId": str(parent.run_id), "depth": depth_of(parent.trigger_metadata)}
    fixed = version_of(parent.tenant_id, workflow.id, version) if version is not None else None
    actor = Actor(parent.tenant_id)
    return launch(actor, workflow, payload, BY_PARENT, now, metadata, parent_run_id=parent.run_id, version=fixed)


def depth_of(trigger_metadata: dict[str, Any] | None) -> int:
    """How many events led to a run."""
    depth = (trigger_metadata or {}).get("depth", 0)
    return depth if isinstance(depth, int) else 0


def end_orphans(now: datetime) -> int:
    """Cancel child runs whose parent has ended without them; how many were asked."""
    orphans = db.session.scalars(_ORPHANS, {"limit": BATCH}).all()
    for run_id in orphans:
        request_cancel(run_id, now, "The run that called it has ended.")
    return len(orphans)
