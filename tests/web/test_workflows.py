"""The pages of workflows, as alice the admin, bob the viewer and charlie of another tenant meet them."""

from __future__ import annotations

import json
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
from tests.factories import NOW, a_published_workflow, a_schedule, a_user, a_version, a_workflow
from tests.statements import counted
from tests.web.cast import Browser, client_of

NEEDS_REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme)
    db.commit()
    return workflow


def fields_of(workflow: Workflow, **changes: Any) -> dict[str, Any]:
    return {
        "revision": str(workflow.revision),
        "name": workflow.name,
        "key": workflow.key,
        "description": "",
        "concurrency_limit": "1",
        "schema_ref": workflow.draft_schema_ref,
        "schema_mode": "pinned",
        "definition": json.dumps(workflow.draft_definition),
    } | changes


def names_on(page: str) -> list[str]:
    return re.findall(r'<a class="name" href="/workflows/[^"]+">([^<]+)</a>', page)


def stored(db: Any, workflow: Workflow) -> Workflow:
    db.expire_all()
    return db.get(Workflow, workflow.id)


def a_run(workflow: Workflow, db: Any, status: str = "queued") -> Run:
    run = Run(
        tenant_id=workflow.tenant_id, workflow_id=workflow.id, workflow_version=1, started_by="manual",
        input_json={}, lane="pure", status=status, finished_at=NOW if status == "succeeded" else None,
    )  # fmt: skip
    db.add(run)
    db.flush()
    return run


def test_an_empty_list_says_what_a_workflow_is_and_has_the_button(alice: Browser, bob: Browser) -> None:
    assert 'href="/workflows/new"' in alice.get("/workflows").text
    page = bob.get("/workflows").text
    assert "No workflows yet" in page
    assert 'href="/workflows/new"' not in page


def test_the_list_shows_version_status_schedules_and_last_run(alice: Browser, acme: Tenant, db: Any) -> None:
    sync = a_published_workflow(acme, "Invoice sync")
    a_schedule(sync)
    a_schedule(sync, "gone", deleted_at=NOW)
    a_run(sync, db)
    last = a_run(sync, db, "succeeded")
    sync.draft_definition = {"steps": []}
    a_published_workflow(acme, "Held", paused_at=NOW)
    a_workflow(acme, "New idea")
    db.commit()

    page = alice.get("/workflows").text

    assert names_on(page) == ["Held", "Invoice sync", "New idea"]
    row = page.split(">Invoice sync</a>")[1].split("</tr>")[0]
    assert ">v1</a>" in row and "draft ahead" in row and "Published" in row
    assert f'href="/schedules?workflow={sync.id}" aria-label="1 schedules' in row
    assert f'href="/runs/{last.id}"' in row and "Succeeded" in row
    assert "draft ahead" not in page.split("Held")[1].split("</tr>")[0]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", ["Alpha", "Beta", "Gamma"]),
        ("q=alp", ["Alpha"]),
        ("q=GAM", ["Gamma"]),
        ("q=beta-key", ["Beta"]),
        ("q=%25", []),
        ("status=draft", ["Gamma"]),
        ("status=published", ["Alpha"]),
        ("status=paused", ["Beta"]),
        ("status=nonsense", ["Alpha", "Beta", "Gamma"]),
        ("q=a&status=paused", ["Beta"]),
    ],
)
def test_the_filters_are_in_the_address(alice: Browser, acme: Tenant, db: Any, query: str, found: list[str]) -> None:
    a_published_workflow(acme, "Alpha")
    a_published_workflow(acme, "Beta", key="beta-key", paused_at=NOW)
    a_workflow(acme, "Gamma")
    a_workflow(acme, "Gone", deleted_at=NOW)
    db.commit()

    for htmx in (False, True):
        page = alice.get(f"/workflows?{query}", htmx=htmx).text
        assert names_on(page) == found
        assert ("<html" in page) is not htmx


