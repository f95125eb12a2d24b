"""The local runner keeps the contract: what it refuses as HTTP, what it answers as an error, and what it runs."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.runners import LocalRunner
from tests.workers.runner_asking import HASH, a_body, an_envelope, ask, handled, headers_for, value_of


def test_it_says_that_it_is_well_without_a_token(runner: LocalRunner) -> None:
    assert httpx.get(f"{runner.url}/healthz", trust_env=False).json() == {"status": "ok"}


def test_a_whole_call_is_executed(runner: LocalRunner) -> None:
    body = a_body()
    body["http"]["body_b64"] = base64.b64encode(b'{"a":1}').decode()
    answer = ask(runner, body)
    assert handled(answer) == (200, None)
    assert value_of(answer)["body_b64"] == body["http"]["body_b64"]
    assert value_of(answer)["context"] == body["context"]


def test_unknown_members_are_ignored(runner: LocalRunner) -> None:
    body = a_body(trigger="schedule", mood="good")
    body |= {"colour": "blue", "limits": body["limits"] | {"fuel": 7}, "user": None}
    assert handled(ask(runner, body)) == (200, None)


@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_without_the_token_nothing_is_looked_at(runner: LocalRunner, token: str | None) -> None:
    headers = headers_for(runner, a_body())
    headers.pop("x-runner-service-token")
    response = ask(runner, a_body(), headers | ({} if token is None else {"x-runner-service-token": token}))
    assert response.status_code == 401
    assert runner.calls() == []


def test_other_addresses_and_methods_are_not_found(runner: LocalRunner) -> None:
    headers = headers_for(runner, a_body())
    assert httpx.post(f"{runner.url}/v1/other", json={}, headers=headers, trust_env=False).status_code == 404
    assert httpx.get(f"{runner.url}/v1/execute", headers=headers, trust_env=False).status_code == 404


def test_other_content_types_are_refused(runner: LocalRunner) -> None:
    body = a_body()
    assert ask(runner, body, headers_for(runner, body) | {"content-type": "text/plain"}).status_code == 415


@pytest.mark.parametrize("text", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(runner: LocalRunner, text: bytes) -> None:
    assert ask(runner, text, headers_for(runner, a_body())).status_code == 400


def test_a_body_above_two_megabytes_is_refused(runner: LocalRunner) -> None:
    body = a_body()
    body["http"]["body_b64"] = "A" * (2 * 1024 * 1024)
    assert ask(runner, body).status_code == 413


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((), []),
        (("context",), None),
        (("context",), "text"),
        (("context", "tenant_id"), None),
        (("context", "tenant_id"), 7),
        (("context", "extension_id"), None),
        (("context", "content_hash"), None),
        (("context", "install_id"), 7),
        (("context", "config"), {"a": 1}),
        (("context", "config"), {"a": None}),
        (("http",), None),
        (("http", "method"), None),
        (("http", "path"), 7),
        (("http", "query"), {"a": ["b"]}),
        (("http", "headers"), {"a": None}),
        (("http", "body_b64"), {}),
        (("limits", "timeout_ms"), "soon"),
        (("limits", "timeout_ms"), True),
        (("limits", "memory_mb"), -1),
        (("providers",), "cap:log.emit"),
        (("providers",), [7]),
        (("secret_envelope",), "sealed"),
    ],
)
def test_members_of_another_type_are_refused(runner: LocalRunner, path: tuple[str, ...], value: Any) -> None:
    body: Any = a_body()
    headers = headers_for(runner, body)
    if path:
        part = body
        for name in path[:-1]:
            part = part[name]
        part[path[-1]] = value
    else:
        body = value
    assert ask(runner, body, headers).status_code == 422


@pytest.mark.parametrize("name", ["x-alga-tenant", "x-alga-extension"])
def test_routing_headers_are_required_and_agree_with_the_context(runner: LocalRunner, name: str) -> None:
    body = a_body()
    headers = headers_for(runner, body)
    assert handled(ask(runner, body, headers | {name: ""})) == (400, "missing_routing_headers")
    assert handled(ask(runner, body, {key: headers[key] for key in headers if key != name}))[0] == 400
    status, error = handled(ask(runner, body, headers | {name: str(uuid4())}))
    assert status == 400
    assert str(error).startswith("routing_headers_differ")


def test_capabilities_are_trimmed_and_unknown_ones_are_named(runner: LocalRunner) -> None:
    body = a_body() | {"providers": [" Cap:HTTP.fetch ", "cap:user.read"]}
    assert handled(ask(runner, body)) == (200, None)
    body["providers"] = ["cap:moon", "cap:http.fetch", "cap:beer"]
    assert handled(ask(runner, body)) == (400, "unknown_capabilities: cap:beer, cap:moon")


def test_a_call_without_a_deadline_fails(runner: LocalRunner) -> None:
    status, error = handled(ask(runner, a_body() | {"limits": {}}))
    assert status == 500
    assert str(error).startswith("execute_failed: limits.timeout_ms")


def test_a_body_that_is_not_base64_fails(runner: LocalRunner) -> None:
    body = a_body()
    body["http"]["body_b64"] = "!"
    assert handled(ask(runner, body)) == (500, "execute_failed: body_b64 is not base64")


def test_a_hash_with_and_without_its_prefix_is_the_same(runner: LocalRunner) -> None:
    assert handled(ask(runner, a_body(content_hash=HASH.removeprefix("sha256:")))) == (200, None)


def test_secrets_reach_only_an_extension_that_may_read_them(runner: LocalRunner) -> None:
    body = a_body()
    body["secret_envelope"] = an_envelope(runner, body)
    assert value_of(ask(runner, body))["secrets"] == ["API_KEY"]
    assert value_of(ask(runner, body | {"providers": ["cap:http.fetch"]}))["secrets"] == []


@pytest.mark.parametrize("name", ["tenant_id", "extension_id", "install_id", "version_id"])
def test_an_envelope_of_somebody_else_stays_closed(runner: LocalRunner, name: str) -> None:
    body = a_body()
    body["secret_envelope"] = an_envelope(runner, body, **{name: str(uuid4())})
    status, error = handled(ask(runner, body))
    assert status == 500
    assert str(error).startswith("secret_decrypt_failed")


def test_an_expired_envelope_is_refused(runner: LocalRunner) -> None:
    body = a_body()
    body["secret_envelope"] = an_envelope(runner, body, seconds=-1)
    assert handled(ask(runner, body)) == (500, "secret_decrypt_failed: it has expired")


def test_the_expiry_of_an_envelope_cannot_be_moved(runner: LocalRunner) -> None:
    body = a_body()
    expired, fresh = an_envelope(runner, body, seconds=-1), an_envelope(runner, body)
    body["secret_envelope"] = expired | {"expires_at": fresh["expires_at"]}
    assert handled(ask(runner, body))[0] == 500


@pytest.mark.parametrize(
    "change", [{"algorithm": "inline/base64"}, {"ciphertext_b64": "e30="}, {"ciphertext_b64": "?"}]
)
def test_encoding_is_no_encryption(runner: LocalRunner, change: dict[str, str]) -> None:
    body = a_body()
    body["secret_envelope"] = an_envelope(runner, body) | change
    status, error = handled(ask(runner, body))
    assert status == 500
    assert str(error).startswith("secret_decrypt_failed")


def test_the_same_key_runs_once_and_answers_the_same(runner: LocalRunner) -> None:
    body = a_body(attempt=1)
    first = ask(runner, body, x_idempotency_key="k")
    again = ask(runner, body | {"context": body["context"] | {"attempt": 2, "request_id": "r"}}, x_idempotency_key="k")
    assert again.json() == first.json()
    assert (first.headers.get("x-idempotent-replay"), again.headers.get("x-idempotent-replay")) == (None, "1")
    assert runner.effects() == ["k"]


def test_keys_are_a_tenants_and_an_extensions_own(runner: LocalRunner) -> None:
    body = a_body()
    others = [body["context"] | {name: str(uuid4())} for name in ("tenant_id", "extension_id")]
    for context in (body["context"], *others):
        assert handled(ask(runner, body | {"context": context}, x_idempotency_key="k")) == (200, None)
    assert runner.effects() == ["k"] * 3


def test_without_a_key_every_call_runs(runner: LocalRunner) -> None:
    body = a_body()
    ask(runner, body), ask(runner, body)
    assert len(runner.effects()) == 2


@pytest.mark.parametrize(
    "change", [{"method": "GET"}, {"path": "/api/other"}, {"query": {"a": "b"}}, {"body_b64": "e30="}]
)
def test_a_key_that_comes_with_another_request_is_a_conflict(runner: LocalRunner, change: dict[str, Any]) -> None:
    body = a_body()
    ask(runner, body, x_idempotency_key="k")
    status, error = handled(ask(runner, body | {"http": body["http"] | change}, x_idempotency_key="k"))
    assert status == 409
    assert str(error).startswith("idempotency_conflict")
    assert runner.effects() == ["k"]


def test_whoever_comes_while_the_first_call_runs_waits_for_its_answer(runner: LocalRunner) -> None:
    runner.script({"do": "delay", "seconds": 1.5})
    body = a_body()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(runner, body, x_idempotency_key="k"), range(8)))
    assert [handled(answer) for answer in answers] == [(200, None)] * 8
    assert len({answer.json()["body_b64"] for answer in answers}) == 1
    assert runner.effects() == ["k"]


def test_whoever_waits_longer_than_its_deadline_is_told_so(runner: LocalRunner) -> None:
    runner.script({"do": "delay", "seconds": 600})
    body = a_body() | {"limits": {"timeout_ms": 500}}
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, runner, body, x_idempotency_key="k")
        while not runner.effects():
            pass
        status, error = handled(ask(runner, body, x_idempotency_key="k"))
        runner.reset()
        assert handled(first.result(60)) == (200, None)
    assert (status, error) == (500, "execute_failed: the first call with this key is still running")


def test_another_script_ends_what_dawdles(runner: LocalRunner) -> None:
    runner.script({"do": "delay", "seconds": 600})
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, runner, a_body())
        while not runner.effects():
            pass
        runner.script()
        assert handled(slow.result(60)) == (200, None)


def test_a_failure_is_tried_again_under_the_same_key(runner: LocalRunner) -> None:
    runner.script({"do": "answer", "answer": {"status": 503}, "times": 2})
    body = a_body()
    assert [handled(ask(runner, body, x_idempotency_key="k"))[0] for _ in range(4)] == [503, 503, 200, 200]
    assert runner.effects() == ["k"] * 3


def test_a_script_is_for_whom_it_names(runner: LocalRunner) -> None:
    body = a_body()
    runner.script({"do": "http", "status": 500, "tenant": body["context"]["tenant_id"], "path": "/api/sync"})
    assert ask(runner, body).status_code == 500
    assert ask(runner, a_body()).status_code == 200
    assert ask(runner, body | {"http": body["http"] | {"path": "/other"}}).status_code == 200
