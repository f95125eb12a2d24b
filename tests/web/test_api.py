"""The API in general: who gets in, what a body and a query may hold, pages, and requests that are sent twice."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from gunicorn.http.errors import InvalidChunkSize
from sqlalchemy import func, select

from domain.accounts.permissions import VIEWER
from domain.accounts.tenants import Tenant
from domain.accounts.users import User
from domain.kernel.db import db as database
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import (
    NOW,
    a_published_workflow,
    a_run,
    a_schedule,
    a_step,
    a_tenant,
    a_token,
    a_user,
    a_version,
    a_workflow,
)
from tests.web.callers import Caller, problems_of
from web.api.reading import NAMED_MAX

REGION = {
    "type": "object",
    "properties": {"region": {"enum": ["eu", "us"]}},
    "required": ["region"],
    "additionalProperties": False,
}
LISTS = ("/schedules", "/workflow-runs", "/workflow-definitions")


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def bob(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme, "bob@acme.test", VIEWER))[1])


@pytest.fixture
def charlie(app: Flask, db: Any) -> Caller:
    return Caller(app.test_client(), a_token(a_tenant("globex"))[1])


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme, schema=REGION)


def a_body(workflow: Workflow, **changes: Any) -> dict[str, Any]:
    body = {"workflowId": str(workflow.id), "name": "Hourly", "cron": "0 * * * *", "payload": {"region": "eu"}}
    return body | changes


def schedule_count(db: Any) -> int:
    return int(db.scalar(select(func.count()).select_from(Schedule)))


# Who gets in


@pytest.mark.parametrize(
    "given", [None, "Basic YTpi", "Bearer", "Bearer carillon_wrong", "Bearer car_wrong", "Bearer wrong", "Token x"]
)
def test_without_a_good_token_nothing_is_told(app: Flask, sync: Workflow, given: str | None) -> None:
    for path in LISTS:
        answer = app.test_client().get(f"/api{path}", headers={"Authorization": given} if given else {})
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.content_type == "application/problem+json"


def test_a_token_opens_no_page(app: Flask, alice: Caller, sync: Workflow) -> None:
    page = app.test_client().get("/schedules", headers={"Authorization": f"Bearer {alice.secret}"})
    assert page.status_code == 303 and "/sign-in" in page.location


def test_a_token_in_the_address_is_no_token(app: Flask, alice: Caller) -> None:
    assert app.test_client().get(f"/api/schedules?access_token={alice.secret}").status_code == 401


def test_a_token_may_only_what_its_scopes_say(app: Flask, acme: Tenant, sync: Workflow, db: Any) -> None:
    schedule = a_schedule(sync, payload_json={"region": "eu"})
    reader = Caller(app.test_client(), a_token(acme, name="reader", scopes=["workflow:read"])[1])
    other = Caller(app.test_client(), a_token(acme, name="other", scopes=["extension:read"])[1])
    writer = Caller(app.test_client(), a_token(acme, name="writer", scopes=["workflow:publish"])[1])
    assert len(reader.get("/schedules").json["items"]) == 1
    assert other.get("/schedules").json["items"] == []
    assert other.get(f"/schedules/{schedule.id}").status_code == 403
    assert writer.get("/schedules").status_code == 403
    for answer in (
        reader.post("/schedules", a_body(sync)),
        reader.patch(f"/schedules/{schedule.id}", {"name": "x"}),
        reader.delete(f"/schedules/{schedule.id}"),
        reader.post(f"/schedules/{schedule.id}/run-now"),
        reader.post(f"/schedules/{schedule.id}/pause"),
        reader.post(f"/schedules/{schedule.id}/resume"),
    ):
        assert answer.status_code == 403 and answer.json["code"] == "FORBIDDEN"
    assert schedule_count(db) == 1


def test_a_viewer_reads_with_a_token_of_all_scopes_and_changes_nothing(bob: Caller, sync: Workflow) -> None:
    assert bob.get("/schedules").status_code == 200
    assert bob.post("/schedules", a_body(sync)).status_code == 403


def test_strangers_find_nothing(charlie: Caller, sync: Workflow, db: Any) -> None:
    schedule, run = a_schedule(sync, payload_json={"region": "eu"}), a_run(sync)
    for path in LISTS:
        assert charlie.get(path).json["items"] == []
    for answer in (
        charlie.get(f"/schedules/{schedule.id}"),
        charlie.patch(f"/schedules/{schedule.id}", {"name": "mine"}),
        charlie.delete(f"/schedules/{schedule.id}"),
        charlie.post(f"/schedules/{schedule.id}/run-now"),
        charlie.get(f"/workflow-runs/{run.id}"),
        charlie.get(f"/workflow-definitions/{sync.id}"),
    ):
        assert answer.status_code == 404 and answer.json["code"] == "NOT_FOUND"
    assert problems_of(charlie.post("/schedules", a_body(sync))) == {"workflowId": "WORKFLOW_NOT_FOUND"}
    assert charlie.get(f"/schedules?workflowId={sync.id}").json["items"] == []


# What a request may hold


def test_other_methods_are_told_which_there_are(alice: Caller) -> None:
    answer = alice.send("PUT", "/schedules")
    assert answer.status_code == 405 and {"GET", "POST"} <= set(answer.headers["Allow"].split(", "))
    assert answer.content_type == "application/problem+json"
    for path in ("/nothing-here", "/", ""):
        missing = alice.get(path)
        assert missing.status_code == 404 and missing.content_type == "application/problem+json"


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_body_is_json_and_says_so(alice: Caller, sync: Workflow, kind: str, db: Any) -> None:
    answer = alice.send("POST", "/schedules", a_body(sync), {"Content-Type": kind})
    assert answer.status_code == 415 and answer.content_type == "application/problem+json"
    assert schedule_count(db) == 0


@pytest.mark.parametrize(
    ("raw", "path", "code"),
    [
        (b"{", "", "JSON_INVALID"),
        (b"[]", "", "BODY_NOT_OBJECT"),
        (b"null", "", "BODY_NOT_OBJECT"),
        (b'{"name": "a", "name": "b"}', "", "JSON_DUPLICATE_KEY"),
        (b'{"spreadSeconds": NaN}', "spreadSeconds", "JSON_NUMBER"),
        (b'{"spreadSeconds": 1e999}', "spreadSeconds", "JSON_NUMBER"),
        (b'{"name": "\\u0000"}', "name", "JSON_TEXT"),
        (b'{"name": "\xff"}', "", "JSON_TEXT"),
        (b'{"payload": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", "", "JSON_TOO_DEEP"),
    ],
)
def test_a_body_that_cannot_be_read_one_way_only_is_refused(alice: Caller, raw: bytes, path: str, code: str) -> None:
    headers = {"Authorization": f"Bearer {alice.secret}", "Content-Type": "application/json"}
    answer = alice.client.post("/api/schedules", data=raw, headers=headers)
    assert answer.status_code == 422 and problems_of(answer) == {path: code}


def test_a_body_is_not_packed(alice: Caller, sync: Workflow, db: Any) -> None:
    answer = alice.send("POST", "/schedules", a_body(sync), {"Content-Encoding": "gzip"})
    assert answer.status_code == 415 and "Content-Encoding" in answer.json["detail"]
    assert schedule_count(db) == 0
    assert alice.send("POST", "/schedules", a_body(sync), {"Content-Encoding": "identity"}).status_code == 201


class Misframed(BytesIO):
    """A chunked body whose parts are not as long as they say, as gunicorn reads it."""

    def read(self, *_: Any) -> bytes:
        raise InvalidChunkSize(b"zz")

    readinto = readline = read  # type: ignore[assignment]


@pytest.mark.parametrize("path", ["/api/schedules", "/sign-in"])
def test_a_body_that_is_framed_wrongly_is_the_fault_of_who_sent_it(alice: Caller, path: str) -> None:
    kind = "application/json" if path.startswith("/api") else "application/x-www-form-urlencoded"
    headers = {"Authorization": f"Bearer {alice.secret}", "Content-Type": kind}
    chunked = {"wsgi.input": Misframed(), "wsgi.input_terminated": True}
    answer = alice.client.post(path, headers=headers, environ_overrides=chunked)
    assert answer.status_code == 400 and "not framed" in answer.text


class Watched(BytesIO):
    """A body that arrives while somebody looks whether the database is kept waiting."""

    seen: set[bool] = set()

    def read(self, *size: Any) -> bytes:
        self.seen.add(database.session().in_transaction())
        return super().read(*size)

    def readinto(self, into: Any) -> int:
        self.seen.add(database.session().in_transaction())
        return super().readinto(into)


@pytest.mark.parametrize("path", ["/api/workflow-definitions/import", "/api/events"])
def test_while_a_body_arrives_no_transaction_is_open(alice: Caller, sync: Workflow, db: Any, path: str) -> None:
    db.commit()
    Watched.seen = set()
    headers = {"Authorization": f"Bearer {alice.secret}", "Content-Type": "application/json", "Idempotency-Key": "k-1"}
    body = b'{"format": "none"}'
    answer = alice.client.post(
        path, headers=headers, input_stream=Watched(body), environ_overrides={"CONTENT_LENGTH": str(len(body))}
    )
    assert answer.status_code in (400, 422) and Watched.seen == {False}


def test_a_body_that_is_too_large_is_not_read(alice: Caller, sync: Workflow) -> None:
    answer = alice.post("/schedules", a_body(sync, payload={"region": "x" * 256_000}))
    assert answer.status_code == 413 and "256,000 bytes" in answer.json["detail"]


def test_unknown_and_answered_fields_are_refused_by_name(alice: Caller, sync: Workflow, db: Any) -> None:
    answer = alice.post("/schedules", a_body(sync, tenantId="x", createdBy="x", id="x", revision=3, status="active"))
    assert answer.status_code == 422
    assert problems_of(answer) == {
        "tenantId": "UNKNOWN_FIELD",
        "createdBy": "UNKNOWN_FIELD",
        "id": "READ_ONLY_FIELD",
        "revision": "READ_ONLY_FIELD",
        "status": "READ_ONLY_FIELD",
    }
    assert schedule_count(db) == 0


def test_the_answer_to_a_body_of_nonsense_is_no_longer_than_what_was_sent(alice: Caller, sync: Workflow) -> None:
    nonsense = {f"x{number}": 1 for number in range(10_000)}
    for path, body in (("/schedules", nonsense), ("/workflow-definitions", {"name": "x", "draft": nonsense})):
        answer = alice.post(path, body)
        assert answer.status_code == 422 and len(answer.json["errors"]) == NAMED_MAX
        assert len(answer.text) < len(json.dumps(body))


@pytest.mark.parametrize("path", LISTS)
def test_a_query_with_a_mistake_is_refused_by_name(alice: Caller, path: str) -> None:
    assert problems_of(alice.get(f"{path}?stauts=x&limit=0")) == {"stauts": "UNKNOWN_FIELD"}
    wrong = problems_of(alice.get(f"{path}?status=x&limit=201&cursor=y"))
    assert wrong == {"status": "CHOICE_INVALID", "limit": "NUMBER_INVALID", "cursor": "ID_INVALID"}
    assert alice.get(f"{path}?q=%00").status_code == 422
    assert alice.get(f"{path}?q={'x' * 200}").status_code == 422


# Pages


@pytest.mark.parametrize("path", LISTS)
def test_the_pages_of_a_list_hold_everything_once(alice: Caller, acme: Tenant, path: str) -> None:
    for number in range(5):
        workflow = a_published_workflow(acme, f"Number {number}")
        a_schedule(workflow)
        a_run(workflow)
    seen, cursor, pages = [], "", 0
    while pages < 10:
        answer = alice.get(f"{path}?limit=2{cursor}").json
        seen += [item["id"] for item in answer["items"]]
        pages += 1
        if answer["nextCursor"] is None:
            break
        cursor = f"&cursor={answer['nextCursor']}"
    assert (len(seen), len(set(seen)), pages) == (5, 5, 3)


def test_a_cursor_that_is_nobodys_is_refused_where_a_page_depends_on_it(
    alice: Caller, charlie: Caller, sync: Workflow, db: Any
) -> None:
    db.commit()
    for cursor in (str(sync.id), "01a1fb80-25f1-7000-9878-3cc29d3900f9"):
        answer = charlie.get(f"/workflow-definitions?cursor={cursor}")
        assert problems_of(answer) == {"cursor": "CURSOR_UNKNOWN"}
    assert alice.get(f"/workflow-definitions?cursor={sync.id}").json == {"items": [], "nextCursor": None}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"sync", "once", "paused"}),
        ("?q=SYNC", {"sync", "once"}),
        ("?status=paused", {"paused"}),
        ("?enabled=false", {"paused"}),
        ("?enabled=true", {"sync", "once"}),
        ("?triggerType=schedule", {"once"}),
        ("?targetKind=workflow", {"sync", "once", "paused"}),
        ("?workflowId={digest}", {"paused"}),
    ],
)
def test_schedules_can_be_filtered(alice: Caller, acme: Tenant, sync: Workflow, query: str, found: set[str]) -> None:
    digest = a_published_workflow(acme, "Digest")
    a_schedule(sync, "sync")
    a_schedule(sync, "once", trigger_type="schedule", cron=None, run_at=NOW)
    a_schedule(digest, "paused", status="paused")
    a_schedule(sync, "gone", deleted_at=NOW)
    answer = alice.get(f"/schedules{query.format(digest=digest.id)}")
    assert {item["name"] for item in answer.json["items"]} == found


def test_runs_can_be_filtered(alice: Caller, sync: Workflow) -> None:
    schedule = a_schedule(sync)
    failed = a_run(sync, "failed", error={"message": "no"})
    fired = a_run(sync, schedule_id=schedule.id, started_by="recurring")
    for query, run in (
        ("status=failed", failed),
        (f"scheduleId={schedule.id}", fired),
        ("startedBy=recurring", fired),
        (f"q={failed.id}", failed),
    ):
        items = alice.get(f"/workflow-runs?{query}").json["items"]
        assert [item["id"] for item in items] == [str(run.id)], query
    assert alice.get("/workflow-runs?status=failed").json["items"][0]["errorMessage"] == "no"


def test_one_run_has_its_input_output_and_steps(alice: Caller, sync: Workflow) -> None:
    run = a_run(sync, input_json={"region": "eu"}, output={"total": 7}, state="done", trigger_metadata={"cron": "x"})
    a_step(run, position=0, output={"value": 1}, step_id="count")
    found = alice.get(f"/workflow-runs/{run.id}").json
    assert (found["input"], found["output"], found["state"]) == ({"region": "eu"}, {"total": 7}, "done")
    assert (found["durationSeconds"], found["startedAt"]) == (1.2, "2026-03-02T10:00:00Z")
    assert [(step["stepId"], step["output"], step["status"]) for step in found["steps"]] == [
        ("count", {"value": 1}, "succeeded")
    ]


def test_definitions_tell_what_the_published_version_does(alice: Caller, acme: Tenant, sync: Workflow) -> None:
    a_workflow(acme, "New idea")
    a_version(sync, 2, schema=REGION)
    items = alice.get("/workflow-definitions").json["items"]
    assert [(item["name"], item["status"], item["publishedVersion"]) for item in items] == [
        ("Invoice sync", "published", 2),
        ("New idea", "draft", None),
    ]
    one = alice.get(f"/workflow-definitions/{sync.id}").json
    assert one["payloadSchema"] == REGION and one["definition"]["steps"] and one["revision"] == 1
    assert alice.get(f"/workflow-definitions/{items[1]['id']}").json["definition"] is None


# Sent twice


def test_a_post_that_is_sent_again_with_its_key_is_answered_again_and_done_once(
    alice: Caller, sync: Workflow, db: Any
) -> None:
    first, second = (alice.post("/schedules", a_body(sync), key="k-1") for _ in range(2))
    assert (first.status_code, second.status_code, schedule_count(db)) == (201, 201, 1)
    assert first.json == second.json and first.location == second.location
    schedule = first.json["id"]
    runs = [alice.post(f"/schedules/{schedule}/run-now", key="k-2").json["id"] for _ in range(3)]
    assert len(set(runs)) == 1 and db.scalar(select(func.count()).select_from(Run)) == 1
    pauses = [alice.post(f"/schedules/{schedule}/pause", {"reason": "Holidays"}, key="k-3") for _ in range(2)]
    assert [answer.json["status"] for answer in pauses] == ["paused", "paused"]


def test_a_key_is_for_one_request_only(alice: Caller, sync: Workflow, db: Any) -> None:
    alice.post("/schedules", a_body(sync), key="k-1")
    for answer in (
        alice.post("/schedules", a_body(sync, name="Another"), key="k-1"),
        alice.post("/schedules", a_body(sync, name="Hourly "), key="k-1"),
    ):
        assert (answer.status_code, answer.json["code"]) == (409, "IDEMPOTENCY_KEY_REUSED")
    assert schedule_count(db) == 1


def test_a_refused_request_does_not_use_up_its_key(alice: Caller, sync: Workflow) -> None:
    assert alice.post("/schedules", a_body(sync, cron="nonsense"), key="k-1").status_code == 422
    assert alice.post("/schedules", a_body(sync), key="k-1").status_code == 201


def test_keys_of_two_tenants_have_nothing_to_do_with_each_other(
    app: Flask, alice: Caller, charlie: Caller, sync: Workflow, db: Any
) -> None:
    other = a_published_workflow(db.scalars(select(Tenant).where(Tenant.slug == "globex")).one(), schema=REGION)
    assert alice.post("/schedules", a_body(sync), key="k-1").status_code == 201
    assert charlie.post("/schedules", a_body(other), key="k-1").status_code == 201


def test_keys_are_the_persons_own_whichever_token_they_use(
    app: Flask, alice: Caller, acme: Tenant, sync: Workflow, db: Any
) -> None:
    owner = db.scalars(select(User).filter_by(email="alice@acme.test")).one()
    again = Caller(app.test_client(), a_token(acme, owner, name="another")[1])
    dora = Caller(app.test_client(), a_token(acme, a_user(acme, "dora@acme.test"))[1])
    made = alice.post("/schedules", a_body(sync), key="k-1")
    assert again.post("/schedules", a_body(sync), key="k-1").json == made.json
    assert problems_of(dora.post("/schedules", a_body(sync), key="k-1")) == {"name": "NAME_TAKEN"}
    assert dora.post("/schedules", a_body(sync, name="Another"), key="k-1").status_code == 201
    runs = {caller.post(f"/schedules/{made.json['id']}/run-now", key="k-2").json["id"] for caller in (alice, dora)}
    assert len(runs) == 2


@pytest.mark.parametrize("key", ["", "x" * 129, "ä"])
def test_a_key_that_cannot_be_one_is_refused(alice: Caller, sync: Workflow, key: str) -> None:
    answer = alice.send("POST", "/schedules", a_body(sync), {"Idempotency-Key": key})
    assert problems_of(answer) == {"Idempotency-Key": "IDEMPOTENCY_KEY_INVALID"}
