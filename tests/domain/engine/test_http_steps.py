"""http.request as a step of a run: its record, its retries, and what the installation allows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from domain.kernel.clock import database_now
from domain.kernel.config import BadConfig
from domain.kernel.outbound import configure_outbound, rules
from domain.runs.steps import RunStep
from domain.runs.waits import Wait
from tests.domain.engine.claimed_runs import a_running_run, carried_out
from tests.domain.engine.engine_runs import call
from tests.domain.engine.http_calls import LOCAL, allow
from tests.domain.engine.http_servers import answering, serving_site
from tests.servers import environment, plain_config


@pytest.fixture
def site(monkeypatch):
    with serving_site(answering(200, b'{"id": 7}', Content_Type="application/json")) as site:
        allow(monkeypatch, places=LOCAL, ports=str(site.port))
        yield site


def steps_of(db, claim):
    return db.scalars(select(RunStep).where(RunStep.run_id == claim.run_id).order_by(RunStep.attempt)).all()


def test_the_answer_is_on_record_with_the_key_that_was_sent(db, site):
    claim = a_running_run(db, call("http.request", "reply", url=site.url))

    assert carried_out(claim).status == "succeeded"

    [step] = steps_of(db, claim)
    assert step.output["body"] == {"id": 7}
    assert f"idempotency-key: {step.idempotency_key}".encode() in site.requests[0].lower()


def test_a_busy_server_is_left_alone_as_long_as_it_asks_and_asked_with_the_same_key_again(db, site):
    site.answer = answering(503, Retry_After="600")
    claim = a_running_run(db, call("http.request", url=site.url))

    assert carried_out(claim).status == "waiting"

    wait = db.scalars(select(Wait).where(Wait.run_id == claim.run_id)).one()
    delay = wait.due_at - database_now()
    assert wait.kind == "retry" and timedelta(seconds=580) < delay < timedelta(seconds=620)
    [step] = steps_of(db, claim)
    assert (step.status, step.error["code"], step.error["category"]) == ("failed", "HTTP_503", "TransientError")


def test_what_trying_again_cannot_mend_is_not_tried_again(db, site):
    site.answer = answering(404)
    claim = a_running_run(db, call("http.request", url=site.url))

    result = carried_out(claim)

    assert (result.status, result.error["code"]) == ("failed", "HTTP_404")
    assert len(site.requests) == 1


def test_every_process_takes_its_rules_from_the_environment(monkeypatch):
    monkeypatch.setattr(rules, "_rules", rules.Rules())
    config = replace(
        plain_config(), http_allow="runner.internal 10.0.0.0/8", http_deny="example.com", http_ports="8080"
    )

    configure_outbound(config)

    current = rules.current_rules()
    assert current.allow.has_name("runner.internal") and current.deny.has_name("example.com")
    assert current.ports == {8080}


@pytest.mark.parametrize(
    ("name", "value"),
    [("CARILLON_HTTP_ALLOW", "http://x"), ("CARILLON_HTTP_DENY", "10.0.0.0/99"), ("CARILLON_HTTP_PORTS", "http")],
)
def test_a_setting_that_means_nothing_keeps_the_process_from_starting(name, value):
    env = environment("postgresql://nobody@127.0.0.1:9/nothing", "redis://127.0.0.1:9/0")
    with pytest.raises(BadConfig, match=name):
        type(plain_config()).from_env(env | {name: value})
