"""The editor of a workflow: saving, checking, the trigger and its mapping, as alice the admin and bob the viewer use it."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.events.events import EventType
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_schedule, a_version
from tests.statements import counted
from tests.web.cast import Browser
from tests.web.workflow_pages import NEEDS_REGION, fields_of, part_of, stored


@pytest.fixture
def sync(acme: Tenant, db: Any) -> Workflow:
    workflow = a_published_workflow(acme)
    db.commit()
    return workflow


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


def test_the_page_links_its_schedules_and_a_new_one(alice: Browser, sync: Workflow, db: Any) -> None:
    a_schedule(sync)
    db.commit()

    page = alice.get(f"/workflows/{sync.id}").text

    assert f'href="/schedules?workflow={sync.id}">Schedules&nbsp;(1)</a>' in page
    assert f'href="/schedules/new?workflow={sync.id}"' in page


ON_EVENT = {"trigger_type": "event", "event_name": "invoice.paid"}


@pytest.fixture
def needs_region(alice: Browser, sync: Workflow, db: Any) -> Workflow:
    """`sync` with a payload schema that requires a region, and an event in the catalogue."""
    schema = {"ref": "payload.Sync.v1", "schema": json.dumps(NEEDS_REGION)}
    assert alice.post("/settings/schemas", schema).status_code == 303
    db.add(EventType(tenant_id=sync.tenant_id, name="invoice.paid", payload_schema_ref="payload.Empty.v1"))
    sync.draft_schema_ref = "payload.Sync.v1"
    db.commit()
    return sync


def test_the_trigger_is_none_or_an_event_and_nothing_else(alice: Browser, sync: Workflow, db: Any) -> None:
    page = alice.get(f"/workflows/{sync.id}").text
    group = part_of(page, 'id="settings-trigger"', "</details>")

    assert re.findall(r'name="trigger_type"[^>]*value="([^"]+)"', group) == ["none", "event"]
    assert "No trigger" in group and ">Event<" in group and "cron" not in group.lower()
    answer = alice.post(f"/workflows/{sync.id}/save", fields_of(sync, trigger_type="schedule"))
    assert answer.status_code == 422 and "Choose no trigger or an event." in answer.text
    assert stored(db, sync).draft_trigger is None


def test_the_event_is_picked_from_the_catalogue(alice: Browser, needs_region: Workflow) -> None:
    page = alice.get(f"/workflows/{needs_region.id}").text

    assert '<option value="invoice.paid">' in part_of(page, '<datalist id="event-names">', "</datalist>")


def test_all_settings_are_saved_and_shown_again(alice: Browser, needs_region: Workflow, db: Any) -> None:
    typed = ON_EVENT | {
        "source_schema_ref": "payload.Empty.v1",
        "mapping_target": ["region", ""],
        "mapping_expression": ["event.payload.place", ""],
        "concurrency_limit": "3",
        "auto_pause_on_failure": "y",
        "failure_rate_threshold": "12,5",
        "failure_rate_min_runs": "20",
        "retention_days": "90",
    }

    assert alice.post(f"/workflows/{needs_region.id}/save", fields_of(needs_region, **typed)).status_code == 303

    saved = stored(db, needs_region)
    assert saved.draft_trigger == {
        "type": "event",
        "eventName": "invoice.paid",
        "sourcePayloadSchemaRef": "payload.Empty.v1",
        "payloadMapping": {"region": {"$expr": "event.payload.place"}},
    }
    assert (saved.concurrency_limit, saved.auto_pause_on_failure, saved.failure_rate_threshold) == (3, True, 0.125)
    assert (saved.failure_rate_min_runs, saved.retention_policy_override) == (20, {"days": 90})
    page = alice.get(f"/workflows/{needs_region.id}").text
    assert "Event invoice.paid · 1 field mapped" in page
    assert "3 at a time · paused when 12.5 % of 20 runs failed · kept for 90 days" in page
    assert 'value="event.payload.place"' in page


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"failure_rate_threshold": "half"}, "Enter a percentage"),
        ({"failure_rate_threshold": "120"}, "above 0 and at most 1"),
        ({"failure_rate_min_runs": "0"}, "whole number of runs"),
        ({"retention_days": "-1"}, "whole number from 1"),
        ({"trigger_type": "event", "event_name": " "}, "Choose the event"),
        (ON_EVENT | {"mapping_target": ["a", "a"], "mapping_expression": ["event.x", "event.y"]}, "filled twice"),
        (ON_EVENT | {"mapping_target": [""], "mapping_expression": ["event.x"]}, "Say which field"),
        (ON_EVENT | {"mapping_shown": "json", "mapping_mode": "json", "mapping": "[1]"}, "A mapping is an object"),
        (ON_EVENT | {"mapping_shown": "json", "mapping_mode": "json", "mapping": "{"}, "not valid JSON"),
    ],
)
def test_a_setting_that_cannot_be_used_opens_its_group_and_keeps_what_was_typed(
    alice: Browser, sync: Workflow, db: Any, changes: dict[str, Any], said: str
) -> None:
    answer = alice.post(f"/workflows/{sync.id}/save", fields_of(sync, description="typed words", **changes))

    assert answer.status_code == 422
    assert said in answer.text and "typed words" in answer.text
    assert re.search(r'<details class="group" id="settings-(runs|trigger)" open>', answer.text)
    assert stored(db, sync).revision == 1


def test_a_row_stands_for_each_field_of_the_payload_schema(alice: Browser, needs_region: Workflow) -> None:
    form = fields_of(needs_region, **ON_EVENT, mapping_target=["gone"], mapping_expression=["event.payload.x"])

    part = alice.post(f"/workflows/{needs_region.id}/mapping", form, htmx=True).text

    assert re.findall(r'name="mapping_target" value="([^"]*)"', part) == ["region", "gone", ""]
    assert 'value="event.payload.x"' in part and "required" in part


def test_the_mapping_is_judged_while_it_is_typed(alice: Browser, needs_region: Workflow) -> None:
    address = f"/workflows/{needs_region.id}/mapping/check"
    form = fields_of(needs_region, **ON_EVENT, mapping_target=["region"], mapping_expression=["event.payload."])
    broken = alice.post(address, form, htmx=True).text
    form |= {"mapping_expression": ["payload.region"]}
    elsewhere = alice.post(address, form, htmx=True).text
    form |= {"mapping_target": ["other"], "mapping_expression": ["event.payload.x"]}
    missing = alice.post(address, form, htmx=True).text
    form |= {"mapping_target": ["region"]}
    good = alice.post(address, form, htmx=True).text

    assert "Unexpected end" in part_of(broken, 'id="mapping-0-error"', "</div>")
    assert "sees the event alone" in part_of(elsewhere, 'id="mapping-0-error"', "</div>")
    assert "The payload needs region" in part_of(missing, 'id="mapping-notes"', "</div>")
    assert "<p>" not in good and 'id="mapping-0-error" hx-swap-oob="true"></div>' in good


def test_a_mapping_changes_between_rows_and_json_without_loss(alice: Browser, needs_region: Workflow) -> None:
    address = f"/workflows/{needs_region.id}/mapping"
    rows = fields_of(needs_region, **ON_EVENT, mapping_target=["region"], mapping_expression=["event.payload.x"])

    as_json = alice.post(address, rows | {"mapping_mode": "json"}, htmx=True).text
    text = html.unescape(part_of(as_json, "<textarea", "</textarea>").partition(">")[2])
    sent = rows | {"mapping_shown": "json", "mapping": text}
    as_rows = alice.post(address, sent | {"mapping_mode": "fields"}, htmx=True).text
    literal = sent | {"mapping_mode": "fields", "mapping": '{"region": "eu"}'}
    kept = alice.post(address, literal, htmx=True).text

    assert json.loads(text) == {"region": {"$expr": "event.payload.x"}}
    assert 'value="event.payload.x"' in as_rows
    assert "Not every value is an expression" in kept and "&#34;eu&#34;" in kept


def test_checking_saves_nothing_and_names_lines(alice: Browser, sync: Workflow, db: Any) -> None:
    typed = fields_of(sync, name="Typed", definition='{\n "steps": [\n  {"id": "a", "type": "what.ever"}]}')

    fragment = alice.post(f"/workflows/{sync.id}/check", typed, htmx=True).text
    page = alice.post(f"/workflows/{sync.id}/check", typed).text

    for text in (fragment, page):
        assert "There is no step type what.ever" in text and "line 3" in text
        assert 'href="#draft-definition" data-line="3"' in text
    assert "<html" not in fragment and 'value="Typed"' in page and "what.ever" in page
    assert stored(db, sync).revision == 1


def test_text_that_is_no_json_is_told_with_its_line(alice: Browser, sync: Workflow) -> None:
    typed = fields_of(sync, definition='{\n "steps": [,]\n}')

    assert 'data-line="2"' in alice.post(f"/workflows/{sync.id}/check", typed, htmx=True).text


def test_a_problem_of_the_settings_leads_to_its_field(alice: Browser, sync: Workflow) -> None:
    typed = fields_of(sync, schema_mode="inferred")

    answer = alice.post(f"/workflows/{sync.id}/check", typed, htmx=True).text

    assert '<a href="#draft-schema-mode">' in part_of(answer, 'id="draft-problems"', "</ul>")


def test_a_conflict_names_the_settings_and_lines_that_differ(alice: Browser, sync: Workflow, db: Any) -> None:
    alice.post(f"/workflows/{sync.id}/save", fields_of(sync, concurrency_limit="7", definition='{"steps": []}'))

    answer = alice.post(f"/workflows/{sync.id}/save", fields_of(sync, retention_days="5"))

    told = part_of(answer.text, 'id="stored-now"', 'class="sheet settings"')
    assert answer.status_code == 409
    assert (
        "<dt>Runs at the same time</dt><dd>7</dd>" in told and "<dt>Keep runs for, in days</dt><dd>empty</dd>" in told
    )
    assert "removed: " in told and "say-so" in told


def test_a_viewer_may_read_the_draft_and_send_nothing(bob: Browser, sync: Workflow) -> None:
    page = bob.get(f"/workflows/{sync.id}").text

    assert "Pinned to payload.Empty.v1" in page and "<form" not in part_of(
        page, 'id="workflow-draft"', "workflow-versions"
    )
    for place in ("save", "check", "mapping", "mapping/check"):
        assert bob.post(f"/workflows/{sync.id}/{place}", fields_of(sync)).status_code == 403


def test_markup_in_any_field_stays_text(alice: Browser, needs_region: Workflow, db: Any) -> None:
    evil = "<img src=x onerror=1>"
    typed = fields_of(
        needs_region,
        trigger_type="event",
        event_name=evil,
        description=evil,
        concurrency_limit=evil,
        mapping_target=[evil],
        mapping_expression=[evil],
        definition=json.dumps({"steps": [{"id": evil, "type": evil, "name": evil}]}),
    )

    for place in ("save", "check", "mapping", "mapping/check"):
        for htmx in (True, False):
            assert "<img" not in alice.post(f"/workflows/{needs_region.id}/{place}", typed, htmx=htmx).text


def test_the_editor_costs_as_many_queries_with_many_steps_as_with_one(alice: Browser, sync: Workflow, db: Any) -> None:
    def queries() -> int:
        db.commit()
        with counted() as statements:
            assert alice.get(f"/workflows/{sync.id}").status_code == 200
        return len(statements)

    alice.get(f"/workflows/{sync.id}")
    few = queries()
    sync.draft_definition = {
        "steps": [{"id": f"s{n}", "type": "state.set", "config": {"state": "x"}} for n in range(300)]
    }
    for number in range(2, 12):
        a_version(sync, number)

    assert queries() == few


def test_auto_pause_without_figures_says_which_ones_count(alice: Browser, sync: Workflow, db: Any) -> None:
    alice.post(f"/workflows/{sync.id}/save", fields_of(sync, auto_pause_on_failure="y"))

    assert "paused when 50 % of 10 runs failed" in alice.get(f"/workflows/{sync.id}").text
    assert stored(db, sync).failure_rate_threshold is None
