"""The audit log over the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from domain.accounts.audit import record_change, record_refusal
from domain.accounts.permissions import ADMIN, PERMISSIONS, VIEWER, Access
from domain.accounts.tenants import Tenant, TenantFacts, edit_tenant
from domain.accounts.tokens import create_token
from domain.accounts.users import PersonFacts
from domain.kernel import clock
from tests.factories import a_published_workflow, a_schedule, a_tenant, a_token, a_user, an_actor
from tests.web.callers import Caller, problems_of


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def schedule_id(acme: Tenant, db: Any) -> str:
    schedule = a_schedule(a_published_workflow(acme), "Morning sync")
    record_change(
        an_actor(acme), "schedule.edited", schedule, before={"cron": "0 7 * * *"}, after={"cron": "0 8 * * *"}
    )
    db.flush()
    record_refusal(an_actor(acme), "schedule.delete", "schedule", schedule.id, "This needs more.")
    db.commit()
    return str(schedule.id)


def actions(caller: Caller, **asked: Any) -> list[str]:
    answer = caller.get(f"/audit?{urlencode(asked)}")
    assert answer.status_code == 200, answer.text
    return [item["action"] for item in answer.json["items"]]


def test_an_entry_says_who_did_what_to_what(alice: Caller, schedule_id: str) -> None:
    refused, changed = alice.get("/audit").json["items"]
    assert (refused["result"], refused["reason"]) == ("refused", "This needs more.")
    assert changed | {"id": "", "at": "", "requestId": ""} == {
        "id": "",
        "at": "",
        "action": "schedule.edited",
        "result": "changed",
        "actorId": None,
        "actorName": "Carillon",
        "subjectKind": "schedule",
        "subjectId": schedule_id,
        "subjectName": "Morning sync",
        "before": {"cron": "0 7 * * *"},
        "after": {"cron": "0 8 * * *"},
        "reason": None,
        "requestId": "",
    }


def test_filters_are_those_of_the_page(alice: Caller, schedule_id: str) -> None:
    assert actions(alice, q="8 morning") == ["schedule.edited"]
    assert actions(alice, result="refused") == actions(alice, action="schedule.delete") == ["schedule.delete"]
    assert actions(alice, subjectId=schedule_id, subjectKind="schedule", who="carillon") == [
        "schedule.delete",
        "schedule.edited",
    ]
    later = (clock.database_now() + timedelta(hours=1)).isoformat()
    assert actions(alice, **{"from": later}) == [] and len(actions(alice, to=later)) == 2


def test_nonsense_is_refused_by_name(alice: Caller) -> None:
    answer = alice.get("/audit?result=maybe&subjectId=x&from=yesterday&subjectKind=shoe&limit=0")
    assert answer.status_code == 422
    assert set(problems_of(answer)) == {"result", "subjectId", "from", "subjectKind", "limit"}
    assert set(problems_of(alice.get("/audit?about=schedule"))) == {"about"}


def test_a_cursor_leads_through_all_pages(alice: Caller, acme: Tenant, db: Any) -> None:
    for number in range(7):
        edit_tenant(an_actor(acme), f"Name {number}", "UTC")
    db.commit()
    sizes, cursor = [], ""
    while cursor is not None:
        answer = alice.get(f"/audit?limit=3&q=name{cursor and f'&cursor={cursor}'}").json
        sizes.append(len(answer["items"]))
        cursor = answer["nextCursor"]
    assert sizes == [3, 3, 1]


def test_only_admins_read_it_and_only_their_own(app: Flask, acme: Tenant, schedule_id: str, db: Any) -> None:
    bob = Caller(app.test_client(), a_token(acme, a_user(acme, "bob@acme.test", VIEWER))[1])
    other = a_tenant("globex")
    charlie = Caller(app.test_client(), a_token(other, a_user(other, "charlie@globex.test"))[1])
    db.commit()
    assert bob.get("/audit").status_code == 403
    assert actions(charlie, subjectId=schedule_id) == []


def test_what_a_new_token_may_is_told_in_the_words_of_the_api(alice: Caller, acme: Tenant, db: Any) -> None:
    dora, now = a_user(acme, "dora@acme.test"), clock.database_now()
    create_token(
        an_actor(acme),
        Access(TenantFacts.of(acme), PersonFacts.of(dora), ADMIN, PERMISSIONS),
        "Nightly",
        ["workflow:read"],
        None,
        now,
    )
    db.commit()
    (entry,) = alice.get("/audit?action=token.created").json["items"]
    assert entry["after"] == {"scopes": ["workflow:read"], "expiresAt": None}
