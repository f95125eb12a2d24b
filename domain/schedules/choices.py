"""Which workflows a schedule may run: what the picker offers, and which one a typed name means."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select

from domain.kernel.db import db
from domain.kernel.errors import Refused
from domain.workflows.built_in_schemas import is_clock_ref
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow

CHOICES = 20
_WITH_KEY = re.compile(r".*\(([^()]+)\)\s*", re.DOTALL)


@dataclass(frozen=True)
class WorkflowChoice:
    """A living workflow as the picker shows it. `label` names it and no other; `obstacle` says why it cannot be scheduled,
    and `remedy` what would help: `publish` or `schema`."""

    id: UUID
    label: str
    version: int | None
    schema_ref: str | None
    obstacle: str | None

    @property
    def remedy(self) -> str | None:
        if self.obstacle is None:
            return None
        return "publish" if self.version is None else "schema"

    @property
    def takes_clock(self) -> bool:
        """Whether its payload is made when it starts, so that nobody writes one."""
        return is_clock_ref(self.schema_ref)


def eligible_workflows(tenant_id: UUID, q: str = "", limit: int = CHOICES) -> list[WorkflowChoice]:
    """Workflows whose name or key contains `q`: the one that is called so, those that can be scheduled, then those that
    cannot, with why; what begins with it first."""
    query = _choices(tenant_id)
    if q:
        query = query.where(
            or_(Workflow.name.icontains(q, autoescape=True), Workflow.key.icontains(q, autoescape=True))
        )
    ready = and_(WorkflowVersion.payload_schema_mode == "pinned", WorkflowVersion.payload_schema.is_not(None))
    is_it = or_(func.lower(Workflow.name) == q.lower(), Workflow.key == q)
    begins = Workflow.name.istartswith(q, autoescape=True)
    ranks: list[Any] = [is_it.desc()] if q else []
    ranks += [ready.desc().nulls_last(), *([begins.desc()] if q else []), func.lower(Workflow.name), Workflow.id]
    query = query.order_by(*ranks).limit(limit)
    return [_choice(row) for row in db.session.execute(query)]


def workflow_choice(tenant_id: UUID, workflow_id: UUID | None) -> WorkflowChoice | None:
    """The choice with that id; None when the tenant has no such living workflow."""
    row = db.session.execute(_choices(tenant_id).where(Workflow.id == workflow_id)).one_or_none()
    return _choice(row) if row else None


def chosen_workflow(tenant_id: UUID, typed: str) -> WorkflowChoice:
    """The workflow that someone typed: its label, its name or its key. Raises Refused at `workflowId`."""
    typed = typed.strip()
    if not typed:
        raise Refused.at("workflowId", "Choose the workflow to run.", "WORKFLOW_REQUIRED")
    if "\x00" in typed:
        raise _unknown("that")
    key = found[1] if (found := _WITH_KEY.fullmatch(typed)) else typed
    named = or_(func.lower(Workflow.name) == typed.lower(), Workflow.key.in_([typed, key]))
    rows = db.session.execute(_choices(tenant_id).where(named).order_by(Workflow.id).limit(3)).all()
    choices = [_choice(row) for row in rows]
    exact = [choice for choice in choices if choice.label == typed] or choices
    if len(exact) == 1:
        return exact[0]
    if not exact:
        raise _unknown(f'"{typed[:80]}"')
    message = f"Several workflows have this name. Choose one by its key, such as {exact[0].label}."
    raise Refused.at("workflowId", message, "WORKFLOW_AMBIGUOUS")


def _unknown(what: str) -> Refused:
    return Refused.at("workflowId", f"No workflow is called {what}. Choose one of the list.", "WORKFLOW_UNKNOWN")


def _choices(tenant_id: UUID) -> Any:
    namesake = Workflow.__table__.alias("namesake")
    is_shared = (
        select(namesake.c.id)
        .where(
            namesake.c.tenant_id == Workflow.tenant_id,
            namesake.c.deleted_at.is_(None),
            func.lower(namesake.c.name) == func.lower(Workflow.name),
            namesake.c.id != Workflow.id,
        )
        .exists()
    )
    bound = and_(
        WorkflowVersion.tenant_id == Workflow.tenant_id,
        WorkflowVersion.workflow_id == Workflow.id,
        WorkflowVersion.version == Workflow.published_version,
    )
    return (
        select(
            Workflow.id,
            Workflow.name,
            Workflow.key,
            is_shared.label("is_shared"),
            Workflow.published_version,
            WorkflowVersion.payload_schema_mode,
            WorkflowVersion.payload_schema_ref,
            WorkflowVersion.payload_schema.is_not(None).label("has_schema"),
        )
        .outerjoin(WorkflowVersion, bound)
        .where(Workflow.tenant_id == tenant_id, Workflow.deleted_at.is_(None))
    )


def _choice(row: Any) -> WorkflowChoice:
    label = f"{row.name} ({row.key})" if row.is_shared else row.name
    return WorkflowChoice(row.id, label, row.published_version, row.payload_schema_ref, _obstacle(row))


def _obstacle(row: Any) -> str | None:
    """The same conditions as `domain.schedules.bindings.bindable_version`, in a few words."""
    if row.published_version is None:
        return "not published"
    if row.payload_schema_mode != "pinned":
        return "its payload schema is inferred, not pinned"
    return None if row.has_schema else "its version has no payload schema"
