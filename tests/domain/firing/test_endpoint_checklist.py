"""Why a schedule of an endpoint fires or not, and how lists find it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from domain.extensions.circuits import InstallCircuit
from domain.firing.checklist import Checklist, checklist
from domain.firing.checks import Check
from domain.firing.explain import explain
from domain.firing.lifecycle import delete_schedule
from domain.firing.run_now import run_schedule_now
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.runs.heartbeats import SCHEDULER, WORKER, beat
from domain.schedules.listing import ScheduleFilters, schedules_listed
from domain.schedules.narrowing import ScheduleFilter, matching_ids
from domain.schedules.pages import ScheduleRow, install_schedules, schedule_detail, schedules_page
from domain.schedules.schedules import Schedule
from domain.schedules.stored import stored_schedule
from tests.domain.firing.calls import HEALTH, SYNC, Installed
from tests.domain.firing.ledger import NOON, a_live_schedule, a_target, minute
from tests.factories import a_tenant
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture(autouse=True)
def alive(db: Any) -> None:
    for kind in (SCHEDULER, WORKER):
        beat(new_id(), kind, "host", 1, "dev", 60)


def detail(schedule: Schedule, db: Any) -> ScheduleRow:
    db.flush()
    db.expire_all()
    return schedule_detail(schedule.tenant_id, schedule.id)


def checked(schedule: Schedule, db: Any) -> Checklist:
    return checklist(detail(schedule, db), NOON)


def line(schedule: Schedule, name: str, db: Any) -> Check:
    (found,) = (check for check in checked(schedule, db).checks if check.name == name)
    return found


def test_when_all_is_well_every_line_says_so(acme: Installed, db: Any) -> None:
    found = checked(acme.schedule(), db)
    assert found.wrong == ()
    assert found.fires
    assert [check.name for check in found.checks] == [
        "enabled",
        "endpoint",
        "extension",
        "runner",
        "edition",
        "payload",
        "window",
        "timing",
        "scheduler",
        "worker",
        "previous",
        "slot",
        "clock",
    ]
    said = {check.name: check.sentence for check in found.checks}
    assert said["endpoint"] == "The installed version of com.acme.rmm-sync has POST /api/sync."
    assert said["payload"] == "Its payload fits POST /api/sync."
    assert said["slot"] == "com.acme.rmm-sync may have 4 calls at a time; none is going."


def test_it_asks_as_many_statements_as_for_a_workflow(acme: Installed, db: Any) -> None:
    counts = []
    for schedule in (acme.schedule(), a_live_schedule(a_target(acme.tenant), cron="0 * * * *")):
        row = detail(schedule, db)
        with counted() as statements:
            checklist(row, NOON)
        counts.append(len(statements))
    assert counts[0] == counts[1]


def disable(acme: Installed, configure: Callable[..., None]) -> None:
    acme.disable("The vendor is down.")


def leave_behind(acme: Installed, configure: Callable[..., None]) -> None:
    acme.install_version(acme.publish("2.0.0", HEALTH))


def take_the_runner_away(acme: Installed, configure: Callable[..., None]) -> None:
    configure(runner_url="")


@pytest.mark.parametrize(
    ("hold", "name", "remedy", "words"),
    [
        (disable, "extension", "extension", "com.acme.rmm-sync is disabled: The vendor is down."),
        (leave_behind, "endpoint", "endpoint", "The installed version of com.acme.rmm-sync has no POST /api/sync."),
        (take_the_runner_away, "runner", "system", "No runner is configured, so no extension can be called."),
    ],
)
def test_each_hold_is_explained_with_what_would_change_it(
    acme: Installed, configure: Callable[..., None], db: Any, hold: Any, name: str, remedy: str, words: str
) -> None:
    schedule = acme.schedule()
    hold(acme, configure)
    said = explain(detail(schedule, db), NOON)
    assert (said.fires, said.at, said.remedy) == (False, minute(5), remedy)
    assert str(said.reason).startswith(words)
    failing = line(schedule, name, db)
    assert (failing.state, failing.remedy) == ("fail", remedy)
    assert failing.sentence.startswith(words)


def test_one_left_behind_and_paused_asks_for_another_endpoint(
    acme: Installed, configure: Callable[..., None], db: Any
) -> None:
    schedule = acme.schedule(enabled=False)
    assert explain(detail(schedule, db), NOON).remedy == "resume"
    leave_behind(acme, configure)
    assert explain(detail(schedule, db), NOON).remedy == "endpoint"


def test_a_payload_that_no_longer_fits_is_explained_by_the_endpoint(acme: Installed, db: Any) -> None:
    schedule = acme.schedule("POST /api/import", payload={"region": "eu"})
    schedule.payload_json, schedule.status = {"region": "mars"}, "invalid"
    schedule.invalid_reason = "payload/region: it must be one of eu, us"
    reason = explain(detail(schedule, db), NOON).reason
    assert reason == "its payload does not fit POST /api/import: payload/region: it must be one of eu, us."
    assert line(schedule, "payload", db).state == "fail"


def test_an_open_circuit_is_told_with_the_last_error(acme: Installed, db: Any) -> None:
    schedule, until = acme.schedule(), clock.now() + timedelta(seconds=30)
    circuit = InstallCircuit(install_id=acme.install.id, tenant_id=acme.tenant.id, failures=5, opened_at=NOON)
    circuit.open_until, circuit.last_error = until, "The runner did not answer"
    db.add(circuit)
    told = line(schedule, "circuit", db)
    assert told.state == "warn"
    assert told.sentence.startswith("Its last 5 calls failed (The runner did not answer): nothing is sent to")


def test_calls_of_the_install_that_are_going_are_counted(
    acme: Installed, configure: Callable[..., None], db: Any
) -> None:
    configure(calls_per_install=1)
    schedule, other = acme.schedule(), acme.schedule(HEALTH)
    run = run_schedule_now(acme.actor, other.id, "key", NOON)
    assert line(schedule, "slot", db).state == "ok"
    run.ready_at = NOON
    told = line(schedule, "slot", db)
    assert told.state == "warn"
    assert told.sentence == (
        "com.acme.rmm-sync may have 1 call at a time, and as many are going: what fires waits for one of them."
    )


def test_a_row_of_a_list_says_what_is_called(acme: Installed, db: Any) -> None:
    schedule = acme.schedule(max_attempts=7)
    (row,) = schedules_page(acme.tenant.id, ScheduleFilter()).rows
    assert (row.target_kind, row.target_name, row.is_named) == ("endpoint", "com.acme.rmm-sync", False)
    assert (row.endpoint_method, row.endpoint_path, row.endpoint_id) == ("POST", "/api/sync", schedule.endpoint_id)
    assert (row.install_id, row.extension_id, row.max_attempts) == (acme.install.id, acme.extension.id, 7)
    assert (row.install_disabled, row.endpoint_stale, row.workflow_id, row.workflow_name) == (False, False, None, None)
    acme.disable()
    acme.install_version(acme.publish("2.0.0", HEALTH))
    (row,) = schedules_page(acme.tenant.id, ScheduleFilter()).rows
    assert (row.install_disabled, row.install_disable_reason, row.endpoint_stale) == (True, "The vendor is down", True)


def test_a_row_of_a_workflow_says_nothing_of_endpoints(acme: Installed) -> None:
    workflow = a_target(acme.tenant)
    a_live_schedule(workflow)
    (row,) = schedules_page(acme.tenant.id, ScheduleFilter()).rows
    assert (row.target_kind, row.target_name, row.workflow_name) == ("workflow", workflow.name, workflow.name)
    assert (row.install_id, row.endpoint_path, row.extension_name) == (None, None, None)
    assert (row.install_disabled, row.endpoint_stale) == (False, False)


def names(acme: Installed, **narrowed: Any) -> set[str]:
    """Found by the screens' list, which the list of the API has to agree with."""
    shown = {row.name for row in schedules_page(acme.tenant.id, ScheduleFilter(**narrowed)).rows}
    told = schedules_listed(acme.tenant.id, ScheduleFilters(**narrowed))
    assert {view.schedule.name for view in told} == shown
    assert len(matching_ids(acme.tenant.id, ScheduleFilter(**narrowed), None, 100)) == len(shown)
    return shown


