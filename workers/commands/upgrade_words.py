"""Changes of version as commands ask for them and tell them."""

from __future__ import annotations

import click

from domain.extensions.extensions import LATEST
from workers.commands.answers import shown, table_lines
from workers.commands.api import Api, Json, id_called

COUNTS = ("remapped", "redirected", "disabled", "invalidated", "recovered")
COLUMNS = ("what", "schedule", "calls", "")


def chosen_endpoints(api: Api, extension_id: str, number: str, written: tuple[str, ...]) -> dict[str, str]:
    """The ids of endpoints by the ids of schedules in `<schedule>=POST /api/sync`. Raises BadParameter, ClickException."""
    if not written:
        return {}
    path = f"/extensions/{extension_id}/versions"
    versions = [one for one in api.items(path) if number in (LATEST, one["version"])]
    if not versions:
        raise click.ClickException(f"There is no version {shown(number)}. `carillon extensions show` names them.")
    endpoints = {called(one): one["id"] for one in api.get(f"{path}/{versions[0]['id']}")["endpoints"]}
    return dict(_chosen(api, endpoints, versions[0]["version"], one) for one in written)


def _chosen(api: Api, endpoints: dict[str, str], number: str, written: str) -> tuple[str, str]:
    # A name may have an equals sign in it, and so may a path.
    schedule, _, endpoint = written.partition("=")
    method, _, path = endpoint.strip().partition(" ")
    wanted = f"{method.upper()} {path.strip()}"
    if not schedule.strip() or not path:
        raise click.BadParameter(f"{written}: write SCHEDULE=POST /api/sync.", param_hint="--remap")
    if wanted not in endpoints:
        known = ", ".join(endpoints) or "none"
        raise click.BadParameter(f"Version {number} has no {wanted}, but {known}.", param_hint="--remap")
    return id_called(api, "/schedules", schedule.strip(), "name", "displayName"), endpoints[wanted]


def called(endpoint: Json) -> str:
    return f"{endpoint['method']} {endpoint['path']}"


def missing_line(one: Json) -> str:
    """A schedule that finds no endpoint, with what it could call instead."""
    return f"  {one['scheduleId']}  {shown(one['name'])}  calls {called(one)}; nearest: {_nearest(one)}"


def say_plan(plan: Json) -> None:
    """What a dry run says."""
    click.echo(f"From {plan['fromVersion']} to {plan['toVersion']}.")
    rows = [["goes along", shown(one["name"]), called(one), ""] for one in plan["remapped"] if not one["misfit"]]
    rows += [
        ["MISFIT", shown(one["name"]), called(one), shown(one["misfit"])] for one in plan["remapped"] if one["misfit"]
    ]
    rows += [["MISSING", shown(one["name"]), called(one), f"nearest: {_nearest(one)}"] for one in plan["missing"]]
    for line in table_lines(COLUMNS, rows) if rows else ["No schedule calls it."]:
        click.echo(line)
    if plan["newCapabilities"]:
        left = f" Not granted yet: {', '.join(plan['ungranted'])}." if plan["ungranted"] else ""
        click.echo(f"It asks for more: {', '.join(plan['newCapabilities'])}.{left}")
    click.echo(f"Nothing was changed: this was a dry run. Fingerprint: {plan['fingerprint']}")


def outcome_words(done: Json) -> str:
    if not done["changed"]:
        return f"Version {done['toVersion']} is installed already."
    told = ", ".join(f"{done[name]} {name}" for name in COUNTS if done[name])
    schedules = f" Of its schedules: {told}." if told else ""
    return f"Version {done['toVersion']} is installed in the place of {done['fromVersion']}.{schedules}"


def _nearest(one: Json) -> str:
    return ", ".join(called(near) for near in one["nearest"]) or "nothing"
