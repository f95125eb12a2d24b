"""A typed secret comes in with an event, goes through mappings, requests, a child run, a task and another event, and is
answered back by a server in every spelling it can think of. Nothing that Carillon keeps or shows has it afterwards."""

from __future__ import annotations

import base64
import html
import json
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.notifications import Notification
from domain.engine.validation import definition_problems
from domain.events.events import Event, EventType
from domain.execution import Worker
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.runs.admission import admit_waiting
from domain.runs.runs import EFFECT, FINISHED, PURE, Run
from domain.runs.tasks import HumanTask
from domain.runs.waking import wake_due, wake_parents
from domain.workflows.payload_schemas import register_schema
from domain.workflows.workflows import Workflow
from tests.domain.engine.http_calls import LOCAL, allow
from tests.domain.engine.http_servers import Site, serving_site
from tests.factories import NOW, a_version, a_workflow, an_actor, an_event_type
from tests.test_canary_secret import (
    NAMED,
    PAYLOAD,
    PIN,
    SCHEMA,
    TYPED,
    acme,
    alice,
    everything_readable,
    found_in,
    program,
    tables,
    texts_of_redis,
)
from tests.web.callers import Caller
from tests.web.cast import Browser

__all__ = ["acme", "alice", "program"]

REF = "payload.Canary.v1"
ALL = {name: {"$expr": f"payload.{name}"} for name in ("token", "pin", "note")}


def echo(site: Site) -> None:
    """The server answers all it was sent: in a header, as JSON, in JSON in JSON, as base64 and in hex."""

    def answer(connection: socket.socket) -> None:
        said = site.requests[-1]
        text = said.decode("utf-8", "replace")
        spelled = [text, json.dumps(text), base64.b64encode(said).decode(), said.hex(), html.escape(text)]
        status, kind = (500, "text/html") if said.startswith(b"PUT") else (200, "application/json")
        body = json.dumps(spelled).encode() if status == 200 else f"<h1>{text}</h1>".encode()
        head = f"HTTP/1.1 {status} Whatever\r\nContent-Type: {kind}\r\n"
        head += f"X-Request-Id: {TYPED}\r\n" * (TYPED in text) + f"ETag: {PIN}\r\n" * (str(PIN) in text)
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)

    site.answer = answer


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with serving_site(lambda _connection: None) as site:
        echo(site)
        allow(monkeypatch, places=LOCAL, ports=str(site.port))
        yield site


def call(step_id: str, action_id: str, save: str | None = None, **inputs: Any) -> dict[str, Any]:
    config = {"actionId": action_id, "version": 1, "inputMapping": inputs}
    return {"id": step_id, "type": "action.call", "config": config | ({"saveAs": save} if save else {})}


def tell(step_id: str, site: Site, **inputs: Any) -> dict[str, Any]:
    asked = {
        "method": "POST",
        "url": f"{site.url}/in",
        "headers": {"X-Token": ALL["token"]},
        "body": {"$expr": "payload"},
    }
    step = call(step_id, "http.request", f"vars.{step_id}", **(asked | inputs))
    step["config"]["onError"] = "continue"
    return step


def steps_of(site: Site) -> dict[str, list[Any]]:
    returned = {"id": "return", "type": "control.return", "value": {"$expr": "vars"}}
    child = {"id": "child", "type": "control.callWorkflow", "workflowKey": "child", "inputMapping": ALL}
    ask = {
        "taskType": "key",
        "title": "Enter the key",
        "formSchemaRef": REF,
        "assign": {"vars.given": {"$expr": "answer"}},
    }
    said = {"$expr": "$substring($string(vars), 0, 4000)"}
    kept = {"id": "kept", "type": "transform.assign", "config": {"assign": {"vars.kept": {"$expr": "payload"}}}}
    return {
        "child": [tell("told", site), kept, returned],
        "listener": [tell("told", site, body={"$expr": "payload.token"}), returned],
        "parent": [
            tell("told", site, auth={"bearer": {"$secret": "ASCII"}}),
            tell("refused", site, method="PUT"),
            tell("sought", site, method="GET", body=None, query={"a": ALL["token"], "b": {"$secret": "CANARY"}}),
            child | {"outputMapping": {"vars.child": {"$expr": "childRun"}}},
            {"id": "ask", "type": "human.task", "config": ask},
            tell("answered", site, body={"$expr": "vars.given"}),
            call("publish", "event.publish", name="canary.again", payload=ALL, correlation_key="1"),
            call("log", "log.write", message=said),
            call("notify", "notifications.send", recipients={"roles": ["admin"]}, title="Told", body={"$expr": "$substring($string(vars), 0, 1500)"}),
            call("store", "store.set", key="kept", value={"$expr": "vars"}),
            returned,
        ],
    }  # fmt: skip


@pytest.fixture
def workflows(acme: Any, site: Site, db: Any) -> dict[str, Workflow]:
    register_schema(an_actor(acme), REF, SCHEMA, NOW)
    for name in ("canary.came", "canary.again"):
        an_event_type(acme, name, REF)
    made, mapping = {}, {name: {"$expr": f"event.payload.{name}"} for name in ALL}
    for key, steps in steps_of(site).items():
        definition = {"steps": steps}
        assert [problem for problem in definition_problems(definition) if problem.severity == "error"] == []
        made[key] = a_workflow(acme, key, draft_definition=definition, draft_schema_ref=REF, concurrency_limit=None)
        event = {"parent": "canary.came", "listener": "canary.again"}.get(key)
        trigger = {"type": "event", "eventName": event, "payloadMapping": mapping} if event else None
        a_version(made[key], schema=SCHEMA, is_pure=False, trigger=trigger)
        made[key].event_name = event
    db.commit()
    return made


