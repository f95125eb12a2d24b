"""Edits of what somebody has read: the ETag of an answer, sent back as If-Match, is what the edit is about."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.exceptions import PreconditionFailed

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.kernel.errors import Conflict
from domain.schedules.schedules import Schedule
from tests.factories import a_published_workflow, a_schedule, a_token, a_user, an_install
from tests.web.callers import Caller
from web.api.preconditions import conditional


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def morning(acme: Tenant) -> Schedule:
    return a_schedule(a_published_workflow(acme))


def path_of(schedule: Schedule) -> str:
    return f"/schedules/{schedule.id}"


def only_if(caller: Caller, tag: str, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return caller.send(method, path, body, {"If-Match": tag, **headers})


def test_the_tag_changes_with_the_schedule_and_not_with_time(alice: Caller, morning: Schedule, db: Any) -> None:
    tags = [alice.get(path_of(morning)).headers["ETag"] for _ in range(2)]
    assert tags == ['"1"', '"1"']
    assert alice.patch(path_of(morning), {"name": "Evening sync"}).headers["ETag"] == '"2"'
    assert alice.get(path_of(morning)).headers["ETag"] == '"2"'
    assert "ETag" not in alice.get("/schedules").headers


def test_an_edit_of_what_was_read_is_made_and_one_of_something_older_is_not(
    alice: Caller, morning: Schedule, db: Any
) -> None:
    path, written = path_of(morning), select(func.count()).select_from(AuditEntry)
    made = only_if(alice, '"1"', "PATCH", path, {"name": "Evening sync"})
    assert (made.status_code, made.headers["ETag"]) == (200, '"2"')
    before = db.scalar(written)
    for method, address, body in (
        ("PATCH", path, {"name": "Night sync"}),
        ("PATCH", path, {}),
        ("PATCH", path, {"enabled": False}),
        ("DELETE", path, None),
        ("POST", f"{path}/pause", {}),
        ("POST", f"{path}/resume", {}),
    ):
        late = only_if(alice, '"1"', method, address, body)
        assert (late.status_code, late.json["code"]) == (412, "PRECONDITION_FAILED"), f"{method} {address}"
        assert "If-Match" in late.json["detail"]
    assert db.scalar(written) == before
    assert alice.get(path).json["name"] == "Evening sync"
    assert only_if(alice, '"2"', "DELETE", path).status_code == 204


@pytest.mark.parametrize(
    ("tag", "status"),
    [("*", 200), ('"7", "1"', 200), ('W/"1"', 412), ('"7"', 412), ("", 412), ("nonsense", 412)],
)
def test_a_tag_matches_as_the_standard_says(alice: Caller, morning: Schedule, tag: str, status: int) -> None:
    assert only_if(alice, tag, "PATCH", path_of(morning), {"name": "Evening sync"}).status_code == status


def test_a_revision_in_the_body_is_a_conflict_of_its_own(alice: Caller, morning: Schedule) -> None:
    path = path_of(morning)
    assert alice.patch(path, {"name": "x", "revision": 7}).status_code == 409
    assert only_if(alice, '"1"', "PATCH", path, {"name": "x", "revision": 7}).status_code == 409
    assert only_if(alice, '"7"', "PATCH", path, {"name": "x", "revision": 7}).status_code == 412
    assert only_if(alice, '"1"', "PATCH", path, {"name": "x", "revision": 1}).status_code == 200


def test_what_is_in_another_state_is_told_as_such(alice: Caller, morning: Schedule) -> None:
    answer = only_if(alice, '"1"', "POST", f"{path_of(morning)}/resume", {})
    assert (answer.status_code, answer.json["code"]) == (409, "STALE_TRANSITION")


def test_a_repeated_request_is_answered_again_although_its_tag_is_past(alice: Caller, morning: Schedule) -> None:
    sent = {"Idempotency-Key": "k-1"}
    first, second = (only_if(alice, '"1"', "POST", f"{path_of(morning)}/pause", {}, **sent) for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json == second.json and second.headers["ETag"] == '"2"'


def test_an_install_has_a_tag_too(alice: Caller, acme: Tenant) -> None:
    path = f"/extensions/{an_install(acme).extension_id}/install"
    tag = alice.get(path).headers["ETag"]
    assert only_if(alice, tag, "PATCH", path, {"config": {"region": "eu"}}).status_code == 200
    assert only_if(alice, tag, "PATCH", path, {"config": {"region": "us"}}).status_code == 412
    assert alice.get(path).json["config"] == {"region": "eu"}


def test_an_install_is_held_and_taken_out_only_as_it_was_read(alice: Caller, acme: Tenant, db: Any) -> None:
    path = f"/extensions/{an_install(acme).extension_id}/install"
    db.commit()
    tag = alice.get(path).headers["ETag"]
    assert alice.patch(path, {"config": {"region": "eu"}}).status_code == 200
    calls = (("POST", f"{path}/disable"), ("POST", f"{path}/enable"), ("DELETE", path))
    upgrade = (path.replace("/install", "/upgrade"), {"version": "1.0.0"})
    assert only_if(alice, tag, "POST", *upgrade).status_code == 412
    for method, address in calls:
        late = only_if(alice, tag, method, address)
        assert (late.status_code, late.json["code"]) == (412, "PRECONDITION_FAILED"), f"{method} {address}"
    assert alice.get(path).json["enabled"] is True
    tag = alice.get(path).headers["ETag"]
    assert only_if(alice, tag, "POST", *upgrade).status_code == 200
    assert [only_if(alice, tag, method, address).status_code for method, address in calls] == [200, 200, 204]


def test_the_query_of_an_address_belongs_to_the_request_that_a_key_is_for(alice: Caller, morning: Schedule) -> None:
    path = f"{path_of(morning)}/run-now"
    assert alice.post(path, key="k-1").status_code == 202
    assert alice.post(path, key="k-1").status_code == 202
    assert alice.post(f"{path}?again=true", key="k-1").json["code"] == "IDEMPOTENCY_KEY_REUSED"


def losing_a_race(asked: int | None) -> None:
    with conditional(1, asked):
        raise Conflict


def test_losing_a_race_after_the_tag_was_compared_is_no_match_either(app: Flask) -> None:
    with app.test_request_context(headers={"If-Match": '"1"'}), pytest.raises(PreconditionFailed):
        losing_a_race(None)
    with app.test_request_context(), pytest.raises(Conflict):
        losing_a_race(1)
