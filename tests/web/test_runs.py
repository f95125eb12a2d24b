"""The pages of runs, as alice the admin, bob the viewer and charlie of another tenant meet them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from domain.accounts.permissions import OPERATOR
from domain.accounts.tenants import Tenant
from domain.kernel.ids import new_id
from domain.runs.heartbeats import beat
from domain.runs.pages import PAGE_SIZE
from domain.runs.runs import Run
from domain.schedules.occurrences import Occurrence
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_run, a_schedule, a_step, a_user
from tests.statements import counted
from tests.web.cast import Browser, client_of


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    return a_published_workflow(acme)


def a_fired_run(workflow: Workflow, db: Any, name: str = "Morning sync", **values: Any) -> Run:
    """A run of a schedule in Paris, for 09:00 of NOW's day, decided 40 ms later."""
    schedule = a_schedule(workflow, name, cron="0 9 * * 1-5", timezone="Europe/Paris")
    instant = NOW.replace(hour=8)
    metadata = {
        "scheduleId": str(schedule.id), "scheduledFor": "2026-03-02T08:00:00Z", "timezone": "Europe/Paris",
        "cron": "0 9 * * 1-5", "scheduleName": name, "triggerType": "recurring",
    }  # fmt: skip
    run = a_run(workflow, schedule_id=schedule.id, started_by="recurring", trigger_metadata=metadata, **values)
    db.add(
        Occurrence(
            id=run.id, schedule_id=schedule.id, tenant_id=run.tenant_id, scheduled_for=instant, origin_key="timing",
            outcome="fired", decided_at=instant + timedelta(milliseconds=40),
        )
    )  # fmt: skip
    db.flush()
    return run


def all_alive(db: Any) -> None:
    for kind in ("worker", "scheduler"):
        beat(new_id(), kind, "host", 1, "1", 60)


def rows_of(page: str) -> list[UUID]:
    return [UUID(found) for found in re.findall(r'<a class="name" href="/runs/([^"]+)">', page)]


def words_of(html: str) -> str:
    said = re.sub(r"<[^>]+>", " ", html.partition("<main")[2] or html)
    return re.sub(r" (?=[,.])", "", re.sub(r"\s+", " ", said))


# The list


def test_an_empty_list_says_what_will_appear_and_looks_again_by_itself(alice: Browser, bob: Browser) -> None:
    page = alice.get("/runs").text
    assert "No runs yet" in page and 'href="/schedules/new"' in page
    assert 'hx-trigger="every 10s"' in page
    assert 'href="/schedules/new"' not in bob.get("/runs").text


def test_a_line_says_what_ran_why_when_and_how_it_went(alice: Browser, sync: Workflow, db: Any) -> None:
    error = {
        "message": "The supplier said <nothing>",
        "code": "X",
        "category": "ActionError",
        "nodePath": "root.steps[0]",
    }
    run = a_fired_run(sync, db, status="failed", error=error, state="asking")
    page = alice.get("/runs").text
    said = words_of(page)
    assert rows_of(page) == [run.id]
    for words in ("Invoice sync v1", "asking", "Failed", "Morning sync", "09:00 UTC+1", "40 ms late", "1.2 s"):
        assert words in said
    assert "The supplier said &lt;nothing&gt;" in page and f'href="/schedules/{run.schedule_id}"' in page


