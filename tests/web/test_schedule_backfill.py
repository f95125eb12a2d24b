"""Making up for a past range in its dialog: the dry run, the start, the progress and the way to stop it."""

from __future__ import annotations

import html
import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.tenants import Tenant
from domain.kernel import clock
from domain.kernel.db import db as database
from domain.runs.runs import Run
from domain.schedules.backfills import Backfill
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow
from tests.statements import counted
from tests.web.cast import Browser
from tests.web.schedule_pages import a_quiet_schedule, audited, errors_at, run_count, summary, value_of


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


@pytest.fixture
def full(db: Any) -> datetime:
    """The last full hour of the database's clock, in UTC."""
    return clock.database_now().replace(minute=0, second=0, microsecond=0)


@pytest.fixture
def hourly(sync: Workflow, full: datetime) -> Schedule:
    return a_quiet_schedule(sync, next_fire_at=full + timedelta(hours=1))


def typed(full: datetime, first_hours: int, last_hours: int, **changes: str) -> dict[str, str]:
    """The form for the hours from `first_hours` to `last_hours` ago."""
    edges = [f"{full - timedelta(hours=hours):%Y-%m-%dT%H:%M}" for hours in (first_hours, last_hours)]
    fields = {"from_at": edges[0], "until_at": edges[1], "concurrency": "1", "request_key": "k", "place": "drawer"}
    return fields | changes


def looked_at(fields: dict[str, str]) -> dict[str, str]:
    return fields | {"seen": f"{fields['from_at']}|{fields['until_at']}"}


def facts(page: str) -> dict[str, str]:
    return dict(re.findall(r"<dt>([^<]+)</dt><dd>([^<]*)</dd>", html.unescape(page)))


def backfills() -> list[Backfill]:
    database.session.expire_all()
    return list(database.session.scalars(select(Backfill)))


def started(alice: Browser, schedule: Schedule, full: datetime, **changes: str) -> Backfill:
    answer = alice.post(f"/schedules/{schedule.id}/backfill", looked_at(typed(full, 4, 1, **changes)), htmx=True)
    assert answer.status_code == 204
    return backfills()[-1]


def test_the_dialog_begins_with_the_last_day_in_the_zone_of_the_schedule(alice: Browser, sync: Workflow) -> None:
    paris = a_quiet_schedule(sync, timezone="Europe/Paris")
    page = alice.get(f"/schedules/{paris.id}/backfill").text
    assert "From, in Europe/Paris" in page
    begin, end = (datetime.fromisoformat(value_of(page, name)) for name in ("from_at", "until_at"))
    assert timedelta(hours=22) < end - begin < timedelta(hours=26)
    assert ">Check</button>" in page


def test_a_dry_run_counts_and_starts_nothing(alice: Browser, hourly: Schedule, full: datetime) -> None:
    answer = alice.post(f"/schedules/{hourly.id}/backfill", typed(full, 4, 1), htmx=True)
    assert answer.status_code == 200
    assert ">Start 4 runs</button>" in answer.text
    told = facts(answer.text)
    assert (told["Due in this range"], told["With a run already"]) == ("4 times", "0")
    assert f"{full - timedelta(hours=4):%H:%M} UTC" in told["First"]
    assert f"{full - timedelta(hours=1):%H:%M} UTC" in told["Last"]
    assert (run_count(), backfills()) == (0, [])


def test_what_was_looked_at_is_started_and_what_has_a_run_is_left_alone(
    alice: Browser, hourly: Schedule, full: datetime
) -> None:
    address = f"/schedules/{hourly.id}/backfill"
    first = alice.post(address, looked_at(typed(full, 2, 1)), htmx=True)
    assert json.loads(first.headers["HX-Trigger"])["toast"] == (
        "A backfill of Morning sync starts 2 runs, 1 at a time."
    )
    told = facts(alice.post(address, typed(full, 4, 1), htmx=True).text)
    assert (told["Due in this range"], told["With a run already"]) == ("4 times", "2")
    second = looked_at(typed(full, 4, 1, concurrency="3", request_key="other"))
    assert alice.post(address, second).location == f"/schedules/{hourly.id}"
    assert [(one.count, one.concurrency) for one in backfills()] == [(2, 1), (2, 3)]
    assert run_count() == 4
    changes = alice.get(f"/schedules/{hourly.id}?tab=changes").text
    assert changes.count("<b>Backfill started</b>") == 2


def test_a_range_that_was_changed_after_the_dry_run_is_looked_at_again(
    alice: Browser, hourly: Schedule, full: datetime
) -> None:
    fields = looked_at(typed(full, 4, 1)) | {"until_at": f"{full - timedelta(hours=2):%Y-%m-%dT%H:%M}"}
    answer = alice.post(f"/schedules/{hourly.id}/backfill", fields, htmx=True)
    assert ">Start 3 runs</button>" in answer.text
    assert run_count() == 0


def test_sending_the_start_twice_starts_it_once(alice: Browser, hourly: Schedule, full: datetime) -> None:
    for _ in range(2):
        started(alice, hourly, full)
    assert (len(backfills()), run_count()) == (1, 4)
    answer = alice.post(f"/schedules/{hourly.id}/backfill", looked_at(typed(full, 6, 5)), htmx=True)
    assert answer.status_code == 204
    assert run_count() == 6


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"from_at": ""}, "from_at", "Choose a date and a time."),
        ({"until_at": "soon"}, "until_at", "Write the date and time as"),
        ({"until_at": "2090-01-01T00:00"}, "until_at", "A backfill is for the past."),
        ({"from_at": "2000-01-01T00:00"}, "from_at", "At most 366 days can be made up for at once."),
        ({"concurrency": "0"}, "concurrency", "from 1 to 20"),
        ({"concurrency": "many"}, "concurrency", "from 1 to 20"),
    ],
)
def test_a_range_that_cannot_be_is_refused_at_its_field(
    alice: Browser, hourly: Schedule, full: datetime, changes: dict[str, str], field: str, message: str
) -> None:
    answer = alice.post(f"/schedules/{hourly.id}/backfill", typed(full, 4, 1) | changes, htmx=True)
    assert answer.status_code == 422
    assert message in errors_at(answer.text, field)
    assert ">Check</button>" in answer.text
    assert alice.post(f"/schedules/{hourly.id}/backfill", looked_at(typed(full, 4, 1) | changes)).status_code == 422
    assert run_count() == 0