def test_the_list_goes_on_page_by_page_whatever_the_case_of_names(alice: Browser, acme: Tenant, db: Any) -> None:
    for number in range(55):
        a_workflow(acme, f"{'Flow' if number % 2 else 'flow'} {number:02}")
    db.commit()

    first = alice.get("/workflows").text
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = alice.get(following[1].replace("&amp;", "&")).text

    assert [name.lower() for name in names_on(first) + names_on(second)] == [f"flow {n:02}" for n in range(55)]
    assert 'rel="next"' not in second


def test_a_long_list_costs_as_many_queries_as_a_short_one(alice: Browser, acme: Tenant, db: Any) -> None:
    def queries() -> int:
        db.commit()
        with counted() as statements:
            assert alice.get("/workflows").status_code == 200
        return len(statements)

    alice.get("/workflows")
    a_schedule(a_published_workflow(acme, "One"))
    few = queries()
    for number in range(20):
        workflow = a_published_workflow(acme, f"Flow {number}")
        a_schedule(workflow)
        a_run(workflow, db)

    assert queries() == few


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


def test_saving_the_draft_with_and_without_scripts(alice: Browser, sync: Workflow, db: Any) -> None:
    answer = alice.post(f"/workflows/{sync.id}/save", fields_of(sync, name="Invoices"))
    assert (answer.status_code, answer.location) == (303, f"/workflows/{sync.id}")

    fragment = alice.post(
        f"/workflows/{sync.id}/save", fields_of(stored(db, sync), name="Bills", concurrency_limit=""), htmx=True
    )
    assert fragment.status_code == 200
    assert "<html" not in fragment.text and 'hx-swap-oob="true"' in fragment.text
    assert json.loads(fragment.headers["HX-Trigger"]) == {"toast": {"message": "The draft was saved."}}
    saved = stored(db, sync)
    assert (saved.name, saved.concurrency_limit, saved.revision) == ("Bills", None, 3)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, "Enter a name."),
        ({"definition": '{"steps": ['}, "not valid JSON"),
        ({"definition": '{"a": 1, "a": 2}'}, "appears twice"),
        ({"concurrency_limit": "many"}, "whole number from 1"),
        ({"concurrency_limit": "0"}, "whole number from 1"),
        ({"schema_ref": "payload.Gone.v1"}, "No payload schema is registered as payload.Gone.v1"),
    ],
)
def test_a_refused_draft_keeps_what_was_typed(
    alice: Browser, sync: Workflow, db: Any, changes: dict[str, str], said: str
) -> None:
    typed = fields_of(sync, description="typed words") | changes

    for htmx in (True, False):
        answer = alice.post(f"/workflows/{sync.id}/save", typed, htmx=htmx)
        assert answer.status_code == 422
        assert said in answer.text and "typed words" in answer.text
        assert all(value in answer.text for value in changes.values() if value.isalnum())
        assert 'aria-invalid="true"' in answer.text
    assert stored(db, sync).revision == 1


def test_the_second_of_two_editors_sees_a_conflict_with_what_they_typed_and_what_is_stored(
    alice: Browser, sync: Workflow, db: Any
) -> None:
    alice.post(f"/workflows/{sync.id}/save", fields_of(sync, definition='{"steps": [], "name": "stored"}'))

    answer = alice.post(f"/workflows/{sync.id}/save", fields_of(sync, name="Second", description="mine"), htmx=True)

    assert answer.status_code == 409
    assert "Someone else saved or published" in answer.text
    assert 'value="Second"' in answer.text and "mine" in answer.text
    assert "What is stored now" in answer.text and "&#34;stored&#34;" in answer.text
    assert stored(db, sync).name == "Invoice sync"
    revision = re.search(r'name="revision"[^>]*value="(\d+)"', answer.text)
    assert revision
    again = fields_of(sync, name="Second", revision=revision[1])
    assert alice.post(f"/workflows/{sync.id}/save", again).status_code == 303
    assert stored(db, sync).name == "Second"


def test_problems_of_the_draft_stand_at_their_step(alice: Browser, sync: Workflow, db: Any) -> None:
    sync.draft_definition = {"steps": [{"id": "a", "type": "what.ever"}]}
    db.commit()

    page = alice.get(f"/workflows/{sync.id}").text

    assert ">1 problem</span>" in page
    assert "There is no step type what.ever" in page.split('id="draft-problems"')[1].split("</ul>")[0]
    assert "There is no step type what.ever" in page.split('id="outline"')[1]


