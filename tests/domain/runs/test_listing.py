"""The list of runs at size: whatever it is narrowed to, a page walks an index and reads little more than it shows."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import event, select, text

from domain.accounts.tenants import Tenant
from domain.kernel.db import db, transaction
from domain.runs import pages
from domain.runs.listing import STARTERS, STATUSES, RunFilters, created_at, first_id_at
from domain.workflows.workflows import Workflow
from tests import servers
from tests.factories import a_published_workflow, a_schedule, a_tenant
from tests.servers import Addresses

RUNS, QUEUED = 50_000, 8_000
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = pages.PAGE_SIZE + 1
READ_AT_MOST = 12 * LIMIT
"""Rows of runs that one page may read: its own twice, what the filter passes over, each of several walks."""

# One run a second. Most fire on a schedule and succeed; every 50th fails, two were canceled; the last thousands wait.
_SEED = text("""
    INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, schedule_id, started_by, input_json, lane, status,
                      started_at, finished_at, parent_run_id, is_rehearsal)
    SELECT CAST(lpad(to_hex(:first_ms + n * 1000), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0') AS uuid),
        :tenant_id, CASE WHEN n % 1000 = 7 THEN :rare ELSE :common END, 1,
        CASE WHEN starter = 'recurring' THEN CAST(:schedule_id AS uuid) END, starter, '{}', 'pure', status, now(),
        CASE WHEN status IN ('queued', 'waiting') THEN NULL ELSE now() END,
        CASE WHEN starter = 'parent' THEN CAST(:parent_id AS uuid) END, n IN (30, 31, 42000)
    FROM (
        SELECT n,
            CASE WHEN n % 25 = 0 THEN (:starters)[1 + n / 25 % 7] ELSE 'recurring' END AS starter,
            CASE WHEN n IN (17, 40001) THEN 'canceled' WHEN n IN (9, 99, 999) THEN 'waiting'
                 WHEN n > :runs - :queued THEN 'queued' WHEN n % 50 = 3 THEN 'failed' ELSE 'succeeded' END AS status
        FROM generate_series(1, :runs) n
    ) seeded
""")


@pytest.fixture(scope="module")
def crowd(addresses: Addresses, redis_url: str, worker_number: int) -> Iterator[dict[str, Any]]:
    """acme with many runs of two workflows, and another tenant with as many; inside an app context of their own."""
    name = f"listing_{worker_number}"
    app: Flask = servers.make_app(servers.config_for(servers.create_database(addresses, name), redis_url))
    with app.app_context():
        with transaction():
            found = [_seed(a_tenant(slug)) for slug in ("globex", "acme")]
            db.session.execute(text("ANALYZE runs"))
        yield found[-1]
        db.session.remove()
        db.engine.dispose()
    servers.drop_database(addresses, name)


def _seed(tenant: Tenant) -> dict[str, Any]:
    common, rare = a_published_workflow(tenant, "Invoice sync"), a_published_workflow(tenant, "Month end")
    schedule = a_schedule(common)
    parent_id = first_id_at(FIRST)
    values = {
        "first_ms": int(FIRST.timestamp() * 1000), "tenant_id": tenant.id, "common": common.id, "rare": rare.id,
        "schedule_id": schedule.id, "starters": list(STARTERS), "parent_id": parent_id, "runs": RUNS, "queued": QUEUED,
    }  # fmt: skip
    tenant_bit = 1 if tenant.slug == "acme" else 0
    db.session.execute(_SEED, values | {"first_ms": values["first_ms"] + tenant_bit})
    ids = {"common workflow": common.id, "rare workflow": rare.id, "one schedule": schedule.id, "one parent": parent_id}
    return {"tenant_id": tenant.id, **ids}


def sent_for(tenant_id: UUID, filters: RunFilters, before: UUID | None = None) -> tuple[str, Any]:
    """The statement of a page, and its parameters."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
        sent.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        pages.runs_page(tenant_id, filters, before, LIMIT)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    (found,) = sent
    return found


def read_by(tenant_id: UUID, filters: RunFilters, before: UUID | None = None) -> tuple[int, set[str]]:
    """How many rows of runs a page reads, and along which indexes; a scan of the table is called `Seq Scan`."""
    statement, parameters = sent_for(tenant_id, filters, before)
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
    return _read(plan.scalar_one()[0]["Plan"])


def _read(node: dict[str, Any]) -> tuple[int, set[str]]:
    rows, indexes = 0, set()
    if node.get("Relation Name") == "runs":
        rows = (node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)) * node.get("Actual Loops", 0)
        indexes = {node.get("Index Name", node["Node Type"])}
    for part in node.get("Plans", ()):
        more, others = _read(part)
        rows, indexes = rows + more, indexes | others
    return int(rows), indexes


@pytest.mark.parametrize(
    "asked",
    [
        {},
        *({"status": status} for status in STATUSES if status != "succeeded"),
        *({"started_by": starter} for starter in STARTERS),
        {"workflow_id": "common workflow"},
        {"workflow_id": "rare workflow"},
        {"workflow_id": "common workflow", "status": "failed"},
        {"workflow_id": "common workflow", "status": "canceled"},
        {"workflow_id": "rare workflow", "status": "failed"},
        {"schedule_id": "one schedule"},
        {"schedule_id": "one schedule", "status": "failed"},
        {"schedule_id": "one schedule", "status": "canceled"},
        {"parent_run_id": "one parent"},
        {"rehearsal": "yes"},
        {"rehearsal": "no"},
        {"rehearsal": "yes", "status": "failed"},
        {"q": "month"},
        {"q": "i"},
        {"q": "nothing is called so"},
        {"since": FIRST + timedelta(hours=5), "until": FIRST + timedelta(hours=6)},
        {"until": FIRST + timedelta(hours=6), "status": "failed"},
        {"until": FIRST + timedelta(hours=6), "started_by": "event"},
    ],
    ids=str,
)
def test_a_page_reads_little_more_than_it_shows(crowd: dict[str, Any], asked: dict[str, Any]) -> None:
    filters = RunFilters(**{name: crowd.get(str(value), value) for name, value in asked.items()})
    for before in (None, first_id_at(FIRST + timedelta(seconds=RUNS / 2))):
        rows, indexes = read_by(crowd["tenant_id"], filters, before)
        assert rows <= READ_AT_MOST, f"{rows} rows along {indexes}"
        assert "Seq Scan" not in indexes


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ({"status": "failed"}, "ix_runs_failed"),
        ({"status": "waiting"}, "ix_runs_going"),
        ({"started_by": "event"}, "ix_runs_started_by"),
    ],
)
def test_a_plan_that_the_server_keeps_for_any_value_walks_the_same_index(
    crowd: dict[str, Any], asked: dict[str, Any], index: str
) -> None:
    number = itertools.count(1)
    statement, _ = sent_for(crowd["tenant_id"], RunFilters(**asked))
    prepared = re.sub(r"%\(\w+\)s", lambda _: f"${next(number)}", statement)
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {prepared}")
    assert index in _read(plan.scalar_one()[0]["Plan"])[1]


