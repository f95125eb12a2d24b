"""Markup in every text that somebody else wrote: names, titles, keys, schemas, errors, bodies. No page makes markup of it."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.notifications import Notification, notify
from domain.accounts.secrets import create_secret
from domain.accounts.tenants import Tenant
from domain.workflows.payload_schemas import register_schema
from tests.factories import (
    NOW,
    a_delivery,
    a_run,
    a_schedule,
    a_step,
    a_task,
    a_version,
    a_workflow,
    an_actor,
    an_event,
    an_event_type,
)
from tests.web.addresses import address, is_file, rules
from tests.web.cast import Browser

EVIL = "\"'><img src=x onerror=alert(1)></script>{{7*7}}\u202e' hx-get=/x hx-trigger=load '"
SCHEMA = {
    "type": "object",
    "title": EVIL,
    "description": EVIL,
    "properties": {
        EVIL: {"type": "string", "title": EVIL, "description": EVIL, "default": EVIL, "enum": [EVIL, "b"]},
        "x": {"oneOf": [{"title": EVIL, "type": "object", "properties": {EVIL: {"type": "string", "x-secret": True}}}]},
        "l": {"type": "array", "items": {"type": "string", "description": EVIL}},
    },
    "additionalProperties": {"type": "string", "title": EVIL},
}
STEPS = [
    {"id": EVIL, "type": "transform.assign", "config": {"assign": {"vars.x": {"$expr": EVIL}, EVIL: EVIL}}},
    {"id": "b", "type": EVIL, "name": EVIL, "config": {EVIL: EVIL}},
]
TRIGGER = {"type": "event", "eventName": "evil.e", "payloadMapping": {EVIL: {"$expr": EVIL}, "b": EVIL}}
ERROR = {"code": EVIL, "message": EVIL, "category": EVIL}
AT = ("href", "action", "hx-get", "hx-post", "src")


class Elements(HTMLParser):
    """`foreign`: elements and attributes that no template of ours has, and addresses that lead elsewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.foreign: list[Any] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img" or (tag == "script" and "src" not in dict(attrs)):
            self.foreign.append((tag, attrs))
        for name, value in attrs:
            is_code = name.startswith(("on", "hx-on")) or name == "style" or (value in ("x", "/x") and name in AT)
            is_local = (value or "#").startswith(("/", "#", "?")) and not (value or "").startswith("//")
            if is_code or (name in AT and not is_local):
                self.foreign.append((tag, name, value))


def seeded(tenant: Tenant, db: Any, alice: Browser) -> dict[str, Any]:
    """Ids of rows that hold EVIL wherever a text can stand."""
    schema_id = register_schema(an_actor(tenant), "payload.Evil.v1", SCHEMA, NOW).id
    definition = {"steps": STEPS, EVIL: EVIL}
    workflow = a_workflow(tenant, EVIL, key="evil", description=EVIL, draft_definition=definition)
    workflow.draft_trigger, workflow.draft_schema_ref = TRIGGER, "payload.Evil.v1"
    a_version(workflow, schema=SCHEMA, trigger=TRIGGER)
    a_version(workflow, 2, schema=SCHEMA, trigger=TRIGGER, definition={"steps": STEPS[:1]})
    workflow.event_name, workflow.pause_reason, workflow.paused_at = "evil.e", EVIL, NOW
    told = {"eventName": EVIL, "correlationKey": EVIL, "parentRunId": EVIL, "eventId": EVIL, "triggerType": EVIL}
    asking = a_run(workflow, "waiting", input_json={EVIL: EVIL}, trigger_metadata=told)
    context = {EVIL: EVIL, "n": {EVIL: EVIL}}
    task = a_task(asking, EVIL, description=EVIL, context=context, form_schema=SCHEMA, task_type=EVIL)
    failed = a_run(workflow, "failed", error=ERROR | {"nodePath": "root.steps[0]"}, input_json={EVIL: EVIL})
    a_step(failed, status="failed", error=ERROR, step_id=EVIL, node_type=EVIL)
    a_step(failed, "root.steps[1]", position=1, output={EVIL: EVIL}, iteration=EVIL, step_id=EVIL)
    entry = an_event_type(tenant, "evil.e", "payload.Evil.v1", EVIL)
    event = an_event(tenant, "evil.e", payload={EVIL: EVIL}, correlation_key=EVIL, actor_label=EVIL, run_id=asking.id)
    a_delivery(event, workflow, None, EVIL), a_delivery(event, workflow, asking)
    secret = create_secret(an_actor(tenant), "EVIL", EVIL, "", NOW)
    secret.description = EVIL
    notify(tenant.id, [alice.user.id], EVIL, EVIL, "info", NOW, "/runs")
    record = {"actor_label": EVIL, "action": EVIL, "result": "refused", "subject_kind": "event", "subject_label": EVIL}
    db.add(AuditEntry(tenant_id=tenant.id, reason=EVIL, before={EVIL: EVIL}, after={EVIL: EVIL}, **record))
    schedule_id = a_schedule(workflow, EVIL, payload_json={EVIL: EVIL}).id
    db.commit()
    return {
        "workflow_id": workflow.id, "version": 1, "run_id": failed.id, "task_id": task.id, "event_id": event.id,
        "event_type_id": entry.id, "schedule_id": schedule_id, "secret_id": secret.id, "schema_id": schema_id,
        "notification_id": db.scalars(select(Notification.id)).one(), "asking": asking.id,
    }  # fmt: skip


