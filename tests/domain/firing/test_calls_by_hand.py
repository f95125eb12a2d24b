"""An endpoint called by hand: run now, rehearsed, run again; never twice for one click, and only so often."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import set_edition
from domain.firing.bulk import RUN, continue_bulk, start_bulk
from domain.firing.lifecycle import pause_schedule
from domain.firing.rehearsing import NOT_SAVED, rehearse
from domain.firing.run_now import run_schedule_now
from domain.firing.tick import fire_due
from domain.kernel.errors import Held, Refused, Throttled
from domain.kernel.ids import first_id_at
from domain.runs.launch import rerun
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from tests.domain.firing.calls import HEALTH, SYNC, Installed
from tests.domain.firing.ledger import NOON, a_live_schedule, a_target, ledger, minute, occurrences, runs
from tests.factories import a_tenant

pytestmark = pytest.mark.usefixtures("db")
ALONE = {"overlap": "allow"}


def now_run(acme: Installed, schedule: Schedule, key: str = "key", at: float = 1) -> Run:
    return run_schedule_now(acme.actor, schedule.id, key, minute(at))


def finish(run: Run, db: Any, status: str = "succeeded") -> Run:
    run.ready_at = run.started_at = run.finished_at = NOON
    run.status = status
    db.flush()
    return run


def test_running_it_now_calls_it_with_an_occurrence_of_its_own(acme: Installed) -> None:
    schedule = acme.schedule(payload=[1, 2], max_attempts=2)
    run = now_run(acme, schedule)
    assert ledger(schedule) == [(1, "fired", None)]
    assert (occurrences(schedule)[0].id, occurrences(schedule)[0].origin_key) == (run.id, "run_now:key")
    assert (run.target_kind, run.lane, run.ready_at, run.started_by) == ("endpoint", "call", None, "manual")
    assert (run.install_id, run.endpoint_id, run.input_json) == (acme.install.id, acme.endpoint().id, [1, 2])
    assert run.trigger_metadata == {
        "triggerType": "manual",
        "scheduleId": str(schedule.id),
        "scheduledFor": "2026-06-01T12:01:00Z",
        "firedAt": "2026-06-01T12:01:00Z",
        "timezone": "UTC",
        "cron": "*/5 * * * *",
        "scheduleName": SYNC,
        "extensionId": str(acme.extension.id),
        "extension": "com.acme.rmm-sync",
        "installId": str(acme.install.id),
        "endpointId": str(acme.endpoint().id),
        "method": "POST",
        "path": "/api/sync",
        "maxAttempts": 2,
    }


def test_a_double_click_is_one_run(acme: Installed) -> None:
    schedule = acme.schedule()
    assert now_run(acme, schedule).id == now_run(acme, schedule).id
    assert len(runs(schedule)) == 1


def test_a_paused_one_can_be_run_by_hand(acme: Installed) -> None:
    schedule = acme.schedule()
    pause_schedule(acme.actor, schedule.id, "", minute(1))
    assert now_run(acme, schedule).status == "queued"


def test_the_overlap_policy_holds_for_a_click_too(acme: Installed) -> None:
    schedule = acme.schedule()
    now_run(acme, schedule, "first")
    with pytest.raises(Held) as held:
        now_run(acme, schedule, "second")
    assert held.value.code == "OVERLAP"


def test_a_disabled_extension_is_not_called(acme: Installed) -> None:
    schedule = acme.schedule()
    acme.disable()
    assert held_code(acme, schedule) == "INSTALL_DISABLED"


def test_an_endpoint_that_is_gone_is_not_called(acme: Installed) -> None:
    schedule = acme.schedule()
    acme.install_version(acme.publish("2.0.0", HEALTH))
    assert held_code(acme, schedule) == "ENDPOINT_STALE"


def test_an_extension_that_was_removed_is_not_called(acme: Installed) -> None:
    schedule = acme.schedule()
    acme.install.deleted_at = NOON
    assert held_code(acme, schedule) == "NOT_INSTALLED"


def test_nothing_is_called_without_a_runner(acme: Installed, configure: Callable[..., None]) -> None:
    schedule = acme.schedule()
    configure(runner_url="")
    assert held_code(acme, schedule) == "RUNNER_NOT_CONFIGURED"


def test_nothing_is_called_in_another_edition(acme: Installed) -> None:
    schedule = acme.schedule()
    set_edition(acme.actor, "community")
    assert held_code(acme, schedule) == "EDITION_REQUIRED"


def test_an_invalid_one_is_not_run(acme: Installed, db: Any) -> None:
    schedule = acme.schedule()
    schedule.status, schedule.invalid_reason = "invalid", "payload/region: region is missing"
    db.flush()
    assert held_code(acme, schedule) == "SCHEDULE_INVALID"


def held_code(acme: Installed, schedule: Schedule) -> str:
    with pytest.raises(Held) as held:
        now_run(acme, schedule)
    assert runs(schedule) == []
    return held.value.code


def test_five_calls_by_hand_a_minute_are_enough_for_a_tenant(acme: Installed) -> None:
    schedules = [acme.schedule(**ALONE), Installed(acme.tenant, "com.acme.other").schedule(**ALONE)]
    for number in range(5):
        now_run(acme, schedules[number % 2], f"key {number}")
    with pytest.raises(Throttled, match="5 times a minute") as throttled:
        now_run(acme, schedules[0], "one more")
    assert throttled.value.code == "RUN_NOW_LIMIT"
    assert now_run(acme, schedules[0], "key 0")


def test_other_tenants_and_workflows_do_not_count(acme: Installed, configure: Callable[..., None]) -> None:
    configure(endpoint_run_now_per_minute=1)
    charlies, schedule = Installed(a_tenant("other")), acme.schedule(**ALONE)
    now_run(charlies, charlies.schedule())
    of_workflow = a_live_schedule(a_target(acme.tenant), cron="0 * * * *", overlap="allow")
    for number in range(2):
        run_schedule_now(acme.actor, of_workflow.id, f"workflow {number}", minute(1))
    assert now_run(acme, schedule)
    assert run_schedule_now(acme.actor, of_workflow.id, "workflow 3", minute(1))


@pytest.mark.parametrize(("seconds_ago", "is_free"), [(59, False), (61, True)])
def test_only_calls_of_the_last_minute_count(
    acme: Installed, configure: Callable[..., None], db: Any, seconds_ago: int, is_free: bool
) -> None:
    configure(endpoint_run_now_per_minute=1)
    schedule = acme.schedule(**ALONE)
    now_run(acme, schedule, "first").id = first_id_at(minute(1) - timedelta(seconds=seconds_ago))
    db.flush()
    if is_free:
        assert now_run(acme, schedule, "again")
    else:
        with pytest.raises(Throttled):
            now_run(acme, schedule, "again")


def test_what_fired_by_its_timing_does_not_count(acme: Installed, configure: Callable[..., None]) -> None:
    configure(endpoint_run_now_per_minute=1)
    schedule = acme.schedule(**ALONE)
    fire_due(minute(5))
    assert now_run(acme, schedule, at=5)


def test_a_rehearsal_calls_it_and_belongs_to_no_schedule(acme: Installed) -> None:
    draft = acme.draft(payload={"full": True}, name="", cron="", max_attempts=1)
    run = rehearse(acme.actor, draft, "", "key", minute(1))
    assert (run.is_rehearsal, run.schedule_id, run.lane, run.input_json) == (True, None, "call", {"full": True})
    told = run.trigger_metadata
    assert told["rehearsal"] is True
    assert (told["scheduleId"], told["scheduleName"], told["maxAttempts"]) == (str(NOT_SAVED), SYNC, 1)
    assert (told["method"], told["path"], told["installId"]) == ("POST", "/api/sync", str(acme.install.id))
    assert rehearse(acme.actor, draft, "", "key", minute(1)).id == run.id


def test_a_rehearsal_counts_as_a_call_by_hand(acme: Installed, configure: Callable[..., None]) -> None:
    configure(endpoint_run_now_per_minute=1)
    rehearse(acme.actor, acme.draft(), "", "first", minute(1))
    with pytest.raises(Throttled):
        rehearse(acme.actor, acme.draft(), "", "second", minute(1))


@pytest.mark.parametrize(("called", "payload", "path"), [(HEALTH, {}, "payload"), (SYNC, "1", "payload")])
def test_a_payload_that_is_not_taken_is_not_rehearsed(acme: Installed, called: str, payload: Any, path: str) -> None:
    with pytest.raises(Refused) as refused:
        rehearse(acme.actor, acme.draft(called, payload=payload), "", "key", minute(1))
    assert [problem.path for problem in refused.value.problems] == [path]


def test_nothing_is_rehearsed_without_a_runner(acme: Installed, configure: Callable[..., None]) -> None:
    configure(runner_url="")
    with pytest.raises(Refused) as refused:
        rehearse(acme.actor, acme.draft(), "", "key", minute(1))
    assert [(one.path, one.code) for one in refused.value.problems] == [("endpointId", "RUNNER_NOT_CONFIGURED")]


def test_running_it_again_calls_what_the_installed_version_has(acme: Installed, db: Any) -> None:
    first = finish(now_run(acme, acme.schedule(payload={"n": 1}, max_attempts=4)), db)
    acme.version = acme.publish("2.0.0")
    acme.install_version(acme.version)
    again = rerun(acme.actor, first.id, "again", minute(2))
    assert (again.endpoint_id, again.extension_version_id) == (acme.endpoint().id, acme.version.id)
    assert (again.started_by, again.input_json, again.lane, again.schedule_id) == ("rerun", {"n": 1}, "call", None)
    told = again.trigger_metadata
    assert (told["rerunOf"], told["endpointId"], told["maxAttempts"]) == (str(first.id), str(acme.endpoint().id), 4)
    (entry,) = db.scalars(select(AuditEntry).where(AuditEntry.subject_id == again.id))
    assert entry.after == {
        "extension": "com.acme.rmm-sync",
        "endpoint": SYNC,
        "version": "2.0.0",
        "rerunOf": str(first.id),
    }
    assert rerun(acme.actor, first.id, "again", minute(2)).id == again.id


def test_running_it_again_with_another_payload_checks_that(acme: Installed, db: Any) -> None:
    first = finish(now_run(acme, acme.schedule()), db)
    assert rerun(acme.actor, first.id, "again", minute(2), payload=[3]).input_json == [3]
    with pytest.raises(Refused) as refused:
        rerun(acme.actor, first.id, "once more", minute(2), payload=3)
    assert refused.value.problems[0].code == "PAYLOAD_NOT_OBJECT_OR_LIST"


def test_what_the_installed_version_does_not_have_is_not_run_again(acme: Installed, db: Any) -> None:
    first = finish(now_run(acme, acme.schedule()), db)
    acme.install_version(acme.publish("2.0.0", HEALTH))
    assert rerun_code(acme, first) == "ENDPOINT_STALE"


def test_a_disabled_extension_is_not_called_again(acme: Installed, db: Any) -> None:
    first = finish(now_run(acme, acme.schedule()), db)
    acme.disable()
    assert rerun_code(acme, first) == "INSTALL_DISABLED"


def test_a_removed_extension_is_not_called_again(acme: Installed, db: Any) -> None:
    first = finish(now_run(acme, acme.schedule()), db)
    acme.install.deleted_at = NOON
    db.flush()
    assert rerun_code(acme, first) == "NOT_INSTALLED"


def rerun_code(acme: Installed, run: Run) -> str:
    with pytest.raises(Held) as held:
        rerun(acme.actor, run.id, "again", minute(2))
    return held.value.code


def test_running_it_again_counts_as_a_call_by_hand(acme: Installed, configure: Callable[..., None], db: Any) -> None:
    configure(endpoint_run_now_per_minute=2)
    first = finish(now_run(acme, acme.schedule()), db)
    rerun(acme.actor, first.id, "again", minute(1))
    with pytest.raises(Throttled):
        rerun(acme.actor, first.id, "once more", minute(1))


def test_many_at_once_are_started_as_far_as_the_limit_goes(
    acme: Installed, configure: Callable[..., None], db: Any
) -> None:
    configure(endpoint_run_now_per_minute=2)
    calls = [acme.schedule(name=f"Call {number}") for number in range(3)]
    of_workflow = a_live_schedule(a_target(acme.tenant), cron="0 * * * *")
    start_bulk(acme.actor, RUN, [one.id for one in (*calls, of_workflow)], "bulk")
    bulk = continue_bulk(acme.actor, "bulk", minute(1))
    assert len(bulk.done) == 3
    (reason,) = bulk.refused_by_reason
    assert reason.startswith("Extensions can be called by hand 2 times a minute")
    assert len(runs(of_workflow)) == 1
