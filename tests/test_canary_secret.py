"""One canary, kept by name and typed into secret fields, goes through everything that Carillon does with a secret.

Afterwards it is looked for, in every spelling, in every table, in Redis, in what was logged, and on every page and
answer: it is nowhere. Only what reaches outside was given it.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import redis
from flask import Flask
from sqlalchemy import select

from domain.accounts.secrets import Secret
from domain.engine.actions.action import OUTSIDE, Action, ActionContext, Example
from domain.engine.actions.registry import ACTIONS
from domain.engine.failures import TRANSIENT, StepFailed
from domain.execution import Worker
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.db import Base
from domain.kernel.ids import new_id
from domain.kernel.secret_values import shown
from domain.runs.admission import admit_waiting
from domain.runs.runs import EFFECT, FINISHED, PURE, Run
from domain.runs.waking import wake_due
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_tenant, a_token, a_user, a_workflow
from tests.factories import a_version as publish
from tests.web.addresses import address, rules
from tests.web.callers import Caller
from tests.web.cast import Browser, client_of

NAMED, TYPED, PIN = 'named/"kestrel&Ω"', 'typed "sparrow" <x>', 4815162342
SEEDS = ("kestrel", "sparrow", str(PIN))
SECRET = {"type": "string", "x-secret": True}
SCHEMA = {
    "type": "object",
    "properties": {"token": SECRET, "pin": {"type": "integer", "x-secret": True}, "note": {"type": "string"}},
}
PAYLOAD = {"token": TYPED, "pin": PIN, "note": "in plain"}
BY_NAME = {"token": {"$secret": "CANARY"}, "note": "in plain"}
INPUTS = {
    "named": {"$secret": "CANARY"},
    "typed": {"$expr": "vars.kept.token"},
    "pin": {"$expr": "vars.kept.pin"},
}


def spelled(text: str) -> list[str]:
    """What somebody may make of a text before sending it back."""
    raw = text.encode()
    return [
        text, json.dumps(text), json.dumps(text, ensure_ascii=False), json.dumps(json.dumps(text)), quote(text),
        quote(text, safe=""), html.escape(text), raw.hex(), raw.hex().upper(),
        *(base64.b64encode(b"u:"[:count] + raw).decode() for count in range(3)), f"Bearer {text}; and more",
    ]  # fmt: skip


def found_in(text: str) -> list[str]:
    """Which canaries a text holds, in whatever spelling."""
    needles = []
    for seed in SEEDS:
        raw = seed.encode()
        needles += [seed, raw.hex(), raw.hex().upper()]
        needles += [
            base64.b64encode(bytes(k) + raw).decode()[-(-k * 8 // 6) : (k + len(raw)) * 8 // 6] for k in range(3)
        ]
    return [needle for needle in needles if needle in text]


class Outside:
    """The world: it notes what it was told and answers with it, or fails with it."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []

    def echo(self, inputs: dict[str, Any], _context: ActionContext) -> dict[str, Any]:
        self.heard.append(inputs)
        said = [spelling for value in inputs.values() for spelling in spelled(str(value))]
        return {"said": said, "body": json.dumps(inputs), **{f"x-{value}": value for value in inputs.values()}}

    def refuse(self, inputs: dict[str, Any], _context: ActionContext) -> dict[str, Any]:
        raise StepFailed(f"The server refused {json.dumps(inputs)} {self.echo(inputs, _context)}", "REFUSED", TRANSIENT)

    def break_down(self, inputs: dict[str, Any], _context: ActionContext) -> dict[str, Any]:
        raise RuntimeError(f"cannot use {inputs}")


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Outside:
    world = Outside()
    taken: dict[str, Any] = {"type": "object"}
    for name, run in (("echo", world.echo), ("refuse", world.refuse), ("break", world.break_down)):
        action = Action(
            f"test.{name}", 1, name, "Test", name, taken, taken, OUTSIDE, Example({}, {}), run, is_idempotent=True
        )
        monkeypatch.setitem(ACTIONS, (action.id, 1), action)
    return world


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


@pytest.fixture
def alice(app: Flask, acme: Any) -> Browser:
    return client_of(app, a_user(acme), acme)


@pytest.fixture
def program(app: Flask, acme: Any, alice: Browser, db: Any) -> Caller:
    token = a_token(acme, alice.user)[1]
    db.commit()
    return Caller(app.test_client(), token)


