"""What a schedule did and what a run did, page by page: occurrences and steps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from domain.accounts.tenants import Tenant
from domain.kernel.ids import new_id
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.calls import a_call_schedule
from tests.factories import NOW, a_published_workflow, a_run, a_schedule, a_step, a_tenant, a_token, a_user, an_install
from tests.statements import counted
from tests.web.callers import Caller, problems_of

HOUR = timedelta(hours=1)


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def charlie(app: Flask, db: Any) -> Caller:
    return Caller(app.test_client(), a_token(a_tenant("globex"))[1])


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


@pytest.fixture
def morning(sync: Workflow) -> Schedule:
    return a_schedule(sync)


def an_occurrence(db: Any, schedule: Schedule, number: int, outcome: str = "skipped", **values: Any) -> Occurrence:
    values = {"id": new_id(), "origin_key": "timing", "decided_at": NOW + number * HOUR} | values
    if outcome != "fired":
        values.setdefault("reason", "overlap")
    values["scheduled_for"] = values.get("scheduled_for", NOW + number * HOUR)
    made = Occurrence(schedule_id=schedule.id, tenant_id=schedule.tenant_id, outcome=outcome, **values)
    db.add(made)
    db.flush()
    return made


def pages(caller: Caller, path: str) -> list[list[Any]]:
    found, cursor = [], ""
    while len(found) < 10:
        answer = caller.get(f"{path}{cursor}").json
        found.append(answer["items"])
        if answer["nextCursor"] is None:
            break
        cursor = f"&cursor={answer['nextCursor']}"
    return found


def test_an_occurrence_tells_its_instant_its_outcome_and_its_run(
    alice: Caller, sync: Workflow, morning: Schedule, db: Any
) -> None:
    run = a_run(sync, "failed", schedule_id=morning.id, error={"message": "no"})
    an_occurrence(db, morning, 1, "fired", id=run.id)
    an_occurrence(db, morning, 2, "missed", reason="catch_up", through=NOW + 5 * HOUR, count=4)
    gap, fired = alice.get(f"/schedules/{morning.id}/occurrences").json["items"]
    assert (fired["scheduledFor"], fired["outcome"], fired["reason"]) == ("2026-03-02T11:00:00Z", "fired", None)
    assert (fired["runId"], fired["runStatus"], fired["runError"]) == (str(run.id), "failed", "no")
    assert fired["runSeconds"] == 1.2 and fired["origin"] == "timing"
    assert (gap["through"], gap["count"], gap["reason"], gap["runId"]) == ("2026-03-02T15:00:00Z", 4, "catch_up", None)


def test_the_pages_of_a_ledger_hold_everything_once(alice: Caller, morning: Schedule, db: Any) -> None:
    for number in range(4):
        an_occurrence(db, morning, number)
    an_occurrence(db, morning, 3, origin_key="run_now:act.api:käse | 'x' & y")
    found = pages(alice, f"/schedules/{morning.id}/occurrences?limit=2")
    assert [len(page) for page in found] == [2, 2, 1]
    seen = [(one["scheduledFor"], one["origin"]) for page in found for one in page]
    assert seen[:2] == [("2026-03-02T13:00:00Z", "timing"), ("2026-03-02T13:00:00Z", "run_now")]
    assert len(set(seen)) == 5 and seen[-1][0] == "2026-03-02T10:00:00Z"


def test_a_ledger_can_be_narrowed_to_an_outcome(alice: Caller, morning: Schedule, db: Any) -> None:
    an_occurrence(db, morning, 1)
    an_occurrence(db, morning, 2, "missed", reason="catch_up")
    items = alice.get(f"/schedules/{morning.id}/occurrences?outcome=missed").json["items"]
    assert [one["outcome"] for one in items] == ["missed"]


@pytest.mark.parametrize("cursor", ["x", "", "bnVsbA", "WzEsMl0", "01a1fb80-25f1-7000-9878-3cc29d3900f9", "A" * 2000])
def test_a_cursor_of_something_else_is_refused(alice: Caller, morning: Schedule, cursor: str) -> None:
    answer = alice.get(f"/schedules/{morning.id}/occurrences?cursor={cursor}&limit=0&outcome=x")
    expected = {"cursor": "CURSOR_UNKNOWN", "limit": "NUMBER_INVALID", "outcome": "CHOICE_INVALID"}
    assert answer.status_code == 422 and problems_of(answer) == expected


def test_the_ledger_of_a_deleted_schedule_stays_readable(alice: Caller, morning: Schedule, db: Any) -> None:
    an_occurrence(db, morning, 0)
    assert alice.delete(f"/schedules/{morning.id}").status_code == 204
    items = alice.get(f"/schedules/{morning.id}/occurrences").json["items"]
    assert items[-1]["scheduledFor"] == "2026-03-02T10:00:00Z"


def test_a_page_of_the_ledger_costs_a_fixed_number_of_statements(alice: Caller, morning: Schedule, db: Any) -> None:
    for number in range(5):
        an_occurrence(db, morning, number)
    alice.get("/schedules")  # puts on record that the token is in use
    with counted() as one:
        assert len(alice.get(f"/schedules/{morning.id}/occurrences?limit=1").json["items"]) == 1
    with counted() as many:
        assert len(alice.get(f"/schedules/{morning.id}/occurrences").json["items"]) == 5
    assert len(one) == len(many)


def test_only_who_may_see_a_schedule_sees_its_ledger(
    app: Flask, alice: Caller, charlie: Caller, acme: Tenant, morning: Schedule, db: Any
) -> None:
    call = a_call_schedule(an_install(acme))
    an_occurrence(db, morning, 1)
    an_occurrence(db, call, 1)
    reader = Caller(app.test_client(), a_token(acme, name="reader", scopes=["workflow:read"])[1])
    assert reader.get(f"/schedules/{morning.id}/occurrences").status_code == 200
    assert reader.get(f"/schedules/{call.id}/occurrences").status_code == 403
    assert charlie.get(f"/schedules/{morning.id}/occurrences").status_code == 404
    assert alice.get(f"/schedules/{new_id()}/occurrences").status_code == 404


@pytest.mark.parametrize("below", ["runs", "workflow-runs"])
def test_the_pages_of_the_steps_of_a_run_hold_everything_once(alice: Caller, sync: Workflow, below: str) -> None:
    run = a_run(sync)
    for number in range(5):
        a_step(run, f"root.steps[{number}]", position=number, output={"number": number})
    found = pages(alice, f"/{below}/{run.id}/steps?limit=2")
    assert [[step["output"]["number"] for step in page] for page in found] == [[0, 1], [2, 3], [4]]
    assert found[0] == alice.get(f"/{below}/{run.id}").json["steps"][:2]


def test_what_is_sealed_in_a_step_is_not_shown(alice: Caller, sync: Workflow) -> None:
    run = a_run(sync)
    a_step(run, output={"$sealed": "abc"}, input={"token": {"$sealed": "abc"}})
    text = alice.get(f"/workflow-runs/{run.id}/steps").text
    assert "abc" not in text and text.count('"$kept": true') == 2


def test_strangers_and_wrong_cursors_see_no_steps(alice: Caller, charlie: Caller, sync: Workflow) -> None:
    run = a_run(sync)
    a_step(run)
    assert charlie.get(f"/workflow-runs/{run.id}/steps").status_code == 404
    assert alice.get(f"/workflow-runs/{new_id()}/steps").status_code == 404
    for cursor in ("x", "-1", "", "1e3", "9" * 40):
        answer = alice.get(f"/workflow-runs/{run.id}/steps?cursor={cursor}")
        assert problems_of(answer) == {"cursor": "CURSOR_UNKNOWN"}