def test_lists_find_schedules_by_what_they_call(acme: Installed) -> None:
    acme.schedule(), acme.schedule(HEALTH, name="Is it up")
    a_live_schedule(a_target(acme.tenant, "Invoices"), "Invoice run")
    Installed(a_tenant("other")).schedule()
    assert names(acme, q="sync") == {SYNC, "Is it up"}
    assert names(acme, q="HEALTH") == {"Is it up"}
    assert names(acme, q="Rmm") == {SYNC, "Is it up"}
    assert names(acme, q="invoice") == {"Invoice run"}
    assert names(acme, q="100%") == set()


def test_one_left_behind_is_still_found_by_its_path(acme: Installed) -> None:
    acme.schedule(name="Left")
    acme.install_version(acme.publish("2.0.0", HEALTH))
    assert names(acme, q="api/sync") == {"Left"}


def test_lists_are_narrowed_to_a_kind_and_to_an_install(acme: Installed) -> None:
    other = Installed(acme.tenant, "com.acme.other")
    acme.schedule(name="Ours"), other.schedule(name="Other")
    a_live_schedule(a_target(acme.tenant), "Run")
    assert names(acme, target="endpoint") == {"Ours", "Other"}
    assert names(acme, target="workflow") == {"Run"}
    assert names(acme, target="") == {"Ours", "Other", "Run"}
    assert names(acme, install_id=other.install.id) == {"Other"}
    assert names(acme, target="endpoint", q="ours") == {"Ours"}