def test_the_newest_run_comes_first_and_pages_follow_each_other(alice: Browser, sync: Workflow) -> None:
    runs = [a_run(sync).id for _ in range(PAGE_SIZE + 2)]
    page = alice.get("/runs").text
    following = re.search(r'rel="next" href="([^"]+)"', page)
    assert following and rows_of(page) == runs[:1:-1]
    last = alice.get(following[1].replace("&amp;", "&")).text
    assert rows_of(last) == [runs[1], runs[0]]
    assert 'rel="next"' not in last and 'rel="prev"' in last


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", {"done", "failed", "fired", "other"}),
        ("q=invoice", {"done", "failed", "fired"}),
        ("q=MORNING", {"fired"}),
        ("q=%25", set()),
        ("q=%00", {"done", "failed", "fired", "other"}),
        ("q={done}", {"done"}),
        ("workflow={other_workflow}", {"other"}),
        ("schedule={schedule}", {"fired"}),
        ("status=failed", {"failed"}),
        ("status=unfinished", {"other"}),
        ("status=nonsense", {"done", "failed", "fired", "other"}),
        ("by=recurring", {"fired"}),
        ("by=manual&status=succeeded", {"done"}),
        ("by=event", set()),
        ("from=2026-01-01T00:00&to=2100-01-01", {"done", "failed", "fired", "other"}),
        ("to=2026-01-01T00:00", set()),
        ("from=2999-01-01", set()),
        ("from=nonsense&to=2026-02-31", {"done", "failed", "fired", "other"}),
        ("from=9999-12-31&to=9999-12-31", {"done", "failed", "fired", "other"}),
        ("parent={done}", set()),
    ],
)
def test_the_filters_are_in_the_address(
    alice: Browser, acme: Tenant, sync: Workflow, db: Any, query: str, found: set[str]
) -> None:
    digest = a_published_workflow(acme, "Digest")
    runs = {
        "done": a_run(sync),
        "failed": a_run(sync, "failed"),
        "fired": a_fired_run(sync, db),
        "other": a_run(digest, "queued"),
    }
    address = query.format(done=runs["done"].id, other_workflow=digest.id, schedule=runs["fired"].schedule_id)
    for htmx in (False, True):
        page = alice.get(f"/runs?{address}", htmx=htmx).text
        assert set(rows_of(page)) == {runs[name].id for name in found}


def test_the_filter_says_which_times_it_is_set_to(alice: Browser, sync: Workflow) -> None:
    assert ">Any time</span>" in alice.get("/runs").text
    assert ">Since 2026-03-02 10:00</span>" in alice.get("/runs?from=2026-03-02T10:00").text
    part = alice.get("/runs?from=2026-03-02T10:00&to=2026-03-03T10:00", htmx=True).text
    assert 'id="run-span" hx-swap-oob="true">2026-03-02 10:00 – 2026-03-03 10:00</span>' in part


def test_filters_that_leave_nothing_offer_the_way_back(alice: Browser, sync: Workflow) -> None:
    a_run(sync)
    page = alice.get("/runs?status=failed").text
    assert "No run matches" in page and "Show all runs" in page


def test_the_list_looks_again_often_while_something_on_it_goes_on(alice: Browser, sync: Workflow) -> None:
    a_run(sync)
    assert 'hx-trigger="every 10s"' in alice.get("/runs").text
    going = a_run(sync, "running")
    page = alice.get("/runs?status=running", htmx=True).text
    assert 'hx-trigger="every 2s"' in page and 'hx-get="/runs?status=running"' in page
    assert "hx-trigger" not in alice.get(f"/runs?before={going.id}", htmx=True).text


def test_a_longer_list_asks_no_more_statements(alice: Browser, sync: Workflow, db: Any) -> None:
    a_fired_run(sync, db)
    with counted() as one:
        alice.get("/runs")
    for number in range(8):
        a_fired_run(sync, db, f"Another {number}")
    with counted() as many:
        alice.get("/runs")
    assert len(many) == len(one)


# One run


def test_the_page_says_where_the_run_came_from(alice: Browser, sync: Workflow, db: Any) -> None:
    run = a_fired_run(sync, db, input_json={"region": "eu"}, output={"total": 705}, state="region eu")
    said = words_of(alice.get(f"/runs/{run.id}").text)
    assert "Fired by Morning sync for 2 Mar 2026 09:00 UTC+1, 40 ms late." in said
    for words in (
        "Succeeded",
        "1.2 s",
        "region eu",
        str(run.schedule_id),
        "0 9 * * 1-5",
        "Europe/Paris",
        "705",
        "region",
    ):
        assert words in said