def test_the_outline_shows_branches_inside_their_step(alice: Browser, sync: Workflow, db: Any) -> None:
    inner = {"id": "inner", "type": "state.set", "config": {"state": "INNER"}}
    condition = {"id": "choice", "type": "control.if", "condition": {"$expr": "payload.x"}, "then": [inner]}
    sync.draft_definition = {"steps": [condition]}
    db.commit()

    tree = alice.get(f"/workflows/{sync.id}").text.split('id="outline"')[1]

    assert tree.index("choice") < tree.index("then") < tree.index("INNER")


def test_a_definition_cannot_become_markup(alice: Browser, sync: Workflow, db: Any) -> None:
    sync.draft_definition = {"steps": [{"id": "</textarea><script>x</script>", "type": "<b>"}]}
    db.commit()

    page = alice.get(f"/workflows/{sync.id}").text

    assert "<script>x" not in page and "<b>" not in page.split('id="outline"')[1]


def test_publishing_is_reviewed_first_and_names_the_schedules_it_holds(
    alice: Browser, sync: Workflow, acme: Tenant, db: Any
) -> None:
    schema = {"ref": "payload.Sync.v1", "schema": json.dumps(NEEDS_REGION)}
    assert alice.post("/settings/schemas", schema).status_code == 303
    schedule = a_schedule(sync, "Morning sync")
    sync.draft_schema_ref = "payload.Sync.v1"
    db.commit()

    review = alice.get(f"/workflows/{sync.id}/publish").text
    assert "Publish version 2" in review
    assert "Morning sync" in review and "region" in review

    answer = alice.post(f"/workflows/{sync.id}/publish", {"revision": sync.revision}, htmx=True)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"/workflows/{sync.id}")
    assert stored(db, sync).published_version == 2
    assert db.get(Schedule, schedule.id).status == "invalid"
    page = alice.get(f"/workflows/{sync.id}").text
    assert "Version 2 is published. 1 schedule no longer fits and is held." in page


def test_a_review_of_an_unfit_draft_lists_why_and_offers_no_button(alice: Browser, sync: Workflow, db: Any) -> None:
    sync.draft_definition = {"steps": [{"id": "a", "type": "what.ever"}]}
    db.commit()

    review = alice.get(f"/workflows/{sync.id}/publish").text
    answer = alice.post(f"/workflows/{sync.id}/publish", {"revision": sync.revision})

    assert "cannot be published yet" in review and "Publish version" not in review
    assert answer.status_code == 422 and "what.ever" in answer.text
    assert stored(db, sync).published_version == 1


def test_publishing_a_draft_that_changed_since_the_review_asks_again(alice: Browser, sync: Workflow, db: Any) -> None:
    answer = alice.post(f"/workflows/{sync.id}/publish", {"revision": "99"})

    assert answer.status_code == 409
    assert "changed since you opened this" in answer.text
    assert stored(db, sync).published_version == 1


def test_a_version_can_be_read_and_a_missing_one_is_not_there(alice: Browser, bob: Browser, sync: Workflow) -> None:
    assert "say-so" in bob.get(f"/workflows/{sync.id}/versions/1").text
    assert alice.get(f"/workflows/{sync.id}/versions/2").status_code == 404


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


def test_the_page_links_its_schedules_and_a_new_one(alice: Browser, sync: Workflow, db: Any) -> None:
    a_schedule(sync)
    db.commit()

    page = alice.get(f"/workflows/{sync.id}").text

    assert f'href="/schedules?workflow={sync.id}">Schedules (1)</a>' in page
    assert f'href="/schedules/new?workflow={sync.id}"' in page


def test_the_list_marks_no_draft_when_the_version_is_the_same_again(alice: Browser, sync: Workflow, db: Any) -> None:
    a_version(sync, 2)
    db.commit()

    assert "draft ahead" not in alice.get("/workflows").text
