"""`carillon installs`: what tenants have installed, at which version, and changing that."""

from __future__ import annotations

from typing import Any, BinaryIO
from uuid import UUID

import click

from domain.accounts.tenants import Tenant
from domain.extensions.installs import Install, installed_version
from domain.kernel import clock
from domain.kernel.db import transacted
from domain.upgrades import (
    RemapFailed,
    Upgraded,
    disable_install,
    enable_install,
    publish_and_upgrade,
    uninstall,
    upgrade_install,
    upgrade_plan,
)
from domain.upgrades.installed import install_called, installs_of, version_called
from workers.commands.answers import counted, say_json
from workers.commands.frame import actor_for, installation, tenant_named
from workers.commands.upgrade_words import (
    chosen_endpoint,
    missing_line,
    outcome_document,
    outcome_words,
    plan_document,
    plan_lines,
)


@click.group()
def installs() -> None:
    """See what tenants have installed, change its version, hold it, and take it out."""


@installs.command("list")
@click.argument("slug")
@click.option("--json", "is_json", is_flag=True, help="Answer with a JSON array.")
def list_installs(slug: str, is_json: bool) -> None:
    """Name what the tenant SLUG has installed, its version, and whether it is enabled."""
    with installation():
        found = [_document(install) for install in installs_of(tenant_named(slug).id)]
    if is_json:
        say_json(found)
        return
    if not found:
        click.echo("Nothing is installed.")
    for one in found:
        held = "" if one["enabled"] else f"  disabled: {one['reason'] or 'no reason was given'}"
        click.echo(f"{one['extension']}  {one['version']}{held}")


@installs.command("upgrade")
@click.argument("slug")
@click.argument("extension")
@click.argument("number", metavar="VERSION")
@click.option("--remap", "remaps", multiple=True, metavar="SCHEDULE=ENDPOINT", help="Such as <id>='POST /api/sync'.")
@click.option("--disable-missing", is_flag=True, help="Disable schedules whose endpoint the version does not have.")
@click.option(
    "--grant", "grants", multiple=True, metavar="CAPABILITY", help="Say yes to what the version asks for anew."
)
@click.option("--fingerprint", help="Only if the plan is still the one with this fingerprint, which --dry-run tells.")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what would happen and change nothing.")
@click.option("--json", "is_json", is_flag=True, help="Answer with a JSON document.")
def upgrade(slug: str, extension: str, number: str, is_dry: bool, is_json: bool, **options: Any) -> None:
    """Change what the tenant SLUG has of EXTENSION to VERSION, a number or `latest`; an earlier one goes back.

    Its schedules move along by the method and path that they call. When some cannot, nothing changes, they are named and
    the command ends with 1: say with --remap or --disable-missing what becomes of them.
    """
    with installation():
        tenant = tenant_named(slug)
        if is_dry:
            install = install_called(tenant.id, extension)
            plan = upgrade_plan(tenant.id, install.id, version_called(install, number).id)
            say_json(plan_document(plan)) if is_json else click.echo("\n".join(plan_lines(plan)))
            return
        upgraded = _tried(lambda: _upgraded(tenant, extension, number, **options))
    say_json(outcome_document(upgraded)) if is_json else click.echo(outcome_words(upgraded))


@installs.command("publish")
@click.argument("slug")
@click.argument("manifest", type=click.File("rb"))
@click.option("--disable-missing", is_flag=True, help="Disable schedules whose endpoint the version does not have.")
@click.option(
    "--grant", "grants", multiple=True, metavar="CAPABILITY", help="Say yes to what the version asks for anew."
)
def publish(slug: str, manifest: BinaryIO, disable_missing: bool, grants: tuple[str, ...]) -> None:
    """Publish the version that MANIFEST describes inside the tenant SLUG, and upgrade its install. Both, or neither."""
    text = manifest.read()
    with installation():
        actor = actor_for(tenant_named(slug))
        choices = {"disable_missing": disable_missing, "grant": grants}
        delivered = _tried(
            lambda: transacted(lambda: publish_and_upgrade(actor, text, clock.database_now(), **choices))  # type: ignore[arg-type]
        )
        said = f"Version {delivered.version.version} is published."
    click.echo(
        f"{said} {outcome_words(delivered.upgraded)}" if delivered.upgraded else f"{said} No install was changed."
    )


@installs.command("disable")
@click.argument("slug")
@click.argument("extension")
@click.option("--reason", default="", help="Shown wherever a call is refused.")
def disable(slug: str, extension: str, reason: str) -> None:
    """Call nothing of EXTENSION for the tenant SLUG until it is enabled again."""
    with installation():
        tenant = tenant_named(slug)
        transacted(
            lambda: disable_install(
                actor_for(tenant), install_called(tenant.id, extension).id, reason, clock.database_now()
            )
        )
    click.echo(f"{extension} is disabled for {slug}.")


@installs.command("enable")
@click.argument("slug")
@click.argument("extension")
def enable(slug: str, extension: str) -> None:
    """Let EXTENSION be called again. What came due meanwhile is not made up."""
    with installation():
        tenant = tenant_named(slug)
        transacted(
            lambda: enable_install(actor_for(tenant), install_called(tenant.id, extension).id, clock.database_now())
        )
    click.echo(f"{extension} is enabled for {slug}.")


@installs.command("uninstall")
@click.argument("slug")
@click.argument("extension")
@click.option("--yes", is_flag=True, help="Do not ask.")
def remove(slug: str, extension: str, yes: bool) -> None:
    """Take EXTENSION out of the tenant SLUG: its schedules end, its secrets are erased, its history stays readable."""
    with installation():
        tenant = tenant_named(slug)
        install_id = install_called(tenant.id, extension).id
        if not yes:
            click.confirm(f"Uninstall {extension} and end its schedules?", abort=True)
        gone = transacted(lambda: uninstall(actor_for(tenant), install_id, clock.database_now()))
    click.echo(
        f"{extension} was uninstalled from {slug}: {counted(gone.schedules, 'schedule')} ended, {counted(gone.runs, 'run')} canceled."
    )


def _upgraded(
    tenant: Tenant,
    extension: str,
    number: str,
    remaps: tuple[str, ...],
    disable_missing: bool,
    grants: tuple[str, ...],
    fingerprint: str | None,
) -> Upgraded:
    def work() -> Upgraded:
        install = install_called(tenant.id, extension)
        version = version_called(install, number)
        remap: dict[UUID, UUID] = dict(chosen_endpoint(version, one) for one in remaps)
        return upgrade_install(
            actor_for(tenant),
            install.id,
            version.id,
            clock.database_now(),
            remap=remap,
            disable_missing=disable_missing,
            grant=grants,
            fingerprint=fingerprint,
        )

    return transacted(work)


def _tried(work: Any) -> Any:
    """What `work` answers; the schedules that keep it from happening are named, each with what it could call instead."""
    try:
        return work()
    except RemapFailed as failed:
        for one in failed.missing:
            click.echo(missing_line(one), err=True)
        raise


def _document(install: Install) -> dict[str, Any]:
    return {
        "extension": install.name,
        "extensionId": str(install.extension_id),
        "version": installed_version(install).version,
        "enabled": install.enabled,
        "reason": install.disable_reason,
        "capabilities": install.capabilities,
    }
