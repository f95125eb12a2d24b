"""The panel on a schedule's page: one sentence, what is wrong below it, the whole checklist folded."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from domain.accounts.tenants import Tenant
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.runs.heartbeats import SCHEDULER, WORKER, Heartbeat, beat
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_run, a_schedule, a_workflow
from tests.statements import counted
from tests.web.cast import Browser

pytestmark = pytest.mark.usefixtures("alive")


@pytest.fixture
def alive(db: Any) -> None:
    for kind in (SCHEDULER, WORKER):
        beat(new_id(), kind, "host", 1, "dev", 60)


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme, "Sync", schema={"type": "object"})


@pytest.fixture
def hourly(sync: Workflow, db: Any) -> Schedule:
    due = clock.database_now().replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    schedule = a_schedule(sync, "Hourly", next_fire_at=due)
    db.commit()
    return schedule


def panel_of(browser: Browser, schedule: Schedule) -> str:
    page = browser.get(f"/schedules/{schedule.id}").text
    found = re.search(r'<div class="callout.*?</details>', page, re.S)
    assert found
    return found.group(0)


def test_when_all_is_well_the_checklist_is_folded_under_one_sentence(alice: Browser, hourly: Schedule) -> None:
    panel = panel_of(alice, hourly)
    above, _, folded = panel.partition("<details")
    assert "Fires next" in above and "<li" not in above
    assert "All 11 checks pass" in folded and " open" not in folded.partition(">")[0]
    assert folded.count("Fine: ") == 11


def test_what_else_is_wrong_stands_open_below_the_sentence(
    alice: Browser, hourly: Schedule, sync: Workflow, db: Any
) -> None:
    hourly.overlap = "skip"
    run = a_run(sync, "running", schedule_id=hourly.id)
    db.execute(delete(Heartbeat).where(Heartbeat.kind == SCHEDULER))
    db.commit()
    above, _, folded = panel_of(alice, hourly).partition("<details")
    assert "Will not fire" in above and "No scheduler is alive" in above and 'href="/system"' in above
    assert above.count("No scheduler is alive") == 1
    assert f'href="/runs/{run.id}"' in above
    assert "9 of 11 checks pass" in folded


def test_a_reader_is_told_why_and_offered_nothing_that_needs_more(bob: Browser, hourly: Schedule, db: Any) -> None:
    hourly.status, hourly.invalid_reason = "invalid", "/region: region is required"
    db.commit()
    panel = panel_of(bob, hourly)
    assert "region is required" in panel
    assert "/edit" not in panel and "/resume" not in panel


@pytest.mark.parametrize(
    ("change", "link"),
    [
        ({"status": "invalid", "invalid_reason": "/region: region is required"}, "/edit"),
        ({"status": "paused", "paused_at": clock.now()}, "/resume"),
        ({"status": "completed"}, "/edit"),
    ],
)
def test_the_sentence_ends_with_the_link_that_mends_it(
    alice: Browser, hourly: Schedule, db: Any, change: dict[str, Any], link: str
) -> None:
    for name, value in change.items():
        setattr(hourly, name, value)
    db.commit()
    above = panel_of(alice, hourly).partition("<details")[0]
    assert "Does not fire: " in above
    assert f'href="/schedules/{hourly.id}{link}" data-dialog' in above


def test_a_schedule_without_a_version_says_what_has_to_happen(alice: Browser, acme: Tenant, db: Any) -> None:
    draft = a_workflow(acme, "Draft only")
    reason = "Draft only has no published version. Publish it first."
    schedule = a_schedule(draft, "Waiting", status="invalid", invalid_reason=reason)
    db.commit()
    panel = panel_of(alice, schedule)
    assert "Does not fire: Draft only has no published version." in panel
    assert f'href="/workflows/{draft.id}"' in panel
    assert ", not published" in alice.get(f"/schedules/{schedule.id}").text
    assert "vNone" not in alice.get("/schedules").text


def test_the_panel_costs_as_many_statements_whatever_there_is(
    alice: Browser, hourly: Schedule, sync: Workflow, db: Any
) -> None:
    path = f"/schedules/{hourly.id}"

    def cost() -> int:
        alice.get(path)
        with counted() as statements:
            assert alice.get(path).status_code == 200
        return len(statements)

    alone = cost()
    for _ in range(5):
        a_run(sync, "running", schedule_id=hourly.id)
    db.commit()
    assert cost() == alone
