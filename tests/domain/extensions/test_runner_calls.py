"""The client of the runner, against a real one over HTTP: what it sends, what it takes, and what it makes of nonsense."""

from __future__ import annotations

import base64
import json
import resource
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from domain.extensions.runner import ExecuteRequest, RunnerFailed, execute
from domain.kernel import clock
from domain.kernel.outbound import configure_outbound
from tests.runners import LocalRunner
from tests.servers import plain_config

HASH = "sha256:" + "ab" * 32
SECRET = "s3cret-of-the-install"


@pytest.fixture(autouse=True)
def _usual_rules() -> None:
    """Workflows may not ask private addresses; the runner is asked all the same."""
    configure_outbound(plain_config())


def a_request(**changes: Any) -> ExecuteRequest:
    request = ExecuteRequest(
        request_id=uuid4(),
        invocation_id=uuid4(),
        idempotency_key=uuid4().hex,
        attempt=1,
        trigger="schedule",
        tenant_id=uuid4(),
        extension_id=uuid4(),
        install_id=uuid4(),
        version_id=uuid4(),
        content_hash=HASH,
        method="POST",
        path="/api/sync",
        now=clock.now(),
        payload={"full": False},
        config={"region": "eu"},
        providers=("cap:secrets.get",),
        secrets={"API_KEY": SECRET},
        schedule_id=uuid4(),
        scheduled_for=clock.now().replace(microsecond=0),
    )
    return replace(request, **changes)


def failure(runner: LocalRunner, seconds: float = 20, **changes: Any) -> RunnerFailed:
    with pytest.raises(RunnerFailed) as raised:
        execute(runner.settings(seconds), a_request(**changes))
    return raised.value


def test_a_call_carries_what_the_contract_says_and_nothing_else(runner: LocalRunner) -> None:
    request = a_request()
    executed = execute(runner.settings(), request)
    (call,) = runner.calls()
    headers, body = call["headers"], call["body"]
    assert headers["x-request-id"] == str(request.request_id)
    assert headers["x-idempotency-key"] == request.idempotency_key
    assert (headers["x-alga-tenant"], headers["x-alga-extension"]) == (
        str(request.tenant_id),
        str(request.extension_id),
    )
    assert headers["accept-encoding"] == "identity"
    assert body["context"] == {
        "request_id": str(request.request_id),
        "invocation_id": str(request.invocation_id),
        "attempt": 1,
        "trigger": "schedule",
        "schedule_id": str(request.schedule_id),
        "scheduled_for": request.scheduled_for and request.scheduled_for.isoformat(),
        "tenant_id": str(request.tenant_id),
        "extension_id": str(request.extension_id),
        "install_id": str(request.install_id),
        "version_id": str(request.version_id),
        "content_hash": HASH,
        "config": {"region": "eu"},
    }
    assert base64.b64decode(body["http"].pop("body_b64")) == b'{"full":false}'
    assert body["http"] == {
        "method": "POST",
        "path": "/api/sync",
        "query": {},
        "headers": {
            "x-alga-tenant": str(request.tenant_id),
            "x-alga-extension": str(request.extension_id),
            "content-type": "application/json",
        },
    }
    assert body["limits"] == {"timeout_ms": 18_000, "memory_mb": 256}
    assert body["providers"] == ["cap:secrets.get"]
    assert (executed.http_status, executed.status, executed.error, executed.failure) == (200, 200, None, None)
    assert json.loads(executed.body)["secrets"] == ["API_KEY"]


def test_neither_the_record_nor_a_repr_shows_a_secret(runner: LocalRunner) -> None:
    request = a_request()
    execute(runner.settings(), request)
    assert SECRET not in repr(request) + json.dumps(runner.calls()) + runner.log
    assert runner.settings().token not in json.dumps(runner.calls()) + runner.log


@pytest.mark.parametrize(("method", "payload"), [("GET", {"full": True}), ("POST", None)])
def test_a_get_and_a_payload_of_null_have_no_body(runner: LocalRunner, method: str, payload: Any) -> None:
    execute(runner.settings(), a_request(method=method, payload=payload))
    asked = runner.calls()[0]["body"]["http"]
    assert "body_b64" not in asked
    assert "content-type" not in asked["headers"]


def test_without_secrets_there_is_no_envelope(runner: LocalRunner) -> None:
    execute(runner.settings(), a_request(secrets={}))
    assert runner.calls()[0]["body"]["secret_envelope"] is None


