"""Endpoint schedules and their runs over the general API: /api/schedules and /api/runs hold both kinds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from domain.accounts.permissions import PERMISSIONS
from domain.accounts.tenants import Tenant
from domain.extensions import settings
from domain.extensions.installs import Install
from domain.workflows.workflows import Workflow
from tests.calls import a_call_run, a_call_schedule, an_invocation, endpoint_of
from tests.factories import a_published_workflow, a_run, a_schedule, a_tenant, a_token, a_user, an_install
from tests.web.callers import Caller, problems_of


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def install(acme: Tenant, db: Any) -> Install:
    return an_install(acme)


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    return a_published_workflow(acme)


@pytest.fixture
def a_runner(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of one: here nothing is called yet."""
    runner = settings.Runner("http://runner.test", "token", "key", 30, 256, 262_144)
    monkeypatch.setattr(settings, "_settings", replace(settings._settings, runner=runner))  # type: ignore[type-var]


def holder_of(app: Flask, tenant: Tenant, *scopes: str) -> Caller:
    return Caller(app.test_client(), a_token(tenant, name="-".join(scopes).replace(":", "-"), scopes=scopes)[1])


def a_body(install: Install, **changes: Any) -> dict[str, Any]:
    return {"endpointId": str(endpoint_of(install).id), "cron": "0 7 * * *"} | changes


def test_an_endpoint_is_scheduled_with_two_members(alice: Caller, install: Install) -> None:
    made = alice.post("/schedules", a_body(install))
    assert made.status_code == 201
    document = made.json
    assert (document["name"], document["displayName"]) == (None, "POST /api/sync")
    assert (document["targetKind"], document["method"], document["path"]) == ("endpoint", "POST", "/api/sync")
    assert (document["extensionId"], document["extensionName"]) == (str(install.extension_id), "com.acme.rmm-sync")
    assert (document["installId"], document["installEnabled"], document["endpointStale"]) == (
        str(install.id),
        True,
        False,
    )
    assert (document["overlap"], document["maxAttempts"], document["payload"]) == ("skip", 3, None)
    assert document["workflowId"] is None and document["workflowName"] is None
    assert alice.get(f"/schedules/{document['id']}").json == document


def test_a_change_touches_only_what_it_names(alice: Caller, install: Install) -> None:
    made = alice.post("/schedules", a_body(install, name="Sync", payload=[1], maxAttempts=5)).json
    changed = alice.patch(f"/schedules/{made['id']}", {"cron": "0 8 * * *"}).json
    same = set(made) - {"cron", "nextFireAt", "revision", "updatedAt"}
    assert {name: changed[name] for name in same} == {name: made[name] for name in same}
    cleared = alice.patch(f"/schedules/{made['id']}", {"name": None, "payload": None, "targetKind": "endpoint"}).json
    assert (cleared["name"], cleared["displayName"], cleared["payload"]) == (None, "POST /api/sync", None)
    moved = alice.patch(f"/schedules/{made['id']}", {"endpointId": str(endpoint_of(install, "GET /api/health").id)})
    assert moved.json["displayName"] == "GET /api/health"
    switched = alice.patch(f"/schedules/{made['id']}", {"enabled": False}).json
    assert (switched["status"], switched["maxAttempts"]) == ("paused", 5)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"endpointId": None, "targetKind": "endpoint"}, ("endpointId", "ENDPOINT_REQUIRED")),
        ({"endpointId": "nonsense"}, ("endpointId", "ID_INVALID")),
        ({"targetKind": "workflow"}, ("targetKind", "TARGET_KIND_INVALID")),
        ({"targetKind": "lambda"}, ("targetKind", "TARGET_KIND_INVALID")),
        ({"cron": "0,1,2 * * * *"}, ("cron", "CRON_TOO_FREQUENT")),
    ],
)
def test_each_problem_of_a_body_stands_at_its_member(
    alice: Caller, install: Install, changes: dict[str, Any], problem: tuple[str, str]
) -> None:
    answer = alice.post("/schedules", a_body(install, **changes))
    assert answer.status_code == 422
    assert problem in [(one["path"], one["code"]) for one in answer.json["errors"]]


def test_a_schedule_keeps_its_kind(alice: Caller, install: Install, sync: Workflow) -> None:
    of_workflow = a_schedule(sync)
    made = alice.post("/schedules", a_body(install)).json
    to_workflow = alice.patch(f"/schedules/{made['id']}", {"targetKind": "workflow"})
    assert problems_of(to_workflow)
    to_endpoint = alice.patch(f"/schedules/{of_workflow.id}", {"endpointId": made["endpointId"]})
    assert to_endpoint.status_code == 422


def test_both_kinds_are_listed_and_narrowed(alice: Caller, install: Install, sync: Workflow) -> None:
    of_workflow, of_endpoint = a_schedule(sync), a_call_schedule(install)

    def ids(query: str = "") -> list[str]:
        return [item["id"] for item in alice.get(f"/schedules{query}").json["items"]]

    assert ids() == [str(of_endpoint.id), str(of_workflow.id)]
    assert ids("?targetKind=workflow") == [str(of_workflow.id)]
    assert ids("?targetKind=endpoint") == ids(f"?installId={install.id}") == [str(of_endpoint.id)]
    assert ids("?q=rmm") == [str(of_endpoint.id)]
    assert alice.get("/schedules?targetKind=lambda").status_code == 422


