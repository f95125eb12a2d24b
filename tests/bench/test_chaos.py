"""A minute of chaos, and that its oracle sees what is left out, doubled or there too early."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask

from bench.chaos import Scene, chaos, seeded, verdict
from bench.results import Report
from domain.firing.tick import fire_due
from domain.kernel.config import Config
from domain.kernel.db import db, transaction
from tests.faults.fleet import execute
from workers.process import process_app


@pytest.fixture
def app(fresh_env: dict[str, str]) -> Iterator[Flask]:
    made = process_app(Config.from_env(fresh_env), "command", 2)
    yield made
    with made.app_context():
        db.engine.dispose()


@pytest.fixture
def scene(app: Flask) -> Scene:
    """Three schedules that fired at two minutes; the clock of the tick is ahead of the database's."""
    made = seeded(app, 1, recurring_count=3)
    for minute in range(2):
        with app.app_context(), transaction():
            fire_due(made.since + timedelta(minutes=minute, seconds=1))
    return made


def wrong(scene: Scene) -> set[str]:
    return set(verdict(scene, scene.since + timedelta(minutes=1)))


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        ("SELECT 1", set()),
        (
            "DELETE FROM occurrences WHERE id = (SELECT o.id FROM occurrences o JOIN schedules s ON s.id = schedule_id "
            "WHERE s.trigger_type = 'recurring' LIMIT 1)",
            {"an instant not accounted for once", "a scheduled run without its occurrence"},
        ),
        (
            "INSERT INTO occurrences (id, schedule_id, tenant_id, scheduled_for, origin_key, outcome, reason, decided_at) "
            "SELECT uuidv7(), o.schedule_id, o.tenant_id, o.scheduled_for + interval '7 s', 'timing', 'skipped', 'overlap', "
            "o.decided_at + interval '7 s' FROM occurrences o JOIN schedules s ON s.id = schedule_id "
            "WHERE s.trigger_type = 'recurring' LIMIT 1",
            {"an instant that was not due"},
        ),
        (
            "INSERT INTO store_items (tenant_id, namespace, key, value) "
            "SELECT id, 'bench', 'eu-1', '1' FROM tenants WHERE slug = 'effects'",
            {"effects missing or doubled"},
        ),
    ],
)
def test_the_oracle_finds_what_was_broken_and_nothing_else(scene: Scene, broken: str, found: set[str]) -> None:
    execute(scene.app, broken)
    assert wrong(scene) == found


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_minute_of_chaos_loses_and_doubles_nothing() -> None:
    report = Report("chaos", {"minutes": 1})
    has_held = chaos(report, 60, seed=20_261_121)
    assert has_held, report.ratios["violations"]
    assert report.ratios["runs"] > 100
