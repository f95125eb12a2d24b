"""`carillon schedules create|explain|preview`: making a schedule, whether one fires, and when."""

from __future__ import annotations

from typing import Any

import click

from workers.commands.answers import say_json, shown, table_lines
from workers.commands.api import Api, Json, id_called
from workers.commands.options import as_json, json_value, over_api, sent_once, without_none
from workers.commands.schedules import schedules

MARKS = {"ok": "ok", "warn": "WARN", "fail": "FAIL"}


def timed(command: Any) -> Any:
    """The options that say when."""
    for option in (
        click.option("--timezone", help="An IANA name; without it, the tenant's."),
        click.option("--run-at", help="Once, at this instant, such as 2026-12-01T08:00:00Z."),
        click.option("--cron", help="Again and again: five fields, or @hourly … @yearly."),
    ):
        command = option(command)
    return command


@schedules.command("create")
@click.option("--workflow", help="What it runs: the id, key or name of a published workflow.")
@click.option("--endpoint", "endpoint_id", help="Or the id of the endpoint of an extension that it calls.")
@timed
@click.option("--name", help="Without it, one is made.")
@click.option("--payload", help="JSON: itself, @file, or - for standard input.")
@click.option("--disabled", is_flag=True, help="It fires only once somebody resumes it.")
@click.option("--overlap", type=click.Choice(["queue", "skip", "allow"]), help="When the previous run is not done.")
@click.option("--catch-up", type=click.Choice(["latest", "all", "skip"]), help="Of what nobody could fire in time.")
@click.option("--external-key", help="Your own name for it, unique in the tenant.")
@click.option("--from", "file", help="The whole body as JSON: itself, @file or -. Options go before what it says.")
@sent_once
@as_json
@over_api
def create(api: Api, workflow: str | None, file: str | None, key: str | None, is_json: bool, **options: Any) -> None:
    """Make a schedule of a workflow or an endpoint. --workflow and --cron are enough."""
    body = json_value(file, "--from") or {}
    if not isinstance(body, dict):
        raise click.BadParameter("Write a JSON object, in curly braces.", param_hint="--from")
    if workflow:
        body["workflowId"] = id_called(api, "/workflow-definitions", workflow, "key", "name")
    made = api.post("/schedules", body | _members(**options), key=key)
    if is_json:
        say_json(made)
        return
    when = f"It fires next at {made['nextFireAt']}." if made["nextFireAt"] else f"It is {made['status']}."
    click.echo(f"{made['displayName']} was made: {made['id']}. {when}")


@schedules.command("explain")
@click.argument("schedule")
@as_json
@over_api
def explain(api: Api, schedule: str, is_json: bool) -> None:
    """Say whether SCHEDULE fires, and everything that this depends on."""
    said = api.get(f"/schedules/{_id(api, schedule)}/explain")
    if is_json:
        say_json(said)
        return
    click.echo(said["sentence"])
    for check in said["checks"]:
        click.echo(f"  {MARKS[check['state']]:<4}  {check['name']:<9}  {shown(check['sentence'])}")


@schedules.command("preview")
@click.argument("schedule", required=False)
@timed
@click.option("--limit", type=click.IntRange(1, 200), default=10, show_default=True, help="How many fires.")
@as_json
@over_api
def preview(api: Api, schedule: str | None, limit: int, is_json: bool, **timing: Any) -> None:
    """Say when SCHEDULE fires next; or, with --cron or --run-at, when such a timing would. Nothing is stored."""
    asked = _members(**timing)
    if bool(schedule) == bool(asked):
        raise click.UsageError("Name a SCHEDULE, or say --cron or --run-at.")
    if schedule:
        said = api.get(f"/schedules/{_id(api, schedule)}/preview", limit=limit)
    else:
        said = api.post("/schedules/preview", asked, limit=limit)
    say_json(said) if is_json else _say_fires(said)


def _say_fires(said: Json) -> None:
    click.echo(f"{said['words']} ({said['timezone']})")
    rows = [[one["local"], one["at"], "will be skipped" if one.get("skipped") else ""] for one in said["fires"]]
    for line in table_lines(["local", "UTC", ""], rows):
        click.echo(line)
    for one in said.get("clockChanges", []):
        click.echo(f"Clocks change: {one['message']}")
    for one in said.get("advice", []):
        click.echo(one["message"])


def _members(*, disabled: bool = False, payload: str | None = None, **texts: Any) -> Json:
    """The members of a body that options say."""
    names = {"run_at": "runAt", "endpoint_id": "endpointId", "catch_up": "catchUp", "external_key": "externalKey"}
    said = {names.get(name, name): value for name, value in texts.items()}
    return without_none(**said, payload=json_value(payload, "--payload"), enabled=False if disabled else None)


def _id(api: Api, called: str) -> str:
    return id_called(api, "/schedules", called, "name", "displayName")
