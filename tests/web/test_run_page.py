"""What the page of one run tells: who started it, what it waits for, whom it called, how each attempt went."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor, AuditEntry
from domain.accounts.tenants import Tenant
from domain.kernel.clock import database_now
from domain.kernel.ids import new_id
from domain.kernel.vault import seal
from domain.runs.launch import launch_workflow
from domain.runs.listing import STARTERS
from domain.runs.runs import BY_API, Run
from domain.runs.waits import Wait
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_run, a_step, a_task, a_version, a_workflow
from tests.statements import counted
from tests.web.cast import Browser
from web.runs.frame import STARTER_WORDS

SEALED = {"$sealed": "gAAAAAB-token"}


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    return a_published_workflow(acme)


def words_of(html: str) -> str:
    said = re.sub(r"<[^>]+>", " ", html.partition("<main")[2] or html)
    return re.sub(r" (?=[,.:])", "", re.sub(r"\s+", " ", said))


def said_by(browser: Browser, run: Run, query: str = "") -> str:
    return words_of(browser.get(f"/runs/{run.id}{query}").text)


def a_wait(run: Run, kind: str, db: Any, **values: Any) -> Wait:
    """An open wait of the first step, opened at `NOW`."""
    values = {"step_path": "root.steps[0]", "iteration": "", "attempt": 1, "opened_at": NOW, "status": "open"} | values
    wait = Wait(tenant_id=run.tenant_id, run_id=run.id, kind=kind, **values)
    db.add(wait)
    db.flush()
    return wait


def a_waiting_step(run: Run, **values: Any) -> None:
    a_step(run, **{"status": "waiting", "finished_at": None} | values)


# Who or what started it


def test_every_way_to_start_a_run_has_its_words_in_the_filter() -> None:
    assert set(STARTER_WORDS) == set(STARTERS)


def test_a_run_of_an_event_leads_to_it(alice: Browser, sync: Workflow) -> None:
    event_id = str(new_id())
    metadata = {"eventId": event_id, "eventName": "invoice.paid", "correlationKey": "INV-7"}
    run = a_run(sync, started_by="event", trigger_metadata=metadata)
    assert f'<a href="/events/{event_id}">invoice.paid</a>' in alice.get("/runs").text
    page = alice.get(f"/runs/{run.id}").text
    assert f'Started by the event <a href="/events/{event_id}">invoice.paid</a>' in page
    assert "INV-7" in page and "An event" in page


def test_a_child_and_its_parent_lead_to_each_other(alice: Browser, acme: Tenant, sync: Workflow) -> None:
    parent = a_run(a_published_workflow(acme, "Month end"), "waiting")
    child = a_run(sync, "running", started_by="parent", parent_run_id=parent.id)
    page = alice.get(f"/runs/{child.id}").text
    assert f'Called by <a href="/runs/{parent.id}">a run of Month end</a>' in page
    assert f'<a class="name" href="/runs/{child.id}">Invoice sync</a>' in alice.get(f"/runs/{parent.id}").text
    assert "called by a run" in words_of(alice.get("/runs").text)
    listed = alice.get(f"/runs?parent={parent.id}").text
    assert f'href="/runs/{child.id}"' in listed and f'<a class="name" href="/runs/{parent.id}"' not in listed
    assert "called by one run" in listed


def test_a_parent_and_an_earlier_run_that_are_no_longer_kept_are_said_to_be_so(alice: Browser, sync: Workflow) -> None:
    child = a_run(sync, started_by="parent", parent_run_id=new_id())
    again = a_run(sync, started_by="rerun", trigger_metadata={"rerunOf": str(new_id())})
    odd = a_run(sync, started_by="rerun", trigger_metadata={"rerunOf": 'x"><script>', "eventId": ["no"]})
    assert "Called by a run that is no longer kept" in said_by(alice, child)
    assert "after an earlier run that is no longer kept" in said_by(alice, again)
    assert "after an earlier run that is no longer kept" in said_by(alice, odd)
    assert "A run no longer kept" in words_of(alice.get("/runs").text)


def test_a_run_of_the_api_names_the_token(alice: Browser, sync: Workflow, db: Any) -> None:
    actor = Actor(alice.tenant.id, alice.user.id, "Alice (token Billing export)")
    run = launch_workflow(actor, sync.id, "{}", "k", database_now(), BY_API)
    db.flush()
    assert "Started through the API by Alice (token Billing export)" in said_by(alice, run)
    assert "API Alice" in words_of(alice.get("/runs").text)


def test_many_more_runs_called_lead_to_the_list_of_them(alice: Browser, sync: Workflow) -> None:
    parent = a_run(sync)
    first = a_run(sync, started_by="parent", parent_run_id=parent.id)
    with counted() as one:
        alice.get(f"/runs/{parent.id}")
    for _ in range(24):
        a_run(sync, started_by="parent", parent_run_id=parent.id)
    with counted() as many:
        page = alice.get(f"/runs/{parent.id}").text
    assert len(one) == len(many)
    assert f'href="/runs/{first.id}"' in page and f'href="/runs?parent={parent.id}"' in page
    assert page.count('<a class="name" href="/runs/') == 20


# What it waits for


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("time", {"due_at": NOW + timedelta(days=30)}, "It waits until 1 Apr 2026 10:00 UTC."),
        (
            "event",
            {"event_name": "invoice.paid", "correlation_key": "INV-7", "due_at": NOW},
            "It waits for the event invoice.paid with the correlation key INV-7, until 2 Mar 2026 10:00 UTC.",
        ),
        ("event", {"event_name": "invoice.paid", "correlation_key": ""}, "It waits for the event invoice.paid."),
    ],
)
def test_a_waiting_run_says_what_it_waits_for(
    alice: Browser, sync: Workflow, db: Any, kind: str, values: dict[str, Any], words: str
) -> None:
    run = a_run(sync, "waiting")
    a_waiting_step(run)
    a_wait(run, kind, db, **values)
    said = said_by(alice, run)
    assert words in said and said.count(words.removeprefix("It ").rstrip(".")) >= 2
    assert words in said_by(alice, run, "?step=root.steps[0]").partition("Steps")[2]


def test_a_run_that_waits_for_an_answer_leads_to_the_task(alice: Browser, sync: Workflow) -> None:
    run = a_run(sync, "waiting")
    task = a_task(run, "Approve <it>")
    page = alice.get(f"/runs/{run.id}").text
    assert "It waits for an answer to “Approve &lt;it&gt;”." in page
    assert f'<a href="/tasks/{task.id}">Answer</a>' in page


def test_a_run_that_waits_for_its_child_leads_to_it(alice: Browser, acme: Tenant, sync: Workflow, db: Any) -> None:
    run = a_run(sync, "waiting")
    child = a_run(a_published_workflow(acme, "Month end"), "running", started_by="parent", parent_run_id=run.id)
    a_waiting_step(run, node_type="control.callWorkflow")
    a_wait(run, "child", db, child_run_id=child.id)
    page = alice.get(f"/runs/{run.id}?step=root.steps[0]").text
    assert "It waits for the end of its run of Month end." in page
    assert page.count(f'href="/runs/{child.id}"') == 3


def test_a_retry_says_which_attempt_comes_when(alice: Browser, acme: Tenant, db: Any) -> None:
    step = {"id": "send", "type": "action.call", "retry": {"maxAttempts": 5}}
    nested = {"steps": [{"id": "choose", "type": "control.if", "then": [{"id": "x"}, step]}]}
    workflow = a_workflow(acme, draft_definition=nested)
    a_version(workflow)
    run = a_run(workflow, "waiting")
    path = "root.steps[0].then.steps[1]"
    a_step(run, path, status="failed", error={"message": "The other side is away"}, step_id="send")
    a_wait(run, "retry", db, step_path=path, due_at=database_now() + timedelta(seconds=30))
    said = said_by(alice, run, f"?step={path}")
    assert "It makes attempt 2 of 5 in 30 s." in said or "It makes attempt 2 of 5 in 29 s." in said
    assert "Attempts 1 of 5" in said and "The other side is away" in said


def test_a_wait_whose_time_has_come_does_not_say_that_it_was_in_the_past(
    alice: Browser, sync: Workflow, db: Any
) -> None:
    run = a_run(sync, "waiting")
    a_step(run, status="failed")
    a_wait(run, "retry", db, due_at=NOW)
    assert "It makes attempt 2 now." in said_by(alice, run)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("resolved", "Waited 3 min for the event paid: it came."),
        ("timed_out", "Waited 3 min for the event paid: nothing came in time."),
        ("canceled", "Waited 3 min for the event paid: canceled."),
    ],
)
def test_a_wait_that_is_over_says_how_it_ended(
    alice: Browser, sync: Workflow, db: Any, status: str, words: str
) -> None:
    run, event_id = a_run(sync), new_id()
    a_step(run)
    values = {"event_name": "paid", "correlation_key": "", "event_id": event_id}
    a_wait(run, "event", db, status=status, closed_at=NOW + timedelta(minutes=3), **values)
    page = alice.get(f"/runs/{run.id}?step=root.steps[0]").text
    assert words in words_of(page) and f'href="/events/{event_id}"' in page


def test_a_run_that_waits_for_nothing_any_more_is_about_to_go_on(alice: Browser, sync: Workflow) -> None:
    assert "about to go on" in said_by(alice, a_run(sync, "waiting"))


# How the steps went


def test_an_attempt_that_was_left_open_by_a_finished_run_has_an_unknown_outcome(alice: Browser, sync: Workflow) -> None:
    run, going = a_run(sync, "failed", error={"message": "No"}), a_run(sync, "running")
    for one in (run, going):
        a_step(one, status="started", step_id="send")
    said = said_by(alice, run, "?step=root.steps[0]")
    assert "Outcome unknown" in said and "It may have had its effect" in said
    assert "Outcome unknown" not in said_by(alice, going, "?step=root.steps[0]")


def test_try_and_catch_are_named_like_then_and_else(alice: Browser, sync: Workflow) -> None:
    run = a_run(sync)
    a_step(run, "root.steps[0]", position=0, node_type="control.tryCatch")
    a_step(run, "root.steps[0].try.steps[0]", position=1, status="failed", step_id="ask")
    a_step(run, "root.steps[0].catch.steps[0]", position=2, step_id="apologize")
    tree = alice.get(f"/runs/{run.id}").text.split('class="tree"')[1].split("</section>")[0]
    assert '<span class="tag">try</span>' in tree and '<span class="tag">catch</span>' in tree
    assert tree.count("<ul>") == 2


def test_the_bar_of_a_step_spans_all_its_attempts(alice: Browser, sync: Workflow) -> None:
    run = a_run(sync, finished_at=NOW + timedelta(seconds=10))
    a_step(run, attempt=1, position=0, status="failed", finished_at=NOW + timedelta(seconds=1))
    late = NOW + timedelta(seconds=5)
    a_step(run, attempt=2, position=1, started_at=late, finished_at=NOW + timedelta(seconds=10))
    tree = alice.get(f"/runs/{run.id}").text.split('class="tree"')[1]
    assert 'x="0.00" y="0" width="100.00"' in tree and "10 s" in tree


def test_what_is_sealed_is_not_shown(alice: Browser, sync: Workflow) -> None:
    values = {"key": SEALED, "deep": [{"more": SEALED}], "region": "eu"}
    run = a_run(sync, input_json=values, output=values)
    a_step(run, input=values, output=values)
    page = alice.get(f"/runs/{run.id}?step=root.steps[0]").text
    assert "token" not in page.replace("csrf-token", "").replace("csrf_token", "")
    assert page.count("(kept secret)") == 8 and page.count("&#34;eu&#34;") == 4


def test_a_page_with_more_waits_asks_no_more_statements(alice: Browser, sync: Workflow, db: Any) -> None:
    run = a_run(sync)
    a_step(run)
    a_wait(run, "time", db, status="resolved", closed_at=NOW, due_at=NOW)
    with counted() as one:
        alice.get(f"/runs/{run.id}")
    for number in range(1, 12):
        path = f"root.steps[{number}]"
        a_step(run, path, position=number)
        a_wait(run, "time", db, status="resolved", closed_at=NOW, due_at=NOW, step_path=path)
    with counted() as many:
        alice.get(f"/runs/{run.id}")
    assert len(many) == len(one)


# Cancel with a reason, run again with changes


def test_the_reason_of_a_cancel_is_asked_for_and_shown_with_its_author(alice: Browser, sync: Workflow, db: Any) -> None:
    run = a_run(sync, "queued")
    dialog = alice.get(f"/runs/{run.id}/cancel", htmx=True).text
    assert 'name="reason"' in dialog and "It ends at once" in dialog
    alice.post(f"/runs/{run.id}/cancel", {"reason": "Wrong <region>"})
    page = alice.get(f"/runs/{run.id}").text
    assert "Canceled: Wrong &lt;region&gt;" in page and "Asked for by Alice" in words_of(page)
    assert "already ended" in alice.get(f"/runs/{run.id}/cancel", htmx=True).text


def test_a_reason_that_is_too_long_comes_back_with_the_dialog(alice: Browser, sync: Workflow, db: Any) -> None:
    run = a_run(sync, "queued")
    answer = alice.post(f"/runs/{run.id}/cancel", {"reason": "x" * 501}, htmx=True)
    assert answer.status_code == 422 and "x" * 501 in answer.text and 'id="reason-error"' in answer.text
    db.refresh(run)
    assert run.status == "queued"


REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


@pytest.fixture
def strict(acme: Tenant) -> Workflow:
    return a_published_workflow(acme, "Strict", schema=REGION)


def changed(browser: Browser, run: Run, payload: str, version: str = "same", key: str = "k") -> Any:
    said = {"payload": payload, "version": version, "request_key": key}
    return browser.post(f"/runs/{run.id}/run-again", said, htmx=True)


def test_a_changed_payload_begins_as_the_input_and_starts_a_new_run(alice: Browser, strict: Workflow, db: Any) -> None:
    sealed = {"$sealed": seal(alice.tenant.id, "correct horse")}
    run = a_run(strict, input_json={"region": "eu", "key": sealed})
    dialog = alice.get(f"/runs/{run.id}/run-again", htmx=True).text
    assert 'value="eu"' in dialog and sealed["$sealed"] not in dialog and "$kept" in dialog
    answers = [changed(alice, run, '{"region": "us", "key": {"$kept": true}}') for _ in range(2)]
    assert {answer.status_code for answer in answers} == {204}
    (place,) = {answer.headers["HX-Redirect"] for answer in answers}
    started = db.get(Run, UUID(place.rpartition("/")[2]))
    assert started.input_json == {"region": "us", "key": sealed} and started.started_by == "rerun"


@pytest.mark.parametrize(
    "payload", ['{"region": 7}', "{", "", "[]", "null", '{"region": "eu", "key": {"$sealed": "mine"}}']
)
def test_a_payload_that_does_not_fit_comes_back_as_it_was_typed(alice: Browser, strict: Workflow, payload: str) -> None:
    run = a_run(strict, input_json={"region": "eu"})
    answer = changed(alice, run, payload)
    assert answer.status_code == 422 and 'id="payload-error"' in answer.text
    assert payload.replace('"', "&#34;") in answer.text


def test_the_published_version_can_be_chosen_when_it_is_another(alice: Browser, strict: Workflow, db: Any) -> None:
    run = a_run(strict, input_json={"region": "eu"})
    assert "the published one" not in alice.get(f"/runs/{run.id}/run-again").text
    a_version(strict, 2, schema={"type": "object", "required": ["total"]})
    assert "Version 2, the published one" in alice.get(f"/runs/{run.id}/run-again").text
    refused = changed(alice, run, '{"region": "eu"}', "published")
    assert refused.status_code == 422 and "total" in refused.text
    assert changed(alice, run, '{"total": 1}', "published").status_code == 204
    newest = db.scalars(select(Run).order_by(Run.id.desc())).first()
    assert (newest.workflow_version, newest.input_json) == (2, {"total": 1})


def test_choosing_the_other_version_shows_its_form_with_what_was_typed(alice: Browser, strict: Workflow) -> None:
    run = a_run(strict, input_json={"region": "eu"})
    total = {"type": "object", "properties": {"total": {"type": "integer"}}, "required": ["total"]}
    a_version(strict, 2, schema=total)
    said = {"payload": '{"region": "us"}', "version": "published", "payload-drawn": "1"}
    part = alice.post(f"/runs/{run.id}/run-again/payload", said, htmx=True)
    assert part.status_code == 200 and 'name="payload-drawn" value="2"' in part.text and "region" in part.text
    assert alice.post(f"/runs/{run.id}/run-again/payload", said | {"payload-drawn": "77"}).status_code == 404


def test_what_cannot_start_now_says_so_in_the_dialog_and_on_record(alice: Browser, strict: Workflow, db: Any) -> None:
    run = a_run(strict, input_json={"region": "eu"})
    strict.paused_at = NOW
    db.flush()
    answer = changed(alice, run, '{"region": "us"}')
    assert answer.status_code == 409 and "is paused" in answer.text and "&#34;us&#34;" in answer.text
    assert db.scalars(select(AuditEntry.action).where(AuditEntry.result == "refused")).all() == ["runs.run_again"]


def test_viewers_and_strangers_find_no_dialogs(bob: Browser, charlie: Browser, strict: Workflow) -> None:
    run = a_run(strict)
    for path in (f"/runs/{run.id}/cancel", f"/runs/{run.id}/run-again"):
        assert bob.get(path).status_code == 403 and charlie.get(path).status_code == 404