def test_runs_of_both_kinds_are_listed_and_told_with_their_calls(
    alice: Caller, install: Install, sync: Workflow
) -> None:
    of_workflow, run = (
        a_run(sync),
        a_call_run(install, "failed", error={"code": "RUNNER_TIMEOUT", "message": "No answer."}),
    )
    an_invocation(run, "failed", error_code="RUNNER_TIMEOUT", error="No answer.", response_excerpt="half an")

    def ids(path: str) -> list[str]:
        return [item["id"] for item in alice.get(path).json["items"]]

    assert ids("/runs") == [str(run.id), str(of_workflow.id)]
    assert ids("/workflow-runs") == ids("/runs?targetKind=workflow") == [str(of_workflow.id)]
    assert ids("/runs?targetKind=endpoint") == ids(f"/runs?installId={install.id}") == [str(run.id)]
    assert ids("/runs?q=rmm") == [str(run.id)]
    listed = alice.get("/runs").json["items"][0]
    assert (listed["targetKind"], listed["method"], listed["path"]) == ("endpoint", "POST", "/api/sync")
    assert (listed["extensionName"], listed["extensionVersion"]) == ("com.acme.rmm-sync", "1.0.0")
    told = alice.get(f"/runs/{run.id}").json
    assert (told["workflowId"], told["workflowName"], told["path"]) == (None, None, "/api/sync")
    (call,) = told["calls"]
    assert (call["status"], call["attempt"], call["trigger"], call["durationMs"]) == ("failed", 1, "manual", 180)
    assert (call["errorCode"], call["error"], call["responseExcerpt"]) == ("RUNNER_TIMEOUT", "No answer.", "half an")


@pytest.mark.usefixtures("a_runner")
def test_run_now_answers_with_the_run_and_where_it_is_read(alice: Caller, install: Install, db: Any) -> None:
    schedule = a_call_schedule(install)
    db.commit()
    first = alice.post(f"/schedules/{schedule.id}/run-now", {}, key="once")
    again = alice.post(f"/schedules/{schedule.id}/run-now", {}, key="once")
    assert first.status_code == 202, first.json
    assert first.json == again.json
    assert first.headers["Location"].endswith(f"/api/runs/{first.json['id']}")
    assert first.json["path"] == "/api/sync"
    canceled = alice.post(f"/runs/{first.json['id']}/cancel", {"reason": "wrong one"})
    assert canceled.json["status"] == "canceled"


def test_a_token_reaches_only_the_kind_of_its_scopes(
    app: Flask, acme: Tenant, install: Install, sync: Workflow, db: Any
) -> None:
    of_workflow, of_endpoint = a_schedule(sync), a_call_schedule(install)
    ran, called = a_run(sync, "running"), a_call_run(install, "running")
    db.commit()
    pages = (
        holder_of(app, acme, "workflow:read", "workflow:manage"),
        holder_of(app, acme, "extension:read", "extension:write"),
    )
    for caller, own, other, own_run, other_run in (
        (pages[0], of_workflow, of_endpoint, ran, called),
        (pages[1], of_endpoint, of_workflow, called, ran),
    ):
        assert [item["id"] for item in caller.get("/schedules").json["items"]] == [str(own.id)]
        assert [item["id"] for item in caller.get("/runs").json["items"]] == [str(own_run.id)]
        assert caller.get(f"/schedules?targetKind={other.target_kind}").status_code == 403
        for path in ("", "/explain", "/preview"):
            assert caller.get(f"/schedules/{own.id}{path}").status_code == 200
            assert caller.get(f"/schedules/{other.id}{path}").status_code == 403
        for verb in ("run-now", "pause", "resume"):
            assert caller.post(f"/schedules/{other.id}/{verb}", {}).status_code == 403
        assert caller.patch(f"/schedules/{other.id}", {"cron": "0 9 * * *"}).status_code == 403
        assert caller.delete(f"/schedules/{other.id}").status_code == 403
        assert caller.get(f"/runs/{other_run.id}").status_code == 403
        assert caller.post(f"/runs/{other_run.id}/cancel", {}).status_code == 403
        assert caller.get(f"/runs/{own_run.id}").status_code == 200
    assert pages[0].post("/schedules", a_body(install)).status_code == 403
    assert pages[1].post("/schedules", {"workflowId": str(sync.id), "cron": "0 7 * * *"}).status_code == 403
    assert pages[1].post("/schedules", a_body(install)).status_code == 201
    assert pages[1].post("/schedules", a_body(install, workflowId=str(sync.id))).status_code == 422


def test_another_tenant_finds_nothing_of_it(app: Flask, install: Install, db: Any) -> None:
    schedule, run = a_call_schedule(install), a_call_run(install)
    db.commit()
    charlie = holder_of(app, a_tenant("globex"), *sorted(PERMISSIONS))
    assert charlie.get(f"/schedules/{schedule.id}").status_code == 404
    assert charlie.get(f"/runs/{run.id}").status_code == 404
    assert charlie.get("/runs").json["items"] == charlie.get(f"/schedules?installId={install.id}").json["items"] == []
    refused = charlie.post("/schedules", a_body(install))
    assert [one["path"] for one in refused.json["errors"]] == ["endpointId"]
