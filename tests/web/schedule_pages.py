"""What the tests of the schedule pages share: a schedule that is never due, and what its form sends."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from domain.accounts.audit import AuditEntry
from domain.kernel.db import db
from domain.kernel.ids import new_id
from domain.runs.runs import Run
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from tests.factories import NOW, a_schedule

FAR = datetime(2100, 1, 1, tzinfo=UTC)
REGION = {
    "type": "object",
    "properties": {"region": {"type": "string", "enum": ["eu", "us"]}},
    "required": ["region"],
    "additionalProperties": False,
}


def a_quiet_schedule(workflow: Any, name: str = "Morning sync", **values: Any) -> Schedule:
    """A schedule whose next fire is far away, so that the clock of the database never finds it due."""
    schedule = a_schedule(workflow, name, **{"next_fire_at": FAR} | values)
    db.session.commit()
    return schedule


def an_occurrence(db: Any, schedule: Schedule, hours_ago: int, outcome: str, **values: Any) -> Occurrence:
    at = NOW - timedelta(hours=hours_ago)
    reason = None if outcome == "fired" else "late"
    values = {"id": new_id(), "origin_key": "timing", "reason": reason, "decided_at": at} | values
    occurrence = Occurrence(
        tenant_id=schedule.tenant_id,
        schedule_id=schedule.id,
        scheduled_for=at,
        outcome=outcome,
        **values,
    )
    db.add(occurrence)
    db.commit()
    return occurrence


def typed(**changes: Any) -> dict[str, Any]:
    """A complete form for a new recurring schedule; None takes a field away."""
    fields = {
        "workflow": "Invoice sync",
        "name": "Morning sync",
        "enabled": "y",
        "trigger_type": "recurring",
        "cron": "0 9 * * 1-5",
        "timezone": "Europe/Paris",
        "payload": "{}",
        "overlap": "queue",
        "catch_up": "latest",
        "spread_seconds": "0",
        "dst_gap": "after",
        "dst_repeat": "first",
    }
    return {name: value for name, value in (fields | changes).items() if value is not None}


def schedules() -> list[Schedule]:
    db.session.expire_all()
    return list(db.session.scalars(select(Schedule).where(Schedule.deleted_at.is_(None)).order_by(Schedule.id)))


def run_count() -> int:
    return db.session.scalar(select(func.count()).select_from(Run)) or 0


def audited() -> list[tuple[str, str]]:
    rows = db.session.execute(select(AuditEntry.action, AuditEntry.result).order_by(AuditEntry.id))
    return [(row.action, row.result) for row in rows if not row.action.startswith("session.")]


def shown_names(page: str) -> list[str]:
    return [html.unescape(name) for name in re.findall(r'<a class="name clamp"[^>]*>([^<]+)</a>', page)]


def errors_at(page: str, field: str) -> str:
    """What stands under a field of the form."""
    found = re.search(rf'id="{field}-error">(.*?)</div>', page, re.DOTALL)
    if field == "workflow":
        found = re.search(r'id="workflow-hint">\s*<div class="field-error">(.*?)</div>', page, re.DOTALL)
    return html.unescape(found[1]) if found else ""


def summary(page: str) -> str:
    """The list of errors at the top of a form."""
    found = re.search(r"data-error-summary.*?</ul>", page, re.DOTALL)
    return html.unescape(re.sub(r"<[^>]+>", "", found[0])) if found else ""


def value_of(page: str, field: str) -> str:
    found = re.search(rf'<input[^>]* name="{field}"[^>]*>', page)
    shown = re.search(r'value="([^"]*)"', found[0]) if found else None
    return shown[1] if shown else ""


def is_chosen(page: str, field: str, value: str) -> bool:
    return any(
        f'value="{value}"' in tag and " checked" in tag
        for tag in re.findall(rf'<input[^>]* name="{field}"[^>]*>', page)
    )
