"""Composes the command line: the commands of workers, and the API of web, which they speak to here without a server.

What it needs is loaded by whoever calls it: that takes most of a command's time, in which Ctrl+C has to end it quietly.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workers.commands import INTERRUPTED

if TYPE_CHECKING:
    from flask import Flask

    from domain.kernel.config import Config


@contextmanager
def local_api(config: Config, slug: str | None) -> Iterator[Flask]:
    """The application on the database of `config`, open for whoever runs the command, as an admin of the tenant `slug`.

    It is called inside this process and served to nobody. Raises ClickException when it is not clear which tenant is meant.
    """
    from app import create_app
    from domain.accounts.permissions import ADMIN, PERMISSIONS, Access
    from domain.accounts.tenants import TenantFacts
    from domain.accounts.users import PersonFacts, User
    from domain.kernel.db import db
    from domain.kernel.metric_counts import record_counts
    from web import access, throttle
    from workers.commands.frame import ACTOR, tenant_meant

    app = create_app(config)
    try:
        with app.app_context():
            meant = tenant_meant(slug).slug
        access.speak_as(
            app,
            lambda: Access(
                TenantFacts.of(tenant_meant(meant)), PersonFacts.of(User(name=ACTOR, email="")), ADMIN, PERMISSIONS
            ),
        )
        throttle.lift(app)
        yield app
    finally:
        with app.app_context():
            record_counts()
            db.engine.dispose()


def main() -> Any:
    """Run the command that the arguments name."""
    try:
        from workers.commands import cli
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    return cli.main(local_api)


if __name__ == "__main__":
    main()
