"""Schedules of endpoints fire by the same ledger and the same tick as those of workflows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.accounts.tenants import set_edition
from domain.firing.backfilling import plan_backfill, start_backfill
from domain.firing.lifecycle import pause_schedule, resume_schedule
from domain.firing.resuming import pause_backlog
from domain.firing.skipping import skip_next
from domain.firing.tick import fire_due, settle
from domain.kernel.errors import Held
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from tests.domain.firing.calls import HEALTH, Installed
from tests.domain.firing.ledger import (
    NOON,
    a_live_schedule,
    a_target,
    cursor,
    ledger,
    minute,
    occurrences,
    runs,
    tick_until_idle,
)
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("db")


def end(run: Run, db: Any) -> None:
    run.ready_at = run.started_at = NOON
    run.status, run.finished_at = "succeeded", NOON
    db.flush()


def test_an_instant_becomes_an_occurrence_and_a_call(acme: Installed) -> None:
    schedule = acme.schedule(name="Nightly", payload={"full": False}, max_attempts=5)
    tick_until_idle(minute(5))
    assert ledger(schedule) == [(5, "fired", None)]
    (run,), (occurrence,) = runs(schedule), occurrences(schedule)
    assert run.id == occurrence.id
    assert (run.target_kind, run.lane, run.status, run.started_by) == ("endpoint", "call", "queued", "recurring")
    assert (run.install_id, run.endpoint_id) == (acme.install.id, acme.endpoint().id)
    assert (run.extension_version_id, run.workflow_id, run.workflow_version) == (acme.version.id, None, None)
    assert (run.input_json, run.schedule_id) == ({"full": False}, schedule.id)
    assert run.trigger_metadata == {
        "triggerType": "recurring",
        "scheduleId": str(schedule.id),
        "scheduledFor": "2026-06-01T12:05:00Z",
        "firedAt": "2026-06-01T12:05:00Z",
        "timezone": "UTC",
        "cron": "*/5 * * * *",
        "scheduleName": "Nightly",
        "extensionId": str(acme.extension.id),
        "extension": "com.acme.rmm-sync",
        "installId": str(acme.install.id),
        "endpointId": str(acme.endpoint().id),
        "method": "POST",
        "path": "/api/sync",
        "maxAttempts": 5,
    }


def test_a_call_is_never_ready_before_it_was_admitted(acme: Installed) -> None:
    schedule = acme.schedule(overlap="allow")
    tick_until_idle(minute(5))
    assert [run.ready_at for run in runs(schedule)] == [None]


def test_a_call_without_a_payload_has_the_null_of_json(acme: Installed) -> None:
    schedule = acme.schedule(HEALTH)
    tick_until_idle(minute(5))
    assert [run.input_json for run in runs(schedule)] == [None]


def test_a_one_time_call_completes(acme: Installed, db: Any) -> None:
    schedule = acme.schedule(trigger_type="schedule", run_at="2026-06-01T12:03:00Z", cron=None)
    tick_until_idle(minute(3))
    assert ledger(schedule) == [(3, "fired", None)]
    assert runs(schedule)[0].started_by == "schedule"
    assert "cron" not in runs(schedule)[0].trigger_metadata
    db.refresh(schedule)
    assert schedule.status == "completed"


def test_calls_and_runs_of_workflows_fire_in_one_tick(acme: Installed, db: Any) -> None:
    calls = [acme.schedule(), acme.schedule(HEALTH)]
    workflow = a_target(acme.tenant)
    of_workflow = a_live_schedule(workflow, cron="*/5 * * * *", payload={"n": 1})
    db.flush()
    with counted() as statements:
        assert fire_due(minute(5)) == 3
    assert len(statements) == 6
    assert [ledger(one) for one in (*calls, of_workflow)] == [[(5, "fired", None)]] * 3
    (run,) = runs(of_workflow)
    assert (run.target_kind, run.workflow_id, run.install_id) == ("workflow", workflow.id, None)
    assert run.ready_at == minute(5)
    assert run.trigger_metadata["workflowId"] == str(workflow.id)
    assert {"installId", "method", "maxAttempts"}.isdisjoint(run.trigger_metadata)


def test_a_workflow_that_takes_the_clock_is_told_nothing_of_endpoints(acme: Installed) -> None:
    workflow = a_target(acme.tenant, ref="trigger.clock.v1")
    schedule = a_live_schedule(workflow, cron="*/5 * * * *")
    tick_until_idle(minute(5))
    assert set(runs(schedule)[0].trigger_metadata) == {
        "triggerType",
        "scheduleId",
        "scheduledFor",
        "firedAt",
        "timezone",
        "cron",
        "workflowId",
        "workflowVersion",
        "scheduleName",
    }
    assert "scheduleName" not in runs(schedule)[0].input_json
    assert runs(schedule)[0].input_json["workflowId"] == str(workflow.id)


def test_overlap_skips_and_says_so(acme: Installed, db: Any) -> None:
    schedule = acme.schedule()
    tick_until_idle(minute(5))
    tick_until_idle(minute(10))
    assert ledger(schedule) == [(5, "fired", None), (10, "skipped", "overlap")]
    end(runs(schedule)[0], db)
    tick_until_idle(minute(15))
    assert ledger(schedule)[-1] == (15, "fired", None)


def test_two_schedules_of_one_endpoint_do_not_overlap_each_other(acme: Installed) -> None:
    schedules = [acme.schedule(), acme.schedule()]
    tick_until_idle(minute(5))
    assert [ledger(schedule) for schedule in schedules] == [[(5, "fired", None)]] * 2


def test_after_an_outage_the_latest_is_made_up(acme: Installed) -> None:
    schedule = acme.schedule()
    tick_until_idle(minute(62))
    assert [row for row in ledger(schedule) if row[1] == "fired"] == [(60, "fired", None)]
    assert sum(one.count for one in occurrences(schedule)) == 12


def test_what_calls_an_upgraded_extension_is_on_record_with_the_installed_version(acme: Installed, db: Any) -> None:
    schedule = acme.schedule()
    acme.version = acme.publish("2.0.0")
    acme.install_version(acme.version)
    schedule.endpoint_id = acme.endpoint().id
    db.flush()
    tick_until_idle(minute(5))
    assert [run.extension_version_id for run in runs(schedule)] == [acme.version.id]


def disabled(acme: Installed, configure: Callable[..., None]) -> None:
    acme.disable()


def stale(acme: Installed, configure: Callable[..., None]) -> None:
    acme.install_version(acme.publish("2.0.0", HEALTH))


def without_runner(acme: Installed, configure: Callable[..., None]) -> None:
    configure(runner_url="")


def on_another_edition(acme: Installed, configure: Callable[..., None]) -> None:
    set_edition(acme.actor, "community")


HOLDS = [
    (disabled, "install_disabled", "com.acme.rmm-sync is disabled: The vendor is down."),
    (stale, "endpoint_stale", "The installed version of com.acme.rmm-sync has no POST /api/sync."),
    (without_runner, "runner_not_configured", "No runner is configured, so no extension can be called."),
    (on_another_edition, "edition", "Schedules belong to the enterprise edition."),
]


@pytest.mark.parametrize(("hold", "reason", "detail"), HOLDS)
def test_a_held_call_is_recorded_as_refused_with_the_reason(
    acme: Installed, configure: Callable[..., None], hold: Any, reason: str, detail: str
) -> None:
    schedule = acme.schedule()
    hold(acme, configure)
    tick_until_idle(minute(5))
    assert ledger(schedule) == [(5, "refused", reason)]
    assert detail in str(occurrences(schedule)[0].detail)
    assert detail in str(cursor(schedule).last_error)
    assert runs(schedule) == []


@pytest.mark.parametrize(("hold", "reason", "detail"), HOLDS)
def test_a_schedule_of_a_workflow_does_not_mind_what_holds_calls(
    acme: Installed, configure: Callable[..., None], hold: Any, reason: str, detail: str
) -> None:
    schedule = a_live_schedule(a_target(acme.tenant))
    hold(acme, configure)
    tick_until_idle(minute(1))
    assert ledger(schedule)[0][1] == ("refused" if reason == "edition" else "fired")


def test_a_payload_that_no_longer_fits_is_refused(acme: Installed, db: Any) -> None:
    schedule = acme.schedule()
    schedule.status, schedule.invalid_reason = "invalid", "payload/region: region is missing"
    db.flush()
    tick_until_idle(minute(5))
    assert ledger(schedule) == [(5, "refused", "payload_invalid")]


def test_the_most_lasting_of_several_reasons_is_told(acme: Installed, configure: Callable[..., None]) -> None:
    schedule = acme.schedule()
    for hold in (disabled, stale, without_runner):
        hold(acme, configure)
    tick_until_idle(minute(5))
    assert ledger(schedule) == [(5, "refused", "endpoint_stale")]


def test_enabling_it_again_lets_the_next_instant_fire(acme: Installed) -> None:
    schedule = acme.schedule()
    acme.disable()
    tick_until_idle(minute(5))
    acme.install.disabled_at = acme.install.disable_reason = None
    tick_until_idle(minute(10))
    assert ledger(schedule) == [(5, "refused", "install_disabled"), (10, "fired", None)]


def test_what_was_due_before_something_changes_is_decided_as_it_was(acme: Installed) -> None:
    schedule = acme.schedule()
    settle([schedule.id], minute(5))
    acme.disable()
    tick_until_idle(minute(6))
    assert ledger(schedule) == [(5, "fired", None)]


def test_an_instant_that_is_to_be_skipped_is(acme: Installed) -> None:
    schedule = acme.schedule()
    skip_next(acme.actor, schedule.id, minute(5), minute(1))
    tick_until_idle(minute(10))
    assert ledger(schedule) == [(5, "skipped", "skip_next"), (10, "fired", None)]


def paused_for_a_quarter(acme: Installed, **values: Any) -> Schedule:
    schedule = acme.schedule(**values)
    pause_schedule(acme.actor, schedule.id, "", minute(1))
    return schedule


def test_a_pause_can_be_made_up_for(acme: Installed) -> None:
    schedule = paused_for_a_quarter(acme, overlap="allow")
    backlog = pause_backlog(acme.tenant.id, schedule.id, minute(16))
    assert backlog is not None
    assert (backlog.count, backlog.runnable, backlog.held) == (3, 3, None)
    resume_schedule(acme.actor, schedule.id, minute(16), catch_up="all")
    assert ledger(schedule) == [(5, "fired", None), (10, "fired", None), (15, "fired", None)]
    assert {run.lane for run in runs(schedule)} == {"call"}


def test_a_pause_is_not_made_up_for_without_a_runner(acme: Installed, configure: Callable[..., None]) -> None:
    schedule = paused_for_a_quarter(acme)
    configure(runner_url="")
    backlog = pause_backlog(acme.tenant.id, schedule.id, minute(16))
    assert backlog is not None
    assert backlog.held is not None and backlog.held.startswith("No runner is configured")
    with pytest.raises(Held) as held:
        resume_schedule(acme.actor, schedule.id, minute(16), catch_up="all")
    assert held.value.code == "RUNNER_NOT_CONFIGURED"


def test_a_past_range_is_backfilled_with_calls(acme: Installed) -> None:
    schedule = acme.schedule()
    acme.disable()
    tick_until_idle(minute(16))
    acme.install.disabled_at = acme.install.disable_reason = None
    plan = plan_backfill(acme.tenant.id, schedule.id, minute(1), minute(15), minute(16))
    assert (len(plan.instants), plan.problems) == (3, ())
    backfill = start_backfill(acme.actor, schedule.id, minute(1), minute(15), 2, "key", minute(16))
    made = runs(schedule)
    assert [run.backfill_id for run in made] == [backfill.id] * 3
    assert {(run.target_kind, run.lane, run.ready_at) for run in made} == {("endpoint", "call", None)}
    assert {run.trigger_metadata["backfillId"] for run in made} == {str(backfill.id)}


@pytest.mark.parametrize(("hold", "code"), [(disabled, "INSTALL_DISABLED"), (without_runner, "RUNNER_NOT_CONFIGURED")])
def test_nothing_is_backfilled_while_it_cannot_be_called(
    acme: Installed, configure: Callable[..., None], hold: Any, code: str
) -> None:
    schedule = acme.schedule()
    hold(acme, configure)
    tick_until_idle(minute(16))
    plan = plan_backfill(acme.tenant.id, schedule.id, minute(1), minute(15), minute(16))
    assert [problem.code for problem in plan.problems] == [code]
    with pytest.raises(Held) as held:
        start_backfill(acme.actor, schedule.id, minute(1), minute(15), 2, "key", minute(16))
    assert held.value.code == code
