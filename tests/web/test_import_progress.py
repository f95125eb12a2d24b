"""Looking at a file and importing it, for a page that asks how far it is: steps are told, then the page as it would be."""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.kernel.db import db, transaction
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.domain.bundles.bundle_files import a_file as a_workflow_file
from tests.domain.bundles.bundle_files import an_entry
from tests.domain.bundles.schedule_files import a_file, an_item
from tests.factories import a_published_workflow, a_tenant, a_user
from tests.web.cast import Browser, client_of
from web.progress import STREAM

STEPS = [{"done": 1, "total": 2}, {"done": 2, "total": 2}]
SCHEDULES = a_file(an_item("morning"), an_item("night"))
WORKFLOWS = a_workflow_file(an_entry("payroll"), an_entry("stock"))
BOTH = [("schedule", SCHEDULES), ("workflow", WORKFLOWS)]


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


@pytest.fixture
def alice(app: Flask) -> Browser:
    with app.app_context(), transaction():
        tenant = a_tenant("acme")
        a_published_workflow(tenant, "Invoice sync")
        return client_of(app, a_user(tenant), tenant)


def followed(browser: Browser, address: str, fields: dict[str, Any]) -> list[dict[str, Any]]:
    answer = browser.post(address, fields, htmx=True, headers={"Accept": STREAM})
    assert answer.content_type == STREAM, answer.text
    return [json.loads(line) for line in answer.text.splitlines() if line]


def chosen(content: bytes) -> dict[str, Any]:
    return {"file": (io.BytesIO(content), "bundle.json")}


@pytest.mark.parametrize(("noun", "content"), BOTH)
def test_a_look_at_a_file_tells_its_steps_and_changes_nothing(
    app: Flask, alice: Browser, noun: str, content: bytes
) -> None:
    *steps, last = followed(alice, f"/{noun}s/import/plan", chosen(content))

    assert steps == STEPS
    assert last["status"] == 200 and f"2 {noun}s in the file" in last["html"] and "<html" not in last["html"]
    with app.app_context():
        found = [db.session.scalar(select(func.count()).select_from(kind)) for kind in (Workflow, Schedule)]
    assert found == [1, 0]


@pytest.mark.parametrize(("noun", "content"), BOTH)
def test_what_was_looked_at_so_is_imported_so(alice: Browser, noun: str, content: bytes) -> None:
    *_, plan = followed(alice, f"/{noun}s/import/plan", chosen(content))
    fields = dict(re.findall(r'name="(fingerprint|request_key)" value="([^"]+)"', plan["html"]))

    *steps, last = followed(alice, f"/{noun}s/import", fields | {"bundle": content.decode()})

    assert steps == STEPS and f"2 {noun}s imported." in last["html"]


def test_a_choice_about_a_plan_is_looked_at_with_its_steps_as_well(alice: Browser) -> None:
    fields = {"bundle": WORKFLOWS.decode(), "force": "1"}
    *steps, last = followed(alice, "/workflows/import/plan", fields)
    assert steps == STEPS and 'id="force" checked' in last["html"]


def test_a_file_that_cannot_be_taken_ends_with_the_reason(alice: Browser) -> None:
    (last,) = followed(alice, "/schedules/import/plan", chosen(SCHEDULES[:-9]))
    assert last["status"] == 422
    assert "data-error-summary" in last["html"] and "This is not valid JSON" in last["html"]


def test_a_plan_that_is_out_of_date_is_made_again_with_its_steps(alice: Browser) -> None:
    fields = {"bundle": SCHEDULES.decode(), "fingerprint": "of another plan", "request_key": "1"}
    *steps, last = followed(alice, "/schedules/import", fields)
    assert steps == STEPS * 2 and last["status"] == 409 and "2 schedules in the file" in last["html"]
