"""Composes the command line: the commands of workers, and the API of web, which they speak to here without a server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask

from domain.accounts.permissions import ADMIN, PERMISSIONS, Access
from domain.accounts.users import User
from domain.kernel.config import Config
from domain.kernel.db import db
from domain.kernel.metric_counts import record_counts
from workers.commands import cli
from workers.commands.frame import ACTOR, tenant_meant


@contextmanager
def local_api(config: Config, slug: str | None) -> Iterator[Flask]:
    """The application on the database of `config`, open for whoever runs the command, as an admin of the tenant `slug`.

    It is called inside this process and served to nobody. Raises ClickException when it is not clear which tenant is meant.
    """
    # Takes most of the time that a command takes: only those that need it wait for it.
    from app import create_app
    from web import access, throttle

    app = create_app(config)
    try:
        with app.app_context():
            meant = tenant_meant(slug).slug
        access.speak_as(app, lambda: _as_admin(meant))
        throttle.lift(app)
        yield app
    finally:
        with app.app_context():
            record_counts()
            db.engine.dispose()


def main() -> Any:
    """Run the command that the arguments name."""
    return cli.main(local_api)


def _as_admin(slug: str) -> Access:
    return Access(tenant_meant(slug), User(name=ACTOR, email=""), ADMIN, PERMISSIONS)


if __name__ == "__main__":
    main()