@pytest.mark.parametrize(
    ("behaviour", "code", "http_status"),
    [
        ({"do": "drop"}, "RUNNER_UNREACHABLE", None),
        ({"do": "truncated"}, "RUNNER_UNREACHABLE", None),
        ({"do": "http", "status": 503}, "RUNNER_HTTP_ERROR", 503),
        ({"do": "http", "status": 500, "text": "it broke"}, "RUNNER_HTTP_ERROR", 500),
        ({"do": "http", "status": 404}, "RUNNER_REFUSED", 404),
        ({"do": "http", "status": 302, "headers": {"location": "http://127.0.0.1:9/"}}, "RUNNER_REFUSED", 302),
        ({"do": "empty"}, "RUNNER_EMPTY", 200),
        ({"do": "not_json"}, "RUNNER_NOT_JSON", 200),
        ({"do": "not_json", "text": "[" * 100_000}, "RUNNER_NOT_JSON", 200),
        ({"do": "not_json", "text": "[1]"}, "RUNNER_NOT_JSON", 200),
        ({"do": "not_json", "text": '{"status":"200"}'}, "RUNNER_NOT_JSON", 200),
        ({"do": "not_json", "text": '{"status":true}'}, "RUNNER_NOT_JSON", 200),
        ({"do": "not_json", "text": '{"status":200,"body_b64":"?"}'}, "RUNNER_NOT_JSON", 200),
        ({"do": "not_json", "text": '{"status":200,"error":7}'}, "RUNNER_NOT_JSON", 200),
        ({"do": "gzip_bomb", "bytes": 1 << 28}, "RUNNER_NOT_JSON", None),
        ({"do": "huge"}, "RUNNER_TOO_LARGE", None),
    ],
)
def test_each_misbehaviour_has_its_code(
    runner: LocalRunner, behaviour: dict[str, Any], code: str, http_status: int | None
) -> None:
    runner.script(behaviour)
    failed = failure(runner)
    assert (failed.code, failed.http_status) == (code, http_status)
    assert failed.message.endswith(".")
    assert failed.is_retryable == (code in ("RUNNER_UNREACHABLE", "RUNNER_HTTP_ERROR"))


@pytest.mark.parametrize(
    "behaviour", [{"do": "delay", "seconds": 600}, {"do": "drip", "seconds": 0.5, "executes": True}]
)
def test_the_deadline_is_for_the_whole_call(runner: LocalRunner, behaviour: dict[str, Any]) -> None:
    runner.script(behaviour)
    began = clock.monotonic()
    failed = failure(runner, seconds=3)
    assert (failed.code, failed.is_retryable) == ("RUNNER_TIMEOUT", True)
    assert 3 <= clock.monotonic() - began < 20
    assert failed.duration_ms >= 3_000


def test_a_huge_answer_is_not_kept_in_memory(runner: LocalRunner) -> None:
    execute(runner.settings(), a_request())
    runner.script({"do": "huge", "bytes": 1 << 30})
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    failure(runner)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


def test_nobody_listening_is_unreachable(runner: LocalRunner) -> None:
    runner.stop()
    assert failure(runner).code == "RUNNER_UNREACHABLE"


def test_a_wrong_token_is_refused_and_the_advice_names_the_variable(runner: LocalRunner) -> None:
    with pytest.raises(RunnerFailed, match="CARILLON_RUNNER_TOKEN") as raised:
        execute(replace(runner.settings(), token="x" * 40), a_request())
    assert (raised.value.code, raised.value.http_status) == ("RUNNER_REFUSED", 401)
    assert runner.calls() == []


@pytest.mark.parametrize(
    ("answer", "code", "is_retryable"),
    [
        ({"status": 503}, "ENDPOINT_ERROR", True),
        ({"status": 500, "error": "execute_failed: trap"}, "ENDPOINT_ERROR", True),
        ({"status": 200, "error": "odd"}, "ENDPOINT_ERROR", False),
        ({"status": 422}, "ENDPOINT_REFUSED", False),
        ({"status": 400, "error": "unknown_capabilities: cap:x"}, "ENDPOINT_REFUSED", False),
    ],
)
def test_a_failure_of_the_endpoint_is_an_answer_that_says_so(
    runner: LocalRunner, answer: dict[str, Any], code: str, is_retryable: bool
) -> None:
    runner.script({"do": "answer", "answer": answer | {"body_b64": base64.b64encode(b"why \x00 not").decode()}})
    executed = execute(runner.settings(), a_request())
    failed = executed.failure
    assert failed is not None
    assert (failed.code, failed.is_retryable, failed.endpoint_status) == (code, is_retryable, answer["status"])
    assert failed.excerpt == "why \ufffd not"
    assert answer.get("error", "") in failed.message


def test_a_redirect_of_the_endpoint_is_a_success(runner: LocalRunner) -> None:
    runner.script({"do": "answer", "answer": {"status": 302}})
    assert execute(runner.settings(), a_request()).failure is None


def test_what_failed_n_times_succeeds_afterwards_and_has_one_effect(runner: LocalRunner) -> None:
    runner.fail(2)
    request = a_request()
    assert [failure(runner, idempotency_key=request.idempotency_key).code for _ in range(2)] == [
        "RUNNER_HTTP_ERROR"
    ] * 2
    assert execute(runner.settings(), request).status == 200
    assert runner.effects() == [request.idempotency_key]


def test_an_answer_lost_on_its_way_is_given_again_without_a_second_effect(runner: LocalRunner) -> None:
    runner.script({"do": "drop", "executes": True, "times": 1})
    request = a_request()
    with pytest.raises(RunnerFailed):
        execute(runner.settings(), request)
    assert execute(runner.settings(), replace(request, request_id=uuid4(), attempt=2)).status == 200
    assert runner.effects() == [request.idempotency_key]
    assert [call["replayed"] for call in runner.calls()] == [False, True]
