"""`carillon events`: telling Carillon that something happened."""

from __future__ import annotations

import click

from workers.commands.answers import counted, say_json
from workers.commands.api import Api
from workers.commands.options import as_json, json_value, over_api, sent_once, without_none


@click.group()
def events() -> None:
    """Send events, which start workflows and go on with what waits for them."""


@events.command("send")
@click.argument("name")
@click.option("--payload", help="JSON: itself, @file, or - for standard input.")
@click.option("--correlation-key", help="What tells which of those that wait for it is meant.")
@sent_once
@as_json
@over_api
def send(api: Api, name: str, payload: str | None, correlation_key: str | None, key: str | None, is_json: bool) -> None:
    """Send the event NAME."""
    body = without_none(name=name, payload=json_value(payload, "--payload"), correlationKey=correlation_key)
    sent = api.post("/events", body, key=key)
    if is_json:
        say_json(sent)
        return
    click.echo(f"{name} was received: {sent['id']}. It went to {counted(len(sent['deliveries']), 'workflow')}.")
    for one in sent["deliveries"]:
        click.echo(f"  {one['workflowName']}: {one['outcome']}{': ' + one['reason'] if one['reason'] else ''}")