def test_a_deleted_schedule_is_still_named(alice: Browser, sync: Workflow, db: Any) -> None:
    run = a_fired_run(sync, db)
    db.execute(text("UPDATE schedules SET deleted_at = now()"))
    page = alice.get(f"/runs/{run.id}").text
    assert "Morning sync (deleted since)" in page and "0 9 * * 1-5" in page
    assert f'href="/schedules/{run.schedule_id}"' not in page


def test_a_failed_run_says_why_first_and_shows_the_step_it_died_of(alice: Browser, sync: Workflow) -> None:
    error = {"message": "The answer was cut off", "code": "INVALID_JSON", "category": "ValidationError"}
    run = a_run(sync, "failed", error=error)
    a_step(run, "root.steps[0]", position=0)
    a_step(
        run, "root.steps[1]", position=1, status="failed", error=error, input={"source": "{half"}, step_id="read-answer"
    )
    page = alice.get(f"/runs/{run.id}").text
    assert page.index("The answer was cut off") < page.index("Steps")
    assert '<h2 id="step-title">read-answer</h2>' in page
    assert "{half" in page and "INVALID_JSON" in page


def test_a_step_is_opened_by_its_address(alice: Browser, sync: Workflow) -> None:
    run = a_run(sync)
    a_step(run, "root.steps[0]", position=0, step_id="count", input={"key": "beats"}, output={"value": 41})
    page = alice.get(f"/runs/{run.id}?step=root.steps[0]").text
    assert '<h2 id="step-title">count</h2>' in page and "41" in page and "beats" in page
    assert 'aria-current="true"' in page.split('class="tree"')[1]
    assert "step-title" not in alice.get(f"/runs/{run.id}?step=root.steps[7]").text
    assert alice.get(f"/runs/{run.id}?step=%00&iteration=%00&after=99999999999999").status_code == 200


def test_values_of_steps_cannot_become_markup(alice: Browser, sync: Workflow) -> None:
    nasty = '"><img src=x onerror=alert(1)></pre><script>'
    run = a_run(sync, "failed", error={"message": nasty, "code": nasty}, state=nasty, input_json={nasty: nasty})
    a_step(run, status="failed", step_id=nasty, node_type=nasty, output={nasty: nasty}, error={"message": nasty})
    page = alice.get(f"/runs/{run.id}").text
    assert "<img" not in page and "<script>" not in page


def test_attempts_at_one_step_are_one_line_with_a_list_beside_it(alice: Browser, sync: Workflow) -> None:
    run = a_run(sync)
    lost = {"message": "The worker was lost", "code": "OUTCOME_UNKNOWN", "category": "TransientError"}
    a_step(run, position=0, attempt=1, status="failed", error=lost, step_id="send")
    a_step(run, position=1, attempt=2, step_id="send")
    page = alice.get(f"/runs/{run.id}?step=root.steps[0]").text
    assert page.split('class="tree"')[1].count('class="step"') == 1
    assert "attempt 2" in page and "The worker was lost" in page


def test_the_turns_of_a_long_loop_are_folded_but_not_the_one_that_failed(alice: Browser, sync: Workflow) -> None:
    run = a_run(sync, "failed", error={"message": "No"})
    a_step(run, "root.steps[0]", position=0, node_type="control.forEach", step_id="each")
    for turn in range(5):
        status = {"status": "failed", "error": {"message": "No"}} if turn == 3 else {}
        a_step(run, "root.steps[0].body.steps[0]", str(turn), position=turn + 1, **status)
    page = alice.get(f"/runs/{run.id}?step=root.steps[0]").text
    turns = re.findall(r"<details id=\"turn-[^\"]+\"( open)?>.*?Item (\d)", page, re.DOTALL)
    assert turns == [("", "1"), ("", "2"), ("", "3"), (" open", "4"), ("", "5")]


