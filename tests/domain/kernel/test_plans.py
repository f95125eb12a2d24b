"""Whose statements are planned each time they are asked, and what is not planned anew with them."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from domain.kernel.db import PLANNED_ONCE, engine_options


@pytest.mark.parametrize(("role", "kept"), [("scheduler", 0), ("web", 0), ("worker", 1)])
def test_only_workers_keep_plans_and_foreign_keys_are_planned_once_for_everybody(
    database_url: str, role: str, kept: int
) -> None:
    engine = create_engine(database_url, connect_args=engine_options(role, 1)["connect_args"], poolclass=NullPool)
    with engine.connect() as connection:
        for number in range(20):
            connection.execute(text("SELECT CAST(:number AS integer) AS asked_often"), {"number": number})
        mine = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%asked_often%'")
        assert connection.scalar(mine) == kept
        # Forced, it would hold for the checks of foreign keys too: each row of a herd would plan each of its own.
        assert connection.scalar(text("SHOW plan_cache_mode")) == "auto"
    engine.dispose()


@pytest.mark.parametrize(("options", "kept"), [({}, 0), (PLANNED_ONCE, 1)], ids=["others", "planned once"])
def test_what_one_plan_suits_is_prepared_at_once_also_for_pages(
    database_url: str, options: dict[str, bool], kept: int
) -> None:
    engine = create_engine(database_url, connect_args=engine_options("web", 1)["connect_args"], poolclass=NullPool)
    asked = text("SELECT 1 AS by_its_key").execution_options(**options)
    with engine.connect() as connection:
        assert connection.scalar(asked) == connection.scalar(asked) == 1
        mine = text("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE '%by_its_key%'")
        assert connection.scalar(mine) == kept
    engine.dispose()
