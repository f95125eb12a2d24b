"""`carillon schedules`: what runs when, and holding, resuming and running it now."""

from __future__ import annotations

import click

from workers.commands.answers import Columns, say_fields, say_json, say_list
from workers.commands.api import Api, Json, id_called
from workers.commands.options import as_json, limited, one_more, over_api, sent_once, without_none

COLUMNS: Columns = {
    "id": "id",
    "name": "displayName",
    "runs": lambda one: one["workflowName"] or one["extensionName"],
    "status": "status",
    "timing": lambda one: one["cron"] or one["runAt"],
    "zone": "timezone",
    "next fire": "nextFireAt",
    "last run": "lastRunStatus",
}


@click.group()
def schedules() -> None:
    """See schedules, make them, hold them and run them now.

    SCHEDULE is the id of one, or its name where only one is called so.
    """


@schedules.command("list")
@click.option("--search", "q", help="Part of the name of the schedule, of what it runs, or of the path it calls.")
@click.option("--workflow", help="Only those of this workflow: its id, key or name.")
@click.option("--status", help="Only active, paused, invalid or completed ones.")
@click.option("--trigger", "trigger_type", type=click.Choice(["recurring", "schedule"]), help="schedule: one-time.")
@click.option("--target", "target_kind", type=click.Choice(["workflow", "endpoint"]), help="What they run.")
@limited
@as_json
@over_api
def list_schedules(
    api: Api,
    q: str | None,
    workflow: str | None,
    status: str | None,
    trigger_type: str | None,
    target_kind: str | None,
    limit: int | None,
    is_json: bool,
) -> None:
    """Name schedules, the newest first."""
    asked = {"q": q, "status": status, "triggerType": trigger_type, "targetKind": target_kind}
    if workflow:
        asked["workflowId"] = id_called(api, "/workflow-definitions", workflow, "key", "name")
    found = list(api.items("/schedules", one_more(limit), **asked))
    nothing = "There is no such schedule. `carillon schedules create` makes one."
    say_list(found, COLUMNS, is_json=is_json, limit=limit, nothing=nothing)


@schedules.command("show")
@click.argument("schedule")
@as_json
@over_api
def show(api: Api, schedule: str, is_json: bool) -> None:
    """Say everything about SCHEDULE."""
    say_fields(api.get(f"/schedules/{_id(api, schedule)}"), is_json=is_json)


@schedules.command("pause")
@click.argument("schedule")
@click.option("--reason", help="Why; whoever finds it paused reads it.")
@click.option("--until", help="When the pause ends by itself, such as 2026-12-01T08:00:00Z.")
@as_json
@over_api
def pause(api: Api, schedule: str, reason: str | None, until: str | None, is_json: bool) -> None:
    """Let SCHEDULE fire no more until it is resumed."""
    body = without_none(reason=reason, until=until)
    done = api.post(f"/schedules/{_id(api, schedule)}/pause", body)
    ends = f" until {done['pausedUntil']}" if done["pausedUntil"] else ""
    say_json(done) if is_json else click.echo(f"{done['displayName']} is paused{ends}.")


@schedules.command("resume")
@click.argument("schedule")
@click.option(
    "--catch-up",
    type=click.Choice(["skip", "latest", "all"]),
    help="What to make up of what the pause let pass: nothing, unless said otherwise.",
)
@as_json
@over_api
def resume(api: Api, schedule: str, catch_up: str | None, is_json: bool) -> None:
    """Let SCHEDULE fire again, after everything about it was checked again."""
    done = api.post(f"/schedules/{_id(api, schedule)}/resume", without_none(catchUp=catch_up))
    say_json(done) if is_json else click.echo(f"{done['displayName']} is {done['status']}. {_next(done)}")


@schedules.command("run-now")
@click.argument("schedule")
@sent_once
@as_json
@over_api
def run_now(api: Api, schedule: str, key: str | None, is_json: bool) -> None:
    """Run once what SCHEDULE runs, with its payload; when it fires stays as it is."""
    run = api.post(f"/schedules/{_id(api, schedule)}/run-now", key=key)
    say_json(run) if is_json else click.echo(
        f"Run {run['id']} is {run['status']}. Follow it: carillon runs tail {run['id']}"
    )


@schedules.command("delete")
@click.argument("schedule")
@click.option("--yes", is_flag=True, help="Do not ask.")
@over_api
def delete(api: Api, schedule: str, yes: bool) -> None:
    """End SCHEDULE for good. What it did stays readable."""
    found = api.get(f"/schedules/{_id(api, schedule)}")
    if not yes:
        click.confirm(f"Delete {found['displayName']}?", abort=True, err=True)
    api.delete(f"/schedules/{found['id']}")
    click.echo(f"{found['displayName']} was deleted. Its runs stay readable.")


def _id(api: Api, called: str) -> str:
    return id_called(api, "/schedules", called, "name", "displayName")


def _next(schedule: Json) -> str:
    return f"It fires next at {schedule['nextFireAt']}." if schedule["nextFireAt"] else "Nothing of it is to come."
