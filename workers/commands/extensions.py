"""`carillon extensions`: what is published, for the whole installation or inside a tenant, and a first install of it."""

from __future__ import annotations

from typing import Any, BinaryIO
from uuid import UUID

import click

from domain.accounts.tenants import Tenant
from domain.extensions.endpoints import endpoints_of, fill_endpoints
from domain.extensions.extensions import Extension, ExtensionVersion, version_numbered
from domain.extensions.installs import install_extension
from domain.extensions.listing import catalogue
from domain.extensions.registry import publish_version
from domain.kernel import clock, strict_json
from domain.kernel.db import transacted
from domain.kernel.errors import Refused
from domain.upgrades.version_removal import delete_version
from workers.commands.answers import say_json
from workers.commands.api import LocalApi, api_at
from workers.commands.frame import actor_for, installation, tenant_named
from workers.commands.options import at_address

FOR_TENANT = "Inside the tenant with this slug; without it, for the whole installation."


@click.group()
def extensions() -> None:
    """See and publish extensions, install them, and take versions back."""


@extensions.command("list")
@click.option("--tenant", "slug", help="What the tenant with this slug may install; without it, what every tenant may.")
@click.option("--json", "is_json", is_flag=True, help="Answer with a JSON array.")
def list_extensions(slug: str | None, is_json: bool) -> None:
    """Name the published extensions and their versions, the latest first."""
    with installation():
        found = [_document(*one) for one in catalogue(tenant_named(slug).id if slug else None)]
    if is_json:
        say_json(found)
        return
    if not found:
        click.echo("Nothing is published. `carillon extensions publish manifest.json` publishes a version.")
    for one in found:
        click.echo(f"{one['name']}  {one['publisher']}  {', '.join(one['versions'])}")


@extensions.command("publish")
@click.argument("manifest", type=click.File("rb"))
@click.option("--tenant", "slug", help=FOR_TENANT)
@at_address
@click.pass_obj
def publish(local: LocalApi, manifest: BinaryIO, slug: str | None, url: str | None, token: str | None) -> None:
    """Publish the version that the file MANIFEST describes; - reads standard input. It never changes afterwards.

    Publishing the same again changes nothing. Nothing that is installed changes: `carillon installs upgrade` does that.
    Over --url it is published inside the tenant of the token.
    """
    text = manifest.read()
    if url:
        with api_at(local, url, token, slug) as api:
            made = api.post("/extensions", {"manifest": strict_json.loads(text)})
        count = len(made["endpoints"])
        click.echo(f"Version {made['version']} is published: {count} endpoints, {made['contentHash']}")
        return
    with installation():
        tenant = tenant_named(slug) if slug else None
        words = transacted(lambda: _published(tenant, text))
    click.echo(words)


@extensions.command("install")
@click.argument("slug")
@click.argument("extension")
@click.option("--version", "number", help="Its number; without it, the latest.")
@click.option("--grant", "grants", multiple=True, metavar="CAPABILITY", help="One that the version asks for.")
@click.option("--config", "settings", multiple=True, metavar="NAME=TEXT", help="An entry of its configuration.")
def install(slug: str, extension: str, number: str | None, grants: tuple[str, ...], settings: tuple[str, ...]) -> None:
    """Install EXTENSION for the tenant SLUG. It may do what --grant names of what it asks for, and no more."""
    with installation():
        tenant = tenant_named(slug)
        config = dict(_entry(one) for one in settings)
        words = transacted(lambda: _installed(tenant, extension, number, grants, config))
    click.echo(words)


@extensions.command("fill-endpoints")
def fill() -> None:
    """Make the rows of endpoints of versions that have none yet. Doing it again changes nothing."""
    filled = 0
    with installation():
        while made := transacted(fill_endpoints):
            filled += made
    click.echo(f"{filled} {'version' if filled == 1 else 'versions'} filled.")


@extensions.command("delete-version")
@click.argument("extension")
@click.argument("number", metavar="VERSION")
@click.option("--tenant", "slug", help=FOR_TENANT)
def take_back(extension: str, number: str, slug: str | None) -> None:
    """Delete a VERSION of EXTENSION that nothing refers to; else the command says what does, and ends with 1."""
    with installation():
        tenant = tenant_named(slug) if slug else None
        tenant_id = tenant.id if tenant else None

        def work() -> None:
            found = _called(tenant_id, extension, is_own=True)
            version = _numbered(found, number)
            delete_version(actor_for(tenant) if tenant else None, tenant_id, found.id, version.id)

        transacted(work)
    click.echo(f"{extension} {number} was deleted.")


def _published(tenant: Tenant | None, text: bytes) -> str:
    actor = actor_for(tenant) if tenant else None
    version = publish_version(actor, tenant.id if tenant else None, text, clock.database_now())
    count = len(endpoints_of(version.id))
    whom = f"for {tenant.slug}" if tenant else "for every tenant"
    return f"Version {version.version} is published {whom}: {count} endpoints, {version.content_hash}"


def _installed(tenant: Tenant, name: str, number: str | None, grants: tuple[str, ...], config: dict[str, str]) -> str:
    extension = _called(tenant.id, name)
    version = _numbered(extension, number)
    install_extension(actor_for(tenant), extension.id, version.id, list(grants), config, clock.database_now())
    left = [one for one in version.asked if one not in grants]
    denied = f" Not granted: {', '.join(left)}." if left else ""
    return f"{name} {version.version} is installed for {tenant.slug}.{denied}"


def _called(tenant_id: UUID | None, name: str, *, is_own: bool = False) -> Extension:
    """The extension of this name that the tenant may install, its own before that of everybody; raises Refused."""
    found = [one for one, _ in catalogue(tenant_id) if one.name == name and (not is_own or one.tenant_id == tenant_id)]
    found.sort(key=lambda one: one.tenant_id is None)
    if not found:
        raise Refused.at("", f"There is no extension {name}. `carillon extensions list` names them.", "NOT_FOUND")
    return found[0]


def _numbered(extension: Extension, number: str | None) -> ExtensionVersion:
    numbers = next(versions for one, versions in catalogue(extension.tenant_id) if one.id == extension.id)
    found = version_numbered(extension.id, number or numbers[0])
    if found is None:
        raise Refused.at("", f"{extension.name} has no version {number}, but {', '.join(numbers)}.", "NOT_FOUND")
    return found


def _entry(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"Write NAME=TEXT instead of {text}.", param_hint="--config")
    return name, value


def _document(extension: Extension, versions: list[str]) -> dict[str, Any]:
    whose = "tenant" if extension.tenant_id else "installation"
    return {
        "id": str(extension.id),
        "name": extension.name,
        "publisher": extension.publisher,
        "publishedBy": whose,
        "versions": versions,
    }
