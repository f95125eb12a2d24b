"""What the lists of schedules read: a page of many thousands, and not the thousands."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from domain.accounts.tenants import Tenant
from domain.extensions.paths import PATH_MAX_CHARACTERS
from domain.kernel.db import plan_checks_of
from domain.schedules.narrowing import ScheduleFilter, looked_up, matches
from domain.schedules.orders import SORTS
from domain.schedules.pages import COUNT_MAX, PAGE_SIZE, PAGES_MAX, schedules_page
from tests.factories import NOW, a_published_workflow, a_schedule, a_tenant

MANY = 20_000
LARGE = ("schedules", "schedule_cursors")
_SCHEDULES = text("""
    INSERT INTO schedules (id, tenant_id, name, workflow_id, workflow_version, trigger_type, cron, timezone, payload_json,
        status, updated_at)
    SELECT gen_random_uuid(), :tenant, 'Schedule ' || md5(n::text), :workflow, 1, 'recurring', '0 9 * * *', 'UTC', '{}',
        'active', CAST(:now AS timestamptz) - n * interval '1 second'
    FROM generate_series(1, :number) n
""")
_CURSORS = text("""
    INSERT INTO schedule_cursors (schedule_id, tenant_id, next_fire_at, wake_at)
    SELECT id, tenant_id, at, at FROM (SELECT *, updated_at + interval '1 day' AS at FROM schedules) s
    WHERE tenant_id = :tenant
""")


def crowd(db: Any, number: int) -> Tenant:
    """A tenant with so many schedules, and a planner that knows of them."""
    tenant = a_tenant("acme")
    workflow = a_published_workflow(tenant)
    db.execute(_SCHEDULES, {"tenant": tenant.id, "workflow": workflow.id, "now": NOW, "number": number})
    plan_checks_of(number)
    db.execute(_CURSORS, {"tenant": tenant.id})
    db.execute(text("ANALYZE schedules, schedule_cursors"))
    return tenant


@contextmanager
def plans(db: Any) -> Iterator[list[str]]:
    """How the database does each statement that is sent inside the block; there when it has ended."""
    sent: list[tuple[str, Any]] = []
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        sent.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    for statement, parameters in sent:
        told = db.connection().exec_driver_sql(f"EXPLAIN {statement}", parameters)
        found.append("\n".join(line for (line,) in told))


def read_whole(plan: str) -> set[str]:
    """The large tables of which a plan reads every row."""
    return set(re.findall(r"Seq Scan on (\w+)", plan)) & set(LARGE)


def test_a_page_reads_what_it_shows_and_no_whole_table(db: Any) -> None:
    tenant = crowd(db, MANY)
    for sort in SORTS:
        with plans(db) as found:
            assert len(schedules_page(tenant.id, ScheduleFilter(), sort).rows) == PAGE_SIZE
        _count, *others = found
        assert [read_whole(plan) for plan in others] == [set(), set(), set()], sort


def test_by_last_fire_no_more_is_walked_than_the_last_page_needs(db: Any) -> None:
    tenant = crowd(db, MANY)
    with plans(db) as found:
        assert len(schedules_page(tenant.id, ScheduleFilter(), "last", PAGES_MAX).rows) == PAGE_SIZE
    _count, ids, *_others = found
    assert "using ix_schedule_cursors_last_fire on schedule_cursors" in ids, ids
    assert read_whole(ids) == set() and "Hash Join" not in ids, ids


def test_what_matches_most_is_walked_by_last_fire_and_each_is_asked(db: Any) -> None:
    tenant = crowd(db, MANY)
    with plans(db) as found:
        assert len(schedules_page(tenant.id, ScheduleFilter(status="active"), "last").rows) == PAGE_SIZE
    _count, ids, *_others = found
    assert "using ix_schedule_cursors_last_fire on schedule_cursors" in ids, ids
    assert read_whole(ids) == set() and "Hash" not in ids, ids


@pytest.mark.parametrize(
    "narrowed",
    [
        ScheduleFilter(q="a1"),
        ScheduleFilter(q="c4ca42"),
        ScheduleFilter(q="a1", status="paused", trigger="recurring", target="workflow"),
        ScheduleFilter(q="sync", status="active"),
    ],
    ids=["by itself", "of more letters", "among filters", "of a workflow"],
)
def test_all_that_a_search_asks_for_stands_in_the_index_by_name(narrowed: ScheduleFilter, db: Any) -> None:
    tenant = crowd(db, 100)
    # Nothing of this transaction has been vacuumed: to the planner an index is no better than the table yet.
    for way in ("seqscan", "bitmapscan", "sort"):
        db.execute(text(f"SET LOCAL enable_{way} = off"))
    search = looked_up(tenant.id, narrowed)
    with plans(db) as found:
        matches(tenant.id, search, COUNT_MAX)
    (plan,) = found
    assert "Index Only Scan using ix_schedules_name on schedules" in plan, plan


def test_the_longest_name_there_can_be_fits_into_the_indexes(db: Any) -> None:
    """A name that nobody chose is method and path. The index by name holds it twice; a row of an index has its limits."""
    # Without a pattern, because the database would write what repeats itself in fewer bytes.
    path = "".join(random.Random(1).choices(string.ascii_letters + string.digits, k=PATH_MAX_CHARACTERS))
    schedule = a_schedule(a_published_workflow(a_tenant("acme")), f"OPTIONS {path}")
    assert schedules_page(schedule.tenant_id, ScheduleFilter(q=path[-20:].upper()), "name").total == 1
