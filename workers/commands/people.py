"""`carillon users` and `carillon tokens`: who belongs to a tenant, and what speaks for them over the API."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import click

from domain.accounts.members import add_member, change_role, members_page, remove_member, reset_password
from domain.accounts.permissions import ADMIN, PERMISSIONS, ROLES, Access, permissions_of
from domain.accounts.tenants import Tenant, TenantFacts
from domain.accounts.tokens import create_token, revoke_token, tokens_page
from domain.accounts.users import Membership, PersonFacts, parse_email
from domain.kernel import clock
from domain.kernel.db import transacted
from workers.commands.answers import Columns, say_json, say_list
from workers.commands.frame import actor_for, installation, tenant_meant
from workers.commands.options import as_json

of_tenant = click.option("--tenant", "slug", envvar="CARILLON_TENANT", help="Whose, when there are several.")
USERS: Columns = {"email": "email", "name": "name", "role": "role"}
TOKENS: Columns = {
    "id": "id",
    "name": "name",
    "begins": "hint",
    "of": "email",
    "scopes": "scopes",
    "expires": "expiresAt",
    "last used": "lastUsedAt",
    "revoked": "revokedAt",
}


@click.group()
def users() -> None:
    """See who belongs to a tenant, and change it."""


@users.command("list")
@of_tenant
@as_json
def list_users(slug: str | None, is_json: bool) -> None:
    """Name the members and their roles."""
    with installation():
        members = members_page(tenant_meant(slug).id)
        found = [{"email": one.user.email, "name": one.user.name, "role": one.role} for one in members]
    say_list(found, USERS, is_json=is_json, limit=None, nothing="Nobody belongs to it.")


@users.command("add")
@click.argument("email")
@click.option("--role", type=click.Choice(list(ROLES)), default=ADMIN, show_default=True)
@click.option("--name", help="Without it, what is before the @.")
@of_tenant
def add_user(email: str, role: str, name: str | None, slug: str | None) -> None:
    """Make EMAIL a member. The first password of somebody new is said once."""
    with installation():
        tenant = tenant_meant(slug)
        called = name or email.partition("@")[0]
        _, password = transacted(lambda: add_member(actor_for(tenant), email, called, role))
        word = f"Sign in with the password {password}" if password else "The password is the one they have already."
        click.echo(f"{email} is {role} of {tenant.slug} now. {word}")


@users.command("set-role")
@click.argument("email")
@click.argument("role", type=click.Choice(list(ROLES)))
@of_tenant
def set_role(email: str, role: str, slug: str | None) -> None:
    """Give the member EMAIL another ROLE, from the next request on."""
    with installation():
        tenant = tenant_meant(slug)
        transacted(lambda: change_role(actor_for(tenant), _membership(tenant, email).id, role))
        click.echo(f"{email} is {role} of {tenant.slug} now.")


@users.command("reset-password")
@click.argument("email")
@of_tenant
def renew_password(email: str, slug: str | None) -> None:
    """Give the member EMAIL a new first password and end their sessions."""
    with installation():
        tenant = tenant_meant(slug)
        _, password = transacted(lambda: reset_password(actor_for(tenant), _membership(tenant, email).id))
    click.echo(f"{email} signs in with the password {password}")


@users.command("remove")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask.")
@of_tenant
def remove_user(email: str, yes: bool, slug: str | None) -> None:
    """End the membership of EMAIL with its sessions and tokens. What they did stays."""
    with installation():
        tenant = tenant_meant(slug)
        member_id = _membership(tenant, email).id
        if not yes:
            click.confirm(f"Remove {email} from {tenant.slug}?", abort=True, err=True)
        transacted(lambda: remove_member(actor_for(tenant), member_id, clock.database_now()))
        click.echo(f"{email} does not belong to {tenant.slug} any more.")


@click.group()
def tokens() -> None:
    """See, make and revoke tokens of the API."""


@tokens.command("list")
@of_tenant
@as_json
def list_tokens(slug: str | None, is_json: bool) -> None:
    """Name the tokens, the usable ones first. What a token is, is not kept."""
    with installation():
        found = [
            {
                "id": str(one.id),
                "name": one.name,
                "hint": one.hint,
                "email": one.user.email,
                "scopes": one.scopes,
                "expiresAt": _said(one.expires_at),
                "lastUsedAt": _said(one.last_used_at),
                "revokedAt": _said(one.revoked_at),
            }
            for one in tokens_page(tenant_meant(slug).id)
        ]
    say_list(found, TOKENS, is_json=is_json, limit=None, nothing="There is no token yet.")


@tokens.command("create")
@click.argument("name")
@click.option("--user", "email", required=True, help="Whose: the e-mail address of a member. It may never do more.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(sorted(PERMISSIONS)), help="Once for each; all.")
@click.option("--days", type=click.IntRange(1, 3650), help="How long it is good for; without it, until revoked.")
@of_tenant
@as_json
def make_token(
    name: str, email: str, scopes: tuple[str, ...], days: int | None, slug: str | None, is_json: bool
) -> None:
    """Make a token called NAME. It is said once, on a line of its own."""
    with installation():
        tenant = tenant_meant(slug)
        member = _membership(tenant, email)
        access = Access(TenantFacts.of(tenant), PersonFacts.of(member.user), member.role, permissions_of(member.role))
        now = clock.database_now()
        until = now + timedelta(days=days) if days else None
        allowed = scopes or tuple(access.permissions)
        made, secret = transacted(lambda: create_token(actor_for(tenant), access, name, allowed, until, now))
        document = {"id": str(made.id), "name": made.name, "token": secret, "scopes": made.scopes}
    say_json(document) if is_json else click.echo(secret)


@tokens.command("revoke")
@click.argument("token_id", metavar="ID", type=click.UUID)
@of_tenant
def end_token(token_id: UUID, slug: str | None) -> None:
    """End the token with this ID at once."""
    with installation():
        tenant = tenant_meant(slug)
        name = transacted(lambda: revoke_token(actor_for(tenant), token_id, clock.database_now()).name)
    click.echo(f"{name} is revoked.")


def _membership(tenant: Tenant, email: str) -> Membership:
    address = parse_email(email)
    found = next((one for one in members_page(tenant.id) if one.user.email == address), None)
    if found is None:
        raise click.ClickException(f"{email} is no member of {tenant.slug}. `carillon users list` names them.")
    return found


def _said(at: datetime | None) -> str | None:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ") if at else None
