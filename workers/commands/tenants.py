"""`carillon tenants`: who shares this installation, and what each of them has."""

from __future__ import annotations

from dataclasses import asdict

import click

from domain.accounts.tenants import EDITIONS, Tenant, includes_schedules, set_edition, tenants_by_slug
from domain.kernel import clock
from domain.kernel.db import transacted, transaction
from domain.upgrades import delete_tenant
from domain.workflows.drafts import key_from
from workers.commands.answers import Columns, say_list
from workers.commands.frame import actor_for, installation, tenant_named
from workers.commands.options import as_json
from workers.commands.progress import waiting
from workers.setup import set_up

COLUMNS: Columns = {
    "slug": "slug",
    "edition": "edition",
    "zone": "timezone",
    "name": "name",
    "deleted": "deletedAt",
}
NOBODY = "There is no tenant yet. `carillon tenants create` makes the first one."
MEANINGS = {
    True: "It has schedules; what became due before was refused and stays on record so.",
    False: "Its schedules are held, not lost: what becomes due is refused until the edition returns.",
}


@click.group()
def tenants() -> None:
    """See the tenants and change what each of them has."""


@tenants.command("list")
@as_json
def list_tenants(is_json: bool) -> None:
    """Name every tenant, its zone and its edition."""
    with installation():
        found = [_document(tenant) for tenant in tenants_by_slug()]
    say_list(found, COLUMNS, is_json=is_json, limit=None, nothing=NOBODY)


@tenants.command("create")
@click.argument("name")
@click.option("--admin", "email", required=True, help="The e-mail address of its first admin.")
@click.option("--timezone", default="UTC", show_default=True, help="An IANA name: the zone of its schedules.")
def create(name: str, email: str, timezone: str) -> None:
    """Make the tenant NAME and its first admin, whose password is said once unless they have one already."""
    with installation():
        slug = key_from(name)
        if tenants_by_slug(slug):
            raise click.ClickException(f"There is a tenant {slug} already. Choose another name.")
        password = transacted(lambda: set_up(name, email, timezone))
    click.echo(f"{slug} is ready. Sign in as {email}")
    click.echo(f"with the password {password}" if password else "with the password you have already.")


@tenants.command("set-edition")
@click.argument("slug")
@click.argument("edition", type=click.Choice(EDITIONS))
def put_on_edition(slug: str, edition: str) -> None:
    """Put the tenant SLUG on an EDITION.

    Schedules belong to the enterprise edition. On community their pages and their API answer EDITION_REQUIRED and what
    becomes due is refused; people, events and the API start workflows as before. It applies from the next request on.
    """
    with installation(), transaction():
        tenant = tenant_named(slug)
        before = tenant.edition
        set_edition(actor_for(tenant), edition)
        words = f"{slug} was on the {edition} edition already."
        if before != edition:
            words = f"{slug} is on the {edition} edition now. {MEANINGS[includes_schedules(edition)]}"
    click.echo(words)


@tenants.command("delete")
@click.argument("slug")
@click.option("--yes", is_flag=True, help="Do not ask.")
def delete(slug: str, yes: bool) -> None:
    """Close the tenant SLUG for good.

    Its schedules end, its workflows are deleted, its extensions uninstalled, and what has not finished is canceled. Nobody
    can sign in to it, its tokens are revoked and its secrets erased. Its history stays in the database until it is pruned,
    and its slug stays taken. Doing it again changes nothing.
    """
    with installation():
        tenant = tenant_named(slug, is_any=True)
        if tenant.deleted_at is None and not yes and _typed(slug) != slug:
            raise click.ClickException("That is not its slug. Nothing was changed.")
        with waiting(f"Deleting {slug}"):
            closed = transacted(lambda: delete_tenant(actor_for(tenant), clock.database_now()))
    if closed is None:
        click.echo(f"{slug} was deleted already.")
        return
    counts = ", ".join(f"{count} {name}" for name, count in asdict(closed).items())
    click.echo(f"{slug} is deleted. Ended with it: {counts}.")


def _typed(slug: str) -> str:
    return str(click.prompt(f"Type {slug} to delete it for good", err=True))


def _document(tenant: Tenant) -> dict[str, str | None]:
    deleted_at = tenant.deleted_at.strftime("%Y-%m-%dT%H:%M:%SZ") if tenant.deleted_at else None
    known = {"slug": tenant.slug, "name": tenant.name, "timezone": tenant.timezone, "edition": tenant.edition}
    return known | {"deletedAt": deleted_at}
