"""What is done only once the work it belongs to is certain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.accounts.tenants import Tenant
from domain.kernel.db import after_commit, transacted, transaction, write_or_halve

pytestmark = pytest.mark.usefixtures("db")


def note(done: list[str], word: str) -> None:
    after_commit(lambda: done.append(word))


def test_it_is_done_after_the_outermost_unit_of_work_and_once() -> None:
    done: list[str] = []
    with transaction():
        with transaction():
            note(done, "inner")
        assert done == []
        note(done, "outer")
    assert done == ["inner", "outer"]
    with transaction():
        pass
    assert done == ["inner", "outer"]


def test_what_was_rolled_back_is_not_done() -> None:
    done: list[str] = []

    def fail() -> None:
        with transaction():
            note(done, "lost")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with transaction():
        note(done, "kept")
    assert done == ["kept"]


def test_outside_of_a_unit_of_work_it_is_done_at_once() -> None:
    done: list[str] = []
    note(done, "now")
    assert done == ["now"]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_what_a_savepoint_took_back_is_not_done(db: Any, depth: int) -> None:
    done: list[str] = []

    def within(left: int) -> None:
        with db.begin_nested():
            if left > 1:
                within(left - 1)
            else:
                note(done, "lost")

    def fail() -> None:
        with db.begin_nested():
            within(depth)
            raise ZeroDivisionError

    with transaction():
        note(done, "before")
        with pytest.raises(ZeroDivisionError):
            fail()
        with db.begin_nested():
            note(done, "kept")
    assert done == ["before", "kept"]


def test_a_row_that_is_refused_at_the_end_of_its_savepoint_takes_its_acts_along(db: Any) -> None:
    done: list[str] = []

    def add(word: str) -> None:
        with db.begin_nested():
            note(done, word)
            db.add(Tenant(slug="twice", name=word, timezone="UTC"))

    with transaction():
        add("first")
        with pytest.raises(DBAPIError):
            add("second")
    assert done == ["first"]


def test_a_batch_that_is_halved_is_counted_once(db: Any) -> None:
    done: list[str] = []

    def write(rows: Sequence[int]) -> None:
        for row in rows:
            note(done, f"wrote {row}")
            db.execute(text("SELECT 1 / (:row - 3)"), {"row": row})

    with transaction():
        write_or_halve([1, 2, 3, 4, 5], write, lambda row, _error: note(done, f"put back {row}"))
    assert sorted(done) == ["put back 3", "wrote 1", "wrote 2", "wrote 4", "wrote 5"]


def test_another_try_counts_once(db: Any) -> None:
    done: list[str] = []
    tries: list[int] = []

    def work() -> None:
        tries.append(1)
        note(done, "once")
        if len(tries) == 1:
            db.execute(text("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$"))

    transacted(work)
    assert (len(tries), done) == (2, ["once"])
