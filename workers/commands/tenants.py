"""`carillon tenants`: who shares this installation, and what each of them has."""

from __future__ import annotations

import click

from domain.accounts.tenants import EDITIONS, Tenant, set_edition, tenants_by_slug
from domain.kernel.db import transaction
from workers.commands.frame import actor_for, installation, say_json, tenant_named

MEANINGS = {
    True: "It has schedules; what became due before was refused and stays on record so.",
    False: "Its schedules are held, not lost: what becomes due is refused until the edition returns.",
}


@click.group()
def tenants() -> None:
    """See the tenants and change what each of them has."""


@tenants.command("list")
@click.option("--json", "is_json", is_flag=True, help="Answer with a JSON array.")
def list_tenants(is_json: bool) -> None:
    """Name every tenant, its zone and its edition."""
    with installation():
        found = [_document(tenant) for tenant in tenants_by_slug()]
    if is_json:
        say_json(found)
        return
    if not found:
        click.echo("There is no tenant yet. `python -m workers.setup` makes the first one.")
    width = max((len(one["slug"]) for one in found), default=0)
    for one in found:
        click.echo(f"{one['slug']:<{width}}  {one['edition']:<10}  {one['timezone']}  {one['name']}")


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
        tenant = set_edition(actor_for(tenant), edition)
        words = f"{slug} was on the {edition} edition already."
        if before != edition:
            words = f"{slug} is on the {edition} edition now. {MEANINGS[tenant.has_schedules]}"
    click.echo(words)


def _document(tenant: Tenant) -> dict[str, str]:
    return {"slug": tenant.slug, "name": tenant.name, "timezone": tenant.timezone, "edition": tenant.edition}
