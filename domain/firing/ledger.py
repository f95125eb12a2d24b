"""Writing the ledger: a row for each instant that was decided, and a run beside each that fired. Set-based.

The unique key of the ledger makes a second decision about an instant impossible; runs are inserted only for the rows
that were really written. Payloads are copied inside the database and never pass through here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text

from domain.kernel.db import db, plan_checks_of
from domain.schedules.counting import count_written
from domain.schedules.occurrences import TIMING
from domain.workflows.built_in_schemas import CLOCK_ALIAS, CLOCK_REF


class Mark(NamedTuple):
    """What a row of the ledger says of an instant, whatever the schedule: those that are due together share few.

    With `through` it stands for `number` instants. `ready`: the run may start at once if its workflow has no limit.
    `actor_id`: who asked for it or held it, if a person.
    """

    scheduled_for: datetime
    outcome: str
    reason: str | None = None
    detail: str | None = None
    through: datetime | None = None
    number: int = 1
    ready: bool = False
    actor_id: UUID | None = None


class Entry(NamedTuple):
    """One row for the ledger."""

    id: UUID
    schedule_id: UUID
    mark: Mark


# A call is never ready at once: how many of an install go at a time is decided for all of them in one place. `is_fired`
# is a column because of a comparison the planner believes that five of 1,000 rows pass it, and joins the batch row by row.
_WRITE = text("""
    WITH decided AS MATERIALIZED (
        SELECT d.id, m.*, s.id AS schedule_id, s.tenant_id, s.name, s.trigger_type, s.cron, s.timezone, s.payload_json,
            s.target_kind, s.workflow_id, s.workflow_version, s.install_id, s.endpoint_id, s.max_attempts
        FROM unnest(CAST(:ids AS uuid[]), CAST(:schedule_ids AS uuid[]), CAST(:marks AS integer[]))
            AS d(id, schedule_id, mark)
        JOIN unnest(
            CAST(:instants AS timestamptz[]), CAST(:outcomes AS text[]), CAST(:reasons AS text[]),
            CAST(:details AS text[]), CAST(:throughs AS timestamptz[]), CAST(:counts AS integer[]),
            CAST(:readies AS boolean[]), CAST(:actor_ids AS uuid[])
        ) WITH ORDINALITY AS m(scheduled_for, outcome, reason, detail, through, count, is_ready, actor_id, mark)
            ON m.mark = d.mark
        JOIN schedules s ON s.id = d.schedule_id
    ), written AS (
        INSERT INTO occurrences (id, schedule_id, tenant_id, scheduled_for, origin_key, outcome, reason, detail,
            through, count, decided_at, actor_id)
        SELECT id, schedule_id, tenant_id, scheduled_for, :origin, outcome, reason, detail, through, count, :now,
            actor_id
        FROM decided
        ON CONFLICT DO NOTHING
        RETURNING id, outcome = 'fired' AS is_fired
    ), fired AS (
        SELECT d.*, i.version_id AS extension_version_id, v.is_pure,
            v.payload_schema_ref = ANY(:clock_refs) AS is_clock, w.concurrency_limit,
            jsonb_build_object(
                'triggerType', d.trigger_type, 'scheduleId', d.schedule_id,
                'scheduledFor', to_char(d.scheduled_for, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'firedAt', to_char(CAST(:now AS timestamptz), 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
                'timezone', d.timezone
            ) || CASE WHEN d.cron IS NULL THEN '{}' ELSE jsonb_build_object('cron', d.cron) END
            || CASE d.target_kind WHEN 'workflow' THEN
                jsonb_build_object('workflowId', d.workflow_id, 'workflowVersion', d.workflow_version)
            ELSE jsonb_build_object('extensionId', i.extension_id, 'extension', x.name, 'installId', d.install_id,
                'endpointId', d.endpoint_id, 'method', e.method, 'path', e.path, 'maxAttempts', d.max_attempts)
            END AS clock
        FROM written o
        JOIN decided d ON d.id = o.id
        LEFT JOIN workflows w ON w.id = d.workflow_id
        LEFT JOIN workflow_versions v ON v.tenant_id = d.tenant_id AND v.workflow_id = d.workflow_id
            AND v.version = d.workflow_version
        LEFT JOIN installs i ON i.id = d.install_id
        LEFT JOIN extensions x ON x.id = i.extension_id
        LEFT JOIN extension_endpoints e ON e.id = d.endpoint_id
        WHERE o.is_fired
    ), started AS (
    INSERT INTO runs (id, tenant_id, target_kind, workflow_id, workflow_version, install_id, extension_version_id,
        endpoint_id, schedule_id, started_by, actor_id, backfill_id, trigger_metadata, input_json, lane, ready_at)
    SELECT id, tenant_id, target_kind, workflow_id, workflow_version, install_id, extension_version_id,
        endpoint_id, schedule_id, trigger_type, actor_id,
        CAST(:backfill_id AS uuid), jsonb_strip_nulls(clock || jsonb_build_object(
            'scheduleName', name, 'backfillId', CAST(:backfill_id AS uuid))),
        CASE WHEN is_clock THEN clock ELSE payload_json END,
        CASE WHEN target_kind = 'endpoint' THEN 'call' WHEN is_pure THEN 'pure' ELSE 'effect' END,
        CASE WHEN target_kind = 'workflow' AND concurrency_limit IS NULL AND is_ready THEN CAST(:now AS timestamptz) END
    FROM fired
    )
    SELECT d.mark, d.target_kind, count(*) AS number FROM written o JOIN decided d ON d.id = o.id GROUP BY 1, 2
""")


def write_entries(
    entries: Sequence[Entry], now: datetime, origin: str = TIMING, backfill_id: UUID | None = None
) -> None:
    """Put rows into the ledger, and a run beside each that fired and was not there yet. The caller holds the cursors."""
    if not entries:
        return
    plan_checks_of(len(entries))
    places: dict[Mark, int] = {}
    columns = {
        "ids": [entry.id for entry in entries],
        "schedule_ids": [entry.schedule_id for entry in entries],
        "marks": [places.setdefault(entry.mark, len(places) + 1) for entry in entries],
    }
    marks = list(places)
    settings = {"origin": origin, "now": now, "clock_refs": [CLOCK_REF, CLOCK_ALIAS], "backfill_id": backfill_id}
    written = db.session.execute(_WRITE, columns | _columns(marks) | settings)
    count_written([(marks[row.mark - 1], row.target_kind, row.number) for row in written], origin, now)


def _columns(marks: Sequence[Mark]) -> dict[str, list[object]]:
    return {
        "instants": [mark.scheduled_for for mark in marks],
        "outcomes": [mark.outcome for mark in marks],
        "reasons": [mark.reason for mark in marks],
        "details": [mark.detail for mark in marks],
        "throughs": [mark.through for mark in marks],
        "counts": [mark.number for mark in marks],
        "readies": [mark.ready for mark in marks],
        "actor_ids": [mark.actor_id for mark in marks],
    }
