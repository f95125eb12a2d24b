"""`carillon installs`: what a tenant has installed, at which version, and changing that."""

from __future__ import annotations

from typing import BinaryIO

import click

from domain.extensions.extensions import LATEST
from workers.commands.answers import Columns, counted, say_fields, say_json, say_list
from workers.commands.api import Api, Json, id_called
from workers.commands.failures import Failed
from workers.commands.options import as_json, file_value, limited, one_more, over_api, without_none
from workers.commands.progress import waiting
from workers.commands.upgrade_words import chosen_endpoints, missing_line, outcome_words, say_plan

PATH = "/extensions"
COLUMNS: Columns = {
    "extension": "name",
    "publisher": "publisher",
    "version": "installedVersion",
    "newer": lambda one: one["latestVersion"] if one["hasNewerVersion"] else None,
    "enabled": "enabled",
    "since": "installedAt",
}
grants_named = click.option(
    "--grant", "grants", multiple=True, metavar="CAPABILITY", help="Say yes to what the version asks for anew."
)
disabling = click.option(
    "--disable-missing", is_flag=True, help="Disable schedules whose endpoint the version does not have."
)


@click.group()
def installs() -> None:
    """See what is installed, change its version, hold it, and take it out.

    EXTENSION is the name of one, or its id where two are called so.
    """


@installs.command("list")
@limited
@as_json
@over_api
def list_installs(api: Api, limit: int | None, is_json: bool) -> None:
    """Name what is installed, its version, and whether it is enabled."""
    found = list(api.items(PATH, one_more(limit), state="installed"))

    def held(one: Json) -> str | None:
        return None if one["enabled"] else api.get(f"{PATH}/{one['id']}/install")["disableReason"] or "no reason given"

    say_list(found, {**COLUMNS, "held because": held}, is_json=is_json, limit=limit, nothing="Nothing is installed.")


@installs.command("show")
@click.argument("extension")
@as_json
@over_api
def show_install(api: Api, extension: str, is_json: bool) -> None:
    """Say everything about the install of EXTENSION: what it may, what it knows, why it is held."""
    say_fields(api.get(_install(api, extension)), is_json=is_json)


@installs.command("install")
@click.argument("extension")
@click.option("--version", "number", default=LATEST, show_default=True, help="Its number.")
@click.option("--grant", "grants", multiple=True, metavar="CAPABILITY", help="One that the version asks for.")
@click.option("--config", "settings", multiple=True, metavar="NAME=TEXT", help="An entry of its configuration.")
@as_json
@over_api
def install(
    api: Api, extension: str, number: str, grants: tuple[str, ...], settings: tuple[str, ...], is_json: bool
) -> None:
    """Install EXTENSION. It may do what --grant names of what it asks for, and no more."""
    config = dict(_entry(one) for one in settings)
    extension_id = id_called(api, PATH, extension, "name")
    body = {"version": number, "capabilities": list(grants), "config": config}
    made = api.post(f"{PATH}/{extension_id}/install", body)
    if is_json:
        say_json(made)
        return
    left = [one for one in made["askedCapabilities"] if one not in made["capabilities"]]
    denied = f" Not granted: {', '.join(left)}." if left else ""
    click.echo(f"{extension} {made['version']} is installed.{denied}")


@installs.command("upgrade")
@click.argument("extension")
@click.argument("number", metavar="VERSION")
@click.option("--remap", "remaps", multiple=True, metavar="SCHEDULE=ENDPOINT", help="Such as 'Nightly=POST /api/sync'.")
@disabling
@grants_named
@click.option("--fingerprint", help="Only if the plan is still the one with this fingerprint, which --dry-run tells.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would happen and change nothing.")
@as_json
@over_api
def upgrade(
    api: Api,
    extension: str,
    number: str,
    remaps: tuple[str, ...],
    disable_missing: bool,
    grants: tuple[str, ...],
    fingerprint: str | None,
    is_dry: bool,
    is_json: bool,
) -> None:
    """Change what is installed of EXTENSION to VERSION, a number or `latest`; an earlier one goes back.

    Its schedules move along by the method and path that they call. When some cannot, nothing changes, they are named and
    the command ends with 1: say with --remap or --disable-missing what becomes of them. A dry run ends with 1 when the
    upgrade would not happen so.
    """
    extension_id = _installed_id(api, extension)
    remap = chosen_endpoints(api, extension_id, number, remaps)
    body = {"version": number, "remap": remap, "disableMissing": disable_missing, "grant": list(grants)}
    body |= without_none(fingerprint=fingerprint, dryRun=True if is_dry else None)
    with waiting("Planning" if is_dry else "Upgrading"):
        told = _tried(api, f"{PATH}/{extension_id}/upgrade", body)
    if is_json:
        say_json(told)
    elif is_dry:
        say_plan(told)
    else:
        click.echo(outcome_words(told))
    if is_dry and not told["ready"]:
        raise click.ClickException("It would not happen so. Say --remap, --disable-missing or --grant.")