@pytest.mark.parametrize("asked", [{"status": "succeeded"}, {"q": "month", "status": "unfinished"}], ids=str)
def test_what_most_runs_are_is_found_by_passing_over_the_others(crowd: dict[str, Any], asked: dict[str, Any]) -> None:
    rows, indexes = read_by(crowd["tenant_id"], RunFilters(**asked))
    assert rows <= READ_AT_MOST + QUEUED, f"{rows} rows along {indexes}"
    assert "Seq Scan" not in indexes


def test_every_filter_finds_what_a_plain_reading_finds(crowd: dict[str, Any]) -> None:
    plain = text("""
        SELECT id FROM runs WHERE tenant_id = :tenant_id AND (:status = '' OR status = :status
          OR (:status = 'unfinished' AND finished_at IS NULL)) AND (:starter = '' OR started_by = :starter)
        ORDER BY id DESC LIMIT :limit
    """)
    for status in ("", *STATUSES):
        for starter in ("", *STARTERS):
            values = {"tenant_id": crowd["tenant_id"], "status": status, "starter": starter, "limit": LIMIT}
            found = pages.runs_page(crowd["tenant_id"], RunFilters(status=status, started_by=starter), limit=LIMIT)
            assert [row.id for row in found] == list(db.session.scalars(plain, values)), (status, starter)


def test_pages_follow_each_other_without_a_gap(crowd: dict[str, Any]) -> None:
    filters = RunFilters(q="month")
    first = [row.id for row in pages.runs_page(crowd["tenant_id"], filters, limit=20)]
    second = [row.id for row in pages.runs_page(crowd["tenant_id"], filters, first[9], 10)]
    assert len(set(first)) == 20 and second == first[10:]


def test_a_span_of_time_has_its_begin_and_not_its_end(crowd: dict[str, Any]) -> None:
    since, until = FIRST + timedelta(seconds=100, milliseconds=1), FIRST + timedelta(seconds=103, milliseconds=1)
    found = pages.runs_page(crowd["tenant_id"], RunFilters(since=since, until=until))
    assert [(created_at(row.id) - FIRST).total_seconds() for row in found] == [102.001, 101.001, 100.001]


def test_names_and_runs_of_another_tenant_are_not_found(crowd: dict[str, Any]) -> None:
    theirs = db.session.scalars(select(Workflow.id).where(Workflow.tenant_id != crowd["tenant_id"])).all()
    assert [pages.runs_page(crowd["tenant_id"], RunFilters(workflow_id=one)) for one in theirs] == [[], []]
    found = pages.runs_page(crowd["tenant_id"], RunFilters(q="sync"), limit=200)
    assert {row.workflow_id for row in found} == {crowd["common workflow"]}
