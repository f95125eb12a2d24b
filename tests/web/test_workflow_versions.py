"""Publishing is reviewed; versions are read, compared and restored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_schedule, a_version, a_workflow
from tests.web.cast import Browser
from tests.web.workflow_pages import NEEDS_REGION, part_of, stored


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme)
    db.commit()
    return workflow


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


@pytest.fixture
def twice(sync: Workflow, db: Any) -> Workflow:
    """`sync` with a second version, which an event starts and which waits instead of writing to its log."""
    wait = {"id": "nap", "type": "time.wait", "config": {"mode": "duration", "durationMs": 90_000}}
    trigger = {
        "type": "event",
        "eventName": "invoice.paid",
        "payloadMapping": {"region": {"$expr": "event.payload.place"}},
    }
    a_version(sync, 2, definition={"steps": [wait]}, trigger=trigger)
    db.commit()
    return sync


def test_a_review_shows_lines_and_settings_that_change(alice: Browser, sync: Workflow, db: Any) -> None:
    sync.draft_definition = {"steps": [{"id": "nap", "type": "time.wait", "config": {"mode": "until", "until": "x"}}]}
    sync.draft_trigger = {"type": "event", "eventName": "invoice.paid"}
    db.commit()

    review = alice.get(f"/workflows/{sync.id}/publish", htmx=True).text

    assert "added: </span>      &#34;id&#34;: &#34;nap&#34;" in review
    assert "removed: </span>      &#34;id&#34;: &#34;say-so&#34;" in review
    assert "no trigger</del>" in review and "event invoice.paid</ins>" in review


def test_a_review_warns_without_refusing(alice: Browser, sync: Workflow, db: Any) -> None:
    sync.draft_definition = {"steps": [{"id": "end", "type": "control.return"}, {"id": "x", "type": "control.return"}]}
    db.commit()

    review = alice.get(f"/workflows/{sync.id}/publish").text

    assert "Warnings" in review and "never reached" in review and "Publish version 2" in review


def test_a_first_review_compares_with_nothing(alice: Browser, acme: Tenant, db: Any) -> None:
    fresh = a_workflow(acme, "New idea")
    db.commit()

    assert "What changes since" not in alice.get(f"/workflows/{fresh.id}/publish").text


def test_any_two_versions_are_compared_either_way(bob: Browser, twice: Workflow) -> None:
    address = f"/workflows/{twice.id}/versions/compare"
    forth = bob.get(f"{address}?from=1&to=2").text
    back = bob.get(f"{address}?from=2&to=1").text

    assert "added: </span>      &#34;id&#34;: &#34;nap&#34;" in forth
    assert "removed: </span>      &#34;id&#34;: &#34;nap&#34;" in back
    assert "region from the event</b>" in forth and "event.payload.place</ins>" in forth
    assert "event.payload.place</del>" in back
    assert "Nothing differs." in bob.get(f"{address}?from=2&to=2").text


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 200), ("?from=1", 200), ("?from=x&to=y", 200), ("?from=-1&to=99999999999", 200), ("?from=1&to=9", 404)],
)
def test_a_comparison_of_what_is_not_there(alice: Browser, twice: Workflow, query: str, status: int) -> None:
    answer = alice.get(f"/workflows/{twice.id}/versions/compare{query}")

    assert answer.status_code == status
    assert ("Choose two versions." in answer.text) is (status == 200)


def test_the_history_leads_to_what_each_version_changed(alice: Browser, twice: Workflow) -> None:
    history = part_of(alice.get(f"/workflows/{twice.id}").text, 'id="workflow-versions"', "</section>")

    assert history.index("Version 2") < history.index("Version 1")
    assert history.count(f"/workflows/{twice.id}/versions/compare?from=1&amp;to=2") == 2


def test_an_old_version_becomes_the_draft_and_nothing_that_runs_changes(
    alice: Browser, twice: Workflow, db: Any
) -> None:
    dialog = alice.get(f"/workflows/{twice.id}/versions/2/restore", htmx=True).text
    assert "Restore as draft" in dialog and "added: </span>      &#34;id&#34;: &#34;nap&#34;" in dialog

    answer = alice.post(f"/workflows/{twice.id}/versions/2/restore", {"revision": twice.revision})

    assert (answer.status_code, answer.location) == (303, f"/workflows/{twice.id}")
    restored = stored(db, twice)
    assert restored.draft_definition["steps"][0]["id"] == "nap"
    assert restored.draft_trigger["eventName"] == "invoice.paid"
    assert (restored.published_version, restored.event_name) == (2, None)
    assert "The draft is version 2 again" in alice.get(answer.location).text


def test_a_draft_that_changed_since_is_not_replaced_unseen(alice: Browser, twice: Workflow, db: Any) -> None:
    answer = alice.post(f"/workflows/{twice.id}/versions/2/restore", {"revision": "99"}, htmx=True)

    assert answer.status_code == 409 and "changed since you opened this" in answer.text
    assert f'name="revision" type="hidden" value="{twice.revision}"' in answer.text
    assert stored(db, twice).draft_definition["steps"][0]["id"] == "say-so"


def test_restoring_is_for_those_who_may_edit(alice: Browser, bob: Browser, twice: Workflow, db: Any) -> None:
    assert "restore" not in bob.get(f"/workflows/{twice.id}/versions/1").text
    assert bob.post(f"/workflows/{twice.id}/versions/1/restore", {"revision": "1"}).status_code == 403
    assert alice.post(f"/workflows/{twice.id}/versions/9/restore", {"revision": "1"}).status_code == 404
    alice.post(f"/workflows/{twice.id}/delete")
    assert "restore" not in alice.get(f"/workflows/{twice.id}/versions/1").text
    assert alice.post(f"/workflows/{twice.id}/versions/1/restore", {"revision": "1"}).status_code == 404


def test_a_version_says_what_started_it_and_draws_its_steps(bob: Browser, twice: Workflow) -> None:
    page = bob.get(f"/workflows/{twice.id}/versions/2").text

    assert "Event invoice.paid · 1 field mapped" in page
    assert "waits 1 min 30 s" in page.split('id="outline"')[1]


def test_publishing_needs_an_author(bob: Browser, sync: Workflow) -> None:
    assert bob.get(f"/workflows/{sync.id}/publish").status_code == 403
    assert bob.post(f"/workflows/{sync.id}/publish", {"revision": "1"}).status_code == 403
