"""What Prometheus is told, and who may ask."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families as families
from sqlalchemy import text

from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.config import BadConfig, Config
from domain.kernel.db import transaction
from domain.kernel.ids import new_id
from domain.kernel.metric_counts import totals
from domain.runs.heartbeats import beat
from tests.factories import NOW, a_published_workflow, a_schedule
from tests.statements import counted
from tests.web.cast import Browser

TOKEN = "a token for prometheus and nobody else"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def allow(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Say who may ask."""

    def configure(**values: Any) -> None:
        monkeypatch.setitem(app.config, "CARILLON", replace(app.config["CARILLON"], **values))

    return configure


def told(client: FlaskClient) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by its name and labels."""
    answer = client.get("/metrics", headers=BEARER)
    assert answer.status_code == 200, answer.text
    assert answer.content_type.startswith("text/plain; version=")
    samples = [sample for family in families(answer.text) for sample in family.samples]
    found = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}
    assert len(found) == len(samples)
    return found


def test_without_configuration_there_is_nothing(client: FlaskClient) -> None:
    assert client.get("/metrics", headers=BEARER).status_code == 404


def test_who_does_not_send_the_token_is_turned_away(client: FlaskClient, allow: Any, alice: Browser) -> None:
    allow(metrics_token=TOKEN)
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Bearer äö"}).status_code == 401
    assert client.get("/metrics", headers={"Authorization": "Basic YTpi"}).status_code == 401
    assert alice.get("/metrics").status_code == 401
    assert client.get("/metrics", headers=BEARER).status_code == 200


@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        (("10.0.0.0/8",), "10.1.2.3", 200),
        (("10.0.0.0/8",), "::ffff:10.1.2.3", 200),
        (("10.0.0.0/8", "fd00::/8"), "fd00::1", 200),
        (("10.0.0.0/8",), "11.1.2.3", 403),
        (("10.0.0.0/8",), "nonsense", 403),
    ],
)
def test_who_comes_from_elsewhere_is_turned_away(
    client: FlaskClient, allow: Any, networks: tuple[str, ...], address: str, status: int
) -> None:
    allow(metrics_allow=networks)
    assert client.get("/metrics", environ_base={"REMOTE_ADDR": address}).status_code == status


def test_token_and_network_are_both_needed_where_both_are_set(client: FlaskClient, allow: Any) -> None:
    allow(metrics_token=TOKEN, metrics_allow=("10.0.0.0/8",))
    inside, outside = {"REMOTE_ADDR": "10.1.2.3"}, {"REMOTE_ADDR": "11.1.2.3"}
    assert client.get("/metrics", environ_base=inside).status_code == 401
    assert client.get("/metrics", environ_base=outside, headers=BEARER).status_code == 403
    assert client.get("/metrics", environ_base=inside, headers=BEARER).status_code == 200


@pytest.mark.parametrize(
    ("name", "value"), [("CARILLON_METRICS_TOKEN", "too short"), ("CARILLON_METRICS_ALLOW", "10.0.0.1/8")]
)
def test_nonsense_in_the_configuration_is_named(name: str, value: str) -> None:
    env = {"DATABASE_URL": "postgresql://x/y", "REDIS_URL": "redis://x", "CARILLON_SECRET_KEY": "k" * 32, name: value}
    with pytest.raises(BadConfig, match=name):
        Config.from_env(env)


def test_how_things_stand_is_told(alice: Browser, client: FlaskClient, allow: Any, db: Any) -> None:
    allow(metrics_token=TOKEN)
    workflow = a_published_workflow(alice.tenant)
    for status in ("active", "active", "paused", "invalid"):
        a_schedule(workflow, f"Schedule {new_id()}", status=status)
    beat(new_id(), "worker", "host-1", 4711, "0.1.0", 30)
    db.commit()
    found = told(client)

    def schedules(status: str) -> float:
        return found["carillon_schedules", (("status", status), ("target", "workflow"))]

    assert [schedules(status) for status in ("active", "paused", "invalid")] == [2, 1, 1]
    assert found["carillon_processes", (("kind", "worker"),)] == 1
    assert found["carillon_processes", (("kind", "scheduler"),)] == 0
    assert found["carillon_open_circuits", ()] == 0
    assert found["carillon_schedules_late_seconds", ()] > 0


def test_nothing_told_names_a_tenant_or_a_thing_of_theirs(
    alice: Browser, client: FlaskClient, allow: Any, db: Any
) -> None:
    allow(metrics_token=TOKEN)
    schedule = a_schedule(a_published_workflow(alice.tenant, "Invoice sync"), next_fire_at=NOW)
    with transaction():
        fire_due(clock.database_now())
    body = client.get("/metrics", headers=BEARER).text
    assert "carillon_occurrences_total{" in body
    for secret in ("acme", "Invoice", str(schedule.id), str(alice.tenant.id)):
        assert secret not in body


def test_asking_costs_the_same_however_much_there_is(alice: Browser, client: FlaskClient, allow: Any, db: Any) -> None:
    allow(metrics_token=TOKEN)
    told(client)
    with counted() as few:
        told(client)
    workflow = a_published_workflow(alice.tenant)
    for number in range(20):
        a_schedule(workflow, f"Schedule {number}")
    db.commit()
    with counted() as many:
        told(client)
    assert len(many) == len(few)


def test_what_a_request_counts_is_on_record_when_it_is_over(alice: Browser, db: Any) -> None:
    schedule = a_schedule(a_published_workflow(alice.tenant), next_fire_at=clock.database_now() - timedelta(days=2))
    db.commit()
    db.execute(text("DELETE FROM metric_counts"))
    assert alice.post(f"/schedules/{schedule.id}/pause", {"reason": "Audit"}).status_code < 400
    outcomes = {dict(labels)["outcome"] for (name, labels) in totals() if name == "carillon_occurrences_total"}
    assert "missed" in outcomes
