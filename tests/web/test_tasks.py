"""The inbox of tasks, as alice the admin, bob the viewer and charlie of another tenant meet it."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.permissions import OPERATOR
from domain.accounts.tenants import Tenant
from domain.kernel.vault import seal
from domain.runs.inbox import PAGE_SIZE
from domain.runs.tasks import HumanTask
from tests.factories import NOW, a_published_workflow, a_run, a_task, a_token, a_user
from tests.statements import counted
from tests.web.callers import Caller, problems_of
from tests.web.cast import Browser, client_of


@pytest.fixture
def ask(acme: Tenant, db: Any) -> Any:
    """Makes a run of acme that asks something."""
    workflow = a_published_workflow(acme)

    def asked(title: str = "Approve the invoice", **values: Any) -> HumanTask:
        return a_task(a_run(workflow, "waiting"), title, **values)

    return asked


def titles_of(page: str) -> list[str]:
    return re.findall(r'<a class="name" href="/tasks/[^"]+"><bdi>([^<]*)</bdi>', page)


def key_of(page: str) -> str:
    found = re.search(r'name="request_key" value="([^"]+)"', page)
    assert found
    return found[1]


# The inbox


def test_an_empty_inbox_says_what_will_appear(bob: Browser) -> None:
    page = bob.get("/tasks").text
    assert "Nothing waits for an answer" in page and 'hx-trigger="every 10s"' in page


def test_the_inbox_shows_what_is_open_first_and_the_rest_on_request(alice: Browser, ask: Any) -> None:
    ask("Old one")
    ask("Done", status="answered", answered_by=alice.user.id)
    ask("New one", task_type="task.Review.v1", due_at=NOW)
    page = alice.get("/tasks").text
    assert titles_of(page) == ["New one", "Old one"]
    assert "Invoice sync" in page and "task.Review.v1" in page
    for query, found in {
        "status=answered": ["Done"],
        "status=any": ["New one", "Done", "Old one"],
        "status=expired": [],
        "status=nonsense": ["New one", "Old one"],
        "type=task.Review.v1": ["New one"],
        "type=%00": ["New one", "Old one"],
    }.items():
        for htmx in (False, True):
            assert titles_of(alice.get(f"/tasks?{query}", htmx=htmx).text) == found
    assert "by Alice" in alice.get("/tasks?status=answered").text
    assert "No task matches" in alice.get("/tasks?status=expired").text


def test_pages_of_the_inbox_follow_each_other(alice: Browser, ask: Any) -> None:
    for number in range(PAGE_SIZE + 1):
        ask(f"Task {number}")
    page = alice.get("/tasks").text
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following and len(titles_of(page)) == PAGE_SIZE
    assert titles_of(alice.get(following[1].replace("&amp;", "&")).text) == ["Task 0"]


def test_a_longer_inbox_asks_no_more_statements(alice: Browser, ask: Any) -> None:
    ask()
    with counted() as one:
        alice.get("/tasks")
    for number in range(8):
        ask(f"Another {number}")
    with counted() as many:
        alice.get("/tasks")
    assert len(many) == len(one)


# One task


def test_a_task_says_what_it_is_about_in_words(alice: Browser, ask: Any) -> None:
    context = {"supplier": "Möller <b>", "total": 705.5, "urgent": True, "note": None, "lines": [{"sku": 1}]}
    task = ask(description="Line one\nLine two", context=context, due_at=NOW)
    page = alice.get(f"/tasks/{task.id}").text
    for term, said in {"supplier": "Möller &lt;b&gt;", "total": "705.5", "urgent": "Yes", "note": "–"}.items():
        assert f"<dt>{term}</dt><dd>{said}</dd>" in page
    assert "Line one\nLine two" in page and "&#34;sku&#34;: 1" in page
    assert f'href="/runs/{task.run_id}"' in page and "Invoice sync" in page
    assert f'action="/tasks/{task.id}/answer"' in page


def test_what_is_sealed_in_the_context_or_the_answer_is_not_shown(alice: Browser, acme: Tenant, ask: Any) -> None:
    sealed = {"code": {"$sealed": seal(acme.id, "open sesame")}}
    page = alice.get(f"/tasks/{ask(context=sealed, status='answered', answer=sealed).id}").text
    assert "$kept" in page and "$sealed" not in page and "sesame" not in page


def test_an_answer_is_given_once_however_often_it_is_sent(alice: Browser, ask: Any, db: Any) -> None:
    task = ask()
    form = {"answer": '{"approved": true}', "request_key": key_of(alice.get(f"/tasks/{task.id}").text)}
    for _ in range(2):
        answer = alice.post(f"/tasks/{task.id}/answer", form)
        assert (answer.status_code, answer.location) == (303, "/tasks")
    assert "Answered. Invoice sync goes on." in alice.get("/tasks").text
    db.expire_all()
    assert (task.status, task.answer, task.answered_by) == ("answered", {"approved": True}, alice.user.id)
    page = alice.get(f"/tasks/{task.id}").text
    assert "Alice has answered this already" in page and "/answer" not in page and "approved" in page


def test_the_form_of_a_task_is_drawn_from_its_schema(alice: Browser, ask: Any, db: Any) -> None:
    task = ask()
    page = alice.get(f"/tasks/{task.id}").text
    names = set(re.findall(r'name="(answer[^"]*)"', page))
    assert any("approved" in name for name in names) and any("comment" in name for name in names)
    fragment = alice.post(f"/tasks/{task.id}/answer/form", {"answer-mode": "json", "answer": "{}"}, htmx=True)
    assert fragment.status_code == 200 and "<main" not in fragment.text


@pytest.mark.parametrize("typed", ["", "{", '{"approved": "maybe"}', '{"approved": true, "x": 1}', "[]"])
def test_an_answer_that_does_not_fit_is_kept_on_the_page_with_its_reason(
    alice: Browser, ask: Any, db: Any, typed: str
) -> None:
    task = ask()
    answer = alice.post(f"/tasks/{task.id}/answer", {"answer": typed})
    assert answer.status_code == 422 and "data-error-summary" in answer.text
    assert typed.replace('"', "&#34;") in answer.text
    db.expire_all()
    assert task.status == "open"


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("answered", "Olga has answered this already"),
        ("expired", "Nobody answered this in time"),
        ("canceled", "Its run was canceled"),
    ],
)
def test_who_comes_too_late_is_told_how_it_ended(
    alice: Browser, acme: Tenant, ask: Any, status: str, said: str
) -> None:
    olga = a_user(acme, "olga@acme.test", OPERATOR)
    task = ask(status=status, answered_by=olga.id if status == "answered" else None)
    for answer, code in (
        (alice.post(f"/tasks/{task.id}/answer", {"answer": '{"approved": false}'}), 409),
        (alice.get(f"/tasks/{task.id}"), 200),
    ):
        assert answer.status_code == code and said in answer.text and "answer-form" not in answer.text


def test_a_viewer_reads_and_an_operator_answers(app: Flask, bob: Browser, acme: Tenant, ask: Any) -> None:
    task = ask()
    assert "workflow:manage" in bob.get(f"/tasks/{task.id}").text
    assert "answer-form" not in bob.get(f"/tasks/{task.id}").text
    assert bob.post(f"/tasks/{task.id}/answer", {"answer": '{"approved": true}'}).status_code == 403
    olga = client_of(app, a_user(acme, "olga@acme.test", OPERATOR), acme)
    assert olga.post(f"/tasks/{task.id}/answer", {"answer": '{"approved": true}'}).status_code == 303


def test_strangers_see_nothing_of_it(charlie: Browser, ask: Any) -> None:
    task = ask("A secret of acme")
    assert titles_of(charlie.get("/tasks?status=any").text) == []
    assert charlie.get(f"/tasks/{task.id}").status_code == 404
    assert charlie.post(f"/tasks/{task.id}/answer", {"answer": "{}"}).status_code == 404
    assert 'class="bubble"' not in charlie.get("/schedules").text


def test_titles_cannot_become_markup(alice: Browser, ask: Any) -> None:
    nasty = '"><img src=x onerror=alert(1)>'
    task = ask(nasty, description=nasty, context={nasty: nasty, "deep": {nasty: nasty}}, task_type=nasty)
    for path in ("/tasks", f"/tasks/{task.id}", "/tasks?type=%22%3E%3Cimg%20src=x%3E"):
        assert "<img" not in alice.get(path).text


# The API


def test_a_program_reads_and_answers_tasks(app: Flask, acme: Tenant, alice: Browser, ask: Any, db: Any) -> None:
    secret = a_token(acme, alice.user, scopes=["workflow:read", "workflow:manage"])[1]
    caller = Caller(app.test_client(), secret)
    old, task = ask("Old", status="expired"), ask(context={"total": 705})
    listed = caller.get("/tasks?status=open&taskType=task.Approval.v1").json
    assert [item["id"] for item in listed["items"]] == [str(task.id)] and listed["nextCursor"] is None
    assert [item["status"] for item in caller.get("/tasks?limit=1").json["items"]] == ["open"]
    assert caller.get(f"/tasks?cursor={task.id}").json["items"][0]["id"] == str(old.id)
    shown = caller.get(f"/tasks/{task.id}").json
    assert (shown["context"], shown["formSchema"]["required"], shown["answer"]) == ({"total": 705}, ["approved"], None)
    body = {"answer": {"approved": True}}
    first, again = (caller.post(f"/tasks/{task.id}/answer", body, key="k1") for _ in range(2))
    assert first.status_code == again.status_code == 200 and first.json == again.json
    assert (first.json["status"], first.json["answer"], first.json["answeredBy"]) == (
        "answered",
        {"approved": True},
        "Alice",
    )
    late = caller.post(f"/tasks/{task.id}/answer", body, key="k2")
    assert (late.status_code, late.json["code"]) == (409, "TASK_CLOSED") and "Alice has answered" in late.json["detail"]
    entry = db.scalars(select(AuditEntry).where(AuditEntry.action == "task.answered")).one()
    assert "token Billing export" in entry.actor_label


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({}, {"answer": "REQUIRED"}),
        ({"answer": {}}, {"answer/approved": None}),
        ({"answer": {"approved": True}, "by": "me"}, {"by": "UNKNOWN_FIELD"}),
    ],
)
def test_a_program_is_told_what_is_wrong_with_its_answer(
    app: Flask, acme: Tenant, ask: Any, body: Any, problems: dict[str, str | None]
) -> None:
    caller = Caller(app.test_client(), a_token(acme)[1])
    answer = caller.post(f"/tasks/{ask().id}/answer", body)
    assert answer.status_code == 422
    found = problems_of(answer)
    assert found.keys() == problems.keys()
    assert all(code in (None, found[path]) for path, code in problems.items())


def test_a_token_that_may_only_read_answers_nothing(app: Flask, acme: Tenant, ask: Any) -> None:
    caller = Caller(app.test_client(), a_token(acme, scopes=["workflow:read"])[1])
    task_id: UUID = ask().id
    assert caller.get(f"/tasks/{task_id}").status_code == 200
    assert caller.post(f"/tasks/{task_id}/answer", {"answer": {"approved": True}}).status_code == 403
    assert caller.get("/tasks?status=nonsense").status_code == 422


def test_the_address_of_a_refused_answer_can_be_opened_again(alice: Browser, ask: Any) -> None:
    task = ask()
    assert alice.get(f"/tasks/{task.id}/answer").text.count("answer-form") == 1
