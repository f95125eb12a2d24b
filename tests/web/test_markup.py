"""Whatever people write, into any column of any table, stays text on every page.

Each text column is filled, once with harmless words and once with markup; every page must have the same elements with
the same attributes both times.
"""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from flask import Flask
from sqlalchemy import String, Text, case, func, select, update

from domain.accounts.audit import SUBJECTS, record_change
from domain.accounts.tenants import Tenant
from domain.events.events import Event
from domain.kernel.db import Base
from domain.kernel.ids import new_id
from domain.runs.heartbeats import Heartbeat
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.occurrences import Occurrence
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_run, a_schedule, a_step, a_workflow, an_actor
from tests.web.addresses import address, ask, is_file, rules
from tests.web.cast import Browser

HARMLESS = "word"
HOSTILE = "\"'` ><img src=x onerror=alert(1)></script></textarea></title>-->{{7*7}} hx-get=/x hx-trigger=load javascript:alert(1)"
# Columns whose values are words of ours, hashes, or are named by other rows.
OURS = {
    "status",
    "trigger_type",
    "target_kind",
    "timezone",
    "cron",
    "edition",
    "role",
    "email",
    "key",
    "ref",
    "origin_key",
}
OURS |= {"token_hash", "password_hash", "outcome", "overlap", "catch_up", "dst_gap", "dst_repeat", "lane", "started_by"}
OURS |= {
    "step_path",
    "iteration",
    "state",
    "result",
    "subject_kind",
    "slug",
    "definition_hash",
    "idempotency_key",
    "action",
}
OURS |= {
    "payload_schema_mode",
    "payload_schema_ref",
    "draft_schema_mode",
    "draft_schema_ref",
    "last_run_status",
    "kind",
    "source",
    "severity",
    # A path of this site, checked when it is written.
    "link",
}

UNCHANGING = ("workflow_versions", "extension_versions", "audit_entries", "occurrences")


class Skeleton(HTMLParser):
    """The elements of a page in order, each with the names of its attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, ...]] = []
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, *(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action")]


def fill(db: Any, tenant: Tenant, words: str) -> None:
    """Put `words` into every text column of the tenant's rows, and into the documents that pages show."""
    for table in Base.metadata.tables.values():
        free = {
            column.name: case((column.is_not(None), func.concat(words, " ", *table.primary_key)))
            for column in table.columns
            if isinstance(column.type, Text | String) and column.name not in OURS and not column.foreign_keys
        }
        if free and table.name not in UNCHANGING:
            db.execute(update(table).values(**free))
    documents = {"input_json": {words: [words]}, "output": {words: words}, "error": {"message": words, "code": words}}
    for name in ("runs", "run_steps"):
        table = Base.metadata.tables[name]
        held = {column: value for column, value in documents.items() if column in table.columns}
        db.execute(update(table).values(**held))
    db.execute(update(Event).values(payload={words: [words]}))
    db.execute(update(Schedule).values(payload_json={words: {"deep": words}}))
    definition = {"steps": [{"id": "s", "type": "state.set", "name": words, "values": {words: words}}]}
    db.execute(update(Workflow).values(draft_definition=definition))
    # The ledger and the audit are never rewritten: more is said in them.
    for schedule in db.scalars(select(Schedule)):
        for minute, outcome in enumerate(("skipped", "missed", "refused")):
            values = {"tenant_id": tenant.id, "schedule_id": schedule.id, "origin_key": "timing", "outcome": outcome}
            at = NOW.replace(hour=len(words) % 10, minute=minute)
            db.add(Occurrence(id=new_id(), **values, scheduled_for=at, decided_at=NOW, reason=words, detail=words))
    for kind in SUBJECTS:
        record_change(an_actor(tenant), f"{kind}.edit", tenant, before={words: 1}, after={words: words}, reason=words)
    db.flush()


def people_and_rows(tenant: Tenant, db: Any) -> None:
    """Every state that a page shows in words of its own: paused, invalid, failed, waiting, refused."""
    a_workflow(tenant, "Held", paused_at=NOW, pause_reason="because")
    workflow = a_published_workflow(tenant, "Busy")
    for status in ("active", "paused", "invalid", "completed"):
        because = {"pause_reason": "because"} if status == "paused" else {}
        a_schedule(workflow, f"One that is {status}", status=status, **because)
    failed = a_run(workflow, "failed", error={"message": "because"})
    a_step(failed, status="failed", error={"message": "because"}, input={"a": 1})
    db.add(Heartbeat(id=new_id(), kind="web", host="here", pid=1, version="1", lease_until=NOW))
    db.flush()
    db.execute(update(ScheduleCursor).values(last_error="because"))


def skeletons(app: Flask, ids: dict[str, Any], alice: Browser) -> dict[str, tuple[Skeleton, str]]:
    """Path → what the page is made of, and its text; pages and fragments."""
    found = {}
    for rule, method in rules(app):
        if method != "GET" or rule.endpoint.startswith("api.") or rule.endpoint == "system.healthz":
            continue
        for htmx in (False, True):
            path = address(app, rule, ids)
            answer = ask(alice, path, method, htmx=htmx)
            if not is_file(answer):
                found[f"{path} {htmx}"] = Skeleton(answer.text), answer.text
    return found


def test_nothing_that_people_write_becomes_an_element(
    app: Flask, ids: dict[str, Any], alice: Browser, acme: Tenant, db: Any
) -> None:
    people_and_rows(acme, db)
    fill(db, acme, HARMLESS)
    db.commit()
    harmless = skeletons(app, ids, alice)
    fill(db, acme, HOSTILE)
    db.commit()
    hostile = skeletons(app, ids, alice)
    shown = 0
    for page, (skeleton, text) in hostile.items():
        assert "<img src=x" not in text, page
        shown += "&lt;img src=x" in text
        before = harmless[page][0]
        assert set(skeleton.elements) <= set(before.elements), page
        assert not [link for link in skeleton.links if link.startswith(("javascript:", "//"))], page
    assert shown > 20