def carry_on(db: Any) -> None:
    """Until everything has ended or waits for a person."""
    worker = Worker(new_id(), run_deadline_seconds=60)
    for _ in range(12):
        now = clock.database_now()
        admit_waiting(now)
        wake_due(now + timedelta(minutes=5))
        wake_parents()
        for lane in (PURE, EFFECT):
            worker.work(lane)
        db.expire_all()
    left = {run.status for run in db.scalars(select(Run)) if run.status not in FINISHED}
    assert left <= {"waiting"}, left


def test_nothing_keeps_or_shows_what_came_with_an_event(
    app: Flask, alice: Browser, program: Caller, workflows: dict[str, Workflow], site: Site, db: Any,
    fresh_redis: str, capsys: Any, caplog: Any,
) -> None:  # fmt: skip
    for name, value in (("CANARY", NAMED), ("ASCII", "ascii-kestrel-4711")):
        assert alice.post("/settings/secrets", {"name": name, "value": value}).status_code == 303
    told = {"name": "canary.came", "correlationKey": "7", "payload": PAYLOAD}
    first = program.post("/events", told, key="once")
    assert first.status_code == 202 and program.post("/events", told, key="once").json == first.json
    typed = {
        "payload-mode": "form",
        "payload/token": TYPED,
        "payload/pin": str(PIN),
        "payload-as/pin": "typed-json",
        "payload/note": "n",
    }
    sent = alice.post("/events", {"name": "canary.came", "request_key": "one", "payload-drawn": "canary.came"} | typed)
    assert sent.status_code == 303, sent.text
    carry_on(db)
    tasks = list(db.scalars(select(HumanTask).order_by(HumanTask.id)))
    assert len(tasks) == 2 and {task.status for task in tasks} == {"open"}
    answer = {name.replace("payload", "answer"): value for name, value in typed.items()}
    assert alice.post(f"/tasks/{tasks[0].id}/answer", answer | {"request_key": "two"}).status_code == 303
    answered = program.post(f"/tasks/{tasks[1].id}/answer", {"answer": PAYLOAD}, key="three")
    assert answered.json["answer"]["token"] == {"$kept": True}
    carry_on(db)
    run = db.scalars(select(Run).where(Run.workflow_id == workflows["parent"].id)).first()
    changed = program.get(f"/workflow-runs/{run.id}").json["input"] | {"note": "changed"}
    assert changed["token"] == {"$kept": True}
    again = alice.post(
        f"/runs/{run.id}/run-again", {"version": "same", "payload": json.dumps(changed), "request_key": "four"}
    )
    assert again.status_code == 303, again.text
    over_the_api = program.post(
        f"/workflow-runs/{run.id}/rerun", {"payload": changed, "version": "published"}, key="five"
    )
    assert over_the_api.status_code == 202
    carry_on(db)

    runs = db.scalars(select(Run)).all()
    assert {(run.started_by, run.status) for run in runs} == {
        ("event", "succeeded"), ("parent", "succeeded"), ("rerun", "waiting"),
    }, [run.error for run in runs]  # fmt: skip
    heard = b"".join(site.requests)
    assert heard.count(json.dumps(TYPED).encode()) >= 8 and b"ascii-kestrel-4711" in heard and b"sparrow" in heard
    assert any("***" in json.dumps(run.output) for run in runs)

    for table, query in tables():
        for row in db.execute(query):
            assert found_in(str(tuple(row)) + json.dumps(tuple(row), default=str)) == [], table
    ids: dict[str, list[Any]] = {
        "run_id": [run.id for run in runs], "version": [1], "workflow_id": [one.id for one in workflows.values()],
        "task_id": list(db.scalars(select(HumanTask.id))), "event_id": list(db.scalars(select(Event.id))),
        "event_type_id": list(db.scalars(select(EventType.id))),
        "notification_id": list(db.scalars(select(Notification.id))),
    }  # fmt: skip
    assert all(ids.values())
    for text in everything_readable(app, alice, program, ids):
        assert found_in(html.unescape(text)) == [] and found_in(text) == [], text[:100]
    assert [text for text in texts_of_redis(fresh_redis) if found_in(text)] == []
    logged = capsys.readouterr()
    assert found_in(logged.out) == [] and found_in(logged.err) == [] and found_in(caplog.text) == []


def test_a_refused_form_gives_back_only_what_its_fields_held(
    alice: Browser, program: Caller, workflows: dict[str, Workflow], db: Any
) -> None:
    bad: dict[str, Any] = {
        "payload-mode": "form",
        "payload/token": TYPED,
        "payload/pin": "no number",
        "payload-as/pin": "typed-json",
        "payload/note": "n",
    }
    parent = workflows["parent"]
    for address, more in (
        (f"/workflows/{parent.id}/run", {}),
        ("/events", {"name": "canary.came", "payload-drawn": "canary.came"}),
    ):
        refused = alice.post(address, bad | more | {"request_key": "one"})
        assert refused.status_code == 422
        shown = html.unescape(refused.text)
        assert shown.count(TYPED) == 1 and f'type="password" value="{TYPED}"' in shown
        typed_json = alice.post(address, more | {"payload": json.dumps(PAYLOAD | {"note": 1}), "request_key": "one"})
        assert typed_json.status_code == 422 and html.unescape(typed_json.text).count("sparrow") == 1
    wrong = PAYLOAD | {"note": 1, "token": 815, "pin": TYPED}
    for path, body in (("/events", {"name": "canary.came", "payload": wrong}),):
        answer = program.post(path, body)
        assert answer.status_code == 422 and "sparrow" not in answer.text and "815" not in answer.text
    for table, query in tables():
        for row in db.execute(query):
            assert found_in(str(tuple(row))) == [], table
