"""How often a program may ask, how it is told, and what a session has to prove before it may change anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from flask import Flask, session
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from domain.accounts.audit import REFUSED, AuditEntry
from domain.accounts.tenants import Tenant
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_token, a_user
from tests.statements import counted
from tests.web.callers import Caller
from tests.web.cast import Browser
from web.access import SESSION_TOKEN
from web.throttle import API_LIMIT, EXTENSION

LIMIT = 3


@pytest.fixture
def limited(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(app.config, API_LIMIT, LIMIT)
    app.extensions[EXTENSION].reset()
    yield
    app.extensions[EXTENSION].reset()


@pytest.fixture
def callers(app: Flask, acme: Tenant, db: Any) -> list[Caller]:
    user = a_user(acme)
    made = [Caller(app.test_client(), a_token(acme, user, name=name)[1]) for name in ("first", "second")]
    db.commit()
    return made


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme, schema={"type": "object"})


def left_in(answer: Any) -> int:
    name, left, seconds = answer.headers["RateLimit"].split(";")
    assert name == '"api"' and 0 <= int(seconds.removeprefix("t=")) <= 61
    return int(left.removeprefix("r="))


def test_every_answer_says_what_is_left(callers: list[Caller], limited: None) -> None:
    first = callers[0].get("/schedules")
    assert first.headers["RateLimit-Policy"] == f'"api";q={LIMIT};w=60'
    assert left_in(first) == LIMIT - 1
    assert "Retry-After" not in first.headers
    refused = callers[0].post("/schedules", {"cron": "x"})
    assert refused.status_code == 422 and left_in(refused) == LIMIT - 2


def test_counting_and_telling_take_one_trip_to_redis(
    app: Flask, callers: list[Caller], limited: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    callers[0].get("/schedules")
    client = app.extensions[EXTENSION].storage.get_connection()
    trips: list[Any] = []
    send = client.execute_command
    monkeypatch.setattr(client, "execute_command", lambda *asked, **how: trips.append(asked[0]) or send(*asked, **how))
    assert left_in(callers[0].get("/schedules")) == LIMIT - 2
    assert trips == ["EVALSHA"]
    assert not app.extensions[EXTENSION]._storage_dead


def test_each_token_is_counted_by_itself_over_all_addresses(callers: list[Caller], limited: None) -> None:
    first, second = callers
    for path in ("/schedules", "/events", "/tasks"):
        assert first.get(path).status_code == 200
    for path in ("/schedules", "/runs"):
        stopped = first.get(path)
        assert stopped.status_code == 429 and stopped.content_type == "application/problem+json"
        assert stopped.json["code"] == "TOO_MANY_REQUESTS" and "Retry-After" in stopped.json["detail"]
        assert 0 < int(stopped.headers["Retry-After"]) <= 61 and left_in(stopped) == 0
    assert second.get("/schedules").status_code == 200


def test_what_is_turned_down_counts_too_and_leaves_no_more_on_record_than_the_limit(
    app: Flask, acme: Tenant, limited: None, db: Any
) -> None:
    reader = Caller(app.test_client(), a_token(acme, name="reader", scopes=["workflow:read"])[1])
    db.commit()
    forbidden = [reader.post("/events", {}) for _ in range(LIMIT + 2)]
    assert [answer.status_code for answer in forbidden] == [403] * LIMIT + [429] * 2
    assert left_in(forbidden[0]) == LIMIT - 1
    assert db.scalar(select(func.count()).select_from(AuditEntry).filter_by(result=REFUSED)) == LIMIT


def test_who_guesses_tokens_is_counted_by_address_and_stops_nobody_else(
    app: Flask, callers: list[Caller], limited: None
) -> None:
    guesses = [Caller(app.test_client(), f"carillon_{number}").get("/schedules") for number in range(LIMIT + 1)]
    assert [answer.status_code for answer in guesses] == [401] * LIMIT + [429]
    assert callers[0].get("/schedules").status_code == 200


def test_an_address_that_does_not_exist_costs_nothing(callers: list[Caller]) -> None:
    with counted() as statements:
        assert callers[0].get("/nothing-here").status_code == 404
    assert statements == []


def test_an_error_of_the_database_is_told_as_such_and_not_taken_for_one_of_redis(
    app: Flask, callers: list[Caller], limited: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise OperationalError("SELECT", {}, psycopg.OperationalError("gone"))

    monkeypatch.setattr("web.access.token_access", broken)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)
    answer = callers[0].get("/schedules")
    assert (answer.status_code, answer.json["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["Retry-After"] == "5"
    assert not app.extensions[EXTENSION]._storage_dead


def test_pages_are_not_counted_with_the_api(alice: Browser, limited: None) -> None:
    for _ in range(LIMIT + 1):
        page = alice.get("/schedules")
    assert page.status_code == 200 and "RateLimit" not in page.headers


def test_without_redis_nobody_is_kept_waiting_or_turned_away(
    app: Flask, callers: list[Caller], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*_: Any, **__: Any) -> bool:
        raise ConnectionError("Redis is away")

    limiter = app.extensions[EXTENSION]
    monkeypatch.setattr(limiter._limiter, "hit", away)
    monkeypatch.setattr(limiter._storage, "check", lambda: False)
    try:
        answers = [caller.get("/schedules") for caller in callers * 3]
    finally:
        limiter._storage_dead = False
    assert {answer.status_code for answer in answers} == {200}
    assert [record.message for record in caplog.records if record.name == "flask-limiter"] == [
        "Rate limit storage unreachable - falling back to in-memory storage"
    ]


def test_a_session_reads_and_is_counted_like_a_token(alice: Browser, limited: None) -> None:
    answers = [alice.get("/api/schedules") for _ in range(LIMIT + 1)]
    assert [answer.status_code for answer in answers] == [200] * LIMIT + [429]


def test_a_session_changes_something_only_from_a_page_of_ours(alice: Browser, sync: Workflow, db: Any) -> None:
    db.commit()
    body = {"workflowId": str(sync.id), "cron": "0 7 * * *"}
    forged = alice.client.post("/api/schedules", json=body)
    assert forged.status_code == 400 and forged.content_type == "application/problem+json"
    elsewhere = {"Origin": "https://elsewhere.test"}
    assert alice.open("/api/schedules", method="POST", json=body, headers=elsewhere).status_code == 400
    cross = {"Sec-Fetch-Site": "cross-site"}
    assert alice.open("/api/schedules", method="POST", json=body, headers=cross).status_code == 400
    assert alice.get("/api/schedules").get_json()["items"] == []
    made = alice.open("/api/schedules", method="POST", json=body)
    assert made.status_code == 201
    path = f"/api/schedules/{made.get_json()['id']}"
    for method in ("PATCH", "DELETE"):
        assert alice.client.open(path, method=method, json={}).status_code == 400
    assert alice.open(path, method="DELETE").status_code == 204


def test_a_token_that_is_none_is_not_made_good_by_a_session(alice: Browser) -> None:
    for given in ("Bearer carillon_nothing", "Basic YTpi", "nothing"):
        assert alice.get("/api/schedules", headers={"Authorization": given}).status_code == 401


def test_a_session_may_no_more_than_its_person(bob: Browser, sync: Workflow, db: Any) -> None:
    db.commit()
    assert bob.get("/api/schedules").status_code == 200
    body = {"workflowId": str(sync.id), "cron": "0 7 * * *"}
    assert bob.open("/api/schedules", method="POST", json=body).status_code == 403


def test_who_carries_a_token_has_no_session_whatever_cookie_comes_along(alice: Browser) -> None:
    cookie = alice.client.get_cookie("carillon")
    assert cookie is not None
    for more, has_session in (({}, True), ({"Authorization": "Bearer carillon_of_somebody"}, False)):
        sent = {"Cookie": f"carillon={cookie.value}"} | more
        with alice.client.application.test_request_context("/api/schedules", headers=sent):
            assert (SESSION_TOKEN in session) == has_session
    page = alice.client.application.test_client().get("/api/docs", headers=sent)
    assert page.status_code == 200 and "Set-Cookie" not in page.headers