@pytest.mark.parametrize("sort", ["next", "name", "last", "updated"])
@pytest.mark.parametrize("target", ["", "endpoint", "workflow"])
def test_a_page_costs_four_statements_whatever_is_on_it(acme: Installed, db: Any, sort: str, target: str) -> None:
    for number in range(3):
        acme.schedule(name=f"Call {number}")
        a_live_schedule(a_target(acme.tenant, f"Workflow {number}"), f"Run {number}")
    db.flush()
    tenant_id = acme.tenant.id
    with counted() as statements:
        page = schedules_page(tenant_id, ScheduleFilter(target=target), sort)
    assert (len(statements), page.total) == (4, 6 if target == "" else 3)


def test_the_schedules_of_an_install_come_by_name_with_their_last_runs(acme: Installed, db: Any) -> None:
    last, first = acme.schedule(name="b"), acme.schedule(HEALTH, name="A")
    gone = acme.schedule(name="Gone")
    delete_schedule(acme.actor, gone.id, NOON)
    Installed(acme.tenant, "com.acme.other").schedule()
    fire_due(minute(5))
    tenant_id, install_id = acme.tenant.id, acme.install.id
    with counted() as statements:
        rows = install_schedules(tenant_id, install_id)
    assert len(statements) == 2
    assert [row.id for row in rows] == [first.id, last.id]
    assert [[entry.outcome for entry in row.entries] for row in rows] == [["fired"], ["fired"]]
    assert install_schedules(a_tenant("other").id, acme.install.id) == []


def test_a_deleted_one_stays_readable(acme: Installed, db: Any) -> None:
    schedule = acme.schedule()
    delete_schedule(acme.actor, schedule.id, NOON)
    acme.install.deleted_at = NOON
    assert explain(detail(schedule, db), NOON).reason == "it was deleted."
    view = stored_schedule(acme.tenant.id, schedule.id)
    assert (view.extension_name, view.workflow_name) == ("com.acme.rmm-sync", None)
    assert view.endpoint is not None
    assert view.endpoint.called == SYNC
