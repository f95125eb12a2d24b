"""`carillon workflows`: what is done to many workflows at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import click

from domain.accounts.tenants import Tenant, tenants_by_slug
from domain.kernel import clock
from domain.kernel.config import Config
from domain.kernel.db import db, transacted
from domain.kernel.errors import NotFound
from domain.publishing.inline_triggers import (
    AdoptedTrigger,
    MigratedWorkflow,
    migrate_time_triggers,
    workflows_with_time_triggers,
)
from domain.schedules.schedules import ACTIVE
from workers.commands.answers import counted, say_json
from workers.commands.frame import actor_for, installation, tenant_named


class _Tried(Exception):
    """Ends the transaction of a dry run; carries what it would have done."""

    def __init__(self, report: dict[str, Any]) -> None:
        super().__init__()
        self.report = report


@click.group()
def workflows() -> None:
    """Look after workflows."""


@workflows.command("migrate-triggers")
@click.option("--tenant", "slug", help="Only workflows of the tenant with this slug.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would become of each trigger and change nothing.")
@click.option("--json", "is_json", is_flag=True, help="Answer with a JSON document.")
def migrate_triggers(slug: str | None, is_dry: bool, is_json: bool) -> None:
    """Make schedules of the time triggers inside drafts.

    Each becomes a schedule named after its workflow, with an empty payload, and goes out of the draft in the same
    transaction. One that cannot fire is kept as invalid, or completed when its time has passed, with the reason. Published
    versions stay as they are. Doing it again changes nothing. Ends with 1 when a trigger had to stay in its draft.
    """
    with installation() as config:
        tenants = {one.id: one for one in ([tenant_named(slug)] if slug else tenants_by_slug())}
        found = workflows_with_time_triggers(tenants)
        db.session.rollback()
        reports = [_migrated(tenants[tenant_id], workflow_id, config, is_dry) for tenant_id, workflow_id in found]
    told = [report for report in reports if report]
    left = sum(one["scheduleName"] is None for report in told for one in report["triggers"])
    if is_json:
        say_json({"dryRun": is_dry, "workflows": told, "left": left})
    else:
        _say(told, is_dry)
    if left:
        raise click.ClickException(f"{counted(left, 'trigger')} had to stay in the draft. Correct and migrate again.")


def _migrated(tenant: Tenant, workflow_id: UUID, config: Config, is_dry: bool) -> dict[str, Any] | None:
    """What became of the time triggers of one workflow; None when they, or it, are gone meanwhile."""

    def work() -> dict[str, Any] | None:
        now = clock.database_now()
        migrated = migrate_time_triggers(actor_for(tenant), workflow_id, now, config.min_interval_seconds)
        report = _report(tenant, migrated, now, is_dry)
        if is_dry:
            raise _Tried(report)
        return report if migrated.adopted else None

    try:
        return transacted(work)
    except _Tried as tried:
        return tried.report
    except NotFound:
        return None


def _report(tenant: Tenant, migrated: MigratedWorkflow, now: datetime, is_dry: bool) -> dict[str, Any]:
    return {
        "tenant": tenant.slug,
        "workflowId": str(migrated.workflow.id),
        "workflow": migrated.workflow.name,
        "triggers": [_adopted(one, now, is_dry) for one in migrated.adopted],
    }


def _adopted(one: AdoptedTrigger, now: datetime, is_dry: bool) -> dict[str, Any]:
    schedule = one.schedule
    fires_at = schedule.timing.next_after(now) if schedule is not None and schedule.status == ACTIVE else None
    return {
        "trigger": one.trigger,
        "scheduleId": None if schedule is None or is_dry else str(schedule.id),
        "scheduleName": schedule.name if schedule else None,
        "status": schedule.status if schedule else None,
        "nextFireAt": fires_at.strftime("%Y-%m-%dT%H:%M:%SZ") if fires_at else None,
        "reason": one.reason,
    }


def _say(reports: list[dict[str, Any]], is_dry: bool) -> None:
    if not reports:
        click.echo("No draft has a time trigger.")
    for report in reports:
        click.echo(f"{report['tenant']}: {report['workflow']}")
        for one in report["triggers"]:
            click.echo(f"  {_words(one)}")
    if reports and is_dry:
        click.echo("Nothing was changed: this was a dry run.")


def _words(one: dict[str, Any]) -> str:
    trigger = one["trigger"]
    said = trigger.get("runAt") if trigger["type"] == "schedule" else trigger.get("cron")
    if one["scheduleName"] is None:
        return f"{said}: STAYS IN THE DRAFT. {one['reason']}"
    state = f"{one['status']}, fires next at {one['nextFireAt']}" if one["nextFireAt"] else one["status"]
    return f"{said}: schedule {one['scheduleName']}, {state}" + (f". {one['reason']}" if one["reason"] else "")
