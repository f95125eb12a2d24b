"""Whatever people, ticks and outages do in whatever order: every instant is on record exactly once, and none too early."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text

from domain.accounts.audit import Actor
from domain.firing.backfilling import cancel_backfill, start_backfill
from domain.firing.lifecycle import create_schedule, delete_schedule, edit_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.firing.skipping import skip_next, unskip_next
from domain.firing.tick import fire_due, settle
from domain.kernel.db import db as database
from domain.kernel.errors import DomainError
from domain.publishing import pause_workflow, publish_workflow, resume_workflow
from domain.runs.admission import admit_waiting
from domain.schedules.backfills import Backfill
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.occurrences import TIMING, Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.payload_schemas import register_schema
from domain.workflows.workflows import Workflow
from tests.domain.firing.ledger import NOON
from tests.domain.firing.ledger_model import HORIZON, MINUTE, Expected, Pattern
from tests.factories import a_published_workflow, a_tenant

EASY, STRICT = "payload.Easy.v1", "payload.Strict.v1"
SCHEMAS = {EASY: {"type": "object"}, STRICT: {"type": "object", "required": ["region"]}}
SPREAD_SECONDS = 200
# Reasons that a change by a person gives to instants after it, and to none before.
HELD = ("paused", "superseded", "workflow_paused", "payload_invalid")
STEPS, EXAMPLES = 30, 24

minutes = st.integers(1, 12)
patterns = st.one_of(
    st.tuples(st.just("every"), st.sampled_from([1, 2, 5, 30])),
    st.tuples(st.just("once"), minutes),
    st.tuples(st.just("from"), minutes),
    st.tuples(st.just("until"), minutes),
)
picks = st.integers(0, 9)


class Ledger(RuleBasedStateMachine):
    """One workflow and two to four schedules. Every rule is one transaction: refused, it leaves nothing behind."""

    @initialize()
    def begin(self) -> None:
        self.now = NOON + timedelta(seconds=20)
        self.keys = count()
        tenant = a_tenant()
        self.actor = Actor(tenant.id)
        for ref, schema in SCHEMAS.items():
            register_schema(self.actor, ref, schema, self.now)
        self.workflow_id = a_published_workflow(tenant, draft_schema_ref=EASY, schema=SCHEMAS[EASY]).id
        self.expected: dict[UUID, Expected] = {}
        self.seen: set[UUID] = set()
        # Those that may not fire now, and until when they are paused if that is why.
        self.held_before: dict[UUID, datetime | None] = {}
        self.resumed: set[UUID] = set()
        self.free_at: dict[UUID, datetime] = {}
        for overlap in ("queue", "skip"):
            self.add(Pattern(1), overlap, "all", SPREAD_SECONDS, enabled=True)

    def teardown(self) -> None:
        database.session.rollback()

    @precondition(lambda self: len(self.expected) < 4)
    @rule(
        shape=patterns,
        overlap=st.sampled_from(["queue", "skip", "allow"]),
        catch_up=st.sampled_from(["latest", "all", "skip"]),
        spread=st.sampled_from([0, SPREAD_SECONDS]),
        enabled=st.booleans(),
    )
    def create(self, shape: Any, overlap: str, catch_up: str, spread: int, enabled: bool) -> None:
        with self.refusable():
            self.add(self.pattern(shape), overlap, catch_up, spread, enabled)

    @rule(pick=picks, shape=patterns, enabled=st.booleans())
    def retime(self, pick: int, shape: Any, enabled: bool) -> None:
        self.edit(pick, self.pattern(shape), {"region": "eu"}, enabled)

    @rule(pick=picks, payload=st.sampled_from([{"n": 1}, {"region": "eu"}]), enabled=st.booleans())
    def edit_payload(self, pick: int, payload: Any, enabled: bool) -> None:
        self.edit(pick, None, payload, enabled)

    @rule(pick=picks)
    def pause(self, pick: int) -> None:
        self.command(pick, lambda schedule: pause_schedule(self.actor, schedule.id, "quiet", self.now))

    @rule(pick=picks, seconds=st.sampled_from([1, 45, 60, 200, 400]))
    def pause_until(self, pick: int, seconds: int) -> None:
        until = self.now + timedelta(seconds=seconds)
        self.command(pick, lambda schedule: pause_schedule(self.actor, schedule.id, "", self.now, until=until))

    @rule(pick=picks, catch_up=st.sampled_from(["skip", "latest", "all"]))
    def resume(self, pick: int, catch_up: str) -> None:
        def go_on(schedule: Schedule) -> None:
            resume_schedule(self.actor, schedule.id, self.now, catch_up=catch_up)
            self.resumed |= {schedule.id} if catch_up != "skip" else set()

        self.command(pick, go_on)

    @rule(pick=picks, seconds=st.sampled_from([0, 60, 60, 400]))
    def skip_the_next(self, pick: int, seconds: int) -> None:
        def skip(schedule: Schedule) -> None:
            settle([schedule.id], self.now)
            instant = database.session.get_one(ScheduleCursor, schedule.id, populate_existing=True).next_fire_at
            assert instant is not None
            skip_next(self.actor, schedule.id, instant, self.now)
            self.expected[schedule.id].skipped = instant

        self.command(pick, skip)
        self.now += timedelta(seconds=seconds)
        self.tick()

    @rule(pick=picks)
    def fire_the_next_after_all(self, pick: int) -> None:
        def unskip(schedule: Schedule) -> None:
            unskip_next(self.actor, schedule.id, self.now)
            self.expected[schedule.id].skipped = None

        self.command(pick, unskip)

    @rule(pick=picks, first=st.integers(1, 20), last=st.integers(0, 5), at_a_time=st.integers(1, 3))
    def backfill(self, pick: int, first: int, last: int, at_a_time: int) -> None:
        from_at, until_at = self.now - first * MINUTE, self.now - last * MINUTE

        def make_up(schedule: Schedule) -> None:
            settle([schedule.id], self.now)
            had = set(database.session.scalars(select(Occurrence.scheduled_for).where(*self.with_a_run(schedule.id))))
            found = start_backfill(
                self.actor, schedule.id, from_at, until_at, at_a_time, f"key-{next(self.keys)}", self.now
            )
            origin = Occurrence.origin_key == f"backfill:{found.id}"
            instants = list(database.session.scalars(select(Occurrence.scheduled_for).where(origin)))
            pattern = self.expected[schedule.id].pattern
            assert pattern is not None
            assert set(instants) == pattern.instants(from_at - timedelta(seconds=1), until_at) - had
            assert len(instants) == found.count
            cursor = database.session.get_one(ScheduleCursor, schedule.id, populate_existing=True)
            assert cursor.next_fire_at is None or max(instants) < cursor.next_fire_at
            self.expected[schedule.id].made_up |= set(instants)

        self.command(pick, make_up)

    @rule()
    def cancel_the_newest_backfill(self) -> None:
        newest = database.session.scalars(select(Backfill).order_by(Backfill.id.desc()).limit(1)).one_or_none()
        if newest is not None:
            cancel_backfill(self.actor, newest.schedule_id, newest.id, self.now)

    @rule()
    def admit(self) -> None:
        admit_waiting(self.now)

    @rule(pick=st.integers(0, 30))
    def delete(self, pick: int) -> None:
        if pick > 2:
            return
        self.command(pick, lambda schedule: delete_schedule(self.actor, schedule.id, self.now), ends=True)

    @rule(pick=picks)
    def run_now(self, pick: int) -> None:
        key = f"key-{next(self.keys)}"
        self.command(pick, lambda schedule: run_schedule_now(self.actor, schedule.id, key, self.now))

    @rule(pick=picks)
    def pause_or_resume_workflow(self, pick: int) -> None:
        if pick > 4:
            return
        with self.refusable():
            if database.session.get_one(Workflow, self.workflow_id).paused_at is None:
                pause_workflow(self.actor, self.workflow_id, "audit", self.now)
            else:
                resume_workflow(self.actor, self.workflow_id, self.now)

    @rule(ref=st.sampled_from([EASY, STRICT]))
    def publish(self, ref: str) -> None:
        with self.refusable():
            workflow = database.session.get_one(Workflow, self.workflow_id)
            workflow.draft_schema_ref = ref
            database.session.flush()
            publish_workflow(self.actor, workflow.id, workflow.revision, self.now)

    @rule(seconds=st.sampled_from([1, 7, 30, 60, 60, 90, 200, 400]))
    def tick_after(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.tick()

    @rule()
    def tick(self) -> None:
        while fire_due(self.now, batch=2):
            pass
        late = select(ScheduleCursor.schedule_id).where(ScheduleCursor.wake_at <= self.now)
        assert database.session.scalars(late).all() == []

    @rule(seconds=st.sampled_from([20, 60, 150, 3_000, 9_000]))
    def nobody_ticks(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(seconds=st.sampled_from([1, 45, 100]))
    def the_clock_is_set_back(self, seconds: int) -> None:
        self.now -= timedelta(seconds=seconds)

    @rule()
    def the_oldest_run_ends(self) -> None:
        database.session.execute(
            text("""
                UPDATE runs SET status = 'succeeded', finished_at = :now
                WHERE id = (SELECT min(id::text)::uuid FROM runs WHERE finished_at IS NULL)
            """),
            {"now": self.now},
        )

    @invariant()
    def every_instant_is_on_record_once(self) -> None:
        for schedule_id, expected in self.expected.items():
            recorded = self.recorded(schedule_id)
            cursor = database.session.get_one(ScheduleCursor, schedule_id, populate_existing=True)
            assert cursor.next_fire_at == expected.next_undecided(recorded)
            end = cursor.next_fire_at - MINUTE if cursor.next_fire_at else self.now + HORIZON
            assert recorded == expected.owed(end)

    @invariant()
    def cursors_are_looked_at_when_they_have_to_be(self) -> None:
        for schedule_id in self.expected:
            schedule = database.session.get_one(Schedule, schedule_id, populate_existing=True)
            cursor = database.session.get_one(ScheduleCursor, schedule_id, populate_existing=True)
            is_ticked = schedule.status in ("active", "invalid") and schedule.deleted_at is None
            offset = timedelta(seconds=schedule_id.int % (schedule.spread_seconds + 1))
            due = cursor.next_fire_at + offset if is_ticked and cursor.next_fire_at else None
            if schedule.status == "paused" and schedule.deleted_at is None:
                due = schedule.paused_until
            assert cursor.wake_at == due
            if schedule.deleted_at is None and schedule.status == "active":
                assert cursor.next_fire_at is not None, "an active schedule with nothing left is completed"
            if schedule.status == "completed":
                assert cursor.next_fire_at is None

    @invariant()
    def what_fired_has_one_run_and_nothing_else_has(self) -> None:
        fired = select(Occurrence.id).where(Occurrence.outcome == "fired")
        runs = database.session.scalars(text("SELECT id FROM runs")).all()
        assert sorted(runs) == sorted(database.session.scalars(fired))

    @invariant()
    def nothing_fires_while_it_is_held(self) -> None:
        rows = database.session.scalars(select(Occurrence).where(Occurrence.origin_key == TIMING)).all()
        new = [row for row in rows if row.id not in self.seen]
        assert [row for row in new if row.outcome == "fired" and not self.may_fire(row)] == []
        self.resumed.clear()
        assert [row for row in new if row.decided_at < (row.through or row.scheduled_for)] == []
        held = [row for row in new if row.reason in HELD and row.schedule_id in self.free_at]
        assert [row for row in held if self.looked_at(row) <= self.free_at[row.schedule_id]] == [], (
            "due before the change"
        )
        self.seen |= {row.id for row in new}
        paused = database.session.get_one(Workflow, self.workflow_id, populate_existing=True).paused_at is not None
        schedules = database.session.scalars(select(Schedule).execution_options(populate_existing=True))
        held = {row.id: row.paused_until for row in schedules if row.status != "active"}
        self.held_before = dict.fromkeys(self.expected) if paused else held
        self.free_at |= {one: self.now for one in self.expected if one not in self.held_before}

    @invariant()
    def what_is_to_be_skipped_never_fires(self) -> None:
        for schedule_id, expected in self.expected.items():
            schedule = database.session.get_one(Schedule, schedule_id, populate_existing=True)
            if expected.skipped is None:
                assert schedule.skip_next_at is None
                continue
            key = (schedule_id, expected.skipped, TIMING)
            row = database.session.get(Occurrence, key, populate_existing=True)
            assert schedule.skip_next_at == (
                None if expected.skipped in self.recorded(schedule_id) else expected.skipped
            )
            assert row is None or row.outcome != "fired"
            if schedule.skip_next_at is None:
                expected.skipped = None

    @invariant()
    def no_instant_has_two_runs(self) -> None:
        twice = text("""
            SELECT o.schedule_id, o.scheduled_for FROM occurrences o JOIN runs r ON r.id = o.id
            WHERE o.origin_key NOT LIKE 'run_now:%' AND r.status <> 'canceled'
            GROUP BY 1, 2 HAVING count(*) > 1
        """)
        assert database.session.execute(twice).all() == []

    @invariant()
    def of_a_backfill_no_more_go_than_it_allows(self) -> None:
        over = text("""
            SELECT b.id FROM backfills b JOIN runs r ON r.backfill_id = b.id
            WHERE r.ready_at IS NOT NULL AND r.finished_at IS NULL GROUP BY b.id HAVING count(*) > b.concurrency
        """)
        assert database.session.execute(over).all() == []

    @invariant()
    def a_schedule_that_skips_never_fires_beside_a_run_of_its_own(self) -> None:
        going = text("""
            SELECT schedule_id, count(*) AS runs FROM runs
            WHERE finished_at IS NULL AND backfill_id IS NULL GROUP BY 1
        """)
        counts = {row.schedule_id: row.runs for row in database.session.execute(going)}
        assert [
            one for one, expected in self.expected.items() if expected.overlap == "skip" and counts.get(one, 0) > 1
        ] == []

    def may_fire(self, row: Occurrence) -> bool:
        """Whether nothing held its schedule back before the last step, or that step was the end of a pause."""
        if row.schedule_id not in self.held_before or row.schedule_id in self.resumed:
            return True
        until = self.held_before[row.schedule_id]
        return until is not None and row.scheduled_for > until

    def with_a_run(self, schedule_id: UUID) -> Any:
        """Fired, and not canceled before anybody began."""
        canceled = select(text("id")).select_from(text("runs")).where(text("status = 'canceled'"))
        return Occurrence.schedule_id == schedule_id, Occurrence.outcome == "fired", Occurrence.id.not_in(canceled)

    def looked_at(self, row: Occurrence) -> datetime:
        """When the first instant of a row is to be decided."""
        spread = database.session.get_one(Schedule, row.schedule_id).spread_seconds
        return row.scheduled_for + timedelta(seconds=row.schedule_id.int % (spread + 1))

    def pattern(self, shape: tuple[str, int]) -> Pattern:
        kind, number = shape
        edge = self.now.replace(second=0, microsecond=0) + number * MINUTE
        if kind == "every":
            return Pattern(number)
        if kind == "once":
            return Pattern(at=edge)
        return Pattern(2, starts_at=edge) if kind == "from" else Pattern(2, ends_at=edge + MINUTE)

    def add(self, pattern: Pattern, overlap: str, catch_up: str, spread: int, enabled: bool) -> None:
        name = f"Schedule {next(self.keys)}"
        draft = self.draft(pattern, name, overlap, catch_up, spread, {"n": 1}, enabled)
        schedule = create_schedule(self.actor, draft, self.now)
        self.expected[schedule.id] = Expected(pattern, self.now, overlap)

    def draft(
        self, pattern: Pattern, name: str, overlap: str, catch_up: str, spread: int, payload: Any, enabled: bool
    ) -> ScheduleDraft:
        return ScheduleDraft(
            workflow_id=self.workflow_id,
            name=name,
            payload=payload,
            enabled=enabled,
            overlap=overlap,
            catch_up=catch_up,
            spread_seconds=spread,
            **pattern.typed(),
        )

    def edit(self, pick: int, pattern: Pattern | None, payload: Any, enabled: bool) -> None:
        """Another pattern unless None."""

        def change(schedule: Schedule) -> None:
            kept = (schedule.name, schedule.overlap, schedule.catch_up, schedule.spread_seconds, payload, enabled)
            wanted = pattern or self.expected[schedule.id].pattern
            assert wanted is not None
            edit_schedule(self.actor, schedule.id, schedule.revision, self.draft(wanted, *kept), self.now)

        self.command(pick, change, pattern)

    def command(self, pick: int, act: Any, pattern: Pattern | None = None, ends: bool = False) -> None:
        living = [one for one, expected in self.expected.items() if expected.pattern is not None]
        if not living:
            return
        schedule = database.session.get_one(Schedule, living[pick % len(living)], populate_existing=True)
        with self.refusable():
            act(schedule)
            if pattern or ends:
                decided = self.recorded(schedule.id)
                self.expected[schedule.id].change(None if ends else pattern, self.now, decided)

    def refusable(self) -> Any:
        """A transaction of its own that a refusal undoes."""
        return _Refusable()

    def recorded(self, schedule_id: UUID) -> set[datetime]:
        """The instants of the schedule's rows, gap rows by their count; fails when one is there twice."""
        owed = sorted(self.expected[schedule_id].owed(self.now + HORIZON))
        rows = select(Occurrence).where(Occurrence.schedule_id == schedule_id, Occurrence.origin_key == TIMING)
        instants: list[datetime] = []
        for row in database.session.scalars(rows.order_by(Occurrence.scheduled_for)):
            last = row.through or row.scheduled_for
            covered = owed[bisect_left(owed, row.scheduled_for) : bisect_right(owed, last)]
            assert len(covered) == row.count and covered[0] == row.scheduled_for and covered[-1] == last
            instants += covered
        assert len(instants) == len(set(instants))
        return set(instants)


class _Refusable:
    def __enter__(self) -> None:
        self.savepoint = database.session.begin_nested()

    def __exit__(self, kind: Any, error: Any, trace: Any) -> bool:
        if error is None:
            self.savepoint.commit()
            return False
        self.savepoint.rollback()
        database.session.expire_all()
        return isinstance(error, DomainError)


@pytest.mark.usefixtures("db")
def test_the_ledger_accounts_for_every_instant_exactly_once() -> None:
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