def test_branches_and_loops_inside_loops_stand_below_their_step(alice: Browser, sync: Workflow) -> None:
    run = a_run(sync)
    paths = [
        ("root.steps[0]", "", "outer"),
        ("root.steps[0].body.steps[0]", "0", "inner"),
        ("root.steps[0].body.steps[0].body.steps[0]", "0.0", "choose"),
        ("root.steps[0].body.steps[0].body.steps[0].then.steps[0]", "0.0", "deep"),
    ]
    for position, (path, iteration, name) in enumerate(paths):
        a_step(run, path, iteration, position, step_id=name)
    tree = alice.get(f"/runs/{run.id}").text.split('class="tree"')[1].split("</section>")[0]
    depths = [
        tree[: tree.index(f">{name}<")].count("<ul>") - tree[: tree.index(f">{name}<")].count("</ul>")
        for *_, name in paths
    ]
    assert depths == sorted(set(depths))
    assert '<span class="tag">then</span>' in tree


def test_many_steps_come_in_pages_that_keep_what_stands_above_them(alice: Browser, sync: Workflow) -> None:
    run = a_run(sync)
    a_step(run, "root.steps[0]", position=0, step_id="each", node_type="control.forEach")
    for turn in range(201):
        a_step(run, "root.steps[0].body.steps[0]", str(turn), turn + 1, step_id=f"turn-{turn}")
    first = alice.get(f"/runs/{run.id}").text
    assert "200 of 202 steps shown" in first and ">turn-198<" in first and ">turn-199<" not in first
    following = re.search(r'rel="next" href="([^"]+)"', first)
    assert following
    second = alice.get(following[1]).text
    assert ">turn-199<" in second and ">turn-200<" in second and ">each<" in second and ">turn-198<" not in second


def test_a_run_with_more_steps_asks_no_more_statements(alice: Browser, sync: Workflow, db: Any) -> None:
    run = a_fired_run(sync, db)
    a_step(run)
    with counted() as one:
        alice.get(f"/runs/{run.id}")
    for number in range(1, 30):
        a_step(run, f"root.steps[{number}]", position=number)
    with counted() as many:
        alice.get(f"/runs/{run.id}")
    assert len(many) == len(one)


def test_an_unfinished_run_polls_itself_and_a_finished_one_does_not(alice: Browser, sync: Workflow) -> None:
    going, done = a_run(sync, "running"), a_run(sync)
    part = alice.get(f"/runs/{going.id}", htmx=True).text
    assert f'hx-get="/runs/{going.id}"' in part and 'hx-trigger="every 1s"' in part and "<main" not in part
    assert "hx-trigger" not in alice.get(f"/runs/{done.id}", htmx=True).text


# Why it waits


def why(alice: Browser, run: Run) -> str:
    return words_of(alice.get(f"/runs/{run.id}", htmx=True).text.split('class="callout')[1].split("</div>")[0])


def test_a_run_that_waits_for_a_slot_names_the_run_that_holds_it(alice: Browser, sync: Workflow, db: Any) -> None:
    all_alive(db)
    sync.concurrency_limit = 1
    holder = a_run(sync, "running")
    first, second = a_run(sync, "queued"), a_run(sync, "queued")
    assert "allows one run at a time, and that many are going. Open the run" in why(alice, first)
    assert f'href="/runs/{holder.id}"' in alice.get(f"/runs/{first.id}").text
    assert "1 more waits before it" in why(alice, second)


def test_a_run_that_waits_for_the_previous_one_of_its_schedule_says_so(alice: Browser, sync: Workflow, db: Any) -> None:
    all_alive(db)
    sync.concurrency_limit = None
    schedule = a_schedule(sync)
    earlier, later = (a_run(sync, status, schedule_id=schedule.id) for status in ("running", "queued"))
    assert "previous run of its schedule is still going" in why(alice, later)
    assert f'href="/runs/{earlier.id}"' in alice.get(f"/runs/{later.id}").text
    schedule.overlap = "allow"
    db.flush()
    assert "about to start" in why(alice, later)


def test_a_ready_run_waits_for_a_worker_if_one_is_alive(alice: Browser, sync: Workflow, db: Any) -> None:
    run = a_run(sync, "queued", ready_at=NOW)
    assert "no worker is alive" in why(alice, run)
    all_alive(db)
    assert "waits for a free worker" in why(alice, run)


