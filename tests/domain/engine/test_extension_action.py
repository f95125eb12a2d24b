"""extension.invoke as a step of a workflow: the same request, limits and history as a scheduled call."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

import pytest
from sqlalchemy import text

from domain.accounts.secrets import create_secret
from domain.accounts.tenants import Tenant
from domain.extensions.installs import Install
from domain.kernel import clock
from domain.kernel.db import db as database
from domain.kernel.ids import new_id
from domain.runs.invocations import Invocation
from domain.runs.runs import Run
from tests.calls import a_call_run
from tests.domain.engine.endpoint_runs import an_installed, configure, invocations
from tests.domain.runs.journey import a_flow, begin, fresh, work, work_at
from tests.factories import NOW, a_tenant, an_actor, an_extension, an_extension_version, an_install
from tests.runners import LocalRunner

pytestmark = pytest.mark.usefixtures("db")

NAME = "com.acme.rmm-sync"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, runner: LocalRunner) -> None:
    configure(monkeypatch, runner.settings(timeout_seconds=15), calls_per_install=2, payload_max_bytes=1_000)


@pytest.fixture
def install(db: Any) -> Install:
    return an_installed()


def tenant_of(install: Install) -> Tenant:
    return database.session.get_one(Tenant, install.tenant_id)


def calling(tenant: Tenant, **inputs: Any) -> Any:
    """A workflow that calls, and returns what it got."""
    given = {"extension": NAME, "path": "/api/sync"} | inputs
    config = {"actionId": "extension.invoke", "version": 1, "inputMapping": given, "saveAs": "vars.answer"}
    answer = {"type": "control.return", "value": {"$expr": "vars.answer"}}
    return a_flow(tenant, f"Caller {new_id()}", {"type": "action.call", "config": config}, answer)


def ran(tenant: Tenant, payload: dict[str, Any] | None = None, **inputs: Any) -> Any:
    """The run of such a workflow, as far as it gets now."""
    run = begin(calling(tenant, **inputs), **(payload or {}))
    run_id = run.id
    database.session.commit()
    work()
    return fresh_run(run_id)


def fresh_run(run_id: UUID) -> Any:
    return database.session.get_one(Run, run_id, populate_existing=True)


def test_a_step_calls_and_gets_the_answer(install: Install, runner: LocalRunner) -> None:
    run = ran(tenant_of(install), {"n": [7]}, body={"n": {"$expr": "payload.n"}}, query={"full": "yes"})
    assert run.status == "succeeded" and run.output["status"] == 200 and run.output["text"] is None
    echoed = run.output["body"]
    assert json.loads(base64.b64decode(echoed["body_b64"])) == {"n": [7]} and echoed["query"] == {"full": "yes"}
    [call], [invocation] = runner.calls(), invocations(run.id)
    context = call["body"]["context"]
    assert context["invocation_id"] == str(uuid5(run.id, "root.steps[0]\n"))
    assert (context["trigger"], context["schedule_id"]) == ("manual", None)
    assert (invocation.status, invocation.step_path, invocation.install_id) == (
        "succeeded",
        "root.steps[0]",
        install.id,
    )


def test_an_extension_is_named_by_its_id_too(install: Install) -> None:
    assert ran(tenant_of(install), extension=str(install.extension_id)).status == "succeeded"


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"extension": "com.acme.unknown"}, "NOT_INSTALLED"),
        ({"path": "/api/unknown"}, "ENDPOINT_STALE"),
        ({"path": "/api/../sync"}, "PATH_INVALID"),
        ({"method": "GET", "path": "/api/health", "body": {}}, "GET_WITH_BODY"),
        ({"body": "x" * 1_001}, "PAYLOAD_TOO_LARGE"),
    ],
)
def test_what_cannot_be_called_fails_the_step_and_nothing_is_sent(
    install: Install, runner: LocalRunner, inputs: dict[str, Any], code: str
) -> None:
    run = ran(tenant_of(install), **inputs)
    assert (run.status, run.error["code"], runner.calls()) == ("failed", code, [])


def test_nobody_calls_what_another_tenant_has_installed(install: Install, runner: LocalRunner) -> None:
    run = ran(a_tenant("globex"), extension=str(install.extension_id))
    assert (run.error["code"], runner.calls()) == ("NOT_INSTALLED", [])


def test_of_two_extensions_with_one_name_the_id_decides(install: Install) -> None:
    other = an_install(tenant_of(install), an_extension_version(an_extension(None, NAME, "Globex")))
    run = ran(tenant_of(install))
    assert run.error["code"] == "EXTENSION_AMBIGUOUS" and "Acme, Globex" in run.error["message"]
    run = ran(tenant_of(install), extension=str(other.extension_id))
    assert invocations(run.id)[0].install_id == other.id


def test_a_path_is_called_however_it_is_written(install: Install, runner: LocalRunner) -> None:
    assert ran(tenant_of(install), path="api//sync").status == "succeeded"
    assert runner.calls()[0]["body"]["http"]["path"] == "/api/sync"


def test_a_failure_that_may_pass_is_tried_again(install: Install, runner: LocalRunner) -> None:
    runner.fail(1)
    run = ran(tenant_of(install))
    assert run.status == "waiting"
    work_at(clock.database_now() + timedelta(minutes=5))
    assert fresh(run).status == "succeeded"
    assert [one.status for one in invocations(run.id)] == ["failed", "succeeded"]
    assert len({one.idempotency_key for one in invocations(run.id)}) == 1


def test_as_many_go_as_may_and_the_next_one_comes_back_later(install: Install, runner: LocalRunner) -> None:
    going = [a_call_run(install, "running").id for _ in range(2)]
    run = ran(tenant_of(install))
    assert run.status == "waiting" and runner.calls() == []
    assert [(one.status, one.error_code) for one in invocations(run.id)] == [("not_sent", "CALLS_BUSY")]
    for run_id in going:
        ended = fresh_run(run_id)
        ended.status, ended.finished_at, ended.claimed_by = "succeeded", NOW, None
    database.session.commit()
    work_at(clock.database_now() + timedelta(minutes=5))
    assert fresh(run).status == "succeeded"


def test_calls_of_workflows_count_as_long_as_they_may_last(install: Install, runner: LocalRunner) -> None:
    first = ran(tenant_of(install))
    begun = {column.name: getattr(invocations(first.id)[0], column.name) for column in Invocation.__table__.columns}
    begun |= {"status": "started", "finished_at": None, "endpoint_status": None}
    for attempt in (2, 3):
        database.session.add(Invocation(**begun | {"id": new_id(), "attempt": attempt}))
    database.session.commit()
    assert ran(tenant_of(install)).status == "waiting"
    assert len(runner.calls()) == 1


def test_no_record_holds_a_secret_that_a_step_makes_its_path_of(install: Install, runner: LocalRunner, db: Any) -> None:
    tenant = tenant_of(install)
    create_secret(an_actor(tenant), "CRM_TOKEN", "/api/purple-tortoise", "", NOW)
    run = ran(tenant, path={"$secret": "CRM_TOKEN"})
    assert (run.error["code"], invocations(run.id)[0].status, runner.calls()) == ("ENDPOINT_STALE", "not_sent", [])
    kept = [
        json.dumps(db.scalar(text(f"SELECT json_agg(t) FROM {name} t")))
        for name in ("runs", "run_steps", "invocations")
    ]
    assert "purple-tortoise" not in "".join(kept)


def test_a_path_that_is_a_secret_is_called_as_it_is(install: Install, runner: LocalRunner) -> None:
    tenant = tenant_of(install)
    create_secret(an_actor(tenant), "CRM_PATH", "/api/sync", "", NOW)
    run = ran(tenant, path={"$secret": "CRM_PATH"})
    assert (run.status, runner.calls()[0]["body"]["http"]["path"]) == ("succeeded", "/api/sync")
    assert invocations(run.id)[0].path == "***"
