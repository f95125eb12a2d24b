"""What commands share: the installation they work on, whom they work for, and how they answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant, tenants_by_slug
from domain.health import is_database_away
from domain.kernel.config import BadConfig, Config
from domain.kernel.db import db
from domain.kernel.errors import DomainError
from domain.kernel.log import first_line
from workers.process import process_app

ACTOR = "Command line"


class Commands(click.Group):
    """A group whose commands say in words why something was not done, and end with exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BadConfig, DomainError) as error:
            raise click.ClickException(str(error)) from error
        except DBAPIError as error:
            if is_database_away(error):
                raise click.ClickException(f"The database cannot be reached: {first_line(error)}") from error
            raise


@contextmanager
def installation() -> Iterator[Config]:
    """The installation that the environment describes, with its database at hand. Raises BadConfig."""
    config = Config.from_env()
    with process_app(config, "command", 1).app_context():
        try:
            yield config
        finally:
            db.session.remove()
            db.engine.dispose()


def tenant_named(slug: str) -> Tenant:
    """The tenant with this slug; raises ClickException."""
    found = tenants_by_slug(slug)
    if not found:
        raise click.ClickException(f"There is no tenant {slug}. `carillon tenants list` names them.")
    return found[0]


def actor_for(tenant: Tenant) -> Actor:
    """Who the audit log says it was."""
    return Actor(tenant.id, label=ACTOR)


def say_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))
