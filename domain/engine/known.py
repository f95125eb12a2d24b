"""The names of a tenant that a definition may refer to, read at once before it is checked."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from domain.accounts.secrets import Secret
from domain.events.events import EventType
from domain.expressions.mappings import objects_in
from domain.kernel.db import db
from domain.workflows.payload_schemas import schema_refs
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow

CALL_TYPE = "control.callWorkflow"


@dataclass(frozen=True)
class KnownWorkflow:
    """A living workflow by its key. `published` is the version that runs, None before the first; `versions`: all."""

    id: UUID
    published: int | None
    versions: frozenset[int]


@dataclass(frozen=True)
class Known:
    """`events`: name → payload schema ref. `own_key`: of the workflow whose definition is checked, empty if it has none.

    `calls`: for the workflows that the definition reaches by calling, key → keys that they call in turn.
    """

    workflows: Mapping[str, KnownWorkflow] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    schema_refs: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()
    own_key: str = ""
    calls: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def way_back(self, key: str) -> tuple[str, ...] | None:
        """The keys from `key` to the workflow's own, by the shortest way of calls; None when no call leads back."""
        if not self.own_key:
            return None
        waiting: deque[tuple[str, ...]] = deque([(key,)])
        seen = {key}
        while waiting:
            way = waiting.popleft()
            if way[-1] == self.own_key:
                return way
            fresh = sorted(self.calls.get(way[-1], frozenset()) - seen)
            seen.update(fresh)
            waiting.extend((*way, callee) for callee in fresh)
        return None


# From the workflows that a definition calls to those that these call, each in the version that a run would take. What looks
# like a call may be a literal of a mapping, so its version may be anything.
_CALLS = text("""
    WITH RECURSIVE reached(caller, key, version) AS (
        SELECT NULL::text, * FROM unnest(CAST(:keys AS text[]), CAST(:versions AS integer[]))
        UNION
        SELECT w.key, c.step ->> 'workflowKey',
            CASE WHEN c.step ->> 'workflowVersion' ~ '^[1-9][0-9]{0,8}$' THEN (c.step ->> 'workflowVersion')::integer END
        FROM reached r
        JOIN workflows w ON w.tenant_id = :tenant_id AND w.key = r.key AND w.deleted_at IS NULL
        JOIN workflow_versions v ON v.tenant_id = :tenant_id AND v.workflow_id = w.id
            AND v.version = coalesce(r.version, w.published_version)
        CROSS JOIN LATERAL
            jsonb_path_query(v.definition, 'strict $.** ? (@.type == "control.callWorkflow")') AS c(step)
        WHERE jsonb_typeof(c.step -> 'workflowKey') = 'string'
    )
    SELECT DISTINCT caller, key FROM reached WHERE caller IS NOT NULL
""")


def known_names(tenant_id: UUID, own_key: str = "", definition: Any = None) -> Known:
    """What the tenant has by name: four queries, and one more that follows the workflow calls of `definition`."""
    versions = (
        select(func.array_agg(WorkflowVersion.version))
        .where(WorkflowVersion.tenant_id == Workflow.tenant_id, WorkflowVersion.workflow_id == Workflow.id)
        .scalar_subquery()
    )
    workflows = db.session.execute(
        select(Workflow.key, Workflow.id, Workflow.published_version, versions).where(
            Workflow.tenant_id == tenant_id, Workflow.deleted_at.is_(None)
        )
    )
    events = db.session.execute(
        select(EventType.name, EventType.payload_schema_ref).where(EventType.tenant_id == tenant_id)
    )
    return Known(
        workflows={key: KnownWorkflow(row_id, now, frozenset(all_ or ())) for key, row_id, now, all_ in workflows},
        events={row.name: row.payload_schema_ref for row in events},
        schema_refs=frozenset(schema_refs(tenant_id)),
        secrets=frozenset(db.session.scalars(select(Secret.name).where(Secret.tenant_id == tenant_id))),
        own_key=own_key,
        calls=_calls_from(tenant_id, definition),
    )


def _calls_from(tenant_id: UUID, definition: Any) -> dict[str, frozenset[str]]:
    called = {
        (key, _numbered(step.get("workflowVersion")))
        for _, step in objects_in(definition)
        if step.get("type") == CALL_TYPE and isinstance(key := step.get("workflowKey"), str)
    }
    if not called:
        return {}
    keys, versions = zip(*called, strict=True)
    found: defaultdict[str, set[str]] = defaultdict(set)
    for caller, key in db.session.execute(
        _CALLS, {"tenant_id": tenant_id, "keys": list(keys), "versions": list(versions)}
    ):
        found[caller].add(key)
    return {caller: frozenset(callees) for caller, callees in found.items()}


def _numbered(version: Any) -> int | None:
    is_number = isinstance(version, int) and not isinstance(version, bool) and 0 < version < 2**31
    return version if is_number else None
