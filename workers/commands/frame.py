"""What commands share: the installation they work on, whom they work for, and how they answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant, tenants_by_slug
from domain.kernel.config import Config
from domain.kernel.db import db
from domain.kernel.ids import new_id
from domain.kernel.log import log_context
from domain.kernel.metric_counts import record_counts
from workers.commands import INTERRUPTED
from workers.commands.answers import HAS_SAID, say_json
from workers.commands.failures import failure_document, failure_of
from workers.process import process_app

ACTOR = "Command line"
IS_JSON, ODD = "carillon.is_json", "carillon.odd"


class Commands(click.Group):
    """A group whose commands say why something was not done, and end with the exit code that goes with it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # Known before the options of the command are read, which may be what is wrong.
        ctx.meta[IS_JSON] = "--json" in args
        ctx.meta[ODD] = [one for one in args if not _is_text(one)]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            for one in ctx.meta[ODD]:
                raise click.UsageError(f"{one!a} is not written in the encoding of this terminal.", ctx)
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted. What was asked for may have been done.", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None
        except (click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except Exception as error:
            failure = failure_of(error)
            if ctx.meta[IS_JSON] and HAS_SAID not in ctx.meta:
                say_json(failure_document(failure))
            raise failure from None


def _is_text(argument: str) -> bool:
    """Whether the bytes of an argument could be read; what could not stands in it as lone surrogates (PEP 383)."""
    return not any("\ud800" <= one <= "\udfff" for one in argument)


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
