"""What Prometheus is told of several real processes by one that ran nothing, also after they were killed."""

from __future__ import annotations

import signal
from collections import Counter
from dataclasses import replace

import pytest
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families as families

from domain.kernel import metric_counts
from domain.kernel.config import Config
from domain.kernel.db import db
from tests.faults.fleet import Fleet, wait_until
from tests.faults.invariants import wait_for_all
from tests.faults.seeds import PURE_STEPS, seed_one_time_schedules, seed_workflow
from tests.servers import make_app

TOKEN = "a token for prometheus and nobody else"
FIRED = ("carillon_occurrences_total", (("outcome", "fired"), ("reason", ""), ("target", "workflow")))
ENDED = ("carillon_runs_finished_total", (("status", "succeeded"), ("target", "workflow")))
TIMED = ("carillon_run_duration_seconds_count", (("status", "succeeded"), ("target", "workflow")))
LATE = ("carillon_fire_lateness_seconds_count", (("target", "workflow"),))


def told(client: FlaskClient) -> Counter[tuple[str, tuple[tuple[str, str], ...]]]:
    answer = client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    samples = [sample for family in families(answer.text) for sample in family.samples]
    return Counter({(one.name, tuple(sorted(one.labels.items()))): int(one.value) for one in samples})


def test_one_scrape_tells_of_all_processes_and_no_total_ever_falls(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What earlier tests counted in this process is none of this installation's.
    monkeypatch.setattr(metric_counts, "TALLY", metric_counts.Tally(CollectorRegistry()))
    app = make_app(replace(Config.from_env(fleet.env), metrics_token=TOKEN))
    client = app.test_client()
    workflow_id = seed_workflow(fleet.app, PURE_STEPS, is_pure=True)
    processes = [fleet.scheduler(), fleet.scheduler(), fleet.worker(), fleet.worker()]
    fleet.await_processes(4)
    seed_one_time_schedules(fleet.app, workflow_id, 60, in_seconds=1)
    wait_for_all(fleet.app, 60)
    expected = {FIRED: 60, ENDED: 60, TIMED: 60, LATE: 60}

    def all_is_told() -> bool:
        found = told(client)
        assert all(found[sample] <= number for sample, number in expected.items())
        return all(found[sample] == number for sample, number in expected.items())

    wait_until(all_is_told, "every count on record")
    alive = "carillon_processes", (("kind", "worker"),)
    wait_until(lambda: told(client)[alive] == 2, "two workers that are alive")
    for process in processes:
        fleet.kill(process)
    assert all_is_told()
    fleet.scheduler()
    last = fleet.worker()
    seed_one_time_schedules(fleet.app, workflow_id, 5, in_seconds=0, name="Later")
    wait_for_all(fleet.app, 65)
    fleet.send(last, signal.SIGTERM)
    expected = {FIRED: 65, ENDED: 65, TIMED: 65, LATE: 65}
    wait_until(all_is_told, "the counts of the next ones, and what a worker counted before it ended")
    with app.app_context():
        db.engine.dispose()
