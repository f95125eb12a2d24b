"""The order of a list, and that its pages are slices of it: whichever of the ways to find them is taken."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.accounts.tenants import Tenant
from domain.schedules import narrowing, orders
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.narrowing import FAILING, ScheduleFilter
from domain.schedules.orders import SORTS, found_page
from domain.schedules.schedules import Schedule
from tests.factories import NOW, a_published_workflow, a_schedule, a_tenant

NUMBER = 80
FAR = datetime.max.replace(tzinfo=NOW.tzinfo)
FILTERS = [
    ScheduleFilter(),
    ScheduleFilter(status="active"),
    ScheduleFilter(status="paused"),
    ScheduleFilter(status="completed"),
    ScheduleFilter(status=FAILING),
    ScheduleFilter(status=FAILING, q="2"),
    ScheduleFilter(q="2"),
]


@pytest.fixture
def acme(db: Any) -> Tenant:
    """With what lists meet: equal keys, names that differ by case, what has never fired, pauses that end or do not, what
    failed, and what was deleted."""
    tenant = a_tenant("acme")
    workflow, others = a_published_workflow(tenant), a_published_workflow(a_tenant("globex"))
    for number in range(NUMBER):
        status = "completed" if number % 15 == 1 else "paused" if number % 5 == 1 else "active"
        is_gone = number % 10 == 3
        is_asleep = is_gone or status == "completed" or (status == "paused" and number % 2)
        wakes_at = None if is_asleep else NOW + timedelta(minutes=number % 6)
        schedule = a_schedule(
            others if number % 13 == 7 else workflow,
            f"{'Aa'[number % 2]} {number}",
            status=status,
            paused_until=wakes_at if status == "paused" else None,
            deleted_at=NOW if is_gone else None,
            updated_at=NOW - timedelta(minutes=number % 7),
        )
        cursor = db.get(ScheduleCursor, schedule.id)
        cursor.wake_at = wakes_at
        cursor.last_fire_at = None if number % 9 == 4 else NOW - timedelta(hours=number % 8)
        cursor.last_run_status = "failed" if number % 3 else "succeeded"
    db.flush()
    return tenant


def in_order(db: Any, tenant: Tenant, narrowed: ScheduleFilter, sort: str) -> list[UUID]:
    def key(row: tuple[Schedule, ScheduleCursor]) -> tuple[Any, ...]:
        schedule, cursor = row
        name, wakes, fired = schedule.name.lower(), cursor.wake_at, cursor.last_fire_at
        keys: dict[str, tuple[Any, ...]] = {
            "next": (wakes or FAR, "" if wakes else name),
            "last": (-fired.timestamp() if fired else 0,),
            "name": (name,),
            "updated": (-schedule.updated_at.timestamp(),),
        }
        return (*keys[sort], schedule.id)

    def is_wanted(schedule: Schedule, cursor: ScheduleCursor) -> bool:
        status = "active" if narrowed.status == FAILING else narrowed.status or schedule.status
        has_failed = narrowed.status != FAILING or cursor.last_run_status == "failed"
        is_there = schedule.tenant_id == tenant.id and schedule.deleted_at is None
        return is_there and schedule.status == status and has_failed and narrowed.q in schedule.name

    rows = db.query(Schedule, ScheduleCursor).join(ScheduleCursor, ScheduleCursor.schedule_id == Schedule.id)
    return [schedule.id for schedule, _ in sorted((row for row in rows if is_wanted(*row)), key=key)]


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    ("few", "asked", "count_max"),
    [(1_000, 0, 1_000), (0, 1_000, 1_000), (0, 1_000, 3), (0, 0, 3)],
    ids=["few", "many", "too many to count", "too many to ask one by one"],
)
def test_a_page_is_a_slice_of_all_in_their_order(
    sort: str, few: int, asked: int, count_max: int, acme: Tenant, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowing, "FEW", few)
    monkeypatch.setattr(orders, "FEW", asked)
    for narrowed in FILTERS:
        every = in_order(db, acme, narrowed, sort)
        assert len(every) > 3, narrowed
        for offset in range(0, len(every) + 5, 5):
            found = found_page(acme.id, narrowed, sort, 5, offset, count_max)
            assert found.ids == every[offset : offset + 5], (narrowed, offset)
            assert (found.total, found.is_whole) == (min(len(every), count_max), len(every) < count_max), narrowed
