"""What a schedule will do, over the API: the checklist, its next fires, and those of a timing nobody has saved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from domain.accounts.tenants import Tenant
from domain.firing.checklist import checklist
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.runs.heartbeats import SCHEDULER, WORKER, beat
from domain.schedules.pages import schedule_detail
from domain.schedules.schedules import Schedule
from domain.timing.zones import parse_instant
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_schedule, a_tenant, a_token
from tests.web.callers import Caller, problems_of


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme)[1])


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme, schema={"type": "object"})


def made(alice: Caller, sync: Workflow, **body: Any) -> str:
    for kind in (SCHEDULER, WORKER):
        beat(new_id(), kind, "host", 1, "dev", 60)
    answer = alice.post("/schedules", {"workflowId": str(sync.id), "cron": "0 9 * * *"} | body)
    assert answer.status_code == 201, answer.text
    return f"/schedules/{answer.json['id']}"


def test_a_schedule_that_fires_says_when(alice: Caller, sync: Workflow) -> None:
    path = made(alice, sync)
    answer = alice.get(f"{path}/explain").json
    assert answer["fires"] is True and answer["remedy"] is None
    assert answer["nextFireAt"] == alice.get(path).json["nextFireAt"]
    assert answer["sentence"].startswith("It fires next at ")
    assert {check["state"] for check in answer["checks"]} == {"ok"}


def test_a_paused_one_says_why_not_and_what_would_help(alice: Caller, sync: Workflow) -> None:
    path = made(alice, sync)
    alice.post(f"{path}/pause", {"reason": "Audit"})
    answer = alice.get(f"{path}/explain").json
    assert (answer["fires"], answer["remedy"]) == (False, "resume")
    assert answer["sentence"].startswith("It does not fire: it was paused by ")
    assert answer["sentence"].endswith(": Audit.")


def test_the_lines_are_those_of_the_page_and_of_the_documentation(
    alice: Caller, sync: Workflow, acme: Tenant, db: Any
) -> None:
    path = made(alice, sync)
    row = schedule_detail(acme.id, db.query(Schedule).one().id)
    names = [check.name for check in checklist(row, clock.database_now()).checks]
    assert [check["name"] for check in alice.get(f"{path}/explain").json["checks"]] == names
    described = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert [name for name in [*names, "skip_next", "last_try"] if f"`{name}`" not in described] == []


def test_a_pause_over_the_api_may_end_by_itself(alice: Caller, sync: Workflow) -> None:
    path = made(alice, sync)
    until = (datetime.now(UTC) + timedelta(days=2)).replace(microsecond=0)
    paused = alice.post(f"{path}/pause", {"until": until.isoformat()}).json
    assert parse_instant(paused["pausedUntil"]) == until
    first = alice.get(f"{path}/preview?limit=1").json["fires"][0]
    assert parse_instant(first["at"]) > until


@pytest.mark.parametrize("until", ["tomorrow", 5, "2001-01-01T00:00:00Z", "2099-01-01T09:00", []])
def test_an_end_that_cannot_be_is_refused_by_name(alice: Caller, sync: Workflow, until: Any) -> None:
    path = made(alice, sync)
    answer = alice.post(f"{path}/pause", {"until": until})
    assert answer.status_code == 422
    assert list(problems_of(answer)) == ["until"]
    assert alice.get(path).json["status"] == "active"


@pytest.mark.parametrize(("catch_up", "fired"), [(None, 0), ("skip", 0), ("latest", 1), ("all", 3)])
def test_what_a_pause_let_pass_is_made_up_as_asked(
    alice: Caller, sync: Workflow, db: Any, catch_up: str | None, fired: int
) -> None:
    hour = clock.database_now().replace(minute=0, second=0, microsecond=0)
    schedule = a_schedule(
        sync, cron="0 * * * *", status="paused", paused_at=hour, next_fire_at=hour - timedelta(hours=2)
    )
    db.commit()
    answer = alice.post(f"/schedules/{schedule.id}/resume", {} if catch_up is None else {"catchUp": catch_up})
    assert answer.status_code == 200, answer.text
    assert len(alice.get(f"/workflow-runs?scheduleId={schedule.id}").json["items"]) == fired


@pytest.mark.parametrize("catch_up", ["some", 1, [], ""])
def test_another_way_to_make_up_is_refused_by_name(alice: Caller, sync: Workflow, catch_up: Any) -> None:
    path = made(alice, sync, enabled=False)
    answer = alice.post(f"{path}/resume", {"catchUp": catch_up})
    assert answer.status_code == 422
    assert list(problems_of(answer)) == ["catchUp"]


def test_the_next_fires_come_with_the_offset_of_their_day(alice: Caller, sync: Workflow) -> None:
    path = made(alice, sync, cron="0 9 1 * *", timezone="Europe/Paris")
    answer = alice.get(f"{path}/preview?limit=12").json
    assert (answer["cron"], answer["timezone"], len(answer["fires"])) == ("0 9 1 * *", "Europe/Paris", 12)
    for fire in answer["fires"]:
        assert datetime.fromisoformat(fire["local"]) == parse_instant(fire["at"])
        assert fire["local"][11:19] == "09:00:00"
    assert {fire["local"][19:] for fire in answer["fires"]} == {"+01:00", "+02:00"}


def test_a_timing_is_tried_without_saving_anything(alice: Caller, sync: Workflow, db: Any) -> None:
    answer = alice.post("/schedules/preview?limit=3", {"cron": "30 2 * * *", "timezone": "America/New_York"})
    assert answer.status_code == 200, answer.text
    assert len(answer.json["fires"]) == 3
    assert answer.json["clockChanges"] and answer.json["clockChanges"][0]["message"]
    assert db.query(Schedule).count() == 0
    assert alice.post("/schedules/preview", {"cron": "0 9 31 * *"}).json["advice"]


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({"cron": "61 * * * *"}, ["cron"]),
        ({"cron": "0 9 * * *", "timezone": "Mars/Base"}, ["timezone"]),
        ({"runAt": "2001-01-01T00:00:00Z"}, ["runAt"]),
        ({"cron": "0 9 * * *", "dstGap": "maybe"}, ["dstGap"]),
        ({"cron": "0 9 * * *", "payload": {}}, ["payload"]),
        ({}, ["cron"]),
    ],
)
def test_a_timing_that_cannot_be_is_refused_at_its_member(
    alice: Caller, body: dict[str, Any], paths: list[str]
) -> None:
    answer = alice.post("/schedules/preview", body)
    assert answer.status_code == 422
    assert list(problems_of(answer)) == paths


def test_strangers_find_nothing_to_explain_and_readers_do(
    app: Flask, alice: Caller, acme: Tenant, sync: Workflow, db: Any
) -> None:
    path = made(alice, sync)
    charlie = Caller(app.test_client(), a_token(a_tenant("globex"), name="Theirs")[1])
    bob = Caller(app.test_client(), a_token(acme, name="Reader", scopes=["workflow:read"])[1])
    db.commit()
    for what in ("explain", "preview"):
        assert charlie.get(f"{path}/{what}").status_code == 404
        assert bob.get(f"{path}/{what}").status_code == 200
    alice.delete(path)
    assert alice.get(f"{path}/explain").status_code == 404
