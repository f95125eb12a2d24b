"""What one does to a workflow from its page: create, run, pause, resume and delete, as alice the admin, bob the viewer and charlie of another tenant meet it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_schedule, a_user
from tests.web.cast import Browser, client_of
from tests.web.workflow_pages import fields_of, names_on, stored


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme)
    db.commit()
    return workflow


def test_a_workflow_is_created_and_opened(alice: Browser, acme: Tenant, db: Any) -> None:
    answer = alice.post("/workflows", {"name": "Invoice sync"})

    made = db.scalars(select(Workflow)).one()
    assert (answer.status_code, answer.location) == (303, f"/workflows/{made.id}")
    assert (made.tenant_id, made.key) == (acme.id, "invoice-sync")
    page = alice.get(answer.location).text
    assert "Invoice sync was created" in page
    assert "say-so" in page and "Write to the log" in page


def test_a_name_that_cannot_be_used_stays_in_the_form(alice: Browser, db: Any) -> None:
    typed = {"name": "x" * 129, "key": "Bad Key", "description": "kept"}

    page = alice.post("/workflows", typed)
    fragment = alice.post("/workflows", typed, htmx=True)

    for answer in (page, fragment):
        assert answer.status_code == 422
        assert "at most 128 characters" in answer.text and "A key begins with" in answer.text
        assert "x" * 129 in answer.text and "Bad Key" in answer.text and "kept" in answer.text
    assert ("<html" in page.text, "<html" in fragment.text) == (True, False)
    assert db.scalars(select(Workflow)).all() == []


def test_run_now_starts_one_run_however_often_it_is_sent(alice: Browser, sync: Workflow, db: Any) -> None:
    dialog = alice.get(f"/workflows/{sync.id}/run", htmx=True).text
    key = re.search(r'name="request_key"[^>]*value="([^"]+)"', dialog)
    assert key

    for _ in range(2):
        answer = alice.post(f"/workflows/{sync.id}/run", {"request_key": key[1], "payload": "{}"})
        assert answer.status_code == 303

    run = db.scalars(select(Run)).one()
    assert (run.started_by, run.input_json, run.workflow_id) == ("manual", {}, sync.id)
    assert f'href="/runs/{run.id}"' in alice.get(answer.location).text


@pytest.mark.parametrize("payload", ["", "[]", "{", '{"extra": 1}', "{'a': 1}"])
def test_a_payload_that_does_not_fit_stays_in_the_dialog(alice: Browser, sync: Workflow, db: Any, payload: str) -> None:
    answer = alice.post(f"/workflows/{sync.id}/run", {"request_key": "k", "payload": payload}, htmx=True)

    assert answer.status_code == 422
    assert 'id="payload-error"' in answer.text and 'aria-invalid="true"' in answer.text
    assert db.scalars(select(Run)).all() == []


def test_a_paused_workflow_says_so_instead_of_running(alice: Browser, sync: Workflow, db: Any) -> None:
    alice.post(f"/workflows/{sync.id}/pause", {"reason": "supplier outage"})

    answer = alice.post(f"/workflows/{sync.id}/run", {"request_key": "k", "payload": "{}"})

    assert answer.status_code == 409
    assert "supplier outage" in answer.text
    assert db.scalars(select(Run)).all() == []
    refusal = db.scalars(select(AuditEntry).where(AuditEntry.result == "refused")).one()
    assert (refusal.subject_kind, refusal.subject_id, "supplier outage" in refusal.reason) == (
        "workflow",
        sync.id,
        True,
    )


def test_pausing_and_resuming_from_the_page(alice: Browser, sync: Workflow, db: Any) -> None:
    answer = alice.post(f"/workflows/{sync.id}/pause", {"reason": "supplier outage"})
    page = alice.get(answer.location).text
    assert "Paused" in page and "supplier outage" in page
    assert f'action="/workflows/{sync.id}/resume"' in page and f"/workflows/{sync.id}/run" not in page

    assert alice.post(f"/workflows/{sync.id}/pause").status_code == 409
    assert alice.post(f"/workflows/{sync.id}/resume").status_code == 303
    assert stored(db, sync).paused_at is None
    assert alice.post(f"/workflows/{sync.id}/resume").status_code == 409


def test_a_reason_that_is_too_long_stays_in_the_dialog(alice: Browser, sync: Workflow, db: Any) -> None:
    answer = alice.post(f"/workflows/{sync.id}/pause", {"reason": "y" * 501}, htmx=True)

    assert answer.status_code == 422
    assert "at most 500 characters" in answer.text and "y" * 501 in answer.text
    assert stored(db, sync).paused_at is None


def test_deleting_lists_the_schedules_that_end_and_leaves_a_readable_page(
    alice: Browser, sync: Workflow, db: Any
) -> None:
    a_schedule(sync, "Morning sync")
    db.commit()
    assert "Morning sync" in alice.get(f"/workflows/{sync.id}/delete").text

    answer = alice.post(f"/workflows/{sync.id}/delete")

    assert (answer.status_code, answer.location) == (303, "/workflows")
    assert db.scalars(select(Schedule.deleted_at)).one() is not None
    assert names_on(alice.get("/workflows").text) == []
    page = alice.get(f"/workflows/{sync.id}")
    assert page.status_code == 200 and "was deleted" in page.text and "/save" not in page.text
    assert alice.get(f"/workflows/{sync.id}/versions/1").status_code == 200
    assert alice.post(f"/workflows/{sync.id}/save", fields_of(sync)).status_code == 404


def test_a_viewer_sees_everything_and_no_controls(bob: Browser, sync: Workflow) -> None:
    page = bob.get(f"/workflows/{sync.id}").text

    assert "say-so" in page
    for control in ("/save", "/publish", "/pause", '/run"', "/delete", "/schedules/new"):
        assert control not in page


@pytest.mark.parametrize(
    ("role", "seen", "unseen"),
    [
        ("operator", ["/save", "/pause", "/run"], ["/publish", "/delete"]),
        ("author", ["/save", "/pause", "/publish"], ["/delete"]),
    ],
)
def test_each_role_sees_the_controls_it_may_use(
    app: Flask, acme: Tenant, sync: Workflow, role: str, seen: list[str], unseen: list[str]
) -> None:
    browser = client_of(app, a_user(acme, f"{role}@acme.test", role), acme)

    page = browser.get(f"/workflows/{sync.id}").text

    assert [control for control in seen if f"/workflows/{sync.id}{control}" not in page] == []
    assert [control for control in unseen if f"/workflows/{sync.id}{control}" in page] == []
    for control in unseen:
        assert browser.post(f"/workflows/{sync.id}{control}").status_code == 403
