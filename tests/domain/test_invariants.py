"""The invariants: each finds what breaks it, nothing else, and reads only a bounded part of what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain import invariants
from domain.accounts.tenants import Tenant
from domain.invariants import (
    INVARIANTS,
    Scope,
    breaches,
    broken_invariants,
    page_end,
    use_indexes,
)
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.runs.heartbeats import beat
from domain.runs.runs import Run
from domain.schedules.occurrences import Occurrence
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_run, a_schedule, a_step, a_task, a_tenant

BY_NAME = {invariant.name: invariant for invariant in INVARIANTS}
WINDOW = timedelta(minutes=3)
MINUTE = timedelta(minutes=1)
REWRITE = "ALTER TABLE occurrences DISABLE TRIGGER USER"


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant()


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


@pytest.fixture
def now(db: Any) -> datetime:
    return clock.database_now().replace(microsecond=0)


class Scene:
    """A schedule that fired a minute ago, as it should: its occurrence, its run, and a cursor past both."""

    def __init__(self, db: Any, workflow: Workflow, now: datetime) -> None:
        self.db, self.workflow, self.now = db, workflow, now
        self.schedule = a_schedule(workflow, next_fire_at=now + timedelta(hours=1))
        self.at = now - MINUTE
        self.occurrence = self.decide(self.at)
        self.run = self.begin(self.occurrence.id)
        a_step(self.run)

    def decide(self, at: datetime, outcome: str = "fired", **values: Any) -> Occurrence:
        values = {"id": new_id(), "origin_key": "timing", "decided_at": self.now, "scheduled_for": at} | values
        if outcome != "fired":
            values.setdefault("reason", "overlap")
        row = Occurrence(tenant_id=self.schedule.tenant_id, schedule_id=self.schedule.id, outcome=outcome, **values)
        self.db.add(row)
        self.db.flush()
        return row

    def begin(self, run_id: Any, status: str = "succeeded", **values: Any) -> Run:
        metadata = {"scheduledFor": self.at.isoformat()}
        values = {"schedule_id": self.schedule.id, "started_by": "recurring", "trigger_metadata": metadata} | values
        return a_run(self.workflow, status, id=run_id, **values)

    def do(self, *statements: str, **values: Any) -> None:
        known = {"run": self.run.id, "schedule": self.schedule.id, "at": self.at, "now": self.now, "id": new_id()}
        for statement in statements:
            self.db.execute(
                text(statement), {name: v for name, v in (known | values).items() if f":{name}" in statement}
            )
        self.db.flush()


@pytest.fixture
def scene(db: Any, sync: Workflow, now: datetime) -> Scene:
    return Scene(db, sync, now)


def broken(scene: Scene) -> set[str]:
    # Steps of the factories say that they were done under the first claim.
    scene.do("UPDATE runs SET claim_epoch = 1")
    scope = Scope(scene.now, WINDOW)
    return {one.name for one in INVARIANTS if breaches(one, scope)}


def a_second_row(scene: Scene) -> None:
    scene.do("ALTER TABLE occurrences DROP CONSTRAINT pk_occurrences")
    scene.do("""INSERT INTO occurrences (id, tenant_id, schedule_id, scheduled_for, origin_key, outcome, reason, decided_at)
        SELECT :id, tenant_id, schedule_id, scheduled_for, 'timing', 'skipped', 'overlap', :now FROM occurrences""")


def mixed_tenants(scene: Scene) -> None:
    other = a_tenant("globex")
    scene.do(
        "ALTER TABLE runs DROP CONSTRAINT fk_runs_tenant_id_workflow_id_workflow_version",
        "UPDATE runs SET tenant_id = :other WHERE id = :run",
        other=other.id,
    )


def two_at_once(scene: Scene) -> None:
    later = scene.now + timedelta(hours=1)
    for _ in range(2):
        scene.begin(new_id(), "running", ready_at=later, started_by="manual", started_at=scene.now)
    scene.do("UPDATE schedules SET overlap = 'skip' WHERE id = :schedule")


def a_lost_run(scene: Scene) -> None:
    a_run(scene.workflow, "running", started_at=scene.now - timedelta(minutes=11))


def an_orphan(scene: Scene) -> None:
    parent = a_run(scene.workflow, finished_at=scene.now - timedelta(minutes=3))
    a_run(scene.workflow, "queued", parent_run_id=parent.id)


def a_closed_wait(scene: Scene, of_task: bool) -> None:
    run = a_run(scene.workflow, "waiting")
    a_task(run)
    if of_task:
        scene.do("UPDATE waits SET status = 'resolved', closed_at = :now", "UPDATE runs SET status = 'queued' WHERE id = :mine", mine=run.id)  # fmt: skip
    else:
        scene.do("UPDATE runs SET status = 'queued' WHERE id = :mine", mine=run.id)


VIOLATIONS: dict[str, Callable[[Scene], None]] = {
    "fired_without_run": lambda scene: scene.do("DELETE FROM runs WHERE id = :run"),
    "run_unfired": lambda scene: scene.do(REWRITE, "UPDATE occurrences SET outcome = 'skipped', reason = 'overlap'"),
    "decided_twice": a_second_row,
    "cursor_behind": lambda scene: scene.do("UPDATE schedule_cursors SET next_fire_at = :at"),
    "decided_early": lambda scene: scene.do(
        REWRITE, "UPDATE occurrences SET decided_at = scheduled_for - interval '1 s'"
    ),
    "tenants_mixed": mixed_tenants,
    "fired_while_held": lambda scene: scene.do(
        "UPDATE schedules SET status = 'paused', paused_at = :now - interval '2 minutes'"
    ),
    "version_unpublished": lambda scene: scene.do(
        "ALTER TABLE workflow_versions DISABLE TRIGGER USER",
        "UPDATE workflow_versions SET published_at = :now + interval '2 minutes'",
    ),
    "run_undecided": lambda scene: scene.do("DELETE FROM occurrences"),
    "ended_and_held": lambda scene: scene.do("UPDATE runs SET claimed_by = :id WHERE id = :run"),
    "step_unclaimed": lambda scene: scene.do("UPDATE run_steps SET claim_epoch = 9"),
    "step_twice": lambda scene: a_step(scene.run, attempt=2, position=1) and None,
    "step_missing": lambda scene: scene.do("UPDATE run_steps SET position = 4"),
    "wait_missing": lambda scene: a_run(scene.workflow, "waiting") and None,
    "overlap": two_at_once,
    "lost": a_lost_run,
    "orphan": an_orphan,
    "unwatched": lambda scene: scene.do("UPDATE schedule_cursors SET wake_at = NULL"),
    "wait_unneeded": lambda scene: a_closed_wait(scene, of_task=False),
    "task_unneeded": lambda scene: a_closed_wait(scene, of_task=True),
    "overdue": lambda scene: scene.do("UPDATE schedule_cursors SET wake_at = :now - interval '3 minutes'"),
}


def test_nothing_is_broken_where_all_is_well(scene: Scene) -> None:
    a_task(a_run(scene.workflow, "waiting"))
    going = a_run(scene.workflow, "running", started_at=scene.now - timedelta(hours=1))
    assert going.claimed_by
    beat(going.claimed_by, "worker", "here", 1, "0", 60)
    scene.decide(scene.at - MINUTE, "missed", through=scene.at - timedelta(seconds=1), count=60)
    assert broken(scene) == set()
    assert broken_invariants() == {}


def test_each_has_a_violation_to_be_tried_with() -> None:
    assert set(VIOLATIONS) == set(BY_NAME)
    assert len({one.words for one in INVARIANTS}) == len(INVARIANTS) and all(one.remedy for one in INVARIANTS)


@pytest.mark.parametrize("name", VIOLATIONS)
def test_what_breaks_it_is_found_by_it_alone(scene: Scene, name: str) -> None:
    VIOLATIONS[name](scene)
    assert broken(scene) == {name}


def test_a_gap_that_covers_an_instant_is_a_second_decision(scene: Scene) -> None:
    scene.decide(scene.at - MINUTE, "missed", through=scene.at, count=2)
    assert broken(scene) == {"decided_twice"}


def test_what_was_decided_before_the_window_is_only_looked_at_when_it_was_found_before(scene: Scene) -> None:
    scene.do("DELETE FROM runs WHERE id = :run")
    invariant = BY_NAME["fired_without_run"]
    found = breaches(invariant, Scope(scene.now, WINDOW))
    assert [one.id for one in found] == [scene.occurrence.id]
    later = scene.now + timedelta(hours=1)
    assert breaches(invariant, Scope(later, WINDOW)) == []
    assert breaches(invariant, Scope(later, WINDOW, known=found)) == found


def test_a_run_that_took_long_is_looked_at_when_it_ends(scene: Scene) -> None:
    scene.do("UPDATE runs SET finished_at = :now WHERE id = :run")
    a_step(scene.run, attempt=2, position=1)
    later = Scope(scene.now + timedelta(hours=1), WINDOW)
    assert breaches(BY_NAME["step_twice"], later) == []
    scene.do("UPDATE runs SET finished_at = :later WHERE id = :run", later=later.now - MINUTE)
    assert [one.id for one in breaches(BY_NAME["step_twice"], later)] == [scene.run.id]


def test_what_was_found_long_ago_is_only_looked_at_while_it_can_be_mended(scene: Scene) -> None:
    later = scene.now + timedelta(days=8)
    a_step(scene.run, attempt=2, position=1)
    waiting = a_run(scene.workflow, "waiting")
    scene.do("UPDATE schedule_cursors SET wake_at = NULL")
    first = Scope(scene.now, WINDOW)
    kept = {
        name: breaches(BY_NAME[name], Scope(later, WINDOW, page=0, old=breaches(BY_NAME[name], first)))
        for name in ("step_twice", "wait_missing", "unwatched")
    }
    assert {name: [one.id for one in found] for name, found in kept.items()} == {
        "step_twice": [], "wait_missing": [waiting.id], "unwatched": [scene.schedule.id],
    }  # fmt: skip


def test_an_hour_of_any_length_is_looked_at_as_a_whole_when_asked(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invariants, "ROWS_MAX", 2)
    for number in range(2, 7):
        at = scene.now - number * MINUTE
        scene.decide(at, decided_at=at) if number == 4 else scene.decide(at, "skipped", decided_at=at)
    scene.do("UPDATE runs SET claim_epoch = 1")
    (words,) = broken_invariants()
    assert words == BY_NAME["fired_without_run"].words


def test_what_is_not_finished_is_read_a_page_after_the_other(sync: Workflow, now: datetime) -> None:
    waiting = [a_run(sync, "waiting", id=new_id()) for _ in range(5)]
    long_after = now + timedelta(hours=1)
    invariant, after, pages = BY_NAME["wait_missing"], [], []
    for _ in range(3):
        scope = Scope(long_after, WINDOW, page=2, after=after)
        pages.append({one.id for one in breaches(invariant, scope)})
        after = page_end(invariant.source, scope)
    assert [len(page) for page in pages] == [2, 2, 1]
    assert set.union(*pages) == {run.id for run in waiting}
    assert after == []


@pytest.fixture
def history(db: Any, sync: Workflow, now: datetime) -> None:
    """120,000 instants of 1,000 schedules over five months, nearly all fired and finished, the last ones just now."""
    for name in range(1000):
        a_schedule(sync, f"S{name}", next_fire_at=now + MINUTE)
    db.execute(
        text(
            "SELECT set_config('session_replication_role', 'replica', true), set_config('statement_timeout', '0', true)"
        )
    )
    fill = text(
        """
        WITH made AS (
            SELECT s.id AS schedule_id, s.tenant_id, s.workflow_id, n, :now - n * interval '30 minutes' AS at,
                CAST(lpad(to_hex(CAST(extract(epoch FROM :now - n * interval '30 minutes') * 1000 AS bigint)), 12, '0')
                    || '7000' || '8000' || substr(md5(CAST(s.id AS text) || n), 1, 12) AS uuid) AS id
            FROM schedules s CROSS JOIN generate_series(119, 0, -1) n
        ), decided AS (
            INSERT INTO occurrences (id, tenant_id, schedule_id, scheduled_for, origin_key, outcome, decided_at)
            SELECT id, tenant_id, schedule_id, date_trunc('second', at), 'timing', 'fired', at FROM made ORDER BY n DESC
        )
        INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, schedule_id, started_by, input_json, status, lane,
            ready_at, started_at, finished_at, trigger_metadata)
        SELECT id, tenant_id, workflow_id, 1, schedule_id, 'recurring', '{}', 'succeeded', 'pure', at, at, at,
            jsonb_build_object('scheduledFor', date_trunc('second', at)) FROM made ORDER BY n DESC
    """
    )
    db.execute(fill, {"now": now})
    db.execute(text("SELECT set_config('session_replication_role', 'origin', true)"))
    for table in ("occurrences", "runs", "schedules", "schedule_cursors"):
        db.execute(text(f"ANALYZE {table}"))
    db.execute(text("SELECT brin_summarize_new_values('ix_occurrences_decided')"))


def scans(plan: Any) -> Iterator[tuple[str, str, float]]:
    """(kind, table, rows read) of every node that reads a table."""
    if "Relation Name" in plan:
        kept, dropped = (
            plan["Actual Rows"],
            [plan.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck")],
        )
        yield plan["Node Type"], plan["Relation Name"], (kept + sum(dropped)) * plan["Actual Loops"]
    for below in plan.get("Plans", []):
        yield from scans(below)


def test_no_check_reads_the_history(db: Any, history: None, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, Any]] = []
    execute = db.execute
    monkeypatch.setattr(
        db, "execute", lambda query, values=None: asked.append((query, values)) or execute(query, values)
    )
    scope = Scope(now, WINDOW)
    for invariant in INVARIANTS:
        assert breaches(invariant, scope) == []
        page_end(invariant.source, scope)
    monkeypatch.undo()
    use_indexes()
    for query, values in asked:
        plan = db.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {query.text}"), values).scalar_one()
        reads = list(scans(plan[0]["Plan"]))
        assert reads, query.text
        assert [read for read in reads if read[0] == "Seq Scan"] == [], query.text
        assert max(rows for _, _, rows in reads) < 20_000, (query.text, reads)


def test_a_schedule_that_wants_many_runs_at_once_is_not_compared_run_by_run(scene: Scene) -> None:
    scene.do(
        "UPDATE schedules SET overlap = 'allow', updated_at = :now - interval '1 day' WHERE id = :schedule",
        """INSERT INTO runs (id, tenant_id, workflow_id, workflow_version, schedule_id, started_by, input_json, status,
                lane, ready_at)
            SELECT gen_random_uuid(), tenant_id, workflow_id, 1, schedule_id, 'manual', '{}', 'queued', 'pure', :now
            FROM runs, generate_series(1, 2000)""",
        "ANALYZE runs",
    )
    use_indexes()
    assert rows_read(scene.db, "overlap", Scope(scene.now, WINDOW)) < 20_000
    scene.do("UPDATE schedules SET overlap = 'queue', updated_at = :now + interval '1 minute' WHERE id = :schedule")
    assert rows_read(scene.db, "overlap", Scope(scene.now, WINDOW)) < 20_000


def rows_read(db: Any, name: str, scope: Scope) -> float:
    """How many rows of a table the check reads at most."""
    asked: list[tuple[Any, Any]] = []
    execute = db.execute
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "execute", lambda query, values=None: asked.append((query, values)) or execute(query, values))
        breaches(BY_NAME[name], scope)
    ((query, values),) = asked
    plan = db.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {query.text}"), values).scalar_one()
    return max(rows for _, _, rows in scans(plan[0]["Plan"]))
