"""A run of an endpoint: one call through the runner, on record attempt by attempt."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.accounts.tenants import Tenant
from domain.engine.actions import calls
from domain.execution import Worker, give_back_strays
from domain.extensions.install_secrets import set_install_secret
from domain.extensions.installs import Install
from domain.kernel.db import db as database
from domain.kernel.ids import new_id
from domain.kernel.vault import seal
from domain.runs.steps import RunStep
from tests.calls import a_call_schedule
from tests.domain.engine.endpoint_runs import (
    a_newer_version,
    a_waiting_call,
    an_installed,
    configure,
    fresh,
    invocations,
    work,
    work_later,
)
from tests.factories import NOW, a_tenant, an_actor, an_extension, an_extension_version, an_install
from tests.runners import LocalRunner

pytestmark = pytest.mark.usefixtures("db")

LATER = 400.0  # seconds, beyond every delay between attempts


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, runner: LocalRunner) -> None:
    configure(monkeypatch, runner.settings(timeout_seconds=15))


@pytest.fixture
def install(db: Any) -> Install:
    return an_installed()


def test_a_fire_reaches_the_runner_with_all_that_the_contract_names(install: Install, runner: LocalRunner) -> None:
    schedule = a_call_schedule(install, payload_json={"full": True})
    told = {"triggerType": "recurring", "scheduledFor": "2026-03-02T11:00:00Z"}
    run = a_waiting_call(
        install, {"full": True}, schedule_id=schedule.id, started_by="recurring", trigger_metadata=told
    ).id
    ids = (str(install.tenant_id), str(install.extension_id), str(install.id), str(install.version_id))
    schedule_id = schedule.id
    work()
    assert fresh(run).status == "succeeded" and fresh(run).output["status"] == 200
    [invocation], [call] = invocations(run), runner.calls()
    context, http = call["body"]["context"], call["body"]["http"]
    assert tuple(context[name] for name in ("tenant_id", "extension_id", "install_id", "version_id")) == ids
    assert context["content_hash"] == invocation.content_hash
    assert (context["request_id"], context["invocation_id"]) == (str(invocation.id), str(run))
    assert (context["attempt"], context["trigger"], context["schedule_id"]) == (1, "schedule", str(schedule_id))
    assert context["scheduled_for"] == "2026-03-02T11:00:00+00:00" and context["config"] == {"region": "eu"}
    assert (http["method"], http["path"], http["query"]) == ("POST", "/api/sync", {})
    assert json.loads(base64.b64decode(http["body_b64"])) == {"full": True}
    assert call["headers"]["x-idempotency-key"] == invocation.idempotency_key
    assert (invocation.status, invocation.http_status, invocation.endpoint_status) == ("succeeded", 200, 200)
    assert (invocation.attempt, invocation.trigger, invocation.schedule_id) == (1, "schedule", schedule_id)
    assert invocation.duration_ms is not None and invocation.finished_at and '"path"' in invocation.response_excerpt


@pytest.mark.parametrize("payload", [[1], [{"a": 1}], {"a": [1]}, {}, []])
def test_a_payload_arrives_as_it_is(install: Install, runner: LocalRunner, payload: Any) -> None:
    a_waiting_call(install, payload)
    work()
    assert json.loads(base64.b64decode(runner.calls()[0]["body"]["http"]["body_b64"])) == payload


def test_without_a_payload_nothing_is_sent_and_by_hand_it_is_said_so(install: Install, runner: LocalRunner) -> None:
    a_waiting_call(install, trigger_metadata={"triggerType": "manual"})
    work()
    [call] = runner.calls()
    assert "body_b64" not in call["body"]["http"]
    assert call["body"]["context"]["trigger"] == "manual" and call["body"]["context"]["schedule_id"] is None


def test_a_failure_that_may_pass_is_tried_again_with_the_same_key(install: Install, runner: LocalRunner) -> None:
    runner.fail(2)
    run = a_waiting_call(install).id
    work()
    assert (fresh(run).status, fresh(run).finished_at) == ("waiting", None)
    work_later(LATER)
    work_later(LATER)
    assert fresh(run).status == "succeeded"
    made = invocations(run)
    assert [(one.attempt, one.status, one.http_status, one.error_code) for one in made] == [
        (1, "failed", 503, "RUNNER_HTTP_ERROR"),
        (2, "failed", 503, "RUNNER_HTTP_ERROR"),
        (3, "succeeded", 200, None),
    ]
    assert len({one.idempotency_key for one in made}) == 1 and len(runner.effects()) == 1
    contexts = [call["body"]["context"] for call in runner.calls()]
    assert [context["attempt"] for context in contexts] == [1, 2, 3]
    assert len({context["invocation_id"] for context in contexts}) == 1
    assert len({context["request_id"] for context in contexts}) == 3


def test_a_schedule_says_how_often_it_is_tried(install: Install, runner: LocalRunner) -> None:
    runner.fail(9)
    schedule = a_call_schedule(install, max_attempts=1)
    run = a_waiting_call(install, schedule_id=schedule.id).id
    work()
    assert fresh(run).status == "failed" and fresh(run).error["code"] == "RUNNER_HTTP_ERROR"
    assert len(invocations(run)) == 1


@pytest.mark.parametrize("attempts", [1, 2])
def test_what_no_schedule_started_is_tried_as_often_as_it_was_asked_for(
    install: Install, runner: LocalRunner, attempts: int
) -> None:
    """A rehearsal, or the repetition of a run: the endpoint may not bear to be called again."""
    runner.fail(9)
    run = a_waiting_call(install, trigger_metadata={"triggerType": "rerun", "maxAttempts": attempts}).id
    work()
    for _ in range(attempts - 1):
        work_later(LATER)
    assert (fresh(run).status, len(invocations(run))) == ("failed", attempts)


@pytest.mark.parametrize(
    ("answer", "code", "status"),
    [
        ({"status": 404}, "ENDPOINT_REFUSED", 404),
        ({"status": 400, "error": "missing_routing_headers"}, "ENDPOINT_REFUSED", 400),
        ({"status": 200, "error": "half of it went wrong"}, "ENDPOINT_ERROR", 200),
    ],
)
def test_what_the_endpoint_refuses_is_final(
    install: Install, runner: LocalRunner, answer: dict[str, Any], code: str, status: int
) -> None:
    runner.script({"do": "answer", "answer": answer})
    run = a_waiting_call(install).id
    work()
    assert fresh(run).status == "failed" and fresh(run).error["code"] == code
    [invocation] = invocations(run)
    assert (invocation.status, invocation.error_code, invocation.endpoint_status) == ("failed", code, status)
    assert (answer.get("error") or "answered") in invocation.error


def test_what_the_endpoint_says_of_its_own_failure_is_kept_and_tried_again(
    install: Install, runner: LocalRunner
) -> None:
    body = base64.b64encode(b'{"why": "out of memory"}').decode()
    runner.script({"do": "answer", "answer": {"status": 500, "error": "execute_failed: oom", "body_b64": body}})
    run = a_waiting_call(install).id
    work()
    [invocation] = invocations(run)
    assert fresh(run).status == "waiting" and invocation.error_code == "ENDPOINT_ERROR"
    assert "execute_failed: oom" in invocation.error and "out of memory" in invocation.response_excerpt


def disable(install: Install) -> None:
    install.disabled_at, install.disable_reason = NOW, "costs too much"


def uninstall(install: Install) -> None:
    install.deleted_at = NOW


def move_on(install: Install) -> None:
    a_newer_version(install, [{"method": "POST", "path": "/api/other", "handler": "dist/main"}])


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        (disable, "INSTALL_DISABLED", "costs too much"),
        (uninstall, "NOT_INSTALLED", "uninstalled"),
        (move_on, "ENDPOINT_STALE", "2.0.0"),
    ],
)
def test_what_cannot_be_called_any_more_is_not_sent_and_says_why(
    install: Install, runner: LocalRunner, change: Callable[[Install], None], code: str, reason: str
) -> None:
    run = a_waiting_call(install).id
    change(install)
    work()
    [invocation] = invocations(run)
    assert (invocation.status, invocation.error_code, invocation.duration_ms) == ("not_sent", code, None)
    assert reason in invocation.error and reason in fresh(run).error["message"]
    assert (fresh(run).status, fresh(run).error["code"], runner.calls()) == ("failed", code, [])


def test_without_a_runner_nothing_is_sent(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, None)
    run = a_waiting_call(install).id
    work()
    assert invocations(run)[0].status == "not_sent"
    assert fresh(run).error["code"] == "RUNNER_NOT_CONFIGURED"


def test_the_version_of_the_moment_is_called(install: Install, runner: LocalRunner) -> None:
    run = a_waiting_call(install).id
    newer = a_newer_version(install, [{"method": "POST", "path": "/api/sync", "handler": "dist/main"}]).id
    work()
    assert invocations(run)[0].version_id == newer
    assert runner.calls()[0]["body"]["context"]["version_id"] == str(newer)


def test_secrets_reach_the_endpoint_and_no_record(install: Install, runner: LocalRunner, db: Any) -> None:
    sealed = {"$sealed": seal(install.tenant_id, "payload-secret-1234")}
    set_install_secret(an_actor(_tenant(install)), install.id, "API_KEY", "install-secret-5678", NOW)
    token = runner.env["CARILLON_RUNNER_TOKEN"]
    said = f"payload-secret-1234 install-secret-5678 {token}"
    body = base64.b64encode(said.encode()).decode()
    runner.script({"do": "answer", "answer": {"status": 500, "error": said, "body_b64": body}, "times": 1})
    run = a_waiting_call(install, {"password": sealed}).id
    work()
    work_later(LATER)
    # What arrives is read by the runner; it answers with the names of the secrets, and the body.
    [first, second] = invocations(run)
    assert "API_KEY" in second.response_excerpt and fresh(run).status == "succeeded"
    sent = json.loads(base64.b64decode(runner.calls()[0]["body"]["http"]["body_b64"]))
    assert sent == {"password": "payload-secret-1234"}
    kept = json.dumps([first.error, first.response_excerpt, second.response_excerpt, fresh(run).error])
    for table in ("run_steps", "runs", "invocations"):
        rows = db.execute(text(f"SELECT to_jsonb(t) FROM {table} t")).scalars().all()
        kept += json.dumps(rows)
    for secret in ("payload-secret-1234", "install-secret-5678", token, base64.b64encode(b"install-secret-5678")):
        assert str(secret) not in kept
    assert "***" in first.error and "***" in first.response_excerpt


def _tenant(install: Install) -> Tenant:
    return database.session.get_one(Tenant, install.tenant_id)


def test_secrets_that_were_not_granted_do_not_travel(db: Any, runner: LocalRunner) -> None:
    install = an_installed(capabilities=["cap:http.fetch"])
    set_install_secret(an_actor(_tenant(install)), install.id, "API_KEY", "install-secret-5678", NOW)
    a_waiting_call(install)
    work()
    [call] = runner.calls()
    assert call["body"]["secret_envelope"] is None and "cap:secrets.get" not in call["body"]["providers"]
    assert "cap:http.fetch" in call["body"]["providers"]


def test_a_granted_capability_is_provided_however_the_manifest_writes_it(db: Any, runner: LocalRunner) -> None:
    tenant = a_tenant()
    version = an_extension_version(an_extension(tenant), capabilities=[" CAP:http.fetch ", "Cap:Storage.KV"])
    a_waiting_call(an_install(tenant, version, capabilities=["cap:http.fetch"]))
    work()
    providers = runner.calls()[0]["body"]["providers"]
    assert "cap:http.fetch" in providers and "cap:storage.kv" not in providers


def test_no_transaction_is_open_during_the_call(install: Install, db: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    a_waiting_call(install, {"a": 1})
    real, seen = calls.execute, []
    statements: list[str] = []
    event.listen(Engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    def executed(*args: Any) -> Any:
        # In tests the session has its own transaction; what counts is whether it has begun one.
        seen.append(database.session().in_transaction())
        before = len(statements)
        answer = real(*args)
        seen.append(len(statements) > before)
        return answer

    monkeypatch.setattr(calls, "execute", executed)
    work()
    assert seen == [False, False]


@pytest.mark.parametrize(
    "error", [OperationalError("", {}, Exception("the database is away")), PoolTimeout("no connection in time")]
)
def test_a_database_that_is_away_when_the_answer_comes_fails_nothing(
    install: Install, runner: LocalRunner, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    run = a_waiting_call(install, {"a": 1}).id
    worker = Worker(new_id(), run_deadline_seconds=600)

    def away(*_: Any) -> bool:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(calls, "end_invocation", away)
        with pytest.raises(type(error)):
            work(worker)
    database.session.rollback()
    # What is on paper and not in hand is given back with the second beat.
    assert [give_back_strays(worker), give_back_strays(worker)] == [0, 1]
    work()
    assert fresh(run).status == "succeeded" and len(runner.effects()) == 1
    assert [(one.status, one.error_code) for one in invocations(run)] == [("lost", "WORKER_LOST"), ("succeeded", None)]


def test_each_call_is_one_line_of_the_log(
    install: Install, runner: LocalRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(calls.log, "info", lambda said, **fields: lines.append({"said": said, **fields}))
    runner.fail(1)
    a_waiting_call(install)
    install_id, version_id = str(install.id), str(install.version_id)
    work()
    work_later(LATER)
    assert [(line["attempt"], line["status"], line["code"]) for line in lines] == [
        (1, "failed", "RUNNER_HTTP_ERROR"),
        (2, "succeeded", None),
    ]
    for line in lines:
        assert (line["install_id"], line["version_id"]) == (install_id, version_id)
        assert line["registry_id"] and line["content_hash"].startswith("sha256:")
        assert line["started_at"] <= line["finished_at"]
    assert "503" in lines[0]["error"]


def test_the_run_has_one_step_whose_attempts_are_on_record(install: Install, runner: LocalRunner, db: Any) -> None:
    runner.fail(1)
    run = a_waiting_call(install, {"a": 1}).id
    work()
    work_later(LATER)
    steps = db.scalars(database.select(RunStep).filter_by(run_id=run).order_by(RunStep.attempt)).all()
    assert [(step.attempt, step.status, step.step_id) for step in steps] == [
        (1, "failed", "call"),
        (2, "succeeded", "call"),
    ]
    assert steps[0].error["code"] == "RUNNER_HTTP_ERROR" and set(steps[1].output) == {"status", "duration_ms"}
