"""The dialogs with a payload: run now and schedules, as forms without scripts and as fragments."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.secrets import create_secret
from domain.accounts.tenants import Tenant
from domain.runs.runs import Run
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_version, an_actor
from tests.web.cast import Browser
from tests.web.payload_forms import Page
from tests.web.schedule_pages import a_quiet_schedule, schedules, typed

SCHEMA = {
    "type": "object",
    "properties": {
        "region": {"enum": ["eu", "us"]},
        "batchSize": {"type": "integer", "maximum": 5},
        "notify": {"type": "array", "items": {"type": "string"}},
        "key": {"type": "string", "x-secret": True},
    },
    "required": ["region"],
    "additionalProperties": False,
}


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme, "Strict sync", SCHEMA, draft_schema_ref="payload.Region.v1")
    create_secret(an_actor(acme), "SHOP_KEY", "0123456789abcdef", "", NOW)
    db.commit()
    return workflow


def filled(page: Any, **changes: str) -> dict[str, Any]:
    """The form of a page as a browser sends it, with some fields typed."""
    sent = Page(page.text).sent.to_dict(flat=False)
    return {name: values for name, values in sent.items() if name != "csrf_token"} | {
        name.replace("__", "-"): value for name, value in changes.items()
    }


def runs(db: Any) -> list[Run]:
    db.expire_all()
    return list(db.scalars(select(Run)))


def test_a_run_starts_from_the_form_without_scripts(alice: Browser, sync: Workflow, db: Any) -> None:
    address = f"/workflows/{sync.id}/run"
    page = alice.get(address)
    assert "<select" in page.text and "Secret SHOP_KEY" in page.text
    page = alice.post(address, filled(page, **{"payload-add": "/notify", "payload/batchSize": "3"}))
    assert page.status_code == 200 and runs(db) == []
    answer = alice.post(address, filled(page, **{"payload/region": '"eu"', "payload/notify/0": "ops"}))
    assert answer.status_code == 303
    assert runs(db)[0].input_json == {"region": "eu", "batchSize": 3, "notify": ["ops"]}


def test_what_is_wrong_stands_at_its_field_and_the_rest_stays(alice: Browser, sync: Workflow, db: Any) -> None:
    address = f"/workflows/{sync.id}/run"
    page = alice.get(address, htmx=True)
    answer = alice.post(address, filled(page, **{"payload/batchSize": "7", "payload/key": "hush"}), htmx=True)
    assert answer.status_code == 422 and runs(db) == []
    assert 'id="payload-batchSize--error">Must be at most 5' in answer.text
    assert '<a href="#payload-region">Region is required</a>' in answer.text
    assert Page(answer.text).sent["payload/batchSize"] == "7"
    unread = alice.post(address, filled(page, **{"payload/batchSize": "many"}), htmx=True)
    assert unread.status_code == 422 and "Enter a whole number such as 12." in unread.text and runs(db) == []


def test_the_buttons_of_the_editor_answer_the_editor_alone(alice: Browser, sync: Workflow, db: Any) -> None:
    page = alice.get(f"/workflows/{sync.id}/run", htmx=True)
    asked = alice.post(f"/workflows/{sync.id}/run/payload", filled(page, **{"payload-to": "json"}), htmx=True)
    assert asked.status_code == 200 and asked.text.lstrip().startswith('<fieldset class="payload" id="payload-editor"')
    assert 'name="payload-mode" value="json"' in asked.text and runs(db) == []


def test_a_reader_may_not_ask_the_editor_either(bob: Browser, sync: Workflow) -> None:
    assert bob.post(f"/workflows/{sync.id}/run/payload", {}).status_code == 403
    assert bob.post("/schedules/payload/editor", {}).status_code == 403


def test_a_form_of_an_older_version_is_read_as_it_was_drawn(alice: Browser, sync: Workflow, db: Any) -> None:
    address = f"/workflows/{sync.id}/run"
    page = alice.get(address)
    a_version(sync, 2, schema={"type": "object", "properties": {"zone": {"type": "string"}}})
    db.commit()
    answer = alice.post(address, filled(page, **{"payload/region": '"eu"', "payload/batchSize": "3"}))
    assert answer.status_code == 303
    assert runs(db)[0].input_json == {"region": "eu", "batchSize": 3}


def test_a_run_of_the_clock_contract_shows_what_it_receives(alice: Browser, acme: Tenant, db: Any) -> None:
    clock = a_published_workflow(acme, "Heartbeat", draft_schema_ref="trigger.clock.v1")
    db.commit()
    page = alice.get(f"/workflows/{clock.id}/run").text
    assert "&#34;triggerType&#34;: &#34;manual&#34;" in page


def test_a_schedule_is_made_from_the_form_and_edited_with_its_secret_untouched(
    alice: Browser, sync: Workflow, db: Any
) -> None:
    page = alice.get(f"/schedules/new?workflow={sync.id}")
    fields = typed(workflow="Strict sync", payload=None)
    fields |= {"payload/region": '"eu"', "payload/key": "a long secret"}
    assert alice.post("/schedules", filled(page) | fields).status_code == 303
    (made,) = schedules()
    sealed = made.payload_json["key"]
    assert made.payload_json["region"] == "eu" and "a long secret" not in str(made.payload_json)
    page = alice.get(f"/schedules/{made.id}/edit")
    assert "a long secret" not in page.text and "$sealed" not in page.text
    answer = alice.post(f"/schedules/{made.id}/edit", filled(page, **{"payload/region": '"us"'}))
    assert answer.status_code == 303
    assert schedules()[0].payload_json == {"region": "us", "key": sealed}


def test_another_workflow_shows_the_same_payload_with_its_own_schema(
    alice: Browser, sync: Workflow, acme: Tenant, db: Any
) -> None:
    other = {"type": "object", "properties": {"batchSize": {"type": "string"}}, "additionalProperties": False}
    a_published_workflow(acme, "Other sync", other, draft_schema_ref="payload.Other.v1")
    db.commit()
    page = alice.get(f"/schedules/new?workflow={sync.id}")
    moved = filled(page, **{"workflow": "Other sync", "payload/region": '"eu"', "payload/batchSize": "3"})
    part = alice.post("/schedules/payload", moved, htmx=True)
    sent = Page(part.text).sent
    assert sent["payload/batchSize"] == "3" and '"region": "eu"' in sent["payload/~rest"].replace("\r\n", "\n")
    untouched = alice.post("/schedules/payload", filled(page, workflow="Other sync"), htmx=True)
    assert "payload/~rest" not in Page(untouched.text).sent


def test_everything_wrong_with_a_schedule_is_said_beside_what_cannot_be_read(alice: Browser, sync: Workflow) -> None:
    page = alice.get(f"/schedules/new?workflow={sync.id}")
    fields = typed(workflow="Strict sync", payload=None, name="", cron="99 * * * *")
    answer = alice.post("/schedules", filled(page) | fields | {"every": "cron", "payload/batchSize": "many"})
    assert answer.status_code == 422 and schedules() == []
    for said in ("Enter a whole number such as 12.", 'id="name-error"', 'id="cron-error"'):
        assert said in answer.text


def test_the_stored_payload_is_compared_when_someone_else_saved_first(alice: Browser, sync: Workflow) -> None:
    stored = a_quiet_schedule(sync, payload_json={"region": "eu"})
    page = alice.get(f"/schedules/{stored.id}/edit")
    first = filled(page, **{"payload/region": '"us"'})
    assert alice.post(f"/schedules/{stored.id}/edit", first).status_code == 303
    late = alice.post(f"/schedules/{stored.id}/edit", filled(page, **{"payload/batchSize": "2"}))
    assert late.status_code == 409
    assert "<dt>Payload</dt>" in late.text and "&#34;region&#34;: &#34;us&#34;" in late.text
