"""The first tenant of an installation and its admin, from the command line: everything else happens in the UI.

`python -m workers.setup --tenant "Acme" --email you@example.com [--timezone Europe/Paris]`
"""

from __future__ import annotations

import argparse
import sys

from domain.accounts.audit import Actor
from domain.accounts.members import add_member
from domain.accounts.permissions import ADMIN
from domain.accounts.tenants import create_tenant
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.kernel.ids import new_id
from domain.kernel.names import parse_name
from domain.workflows.drafts import key_from
from workers.process import configured, process_app


def set_up(tenant_name: str, email: str, timezone: str) -> str | None:
    """A new tenant with one admin; the admin's first password, or None for somebody who has an account already.

    Raises Refused when a value cannot be used.
    """
    name = parse_name(tenant_name, "tenant")
    tenant = create_tenant(key_from(name), name, timezone)
    actor = Actor(tenant.id, label="Command line", request_id=str(new_id()))
    _, password = add_member(actor, email, email.partition("@")[0], ADMIN)
    return password


def main() -> None:
    """Read the arguments, make the tenant, and say how to sign in."""
    parser = argparse.ArgumentParser(description="Make a tenant and its first admin.")
    parser.add_argument("--tenant", required=True, help="the tenant's name")
    parser.add_argument("--email", required=True, help="the admin's e-mail address")
    parser.add_argument("--timezone", default="UTC", help="the tenant's time zone (default UTC)")
    asked = parser.parse_args()
    try:
        with process_app(configured(), "command", 1).app_context(), transaction():
            password = set_up(asked.tenant, asked.email, asked.timezone)
    except Refused as refused:
        sys.exit("\n".join(f"{problem.path}: {problem.message}" for problem in refused.problems))
    print(f"Tenant {asked.tenant} is ready. Sign in as {asked.email}")
    print(f"with the password {password}" if password else "with the password you have already.")


if __name__ == "__main__":
    main()