def forms(ids: dict[str, Any]) -> list[tuple[str, dict[str, str]]]:
    workflow, listed = f"/workflows/{ids['workflow_id']}", json.dumps({EVIL: 1, "l": [1]})
    mapping = {"mapping_mode": "fields", "mapping_shown": "fields", "mapping_target": EVIL, "mapping_expression": EVIL}
    settings = {
        "revision": "1",
        "name": EVIL,
        "key": EVIL,
        "trigger_type": "event",
        "event_name": EVIL,
        "schema_ref": EVIL,
    }
    payload = {"payload-mode": "form", "payload-as": "object", f"payload/{EVIL}": EVIL, "payload-row": "0"}
    payload |= {"payload-key/~r0": EVIL, "payload/~r0": EVIL, "payload-was/x": "0", "payload-pick/x": "0"}
    return [
        (f"{workflow}/save", settings | mapping | {"definition": json.dumps({"steps": STEPS}), "schema_mode": EVIL}),
        (f"{workflow}/check", settings | mapping | {"definition": EVIL}),
        (f"{workflow}/mapping/check", settings | mapping),
        (f"{workflow}/run", {"payload": listed}),
        (f"{workflow}/run", payload | {f"payload/x/{EVIL}": EVIL}),
        (f"/tasks/{ids['task_id']}/answer", {"answer": EVIL}),
        ("/events", {"name": EVIL, "payload": EVIL, "correlation_key": EVIL}),
        ("/events/types", {"name": EVIL, "description": EVIL, "payload_schema_ref": EVIL}),
        (f"/runs/{ids['run_id']}/run-again", {"version": EVIL, "payload": listed}),
        ("/settings/secrets", {"name": EVIL, "value": "", "description": EVIL}),
    ]


def test_no_text_of_a_row_becomes_markup(app: Flask, alice: Browser, acme: Tenant, db: Any) -> None:
    ids = seeded(acme, db, alice)
    paths = [f"/runs/{ids['asking']}", f"/workflows/{ids['workflow_id']}/versions/compare?a=1&b=2"]
    paths += [f"/runs/{ids['run_id']}?step=root.steps[1]&iteration={EVIL}", f"/events?name={EVIL}", f"/runs?q={EVIL}"]
    for rule, method in rules(app):
        if method == "GET" and rule.arguments <= ids.keys() and not rule.rule.startswith(("/api", "/healthz")):
            paths.append(address(app, rule, ids))
    shown = 0
    for path, form in [(path, None) for path in paths] + forms(ids):
        for htmx in (False, True):
            answer = alice.post(path, form, htmx=htmx) if form is not None else alice.get(path, htmx=htmx)
            assert answer.status_code < 500, path
            if not is_file(answer):
                assert Elements(answer.text).foreign == [], path
            shown += "{{7*7}}" in answer.text
    assert shown > 60
