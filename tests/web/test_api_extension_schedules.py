"""/api/extensions/{id}/endpoints and …/schedules: what can be called, and when it is."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.tenants import COMMUNITY, Tenant
from domain.extensions.installs import Install
from domain.extensions.settings import limits
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from tests.calls import a_call_run, a_call_schedule, an_invocation, endpoint_of
from tests.factories import (
    NOW,
    a_published_workflow,
    a_schedule,
    a_tenant,
    a_token,
    a_user,
    an_extension,
    an_extension_version,
    an_install,
)
from tests.statements import counted
from tests.web.callers import Caller, problems_of


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def install(acme: Tenant, db: Any) -> Install:
    return an_install(acme)


@pytest.fixture
def path(install: Install) -> str:
    return f"/extensions/{install.extension_id}"


def another_install(acme: Tenant) -> Install:
    return an_install(acme, an_extension_version(an_extension(acme, "com.acme.other")))


def test_what_is_made_below_an_extension_calls_that_one(alice: Caller, acme: Tenant, path: str, db: Any) -> None:
    other = another_install(acme)
    db.commit()
    body = {"endpointId": str(endpoint_of(other).id), "installId": str(other.id), "cron": "0 7 * * *"}
    assert problems_of(alice.post(f"{path}/schedules", body)) == {"installId": "INSTALL_OTHER"}
    assert alice.get("/schedules").json["items"] == []


def test_endpoints_say_whether_they_can_be_scheduled_and_why_not(alice: Caller, path: str, db: Any) -> None:
    db.commit()
    endpoints = alice.get(f"{path}/endpoints").json["items"]
    told = {f"{one['method']} {one['path']}": one["schedulable"] for one in endpoints}
    assert told == {"GET /api/devices/:id": False, "GET /api/health": True, "POST /api/sync": True}
    assert [bool(one["reason"]) for one in endpoints] == [not one["schedulable"] for one in endpoints]
    first = alice.get(f"{path}/endpoints?limit=1").json
    second = alice.get(f"{path}/endpoints?limit=2&cursor={first['nextCursor']}").json
    assert (first["items"] + second["items"], second["nextCursor"]) == (endpoints, None)


def test_a_schedule_is_made_read_and_deleted_below_its_extension(alice: Caller, install: Install, path: str) -> None:
    body = {"endpointId": str(endpoint_of(install).id), "cron": "0 7 * * *", "payload": {"full": True}}
    made = alice.post(f"{path}/schedules", body)
    assert made.status_code == 201, made.json
    one = f"{path}/schedules/{made.json['id']}"
    assert made.headers["Location"].endswith(f"/api{one}")
    assert (made.json["name"], made.json["displayName"]) == (None, "POST /api/sync")
    assert (made.json["installId"], made.json["timezone"]) == (str(install.id), "UTC")
    assert alice.get(one).json == made.json == alice.get(f"/schedules/{made.json['id']}").json
    assert [item["id"] for item in alice.get(f"{path}/schedules").json["items"]] == [made.json["id"]]
    assert alice.delete(one).status_code == 204
    assert alice.get(one).status_code == alice.delete(one).status_code == 404
    assert alice.get(f"{path}/schedules").json["items"] == []


def test_switching_off_keeps_name_and_payload(alice: Caller, install: Install, path: str) -> None:
    body = {"endpointId": str(endpoint_of(install).id), "cron": "15 3 * * *", "timezone": "Asia/Tokyo"}
    before = alice.post(f"{path}/schedules", body | {"name": "Nightly", "payload": {"full": [1]}}).json
    one = f"{path}/schedules/{before['id']}"
    off = alice.patch(one, {"enabled": False}).json
    moved = {"enabled", "status", "pausedAt", "nextFireAt", "revision", "updatedAt"}
    assert {name for name in before if off[name] != before[name]} <= moved
    assert (off["enabled"], off["name"], off["payload"]) == (False, "Nightly", {"full": [1]})
    on = alice.patch(one, {"enabled": True}).json
    assert (on["enabled"], on["name"], on["payload"], on["cron"]) == (True, "Nightly", {"full": [1]}, "15 3 * * *")
    cleared = alice.patch(one, {"payload": None, "revision": on["revision"]}).json
    assert (cleared["payload"], cleared["name"], cleared["timezone"]) == (None, "Nightly", "Asia/Tokyo")
    stale = alice.patch(one, {"name": "Daily", "revision": on["revision"]})
    assert (stale.status_code, stale.json["code"]) == (409, "CONFLICT")


def test_each_problem_of_a_schedule_stands_at_its_member(
    alice: Caller, acme: Tenant, install: Install, path: str, db: Any
) -> None:
    theirs = str(endpoint_of(another_install(acme)).id)
    own = {"endpointId": str(endpoint_of(install).id), "cron": "0 7 * * *"}
    devices = str(endpoint_of(install, "GET /api/devices/:id").id)
    health = str(endpoint_of(install, "GET /api/health").id)
    a_call_schedule(install, "Taken")
    db.commit()
    for changes, problem in (
        ({"endpointId": theirs}, {"endpointId": "ENDPOINT_UNKNOWN"}),
        ({"endpointId": devices}, {"endpointId": "ENDPOINT_NOT_SCHEDULABLE"}),
        ({"endpointId": None}, {"endpointId": "ENDPOINT_REQUIRED"}),
        ({"cron": "0,1,2 * * * *"}, {"cron": "CRON_TOO_FREQUENT"}),
        ({"name": "Taken"}, {"name": "NAME_TAKEN"}),
        ({"targetKind": "workflow"}, {"targetKind": "TARGET_KIND_INVALID"}),
        ({"workflowId": theirs}, {"workflowId": "UNKNOWN_FIELD"}),
    ):
        answer = alice.post(f"{path}/schedules", own | changes)
        assert (answer.status_code, problems_of(answer)) == (422, problem)
    for changes in ({"payload": "text"}, {"endpointId": health, "payload": {}}):
        assert set(problems_of(alice.post(f"{path}/schedules", own | changes))) == {"payload"}
    assert db.scalar(select(func.count()).select_from(Schedule)) == 1


def test_nothing_of_a_disabled_extension_is_scheduled(alice: Caller, install: Install, path: str, db: Any) -> None:
    body = {"endpointId": str(endpoint_of(install).id), "cron": "0 7 * * *"}
    db.commit()
    alice.post(f"{path}/install/disable", {"reason": "Audit"})
    refused = alice.post(f"{path}/schedules", body)
    assert problems_of(refused) == {"endpointId": "INSTALL_DISABLED"}
    assert "Audit" in refused.text
    alice.post(f"{path}/install/enable")
    assert alice.post(f"{path}/schedules", body).status_code == 201


def test_only_what_calls_this_extension_is_below_it(
    alice: Caller, acme: Tenant, install: Install, path: str, db: Any
) -> None:
    others = a_call_schedule(another_install(acme)), a_schedule(a_published_workflow(acme))
    own = a_call_schedule(install)
    db.commit()
    assert [item["id"] for item in alice.get(f"{path}/schedules").json["items"]] == [str(own.id)]
    for other in others:
        one = f"{path}/schedules/{other.id}"
        for answer in (
            alice.get(one),
            alice.patch(one, {"enabled": False}),
            alice.delete(one),
            alice.post(f"{one}/run-now"),
            alice.get(f"{one}/invocations"),
        ):
            assert answer.status_code == 404
        assert db.get(Schedule, other.id).deleted_at is None


def test_schedules_are_paged_and_narrowed(alice: Caller, install: Install, path: str, db: Any) -> None:
    made = [a_call_schedule(install, f"Sync {number}") for number in range(3)]
    paused = a_call_schedule(install, "Health", "GET /api/health", status="paused")
    db.commit()
    first = alice.get(f"{path}/schedules?limit=3").json
    second = alice.get(f"{path}/schedules?limit=3&cursor={first['nextCursor']}").json
    ids = [item["id"] for item in first["items"] + second["items"]]
    assert ids == [str(one.id) for one in (paused, *reversed(made))]
    for query in ("q=health", "status=paused", "enabled=false"):
        assert [item["id"] for item in alice.get(f"{path}/schedules?{query}").json["items"]] == [str(paused.id)]
    assert problems_of(alice.get(f"{path}/schedules?workflowId=1")) == {"workflowId": "UNKNOWN_FIELD"}
    with counted() as few:
        alice.get(f"{path}/schedules?limit=1")
    with counted() as many:
        alice.get(f"{path}/schedules")
    assert len(few) == len(many)


@pytest.mark.usefixtures("has_runner")
def test_run_now_is_carried_out_once_per_key_and_so_often_in_a_minute(
    alice: Caller, install: Install, path: str, db: Any
) -> None:
    schedule = a_call_schedule(install, overlap="allow")
    db.commit()
    one = f"{path}/schedules/{schedule.id}/run-now"
    first, again = alice.post(one, key="button"), alice.post(one, key="button")
    assert first.status_code == 202, first.json
    assert first.json == again.json
    assert first.headers["Location"].endswith(f"/api/runs/{first.json['id']}")
    for _ in range(limits().run_now_per_minute - 1):
        assert alice.post(one).status_code == 202
    refused = alice.post(one)
    assert (refused.status_code, refused.json["code"]) == (429, "RUN_NOW_LIMIT")
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert db.scalar(select(func.count()).select_from(Run)) == limits().run_now_per_minute


def test_the_calls_of_a_schedule_are_listed_newest_first(alice: Caller, install: Install, path: str, db: Any) -> None:
    schedule, other = a_call_schedule(install), a_call_schedule(install, "Other")
    run = a_call_run(install, "failed", schedule_id=schedule.id)
    for attempt in (1, 2, 3):
        failed = {"error_code": "RUNNER_TIMEOUT", "error": "No answer.", "scheduled_for": NOW, "trigger": "schedule"}
        an_invocation(run, "failed", attempt, **failed)
    an_invocation(a_call_run(install, schedule_id=other.id))
    db.commit()
    calls = f"{path}/schedules/{schedule.id}/invocations"
    first = alice.get(f"{calls}?limit=2").json
    second = alice.get(f"{calls}?limit=2&cursor={first['nextCursor']}").json
    found = first["items"] + second["items"]
    assert ([one["attempt"] for one in found], second["nextCursor"]) == ([3, 2, 1], None)
    assert {(one["runId"], one["scheduledFor"], one["errorCode"]) for one in found} == {
        (str(run.id), "2026-03-02T10:00:00Z", "RUNNER_TIMEOUT")
    }


def test_without_schedules_in_the_edition_only_they_are_refused(
    alice: Caller, acme: Tenant, install: Install, path: str, db: Any
) -> None:
    schedule = a_call_schedule(install)
    acme.edition = COMMUNITY
    db.commit()
    one = f"{path}/schedules/{schedule.id}"
    for answer in (
        alice.get(f"{path}/schedules"),
        alice.post(f"{path}/schedules", {}),
        alice.get(one),
        alice.patch(one, {"enabled": False}),
        alice.post(f"{one}/run-now"),
        alice.get(f"{one}/invocations"),
    ):
        assert (answer.status_code, answer.json["code"]) == (403, "EDITION_REQUIRED")
    assert alice.get(f"{path}/endpoints").status_code == alice.get(f"{path}/install").status_code == 200


def test_another_tenant_reaches_no_schedule_below_it(app: Flask, install: Install, path: str, db: Any) -> None:
    schedule = a_call_schedule(install)
    charlie = Caller(app.test_client(), a_token(a_tenant("globex"))[1])
    db.commit()
    one = f"{path}/schedules/{schedule.id}"
    assert charlie.get(one).status_code == charlie.patch(one, {"enabled": False}).status_code == 404
    assert charlie.post(f"{path}/schedules", {}).status_code == charlie.post(f"{one}/run-now").status_code == 404