def calling(action_id: str, step_id: str, **config: Any) -> dict[str, Any]:
    config = {"actionId": action_id, "version": 1, "inputMapping": INPUTS} | config
    return {"id": step_id, "type": "action.call", "config": config}


KEEP = {"id": "keep", "type": "transform.assign", "config": {"assign": {"vars.kept": {"$expr": "payload"}}}}
TELL = calling("log.write", "tell", inputMapping={"message": {"$expr": "'heard ' & $string(vars.heard)"}})
STORE = calling("store.set", "store", inputMapping={"key": "kept", "value": {"$expr": "vars.kept"}})
RETURN = {"id": "return", "type": "control.return", "value": {"$expr": "vars"}}
STEPS = {
    "Echoing": [KEEP, calling("test.echo", "echo", saveAs="vars.heard"), TELL, STORE, RETURN],
    "Refusing": [KEEP, calling("test.refuse", "refuse", retry={"maxAttempts": 2, "backoffMs": 1})],
    "Breaking": [KEEP, calling("test.break", "break", onError="continue"), calling("test.break", "again")],
    "Missing": [KEEP, calling("test.echo", "missing", inputMapping={"a": {"$expr": "vars.kept.token"}, "b": {"$secret": "NONE"}})],
}  # fmt: skip


@pytest.fixture
def workflows(acme: Any, db: Any) -> dict[str, Workflow]:
    made = {}
    for name, steps in STEPS.items():
        made[name] = a_workflow(
            acme, name, draft_definition={"schemaVersion": 1, "steps": steps}, concurrency_limit=None
        )
        publish(made[name], schema=SCHEMA, is_pure=False)
    db.commit()
    return made


def form_of(workflow: Workflow, payload: Any, **changes: Any) -> dict[str, Any]:
    typed = {
        "workflow": workflow.name, "name": f"{workflow.name} nightly", "enabled": "y", "trigger_type": "recurring",
        "cron": "0 9 * * *", "timezone": "UTC", "payload": json.dumps(payload), "overlap": "allow", "catch_up": "latest",
        "dst_gap": "after", "dst_repeat": "first", "spread_seconds": "0",
    }  # fmt: skip
    return typed | changes


def finish_everything(db: Any) -> None:
    """Until nothing is left to do, waits included."""
    worker = Worker(new_id(), run_deadline_seconds=60)
    for _ in range(50):
        now = clock.database_now()
        admit_waiting(now)
        wake_due(now)
        for lane in (PURE, EFFECT):
            worker.work(lane)
        db.expire_all()
        if all(run.status in FINISHED for run in db.scalars(select(Run))):
            return
    raise AssertionError([(run.status, run.error) for run in db.scalars(select(Run))])


def tables() -> Iterator[tuple[str, Any]]:
    for table in Base.metadata.sorted_tables:
        yield table.name, select(table)


def texts_of_redis(url: str) -> Iterator[str]:
    with redis.Redis.from_url(url, decode_responses=True) as connection:
        for key in connection.scan_iter():
            kind = connection.type(key)
            read = {"string": connection.get, "hash": connection.hgetall, "set": connection.smembers}.get(kind)
            items = read(key) if read else connection.execute_command(*_all_of(kind, key))
            yield f"{key} {items}"


def _all_of(kind: str, key: str) -> tuple[Any, ...]:
    return ("LRANGE", key, 0, -1) if kind == "list" else ("ZRANGE", key, 0, -1)


def everything_readable(app: Flask, browser: Browser, program: Caller, ids: dict[str, list[Any]]) -> Iterator[str]:
    """Every page and answer about every row, as a page and as a fragment, with their headers."""
    for rule, method in rules(app):
        if method != "GET" or not rule.arguments <= ids.keys():
            continue
        several = max((len(ids[name]) for name in rule.arguments), default=1)
        for index in range(several):
            path = address(app, rule, {name: ids[name][index % len(ids[name])] for name in rule.arguments})
            if path.startswith("/api/"):
                answers = [program.get(path.removeprefix("/api"))]
            else:
                answers = [browser.get(path), browser.get(path, htmx=True)]
            yield from (f"{path} {answer.status_code} {answer.headers} {answer.text}" for answer in answers)


