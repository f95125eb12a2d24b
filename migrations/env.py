"""Alembic's entry: migrates the database that DATABASE_URL names."""

import os

from alembic import context
from sqlalchemy import create_engine, pool

import domain.tables  # noqa: F401  (fills the metadata)
from domain.kernel.config import normalized_database_url
from domain.kernel.db import Base

LOCK_TIMEOUT = "5s"


def run_migrations() -> None:
    url = normalized_database_url(os.environ.get("DATABASE_URL", ""))
    # A migration that waits behind a long query would make everybody else wait behind it.
    options = {"options": f"-c lock_timeout={LOCK_TIMEOUT} -c timezone=UTC"}
    engine = create_engine(url, poolclass=pool.NullPool, connect_args=options)
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=Base.metadata, compare_type=True, compare_server_default=False
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run_migrations()
