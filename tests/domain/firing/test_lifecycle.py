"""What people do to schedules: nothing is retroactive, nothing is lost, nothing fires in the past by surprise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select, text

from domain.accounts.audit import AuditEntry
from domain.firing.lifecycle import create_schedule, delete_schedule, edit_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.firing.tick import fire_due
from domain.kernel.errors import Conflict, Held, NotFound, Refused, StaleTransition
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.schedules import ACTIVE, COMPLETED, INVALID, PAUSED, Schedule
from tests.domain.firing.ledger import (
    NOON,
    a_held_back_schedule,
    a_live_schedule,
    a_target,
    cursor,
    ledger,
    minute,
    occurrences,
    runs,
    tick_until_idle,
)
from tests.factories import a_tenant, a_user, a_version, an_actor

pytestmark = pytest.mark.usefixtures("db")
STRICT = {"type": "object", "properties": {"region": {"enum": ["eu", "us"]}}, "required": ["region"]}


class Cast:
    def __init__(self) -> None:
        self.tenant = a_tenant()
        self.alice = a_user(self.tenant)
        self.actor = an_actor(self.tenant, self.alice)
        self.workflow = a_target(self.tenant)


@pytest.fixture
def cast(db: Any) -> Cast:
    return Cast()


def draft_of(schedule: Schedule, **changes: Any) -> ScheduleDraft:
    values = {
        "workflow_id": schedule.workflow_id,
        "name": schedule.name,
        "trigger_type": schedule.trigger_type,
        "cron": schedule.cron,
        "run_at": schedule.run_at.isoformat() if schedule.run_at else None,
        "timezone": schedule.timezone,
        "payload": schedule.payload_json,
        "enabled": schedule.enabled,
        "overlap": schedule.overlap,
        "spread_seconds": schedule.spread_seconds,
    }
    return ScheduleDraft(**values | changes)


def problems_of(draft: ScheduleDraft, cast: Cast) -> dict[str, str]:
    with pytest.raises(Refused) as refused:
        create_schedule(cast.actor, draft, NOON)
    return {problem.path: problem.code for problem in refused.value.problems}


def test_pausing_decides_what_was_due_before_and_nothing_after(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    pause_schedule(cast.actor, schedule.id, "supplier outage", minute(1.01))
    tick_until_idle(minute(5))
    assert ledger(schedule) == [(1, "fired", None)]
    assert (schedule.status, schedule.pause_reason, schedule.paused_by) == (PAUSED, "supplier outage", cast.alice.id)


def test_resuming_accounts_for_the_pause_with_one_row_and_fires_from_the_next_instant(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    pause_schedule(cast.actor, schedule.id, "supplier outage", minute(0.5))
    resume_schedule(cast.actor, schedule.id, minute(10.5))
    tick_until_idle(minute(11))
    assert ledger(schedule) == [(1, "skipped", "paused"), (11, "fired", None)]
    gap = occurrences(schedule)[0]
    assert (gap.count, gap.through, gap.actor_id) == (10, minute(10), cast.alice.id)
    assert gap.detail == "The schedule was paused: supplier outage"
    assert schedule.status == ACTIVE and schedule.paused_by is None


def test_a_pause_and_a_resume_between_two_instants_leave_no_row(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow, cron="0 * * * *")
    pause_schedule(cast.actor, schedule.id, "", minute(1))
    resume_schedule(cast.actor, schedule.id, minute(2))
    assert ledger(schedule) == []
    assert cursor(schedule).next_fire_at == minute(60)


def test_only_an_active_schedule_can_be_paused_and_only_another_one_resumed(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    with pytest.raises(StaleTransition):
        resume_schedule(cast.actor, schedule.id, NOON)
    pause_schedule(cast.actor, schedule.id, "", NOON)
    with pytest.raises(StaleTransition):
        pause_schedule(cast.actor, schedule.id, "", NOON)


def test_resuming_binds_to_the_published_version_and_checks_the_payload_again(cast: Cast, db: Any) -> None:
    schedule = a_live_schedule(cast.workflow, payload={"region": "eu"}, enabled=False)
    a_version(cast.workflow, 2, schema=STRICT)
    cast.workflow.published_version = 2
    db.flush()
    resume_schedule(cast.actor, schedule.id, NOON)
    assert schedule.workflow_version == 2
    pause_schedule(cast.actor, schedule.id, "", NOON)
    a_version(cast.workflow, 3, schema=STRICT | {"required": ["region", "batch"]})
    cast.workflow.published_version = 3
    db.flush()
    with pytest.raises(Refused) as refused:
        resume_schedule(cast.actor, schedule.id, NOON)
    assert [problem.path for problem in refused.value.problems] == ["payload/batch"]
    assert schedule.status == PAUSED


@pytest.mark.parametrize("status", ["completed", "paused"])
def test_resuming_a_one_time_schedule_whose_time_has_passed_demands_a_new_time(cast: Cast, status: str) -> None:
    schedule = a_live_schedule(cast.workflow, trigger_type="schedule", run_at="2026-06-01T12:05:00Z", cron=None)
    if status == "paused":
        pause_schedule(cast.actor, schedule.id, "", minute(1))
    tick_until_idle(minute(6))
    fired = len(runs(schedule))
    with pytest.raises(Refused) as refused:
        resume_schedule(cast.actor, schedule.id, minute(7))
    assert refused.value.problems[0].code == "RUN_AT_IN_PAST"
    tick_until_idle(minute(8))
    assert len(runs(schedule)) == fired


def test_editing_a_completed_schedule_to_a_new_time_makes_it_fire_again(cast: Cast, db: Any) -> None:
    schedule = a_live_schedule(cast.workflow, trigger_type="schedule", run_at="2026-06-01T12:05:00Z", cron=None)
    tick_until_idle(minute(5))
    db.refresh(schedule)
    assert schedule.status == COMPLETED
    edit_schedule(
        cast.actor,
        schedule.id,
        schedule.revision,
        draft_of(schedule, run_at="2026-06-01T12:09:00Z", enabled=True),
        minute(6),
    )
    tick_until_idle(minute(9))
    assert ledger(schedule) == [(5, "fired", None), (9, "fired", None)]


def test_editing_the_timing_decides_what_was_due_under_the_old_one_and_never_fires_at_once(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, cron="*/30 * * * *"), minute(1.5))
    tick_until_idle(minute(29))
    assert ledger(schedule) == [(1, "fired", None)]
    tick_until_idle(minute(30))
    assert ledger(schedule) == [(1, "fired", None), (30, "fired", None)]


def test_editing_the_payload_keeps_the_cursor_and_counts_from_the_next_fire(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow, payload={"n": 1})
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, payload={"n": 2}), minute(1.5))
    tick_until_idle(minute(2))
    assert [run.input_json for run in runs(schedule)] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("payload", [{"n": True}, {"n": 1.0}])
def test_a_payload_that_only_python_takes_for_the_same_is_stored_and_on_record(
    cast: Cast, db: Any, payload: dict[str, Any]
) -> None:
    schedule = a_live_schedule(cast.workflow, payload={"n": 1})
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, payload=payload), minute(0.5))
    db.expire_all()
    assert repr(schedule.payload_json) == repr(payload)
    entry = db.scalars(select(AuditEntry).where(AuditEntry.action == "schedule.edited")).one()
    assert (repr(entry.before), repr(entry.after)) == (repr({"payload": {"n": 1}}), repr({"payload": payload}))


def test_what_a_spread_holds_back_is_accounted_for_when_the_timing_changes(cast: Cast) -> None:
    schedule = a_held_back_schedule(cast.workflow)
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, cron="0 18 * * *"), minute(60.01))
    assert ledger(schedule) == [(60, "skipped", "superseded")]


@pytest.mark.parametrize("catch_up", ["skip", "latest"])
def test_a_smaller_spread_neither_fires_at_once_nor_loses_what_the_larger_one_held_back(
    cast: Cast, catch_up: str
) -> None:
    schedule = a_held_back_schedule(cast.workflow, catch_up=catch_up)
    sooner = replace(draft_of(schedule, spread_seconds=0), catch_up=catch_up)
    edit_schedule(cast.actor, schedule.id, schedule.revision, sooner, minute(60.01))
    tick_until_idle(minute(60.01))
    assert ledger(schedule) == [(60, "skipped", "superseded")]
    assert cursor(schedule).next_fire_at == minute(60 + 24 * 60)


def test_what_a_spread_still_holds_back_after_an_edit_fires_then(cast: Cast) -> None:
    schedule = a_held_back_schedule(cast.workflow)
    looked_at = cursor(schedule).wake_at
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, name="Renamed"), minute(60.01))
    assert (cursor(schedule).wake_at, ledger(schedule)) == (looked_at, [])


def test_editing_a_paused_schedule_accounts_for_its_pause_first_and_leaves_it_paused(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    pause_schedule(cast.actor, schedule.id, "quiet", minute(0.5))
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, cron="*/5 * * * *"), minute(3.5))
    assert ledger(schedule) == [(1, "skipped", "paused")] and occurrences(schedule)[0].count == 3
    assert (schedule.status, schedule.pause_reason) == (PAUSED, "quiet")
    assert (cursor(schedule).next_fire_at, cursor(schedule).wake_at) == (minute(5), None)


def test_an_invalid_schedule_that_is_mended_waits_for_somebody_to_resume_it(cast: Cast, db: Any) -> None:
    schedule = a_live_schedule(cast.workflow, payload={"n": 1})
    a_version(cast.workflow, 2, schema=STRICT)
    cast.workflow.published_version = 2
    db.execute(text("UPDATE schedules SET status = 'invalid', invalid_reason = 'x'"))
    db.refresh(schedule)
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, payload={"region": "eu"}), minute(0.5))
    assert schedule.status == PAUSED and schedule.pause_reason and schedule.workflow_version == 2


def test_of_two_people_editing_at_once_the_second_sees_a_conflict(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    seen = schedule.revision
    edit_schedule(cast.actor, schedule.id, seen, draft_of(schedule, name="First"), NOON)
    with pytest.raises(Conflict):
        edit_schedule(cast.actor, schedule.id, seen, draft_of(schedule, name="Second"), NOON)
    assert schedule.name == "First"


def test_deleting_ends_it_and_keeps_its_history(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    delete_schedule(cast.actor, schedule.id, minute(1.5))
    tick_until_idle(minute(5))
    assert ledger(schedule) == [(1, "fired", None)] and len(runs(schedule)) == 1
    with pytest.raises(NotFound):
        pause_schedule(cast.actor, schedule.id, "", minute(6))
    a_live_schedule(cast.workflow, schedule.name)


def test_a_poisoned_schedule_can_be_edited_back_to_health(cast: Cast, db: Any) -> None:
    schedule = a_live_schedule(cast.workflow)
    db.execute(text("UPDATE schedules SET cron = 'rubbish'"))
    tick_until_idle(minute(1))
    db.refresh(schedule)
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, cron="* * * * *"), minute(1.5))
    tick_until_idle(minute(2))
    assert ledger(schedule) == [(1, "skipped", "superseded"), (2, "fired", None)]
    assert cursor(schedule).last_error is None


def test_run_now_starts_one_run_however_often_the_button_is_pressed(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow, payload={"n": 1})
    first = run_schedule_now(cast.actor, schedule.id, "key-1", minute(0.25))
    assert all(run_schedule_now(cast.actor, schedule.id, "key-1", minute(0.3)).id == first.id for _ in range(5))
    assert [row.origin_key for row in occurrences(schedule)] == ["run_now:key-1"]
    assert len(runs(schedule)) == 1
    assert (first.input_json, first.started_by, first.trigger_metadata["triggerType"]) == ({"n": 1}, "manual", "manual")
    assert cursor(schedule).last_fire_at is None and cursor(schedule).next_fire_at == minute(1)


def test_run_now_works_while_paused_and_not_while_invalid(cast: Cast, db: Any) -> None:
    schedule = a_live_schedule(cast.workflow, enabled=False)
    run_schedule_now(cast.actor, schedule.id, "key-1", NOON)
    db.execute(
        text("UPDATE schedules SET status = 'invalid', invalid_reason = 'x', paused_at = NULL, paused_by = NULL")
    )
    with pytest.raises(Held) as held:
        run_schedule_now(cast.actor, schedule.id, "key-2", NOON)
    assert held.value.code == "SCHEDULE_INVALID"
    assert len(runs(schedule)) == 1


def test_run_now_respects_overlap_skip_and_a_paused_workflow(cast: Cast, db: Any) -> None:
    schedule = a_live_schedule(cast.workflow, overlap="skip")
    run_schedule_now(cast.actor, schedule.id, "key-1", NOON)
    with pytest.raises(Held, match="still going"):
        run_schedule_now(cast.actor, schedule.id, "key-2", NOON)
    db.execute(text("UPDATE workflows SET paused_at = now(), pause_reason = 'audit'"))
    db.expire_all()
    with pytest.raises(Held, match="paused: audit"):
        run_schedule_now(cast.actor, schedule.id, "key-3", NOON)


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"name": ""}, "name", "NAME_REQUIRED"),
        ({"name": "x" * 129}, "name", "NAME_TOO_LONG"),
        ({"name": "a\x07b"}, "name", "NAME_CHARACTERS"),
        ({"cron": "* * * *"}, "cron", "CRON_INVALID"),
        ({"cron": "0 * * * * *"}, "cron", "CRON_INVALID"),
        ({"cron": "61 * * * *"}, "cron", "CRON_INVALID"),
        ({"cron": "0 0 30 2 *"}, "cron", "CRON_NEVER_FIRES"),
        ({"cron": ""}, "cron", "CRON_REQUIRED"),
        ({"timezone": "America"}, "timezone", "TIMEZONE_INVALID"),
        ({"timezone": "localtime"}, "timezone", "TIMEZONE_INVALID"),
        ({"timezone": "../x"}, "timezone", "TIMEZONE_INVALID"),
        ({"trigger_type": "schedule", "run_at": "2026-05-31T12:00:00Z"}, "runAt", "RUN_AT_IN_PAST"),
        ({"trigger_type": "schedule", "run_at": "2026-07-01T12:00:00"}, "runAt", "RUN_AT_INVALID"),
        ({"trigger_type": "schedule"}, "runAt", "RUN_AT_REQUIRED"),
        ({"trigger_type": "sometimes"}, "triggerType", "TRIGGER_TYPE_INVALID"),
        ({"payload": "{"}, "payload", "JSON_INVALID"),
        ({"payload": "[]"}, "payload", "PAYLOAD_NOT_OBJECT"),
        ({"payload": '{"a": NaN}'}, "payload", "JSON_NUMBER"),
        ({"payload": '{"a": 1, "a": 2}'}, "payload", "JSON_DUPLICATE_KEY"),
        ({"payload": '{"a":' * 40 + "1" + "}" * 40}, "payload", "JSON_TOO_DEEP"),
        ({"payload": '{"a": "' + "x" * 256_000 + '"}'}, "payload", "JSON_TOO_LARGE"),
        ({"payload": '{"a": {"$secret": "KEY"}}'}, "payload/a", "SECRET_NOT_ALLOWED"),
        ({"overlap": "sometimes"}, "overlap", "CHOICE_INVALID"),
        ({"catch_up": None}, "catchUp", "CHOICE_INVALID"),
        ({"max_lateness_seconds": "-1"}, "maxLatenessSeconds", "NUMBER_INVALID"),
        ({"spread_seconds": "99999"}, "spreadSeconds", "NUMBER_INVALID"),
        ({"ends_at": "2026-06-01T11:00:00Z"}, "endsAt", "WINDOW_EMPTY"),
    ],
)
def test_bad_input_names_its_field_and_changes_nothing(
    cast: Cast, db: Any, changes: dict[str, Any], path: str, code: str
) -> None:
    values = {"workflow_id": cast.workflow.id, "name": "Nightly", "cron": "0 9 * * *", "timezone": "UTC"} | changes
    assert problems_of(ScheduleDraft(**values), cast).get(path) == code
    assert db.scalars(select(Schedule)).all() == []


def test_every_problem_is_told_at_once(cast: Cast) -> None:
    draft = ScheduleDraft(workflow_id=cast.workflow.id, name="", cron="x", timezone="Nowhere", payload="[")
    assert set(problems_of(draft, cast)) == {"name", "cron", "timezone", "payload"}


def test_a_name_is_unique_within_its_workflow(cast: Cast, db: Any) -> None:
    a_live_schedule(cast.workflow, "Nightly")
    draft = ScheduleDraft(workflow_id=cast.workflow.id, name="Nightly", cron="0 9 * * *")
    with db.begin_nested() as savepoint:
        assert problems_of(draft, cast) == {"name": "NAME_TAKEN"}
        savepoint.rollback()
    other = a_target(cast.tenant, "Other")
    a_live_schedule(other, "Nightly")


def test_a_payload_that_does_not_fit_is_refused_at_its_pointer(cast: Cast) -> None:
    strict = a_target(cast.tenant, "Strict", schema=STRICT)
    draft = ScheduleDraft(workflow_id=strict.id, name="Nightly", cron="0 9 * * *", payload="{}")
    assert list(problems_of(draft, cast)) == ["payload/region"]


@pytest.mark.parametrize("change", ["published_version = NULL", None])
def test_a_workflow_without_published_version_or_pinned_schema_cannot_be_scheduled(
    cast: Cast, db: Any, change: str | None
) -> None:
    if change:
        db.execute(text(f"UPDATE workflows SET {change}"))
        db.expire_all()
        workflow = cast.workflow
    else:
        workflow = a_target(cast.tenant, "Inferred")
        version = a_version(workflow, 2)
        assert version.version == 2
        db.execute(text("ALTER TABLE workflow_versions DISABLE TRIGGER immutable"))
        db.execute(text("UPDATE workflow_versions SET payload_schema_mode = 'inferred' WHERE version = 2"))
        db.execute(text("ALTER TABLE workflow_versions ENABLE TRIGGER immutable"))
        workflow.published_version = 2
        db.flush()
        db.expire_all()
    draft = ScheduleDraft(workflow_id=workflow.id, name="Nightly", cron="0 9 * * *")
    codes = problems_of(draft, cast)
    assert codes["workflowId"] in ("WORKFLOW_NOT_PUBLISHED", "WORKFLOW_PAYLOAD_SCHEMA_NOT_PINNED")


def test_strangers_find_nothing(cast: Cast) -> None:
    schedule = a_live_schedule(cast.workflow)
    other = a_tenant("globex")
    charlie = an_actor(other, a_user(other, "charlie@globex.test"))
    for command in (
        lambda: pause_schedule(charlie, schedule.id, "", NOON),
        lambda: resume_schedule(charlie, schedule.id, NOON),
        lambda: delete_schedule(charlie, schedule.id, NOON),
        lambda: run_schedule_now(charlie, schedule.id, "k", NOON),
        lambda: edit_schedule(charlie, schedule.id, 1, draft_of(schedule), NOON),
        lambda: create_schedule(charlie, draft_of(schedule, name="Mine"), NOON),
    ):
        with pytest.raises(NotFound):
            command()
    assert schedule.status == ACTIVE


def test_every_change_writes_one_audit_row_with_who_and_what(cast: Cast, db: Any) -> None:
    draft = ScheduleDraft(workflow_id=cast.workflow.id, name="Nightly", cron="0 9 * * *")
    schedule = create_schedule(cast.actor, draft, NOON)
    edit_schedule(cast.actor, schedule.id, schedule.revision, draft_of(schedule, cron="0 8 * * *"), NOON)
    pause_schedule(cast.actor, schedule.id, "quiet", NOON)
    resume_schedule(cast.actor, schedule.id, NOON)
    run_schedule_now(cast.actor, schedule.id, "k", NOON)
    delete_schedule(cast.actor, schedule.id, NOON)
    entries = db.scalars(select(AuditEntry).where(AuditEntry.subject_id == schedule.id).order_by(AuditEntry.id)).all()
    assert [entry.action.partition(".")[2] for entry in entries] == [
        "created", "edited", "paused", "resumed", "run_now", "deleted",
    ]  # fmt: skip
    assert {entry.actor_id for entry in entries} == {cast.alice.id}
    assert (entries[1].before, entries[1].after) == ({"cron": "0 9 * * *"}, {"cron": "0 8 * * *"})


def test_an_invalid_schedule_is_still_looked_at_and_refused(cast: Cast, db: Any) -> None:
    schedule = a_live_schedule(cast.workflow)
    db.execute(text("UPDATE schedules SET status = 'invalid', invalid_reason = 'payload/region: region is required'"))
    tick_until_idle(minute(1))
    fire_due(minute(2))
    assert ledger(schedule) == [(1, "refused", "payload_invalid"), (2, "refused", "payload_invalid")]
    assert db.get_one(Schedule, schedule.id, populate_existing=True).status == INVALID