def test_the_canary_is_given_to_the_outside_and_found_nowhere_else(
    app: Flask, alice: Browser, program: Caller, workflows: dict[str, Workflow], outside: Outside, db: Any,
    fresh_redis: str, capsys: Any, caplog: Any,
) -> None:  # fmt: skip
    assert alice.post("/settings/secrets", {"name": "CANARY", "value": "an earlier kestrel"}).status_code == 303
    secret = db.scalars(select(Secret)).one()
    assert alice.post(f"/settings/secrets/{secret.id}/replace", {"value": NAMED}).status_code == 303

    for workflow in workflows.values():
        assert alice.post("/schedules", form_of(workflow, PAYLOAD)).status_code == 303
        assert alice.post("/schedules", form_of(workflow, BY_NAME, name="By name")).status_code == 303
    echoing = workflows["Echoing"]
    body = {"workflowId": str(echoing.id), "name": "Over the API", "cron": "0 9 * * *", "payload": PAYLOAD}
    made = program.post("/schedules", body, key="once")
    assert made.status_code == 201 and program.post("/schedules", body, key="once").json == made.json
    assert made.json["payload"] == {"token": {"$kept": True}, "pin": {"$kept": True}, "note": "in plain"}
    kept = made.json["payload"] | {"note": "changed"}
    changed = program.patch(f"/schedules/{made.json['id']}", {"payload": kept, "revision": made.json["revision"]})
    assert changed.status_code == 200, changed.text
    schedule = db.scalars(select(Schedule).where(Schedule.name == "Echoing nightly")).one()
    stored = schedule.payload_json
    assert shown(stored) == made.json["payload"]
    resent = form_of(echoing, kept, revision=schedule.revision, name="Renamed")
    assert alice.post(f"/schedules/{schedule.id}/edit", resent).status_code == 303
    db.refresh(schedule)
    assert schedule.payload_json == stored | {"note": "changed"}

    fire_due(max(db.scalars(select(ScheduleCursor.next_fire_at))))
    assert alice.post(f"/schedules/{schedule.id}/run-now").status_code in (204, 303)
    assert program.post(f"/schedules/{schedule.id}/run-now").status_code in (200, 201, 202)
    for workflow in workflows.values():
        typed = {"payload": json.dumps(PAYLOAD), "request_key": str(new_id())}
        assert alice.post(f"/workflows/{workflow.id}/run", typed).status_code == 303
    finish_everything(db)
    for run in db.scalars(select(Run).where(Run.schedule_id.is_(None))).all():
        again = alice.post(f"/runs/{run.id}/run-again", {"request_key": str(new_id())})
        assert again.status_code == 303, again.text
    finish_everything(db)

    runs = db.scalars(select(Run)).all()
    ended = {(echoing.id == run.workflow_id, run.status) for run in runs}
    assert ended == {(True, "succeeded"), (False, "failed")}
    heard = [inputs for inputs in outside.heard if "named" in inputs]
    assert {inputs["named"] for inputs in heard} == {NAMED}
    assert {inputs.get("typed") for inputs in heard} == {TYPED, NAMED} and PIN in {
        inputs.get("pin") for inputs in heard
    }
    assert any("***" in json.dumps(run.output) for run in runs)

    for name, query in tables():
        for row in db.execute(query):
            assert found_in(str(tuple(row))) == [], name
            assert found_in(json.dumps(tuple(row), default=str)) == [], name
    ids = {
        "secret_id": [secret.id], "run_id": [run.id for run in runs], "version": [1],
        "workflow_id": [workflow.id for workflow in workflows.values()],
        "schedule_id": list(db.scalars(select(Schedule.id))),
    }  # fmt: skip
    readable = list(everything_readable(app, alice, program, ids))
    assert any("/edit 200" in text and "Keep what is stored" in text for text in readable)
    for text in readable:
        assert found_in(html.unescape(text)) == [] and found_in(text) == [], text[:100]
    assert [text for text in texts_of_redis(fresh_redis) if found_in(text)] == []
    logged = capsys.readouterr()
    assert "heard" in logged.out + logged.err + caplog.text
    assert found_in(logged.out) == [] and found_in(logged.err) == [] and found_in(caplog.text) == []


def test_the_search_itself_finds_every_spelling() -> None:
    for value in (NAMED, TYPED, str(PIN)):
        for spelling in spelled(value):
            assert found_in(f"before {spelling} after"), spelling
