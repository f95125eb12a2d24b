"""Publishing is reviewed; versions are read, compared and restored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_schedule
from tests.web.cast import Browser
from tests.web.workflow_pages import NEEDS_REGION, stored


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
