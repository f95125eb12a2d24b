"""What Prometheus is told, and who may ask."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from math import prod
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.parser import text_string_to_metric_families as families
from sqlalchemy import text

from domain.extensions.circuits import InstallCircuit
from domain.firing.tick import fire_due
from domain.invariant_checks import check_invariants
from domain.invariants import INVARIANTS
from domain.kernel import clock, metrics
from domain.kernel.config import BadConfig, Config
from domain.kernel.db import transaction
from domain.kernel.ids import new_id
from domain.kernel.metric_counts import record_counts, totals
from domain.kernel.metrics import counted as counted_samples
from domain.runs.heartbeats import beat
from domain.runs.runs import UNFINISHED
from tests.factories import (
    NOW,
    a_published_workflow,
    a_run,
    a_schedule,
    an_extension,
    an_extension_version,
    an_install,
)
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
    assert found["carillon_processes", (("kind", "web"),)] == 0
    assert found["carillon_schedules_late_seconds", ()] > 0
    for status in UNFINISHED:
        assert found["carillon_unfinished_runs", (("status", status), ("target", "endpoint"))] == 0


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


def test_a_change_that_counts_nothing_does_not_look_through_what_is_counted(
    alice: Browser, monkeypatch: pytest.MonkeyPatch, db: Any
) -> None:
    tomorrow = clock.database_now() + timedelta(days=1)
    schedule = a_schedule(a_published_workflow(alice.tenant), next_fire_at=tomorrow)
    db.commit()
    record_counts()
    monkeypatch.setattr("domain.kernel.metric_counts.counted", lambda *_: pytest.fail("everything was looked through"))
    assert alice.post(f"/schedules/{schedule.id}/pause", {"reason": "Audit"}).status_code < 400


def test_runs_that_a_worker_may_take_are_told_by_lane(alice: Browser, client: FlaskClient, allow: Any, db: Any) -> None:
    allow(metrics_token=TOKEN)
    workflow, now = a_published_workflow(alice.tenant), clock.database_now()
    a_run(workflow, "queued", ready_at=now - timedelta(seconds=90))
    a_run(workflow, "queued", ready_at=now)
    a_run(workflow, "queued")
    db.commit()
    found = told(client)
    ready = {lane: found["carillon_queue_ready", (("lane", lane),)] for lane in ("pure", "effect", "call")}
    assert ready == {"pure": 0, "effect": 2, "call": 0}
    assert found["carillon_queue_oldest_seconds", (("lane", "effect"),)] >= 90
    assert found["carillon_queue_oldest_seconds", (("lane", "pure"),)] == 0


def test_circuits_are_told_by_their_state(alice: Browser, client: FlaskClient, allow: Any, db: Any) -> None:
    allow(metrics_token=TOKEN)
    now = clock.database_now()
    for number, until in enumerate((None, None, now + timedelta(seconds=60), now - timedelta(seconds=1))):
        install = an_install(alice.tenant, an_extension_version(an_extension(alice.tenant, f"com.acme.e{number}")))
        if number:
            since = until and now - timedelta(seconds=90)
            db.add(
                InstallCircuit(install_id=install.id, tenant_id=install.tenant_id, open_until=until, opened_at=since)
            )
        install.disabled_at = now if number == 0 else None
    db.commit()
    found = told(client)
    circuits = {state: found["carillon_circuits", (("state", state),)] for state in ("closed", "open", "half_open")}
    assert circuits == {"closed": 2, "open": 1, "half_open": 1}
    assert found["carillon_disabled_installs", ()] == 1


def test_connections_used_and_allowed_are_told(client: FlaskClient, allow: Any) -> None:
    allow(metrics_token=TOKEN)
    found = told(client)
    used, allowed = (found["carillon_database_connections", (("state", state),)] for state in ("used", "allowed"))
    assert 1 <= used <= allowed


def test_invariants_are_told_by_name_when_they_are_broken(
    alice: Browser, client: FlaskClient, allow: Any, db: Any
) -> None:
    allow(metrics_token=TOKEN)
    assert ("carillon_invariants_checked_ago_seconds", ()) not in told(client)
    a_run(a_published_workflow(alice.tenant), "waiting")
    check_invariants(clock.database_now() - timedelta(seconds=30))
    db.commit()
    found = told(client)
    broken = {dict(labels)["invariant"]: value for (name, labels), value in found.items() if name.endswith("t_broken")}
    assert broken == {one.name: float(one.name == "wait_missing") for one in INVARIANTS}
    assert found["carillon_invariants_checked_ago_seconds", ()] >= 30


def test_requests_are_timed_by_area_and_by_what_was_asked_for(alice: Browser, client: FlaskClient) -> None:
    before = Counter(counted_samples())
    alice.get("/system")
    alice.get("/system", htmx=True)
    alice.post("/settings", {})
    alice.get("/no-such-page")
    for untimed in ("/healthz", "/metrics", "/static/favicon.svg"):
        client.get(untimed).close()
    timed = {at: value - before[at] for at, value in counted_samples().items() if value != before[at]}
    name = "carillon_request_duration_seconds_count"
    found = {tuple(dict(labels).values()): value for (sample, labels), value in timed.items() if sample == name}
    assert found == {("system", "page"): 1, ("system", "fragment"): 1, ("settings", "change"): 1, ("none", "page"): 1}


def test_no_label_has_more_values_than_the_code_knows(app: Flask) -> None:
    """Each family multiplies its labels: these are all there are, and how many values each may have at most."""
    most = {"target": 2, "outcome": 4, "status": 3, "reason": 30, "result": 40, "area": 30, "kind": 3}
    families = {
        name: metric._labelnames for name, metric in vars(metrics).items() if isinstance(metric, MetricWrapperBase)
    }
    assert {label for labels in families.values() for label in labels} == set(most)
    assert len({endpoint.partition(".")[0] for endpoint in app.view_functions}) <= most["area"]
    series = {name: prod(most[label] for label in labels) for name, labels in families.items()}
    assert max(series.values()) <= 300, series
