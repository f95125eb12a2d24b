"""`carillon workflows list|show|publish|run|pause|resume|delete`: workflows, one at a time."""

from __future__ import annotations

import click

from workers.commands.answers import Columns, counted, say_fields, say_json, say_list
from workers.commands.api import Api, id_called
from workers.commands.options import as_json, json_value, limited, one_more, over_api, sent_once, without_none
from workers.commands.workflows import workflows

COLUMNS: Columns = {
    "id": "id",
    "key": "key",
    "name": "name",
    "status": "status",
    "version": "publishedVersion",
    "newer draft": "hasNewerDraft",
    "schedules": "scheduleCount",
    "last run": "lastRunStatus",
}
PATH = "/workflow-definitions"


@workflows.command("list")
@click.option("--search", "q", help="Part of the name or the key.")
@click.option("--status", type=click.Choice(["draft", "published", "paused"]))
@limited
@as_json
@over_api
def list_workflows(api: Api, q: str | None, status: str | None, limit: int | None, is_json: bool) -> None:
    """Name workflows."""
    found = list(api.items(PATH, one_more(limit), q=q, status=status))
    say_list(found, COLUMNS, is_json=is_json, limit=limit, nothing="There is no such workflow.")


@workflows.command("show")
@click.argument("workflow")
@as_json
@over_api
def show(api: Api, workflow: str, is_json: bool) -> None:
    """Say everything about WORKFLOW: its id, key or name. With --json also what it does."""
    found = api.get(_address(api, workflow))
    say_fields(found, is_json=is_json, without=("definition", "draft", "payloadSchema"))


@workflows.command("publish")
@click.argument("workflow")
@as_json
@over_api
def publish(api: Api, workflow: str, is_json: bool) -> None:
    """Make the draft of WORKFLOW its next version, which its schedules run from then on."""
    done = api.post(f"{_address(api, workflow)}/publish")
    if is_json:
        say_json(done)
        return
    moved, invalid = counted(done["schedulesMoved"], "schedule"), done["schedulesInvalid"]
    stays = f" The payload of {invalid} no longer fits: mend and resume." if invalid else ""
    click.echo(f"Version {done['version']} is published. It is what {moved} will run.{stays}")
    for one in done["warnings"]:
        click.echo(f"  {one['path']}: {one['message']}")


@workflows.command("run")
@click.argument("workflow")
@click.option("--payload", help="JSON: itself, @file, or - for standard input.")
@sent_once
@as_json
@over_api
def run(api: Api, workflow: str, payload: str | None, key: str | None, is_json: bool) -> None:
    """Run the published version of WORKFLOW once."""
    body = without_none(payload=json_value(payload, "--payload"))
    made = api.post(f"{_address(api, workflow)}/run", body, key=key)
    words = f"Run {made['id']} is {made['status']}. Follow it: carillon runs tail {made['id']}"
    say_json(made) if is_json else click.echo(words)


@workflows.command("pause")
@click.argument("workflow")
@click.option("--reason", help="Why; whoever finds it paused reads it.")
@as_json
@over_api
def pause(api: Api, workflow: str, reason: str | None, is_json: bool) -> None:
    """Refuse every start of WORKFLOW until it is resumed. What runs goes on."""
    done = api.post(f"{_address(api, workflow)}/pause", without_none(reason=reason))
    say_json(done) if is_json else click.echo(f"{done['name']} is paused.")


@workflows.command("resume")
@click.argument("workflow")
@as_json
@over_api
def resume(api: Api, workflow: str, is_json: bool) -> None:
    """Let WORKFLOW start again."""
    done = api.post(f"{_address(api, workflow)}/resume")
    say_json(done) if is_json else click.echo(f"{done['name']} is {done['status']}.")


@workflows.command("delete")
@click.argument("workflow")
@click.option("--yes", is_flag=True, help="Do not ask.")
@over_api
def delete(api: Api, workflow: str, yes: bool) -> None:
    """Delete WORKFLOW and end its schedules. Its versions and runs stay readable."""
    found = api.get(_address(api, workflow))
    if not yes:
        click.confirm(f"Delete {found['name']} and end its schedules?", abort=True, err=True)
    api.delete(f"{PATH}/{found['id']}")
    click.echo(f"{found['name']} was deleted. Its runs stay readable.")


def _address(api: Api, called: str) -> str:
    return f"{PATH}/{id_called(api, PATH, called, 'key', 'name')}"
