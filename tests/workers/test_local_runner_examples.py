"""The examples that come with Carillon, each call in a process of its own; and a runner that is not scripted."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import httpx
import pytest

from domain.demo_extensions import ECHO, MANIFESTS, NEWER_WAREHOUSE, WAREHOUSE
from domain.extensions.manifests import content_hash, parse_manifest
from tests.runners import LocalRunner
from tests.workers.runner_asking import a_body, an_envelope, ask, handled, value_of
from workers.local_runner import CannotServe, server_from
from workers.runner.calls import BadCall, parse_call
from workers.runner.programs import example_program


def called(runner: LocalRunner, manifest: Any, method: str, path: str, body: Any = None, **context: Any) -> Any:
    """A body that calls an endpoint of a shipped extension."""
    asked = a_body(content_hash=content_hash(parse_manifest(manifest)), **context)
    asked["http"] |= {"method": method, "path": path}
    if body is not None:
        asked["http"]["body_b64"] = base64.b64encode(json.dumps(body).encode()).decode()
    return asked


def test_every_schedulable_endpoint_of_the_examples_answers(runner: LocalRunner) -> None:
    statuses = {}
    for _, manifest in MANIFESTS:
        for endpoint in manifest["api"]["endpoints"]:
            if endpoint["method"] in ("GET", "POST") and ":" not in endpoint["path"]:
                body = called(runner, manifest, endpoint["method"], endpoint["path"], attempt=2)
                if endpoint["path"] == "/slow":
                    continue
                body["secret_envelope"] = an_envelope(runner, body)
                statuses[endpoint["path"]] = handled(ask(runner, body))
    assert statuses.pop("/fail") == (500, None)
    assert statuses.pop("/api/reorder") == (401, None)
    assert set(statuses.values()) == {(200, None)}


def test_the_warehouse_counts_what_it_is_asked_for(runner: LocalRunner) -> None:
    body = called(runner, WAREHOUSE, "POST", "/api/count", {"warehouse": "Porto", "full": True})
    answer = value_of(ask(runner, body))
    assert answer["warehouse"] == "Porto"
    assert len(answer["counted"]) == 5


def test_both_versions_of_the_warehouse_can_be_told_apart() -> None:
    assert content_hash(parse_manifest(WAREHOUSE)) != content_hash(parse_manifest(NEWER_WAREHOUSE))


def test_an_example_gets_its_configuration_and_its_secrets(runner: LocalRunner) -> None:
    body = called(runner, ECHO, "POST", "/", {"a": 1}, trigger="schedule", attempt=1)
    body["secret_envelope"] = an_envelope(runner, body)
    answer = value_of(ask(runner, body))
    assert (answer["body"], answer["config"], answer["secrets"]) == ({"a": 1}, {"region": "eu"}, ["API_KEY"])
    assert answer["context"] == body["context"]


def test_an_example_is_ended_at_its_deadline(runner: LocalRunner) -> None:
    body = called(runner, ECHO, "POST", "/slow", {"seconds": 60}) | {"limits": {"timeout_ms": 1_500}}
    assert handled(ask(runner, body)) == (500, "execute_failed: not done within 1.5 s")


def test_an_example_that_breaks_says_what_broke_and_no_secret(runner: LocalRunner) -> None:
    body = called(runner, ECHO, "POST", "/fail", {"status": "hunter2-hunter2"})
    body["secret_envelope"] = an_envelope(runner, body)
    status, error = handled(ask(runner, body))
    assert status == 500
    assert error == "execute_failed: ValueError: invalid literal for int() with base 10: '***'"
    assert "hunter2" not in runner.log


def test_an_example_has_neither_our_environment_nor_more_memory_than_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARILLON_RUNNER_KEY", "k" * 40)
    body = a_body() | {"limits": {"timeout_ms": 30_000, "memory_mb": 64}}
    run = example_program("tests.workers.greedy_example")
    body["http"]["path"] = "/environment"
    assert b"CARILLON" not in run(parse_call({}, body), {}).body
    body["http"]["path"] = "/memory"
    with pytest.raises(BadCall, match="MemoryError"):
        run(parse_call({}, body), {})
    assert os.environ["CARILLON_RUNNER_KEY"]


def test_a_runner_that_is_not_scripted_knows_only_what_it_ships() -> None:
    env = {
        "CARILLON_RUNNER_URL": "http://127.0.0.1:0",
        "CARILLON_RUNNER_TOKEN": "t" * 40,
        "CARILLON_RUNNER_KEY": "k" * 40,
    }
    with server_from(env, is_scripted=False) as server:
        call = parse_call({"x-alga-tenant": "t", "x-alga-extension": "e"}, a_body(tenant_id="t", extension_id="e"))
        answer, _ = server.executor.answer(call)
        assert server.script is None
    assert (answer["status"], answer["error"]) == (
        502,
        "bundle_fetch_failed: this runner has no code for this content hash",
    )


@pytest.mark.parametrize("name", ["CARILLON_RUNNER_URL", "CARILLON_RUNNER_TOKEN", "CARILLON_RUNNER_KEY"])
def test_a_runner_without_its_settings_does_not_start(name: str) -> None:
    env = {
        "CARILLON_RUNNER_URL": "http://127.0.0.1:0",
        "CARILLON_RUNNER_TOKEN": "t" * 40,
        "CARILLON_RUNNER_KEY": "k" * 40,
    }
    with pytest.raises(CannotServe, match=name):
        server_from(env | {name: ""}, is_scripted=False)


def test_what_tests_ask_of_it_needs_the_token(runner: LocalRunner) -> None:
    assert httpx.get(f"{runner.url}/_test/calls", trust_env=False).status_code == 404
    assert httpx.delete(f"{runner.url}/_test/calls", trust_env=False).status_code == 404
    assert httpx.put(f"{runner.url}/_test/script", json=[], trust_env=False).status_code == 404
