"""What commands share: the installation they work on, whom they work for, and how they answer."""

from __future__ import annotations

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
from domain.kernel.ids import new_id
from domain.kernel.log import first_line, log_context
from domain.kernel.metric_counts import record_counts
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
    with process_app(config, "command", 1).app_context(), log_context(request_id=new_id()):
        try:
            yield config
        finally:
            record_counts()
            db.session.remove()
            db.engine.dispose()


def tenant_named(slug: str, *, is_any: bool = False) -> Tenant:
    """The tenant with this slug; raises ClickException. `is_any`: also when it was deleted."""
    found = [tenant for tenant in tenants_by_slug(slug) if is_any or tenant.deleted_at is None]
    if not found:
        raise click.ClickException(f"There is no tenant {slug}. `carillon tenants list` names them.")
    return found[0]


def tenant_meant(slug: str | None) -> Tenant:
    """The living tenant with this slug, or the only one there is; raises ClickException when that is not clear."""
    if slug is not None:
        return tenant_named(slug)
    living = [tenant for tenant in tenants_by_slug() if tenant.deleted_at is None]
    if len(living) != 1:
        known = ", ".join(tenant.slug for tenant in living) or "none yet"
        raise click.ClickException(f"Say with --tenant or CARILLON_TENANT which tenant is meant: {known}.")
    return living[0]


def actor_for(tenant: Tenant) -> Actor:
    """Who the audit log says it was."""
    return Actor(tenant.id, label=ACTOR)