def test_without_a_scheduler_nothing_is_admitted(alice: Browser, sync: Workflow, db: Any) -> None:
    run = a_run(sync, "queued")
    assert "No scheduler is alive" in why(alice, run)
    all_alive(db)
    assert "about to start" in why(alice, run)


# Cancel and run again


def test_canceling_a_queued_run_ends_it_and_a_running_one_is_asked_to_end(
    alice: Browser, sync: Workflow, db: Any
) -> None:
    queued, running = a_run(sync, "queued"), a_run(sync, "running")
    assert f'href="/runs/{queued.id}/cancel" data-dialog' in alice.get(f"/runs/{queued.id}").text
    for run in (queued, running, queued, running):
        answer = alice.post(f"/runs/{run.id}/cancel")
        assert (answer.status_code, answer.location) == (303, f"/runs/{run.id}")
    db.expire_all()
    assert db.get(Run, queued.id).status == "canceled"
    assert db.get(Run, running.id).status == "running" and db.get(Run, running.id).cancel_requested_at
    page = alice.get(f"/runs/{running.id}").text
    assert "It ends before its next step" in page and "/cancel" not in page


def test_a_run_that_has_ended_cannot_be_canceled(alice: Browser, sync: Workflow) -> None:
    answer = alice.post(f"/runs/{a_run(sync).id}/cancel", htmx=True)
    assert answer.status_code == 409 and "already ended" in answer.text


def test_running_again_starts_one_run_with_the_same_input_however_often_it_is_sent(
    alice: Browser, sync: Workflow, db: Any
) -> None:
    run = a_run(sync, input_json={"region": "eu"})
    key = re.search(r'name="request_key" value="([^"]+)"', alice.get(f"/runs/{run.id}").text)
    assert key
    places = {alice.post(f"/runs/{run.id}/run-again", {"request_key": key[1]}).location for _ in range(3)}
    assert db.scalar(select(func.count()).select_from(Run)) == 2
    (place,) = places
    page = alice.get(place).text
    assert f'href="/runs/{run.id}">an earlier run</a>' in page and "Run again by Alice" in words_of(page)


def test_a_viewer_sees_runs_and_changes_none(bob: Browser, sync: Workflow) -> None:
    run, going = a_run(sync), a_run(sync, "queued")
    for one in (run, going):
        page = bob.get(f"/runs/{one.id}").text
        assert "Invoice sync" in page and "/cancel" not in page and "run-again" not in page
    assert bob.post(f"/runs/{going.id}/cancel").status_code == 403
    assert bob.post(f"/runs/{run.id}/run-again").status_code == 403


def test_an_operator_may_cancel(app: Flask, acme: Tenant, sync: Workflow, db: Any) -> None:
    operator = client_of(app, a_user(acme, "olga@acme.test", OPERATOR), acme)
    assert operator.post(f"/runs/{a_run(sync, 'queued').id}/cancel").status_code == 303


def test_runs_of_another_tenant_are_not_there(charlie: Browser, sync: Workflow, db: Any) -> None:
    run = a_fired_run(sync, db)
    assert rows_of(charlie.get("/runs").text) == []
    assert rows_of(charlie.get(f"/runs?q={run.id}").text) == []
    page = charlie.get(f"/runs?schedule={run.schedule_id}&workflow={sync.id}").text
    assert "Morning sync" not in page and "Invoice sync" not in page
    for answer in (
        charlie.get(f"/runs/{run.id}"),
        charlie.post(f"/runs/{run.id}/cancel"),
        charlie.post(f"/runs/{run.id}/run-again"),
    ):
        assert answer.status_code == 404


def test_the_age_of_a_run_is_read_from_its_id(alice: Browser, sync: Workflow) -> None:
    run = a_run(sync, "queued")
    made_at = datetime.fromtimestamp((run.id.int >> 80) / 1_000, UTC)
    assert f"{made_at:%Y-%m-%dT%H:%M}" in alice.get(f"/runs/{run.id}").text