@installs.command("publish")
@click.argument("manifest", type=click.File("rb"))
@disabling
@grants_named
@as_json
@over_api
def publish(api: Api, manifest: BinaryIO, disable_missing: bool, grants: tuple[str, ...], is_json: bool) -> None:
    """Publish the version that MANIFEST describes inside the tenant, and upgrade its install. Both, or neither."""
    body = {"manifest": file_value(manifest), "upgrade": True, "disableMissing": disable_missing, "grant": list(grants)}
    with waiting("Upgrading"):
        made = _tried(api, PATH, body)
    words = outcome_words(made["upgraded"]) if made["upgraded"] else "No install was changed."
    say_json(made) if is_json else click.echo(f"Version {made['version']} is published. {words}")


@installs.command("disable")
@click.argument("extension")
@click.option("--reason", help="Shown wherever a call is refused.")
@as_json
@over_api
def disable(api: Api, extension: str, reason: str | None, is_json: bool) -> None:
    """Call nothing of EXTENSION until it is enabled again."""
    done = api.post(f"{_install(api, extension)}/disable", without_none(reason=reason))
    say_json(done) if is_json else click.echo(f"{extension} is disabled.")


@installs.command("enable")
@click.argument("extension")
@as_json
@over_api
def enable(api: Api, extension: str, is_json: bool) -> None:
    """Let EXTENSION be called again. What came due meanwhile is not made up."""
    done = api.post(f"{_install(api, extension)}/enable")
    say_json(done) if is_json else click.echo(f"{extension} is enabled.")


@installs.command("uninstall")
@click.argument("extension")
@click.option("--yes", is_flag=True, help="Do not ask.")
@over_api
def remove(api: Api, extension: str, yes: bool) -> None:
    """Take EXTENSION out: its schedules end, its secrets are erased, its history stays readable."""
    address = _install(api, extension)
    schedules = _schedules(api, api.get(address)["id"])
    if not yes:
        click.confirm(f"Uninstall {extension} and end {schedules}?", abort=True, err=True)
    with waiting("Uninstalling"):
        api.delete(address)
    click.echo(f"{extension} was uninstalled, and {schedules} ended.")


def _installed_id(api: Api, called: str) -> str:
    """Only what is installed counts: two publishers may have one of this name. Else the API says that it is not."""
    installed = [one["id"] for one in api.items(PATH, q=called, state="installed") if one["name"] == called]
    return str(installed[0]) if len(installed) == 1 else id_called(api, PATH, called, "name")


def _install(api: Api, called: str) -> str:
    return f"{PATH}/{_installed_id(api, called)}/install"


def _schedules(api: Api, install_id: str) -> str:
    """How many there are, as far as the edition of the tenant lets it be known."""
    try:
        return counted(sum(1 for _ in api.items("/schedules", installId=install_id)), "schedule")
    except Failed:
        return "its schedules"


def _tried(api: Api, path: str, body: Json) -> Json:
    """What the command answers; the schedules that keep it from happening are named, with what they could call instead."""
    try:
        return api.post(path, body)
    except Failed as failed:
        for one in failed.document.get("missing", ()):
            click.echo(missing_line(one), err=True)
        raise


def _entry(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"Write NAME=TEXT instead of {text}.", param_hint="--config")
    return name, value
