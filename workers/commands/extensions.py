"""`carillon extensions`: what is published, for the whole installation or inside a tenant."""

from __future__ import annotations

from typing import BinaryIO
from uuid import UUID

import click

from domain.extensions.endpoints import endpoints_of, fill_endpoints
from domain.extensions.extensions import Extension, ExtensionVersion, version_numbered
from domain.extensions.listing import catalogue
from domain.extensions.registry import publish_version
from domain.kernel import clock
from domain.kernel.db import transacted
from domain.kernel.errors import Refused
from domain.upgrades.version_removal import delete_version
from workers.commands.answers import Columns, counted, say_fields, say_json, say_list, table_lines
from workers.commands.api import Api, Json, LocalApi, api_at, id_called
from workers.commands.frame import actor_for, installation, tenant_named
from workers.commands.options import as_json, at_address, file_value, limited, one_more, over_api

PATH = "/extensions"
NOTHING_PUBLISHED = "Nothing is published. `carillon extensions publish manifest.json` publishes a version."
COLUMNS: Columns = {
    "id": "id",
    "name": "name",
    "publisher": "publisher",
    "latest": "latestVersion",
    "installed": "installedVersion",
    "own": "isOwn",
}
FOR_TENANT = "Inside the tenant with this slug; without it, for the whole installation."


@click.group()
def extensions() -> None:
    """See and publish extensions, install and upgrade them, and take versions back."""


@extensions.command("list")
@click.option("--tenant", "slug", help="What the tenant with this slug may install; without it, what every tenant may.")
@limited
@at_address
@as_json
@click.pass_obj
def list_extensions(
    local: LocalApi, slug: str | None, limit: int | None, url: str | None, token: str | None, is_json: bool
) -> None:
    """Name the published extensions and their latest versions."""
    if url or slug:
        with api_at(local, url, token, slug) as api:
            found = list(api.items(PATH, one_more(limit)))
    else:
        with installation():
            found = [_document(*one) for one in catalogue(None)]
    say_list(found, COLUMNS, is_json=is_json, limit=limit, nothing=NOTHING_PUBLISHED)


@extensions.command("show")
@click.argument("extension")
@as_json
@over_api
def show(api: Api, extension: str, is_json: bool) -> None:
    """Say everything about EXTENSION: its name or id. What is installed of it, and its versions, the latest first."""
    found = api.get(f"{PATH}/{id_called(api, PATH, extension, 'name')}")
    versions = list(api.items(f"{PATH}/{found['id']}/versions"))
    if is_json:
        say_json({**found, "versions": versions})
        return
    say_fields(found, is_json=False, without=("install",))
    click.echo("\n" + "\n".join(table_lines(["version", "published", "content", ""], map(_version_row, versions))))


@extensions.command("publish")
@click.argument("manifest", type=click.File("rb"))
@click.option("--tenant", "slug", help=FOR_TENANT)
@at_address
@as_json
@click.pass_obj
def publish(
    local: LocalApi, manifest: BinaryIO, slug: str | None, url: str | None, token: str | None, is_json: bool
) -> None:
    """Publish the version that the file MANIFEST describes; - reads standard input. It never changes afterwards.

    Publishing the same again changes nothing. Nothing that is installed changes: `carillon installs upgrade` does that.
    Over --url it is published inside the tenant of the token.
    """
    if url or slug:
        with api_at(local, url, token, slug) as api:
            made = api.post(PATH, {"manifest": file_value(manifest)})
        whom = f"for {slug}" if slug else "for the tenant of the token"
    else:
        text, whom = manifest.read(), "for every tenant"
        with installation():
            made = transacted(lambda: _published(text))
    words = f"Version {made['version']} is published {whom}: {counted(len(made['endpoints']), 'endpoint')}"
    say_json(made) if is_json else click.echo(f"{words}, {made['contentHash']}")


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


def _published(text: bytes) -> Json:
    version = publish_version(None, None, text, clock.database_now())
    endpoints = [{"method": one.method, "path": one.path} for one in endpoints_of(version.id)]
    return {
        "id": str(version.id),
        "extensionId": str(version.extension_id),
        "version": version.version,
        "contentHash": version.content_hash,
        "endpoints": endpoints,
    }


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


def _version_row(one: Json) -> list[str]:
    return [one["version"], one["publishedAt"], one["contentHash"], "installed" if one["isInstalled"] else ""]


def _document(extension: Extension, versions: list[str]) -> Json:
    """As lists of the API have it, with all versions: there is no install without a tenant."""
    return {
        "id": str(extension.id),
        "name": extension.name,
        "publisher": extension.publisher,
        "isOwn": False,
        "latestVersion": versions[0],
        "versions": versions,
    }