def test_too_many_instants_and_nothing_to_do_are_said(alice: Browser, hourly: Schedule, full: datetime) -> None:
    address = f"/schedules/{hourly.id}/backfill"
    many = alice.post(address, typed(full, 600, 1), htmx=True)
    assert "at most 500 can be made up for at once" in errors_at(many.text, "from_at")
    started(alice, hourly, full)
    again = alice.post(address, typed(full, 4, 1), htmx=True)
    assert again.status_code == 422
    assert "Every instant of this range has a run already." in errors_at(again.text, "from_at")
    assert facts(again.text)["With a run already"] == "4"


def test_a_workflow_that_takes_no_runs_is_said_before_anything_starts(
    alice: Browser, db: Any, sync: Workflow, hourly: Schedule, full: datetime
) -> None:
    sync.paused_at, sync.pause_reason = full, "Moving house"
    db.commit()
    answer = alice.post(f"/schedules/{hourly.id}/backfill", typed(full, 4, 1), htmx=True)
    assert answer.status_code == 422
    assert "Moving house" in summary(answer.text)


def test_the_page_shows_the_progress_which_polls_itself_until_all_is_over(
    alice: Browser, bob: Browser, db: Any, hourly: Schedule, full: datetime
) -> None:
    address = f"/schedules/{hourly.id}"
    assert '<div id="backfills">' in alice.get(address).text
    started(alice, hourly, full)
    for page in (alice.get(address).text, alice.get(f"{address}/backfills", htmx=True).text):
        assert f'<div id="backfills" data-live hx-get="{address}/backfills" hx-trigger="every 2s"' in page
        assert 'max="4" value="0"' in page
        assert "4 not started" in page
        assert "Cancel what has not started" in page
    assert "Cancel what" not in bob.get(address).text
    for run in db.scalars(select(Run)):
        run.status, run.started_at, run.finished_at, run.ready_at = "succeeded", full, full, full
    db.commit()
    over = alice.get(f"{address}/backfills", htmx=True).text
    assert '<div id="backfills">' in over
    assert "4 of 4 runs are over" in over and "4 succeeded" in over


def test_what_has_not_started_can_be_canceled(alice: Browser, db: Any, hourly: Schedule, full: datetime) -> None:
    backfill = started(alice, hourly, full)
    address = f"/schedules/{hourly.id}/backfills/{backfill.id}/cancel"
    going = db.scalars(select(Run).order_by(Run.id)).first()
    going.status, going.started_at, going.ready_at, going.claimed_by = "running", full, full, going.id
    db.commit()
    answer = alice.post(address, htmx=True)
    assert json.loads(answer.headers["HX-Trigger"])["toast"] == "3 runs that had not started are canceled."
    again = alice.post(address, htmx=True)
    assert json.loads(again.headers["HX-Trigger"])["toast"] == "Everything of this backfill has started already."
    assert sorted(database.session.scalars(select(Run.status))) == ["canceled", "canceled", "canceled", "running"]


def test_an_old_backfill_leaves_the_page(alice: Browser, db: Any, hourly: Schedule, full: datetime) -> None:
    backfill = started(alice, hourly, full)
    for run in db.scalars(select(Run)):
        run.status, run.finished_at = "canceled", full
    backfill.created_at = full - timedelta(days=2)
    db.commit()
    assert "of 4 runs are over" not in alice.get(f"/schedules/{hourly.id}").text


def test_the_progress_takes_as_many_statements_for_five_backfills_as_for_one(
    alice: Browser, hourly: Schedule, full: datetime
) -> None:
    address = f"/schedules/{hourly.id}"

    def cost() -> int:
        with counted() as statements:
            assert alice.get(address).status_code == 200
        return len(statements)

    started(alice, hourly, full)
    cost()
    for_one = cost()
    for number in range(4):
        fields = looked_at(typed(full, 10 + number, 10 + number))
        assert alice.post(f"{address}/backfill", fields, htmx=True).status_code == 204
    assert cost() == for_one


def test_a_viewer_starts_and_cancels_nothing_and_a_stranger_finds_nothing(
    alice: Browser, bob: Browser, charlie: Browser, hourly: Schedule, full: datetime
) -> None:
    address = f"/schedules/{hourly.id}"
    assert f'href="{address}/backfill" data-dialog' in alice.get(address).text
    backfill = started(alice, hourly, full)
    assert "/backfill" not in bob.get(address).text.replace(f"{address}/backfills", "")
    for step in ("/backfill", f"/backfills/{backfill.id}/cancel"):
        assert bob.post(f"{address}{step}").status_code == 403
        assert charlie.post(f"{address}{step}").status_code == 404
    assert bob.get(f"{address}/backfill").status_code == 403
    assert charlie.get(f"{address}/backfill").status_code == 404
    assert charlie.get(f"{address}/backfills").status_code == 404
    assert [result for _, result in audited()] == ["changed", "refused", "refused"]
    assert len(backfills()) == 1
