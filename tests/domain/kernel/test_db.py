"""Units of work, and what the errors of a database say about trying again."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.health import is_database_away
from domain.kernel.db import is_about_values, is_collision, transaction

pytestmark = pytest.mark.usefixtures("db")


def error_of(db: Any, *statements: str) -> DBAPIError:
    """What the last statement raises; undone."""
    savepoint = db.begin_nested()
    try:
        for statement in statements:
            db.execute(text(statement))
    except DBAPIError as error:
        return error
    finally:
        savepoint.rollback()
    raise AssertionError("nothing was raised")


def raising(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{state}'; END $$"


@pytest.mark.parametrize("state", ["40001", "40P01", "55P03"])
def test_a_collision_is_worth_another_try_and_is_nobodys_fault(db: Any, state: str) -> None:
    error = error_of(db, raising(state))
    assert is_collision(error) and is_database_away(error) and not is_about_values(error)


@pytest.mark.parametrize("state", ["53300", "57P01", "08006", "25P03", "25P04"])
def test_a_database_that_is_away_or_full_is_not_a_fault_of_ours(db: Any, state: str) -> None:
    error = error_of(db, raising(state))
    assert is_database_away(error) and not is_collision(error)


def test_a_statement_that_took_too_long_says_that_the_database_is_busy(db: Any) -> None:
    error = error_of(db, "SET LOCAL statement_timeout = '20ms'", "SELECT pg_sleep(5)")
    assert is_database_away(error)


@pytest.mark.parametrize("statement", ["SELECT 1/0", "SELECT CAST('x' AS integer)", raising("23505")])
def test_values_that_are_refused_will_be_refused_again(db: Any, statement: str) -> None:
    error = error_of(db, statement)
    assert is_about_values(error) and not is_collision(error) and not is_database_away(error)


def test_a_mistake_of_ours_is_neither(db: Any) -> None:
    error = error_of(db, "SELECT nonsense")
    assert not (is_about_values(error) or is_collision(error) or is_database_away(error))


def test_an_inner_unit_of_work_is_part_of_the_outer_one(db: Any) -> None:
    tenants = "SELECT count(*) FROM tenants WHERE slug = 'inner'"
    add = "INSERT INTO tenants (id, slug, name, timezone) VALUES (gen_random_uuid(), 'inner', 'Inner', 'UTC')"

    def add_and_fail() -> None:
        with transaction():
            with transaction():
                db.execute(text(add))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        add_and_fail()
    assert db.scalar(text(tenants)) == 0
    with transaction(), transaction():
        db.execute(text(add))
    assert db.scalar(text(tenants)) == 1
