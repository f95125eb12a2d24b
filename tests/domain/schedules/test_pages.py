"""The queries behind the screens of schedules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.accounts.tenants import Tenant
from domain.firing.checklist import checklist
from domain.firing.explain import explain
from domain.firing.lifecycle import create_schedule
from domain.kernel.errors import NotFound, Refused
from domain.kernel.ids import new_id
from domain.runs.runs import Run
from domain.schedules import narrowing, pages
from domain.schedules.choices import chosen_workflow, eligible_workflows
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.drafts import ScheduleDraft
from domain.schedules.entries import BARS, occurrences_page
from domain.schedules.narrowing import ScheduleFilter
from domain.schedules.occurrences import Occurrence
from domain.schedules.orders import SORTS
from domain.schedules.pages import schedule_detail, schedules_page
from domain.schedules.previews import timing_preview
from domain.schedules.schedules import Schedule
from domain.schedules.skeletons import skeleton_of
from domain.workflows.workflows import Workflow
from tests.factories import NOW, a_published_workflow, a_schedule, a_tenant, a_version, a_workflow, an_actor
from tests.statements import counted


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


def fired(db: Any, schedule: Schedule, minutes_ago: int, status: str = "succeeded", seconds: float = 2.0) -> Occurrence:
    at = NOW - timedelta(minutes=minutes_ago)
    occurrence = an_occurrence(db, schedule, minutes_ago, "fired")
    run = Run(
        id=occurrence.id,
        tenant_id=schedule.tenant_id,
        workflow_id=schedule.workflow_id,
        workflow_version=schedule.workflow_version,
        schedule_id=schedule.id,
        started_by="recurring",
        input_json={},
        lane="pure",
        ready_at=at,
        status=status,
        started_at=at,
        finished_at=at + timedelta(seconds=seconds),
        error={"message": "no answer"} if status == "failed" else None,
    )
    db.add(run)
    db.flush()
    return occurrence


def an_occurrence(db: Any, schedule: Schedule, minutes_ago: int, outcome: str, **values: Any) -> Occurrence:
    occurrence = Occurrence(
        **{
            "id": new_id(),
            "schedule_id": schedule.id,
            "tenant_id": schedule.tenant_id,
            "scheduled_for": NOW - timedelta(minutes=minutes_ago),
            "origin_key": "timing",
            "outcome": outcome,
            "reason": None if outcome == "fired" else "overlap",
            "decided_at": NOW,
        }
        | values
    )
    db.add(occurrence)
    db.flush()
    return occurrence


def names(tenant: Tenant, narrowed: ScheduleFilter = ScheduleFilter(), **more: Any) -> list[str]:
    return [row.name for row in schedules_page(tenant.id, narrowed, **more).rows]


def test_a_page_takes_four_statements_whatever_it_shows(acme: Tenant, sync: Workflow, db: Any) -> None:
    for number in range(12):
        for minutes_ago in range(3):
            fired(db, a_schedule(sync, f"S{number}.{minutes_ago}"), minutes_ago)
    with counted() as statements:
        page = schedules_page(acme.id, ScheduleFilter(), "next", 1)
        assert [len(row.entries) for row in page.rows] == [1] * 36
    assert len(statements) == 4
    assert not any("payload_json" in statement for statement in statements)


def test_what_nothing_matches_and_what_fails_takes_fewer(acme: Tenant, sync: Workflow, db: Any) -> None:
    db.get(ScheduleCursor, a_schedule(sync).id).last_run_status = "failed"
    db.flush()
    for narrowed, number, found in (
        (ScheduleFilter(q="nothing like it"), 2, 0),
        (ScheduleFilter(status="failing"), 3, 1),
        (ScheduleFilter(status="failing", q="nothing like it"), 2, 0),
    ):
        with counted() as statements:
            assert schedules_page(acme.id, narrowed).total == found
        assert len(statements) == number, narrowed


def test_a_row_has_its_workflow_and_its_last_twenty_occurrences_newest_first(sync: Workflow, db: Any) -> None:
    schedule = a_schedule(sync)
    for minutes_ago in range(1, BARS + 6):
        fired(db, schedule, minutes_ago, "failed" if minutes_ago == 2 else "succeeded", seconds=minutes_ago)
    an_occurrence(db, schedule, 0, "skipped", detail="busy")
    (row,) = schedules_page(sync.tenant_id, ScheduleFilter()).rows
    assert (row.workflow_name, row.workflow_version) == ("Invoice sync", 1)
    assert [entry.scheduled_for for entry in row.entries] == [NOW - timedelta(minutes=ago) for ago in range(BARS)]
    newest, last_fire, failed = row.entries[:3]
    assert (newest.outcome, newest.detail, newest.run_id, newest.run_status) == ("skipped", "busy", None, None)
    assert (last_fire.run_status, last_fire.seconds) == ("succeeded", 1)
    assert (failed.run_status, failed.seconds) == ("failed", 2)
    assert row.last_fired == last_fire


def test_the_ledger_says_what_a_run_died_of_and_nothing_of_a_run_that_never_was(sync: Workflow, db: Any) -> None:
    schedule = a_schedule(sync)
    fired(db, schedule, 1, "failed")
    an_occurrence(db, schedule, 2, "missed", detail="down", through=NOW - timedelta(minutes=1), count=2)
    (failed, missed), _ = occurrences_page(sync.tenant_id, schedule.id)
    assert (failed.outcome, failed.run_status, failed.run_error, failed.through) == (
        "fired",
        "failed",
        "no answer",
        None,
    )
    assert (missed.outcome, missed.reason, missed.detail, missed.count) == ("missed", "overlap", "down", 2)
    assert (missed.through, missed.decided_at, missed.run_id) == (NOW - timedelta(minutes=1), NOW, None)


def test_schedules_of_other_tenants_and_deleted_ones_are_on_no_list(acme: Tenant, sync: Workflow, db: Any) -> None:
    a_schedule(a_published_workflow(a_tenant("globex")), "Theirs")
    a_schedule(sync, "Gone", deleted_at=NOW)
    a_schedule(sync, "Ours")
    page = schedules_page(acme.id, ScheduleFilter())
    assert [row.name for row in page.rows] == ["Ours"]
    assert page.total == 1


def test_the_list_is_narrowed_by_workflow_trigger_and_status(acme: Tenant, sync: Workflow, db: Any) -> None:
    other = a_published_workflow(acme, "Digest")
    a_schedule(other, "Of another")
    a_schedule(sync, "Once", trigger_type="schedule", cron=None, run_at=NOW)
    a_schedule(sync, "Held", status="paused")
    a_schedule(sync, "Broken", status="invalid")
    a_schedule(sync, "Over", status="completed")
    for name, status in (("Failing", "active"), ("Failed and held", "paused")):
        schedule = a_schedule(sync, name, status=status)
        db.get(ScheduleCursor, schedule.id).last_run_status = "failed"
    db.flush()
    assert set(names(acme, ScheduleFilter(workflow_id=other.id))) == {"Of another"}
    assert set(names(acme, ScheduleFilter(trigger="schedule"))) == {"Once"}
    assert "Once" not in names(acme, ScheduleFilter(trigger="recurring"))
    assert set(names(acme, ScheduleFilter(status="active"))) == {"Of another", "Once", "Failing"}
    assert set(names(acme, ScheduleFilter(status="paused"))) == {"Held", "Failed and held"}
    assert names(acme, ScheduleFilter(status="invalid")) == ["Broken"]
    assert names(acme, ScheduleFilter(status="completed")) == ["Over"]
    assert names(acme, ScheduleFilter(status="failing")) == ["Failing"]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("MORNING", {"Morning sync"}),
        ("digest", {"Nightly"}),
        ("or", {"Morning sync"}),
        ("%", {"100% sure"}),
        ("00% S", {"100% sure"}),
        ("_", set()),
        ("M_rning", set()),
        ("\\", set()),
        ("nothing like it", set()),
    ],
)
def test_search_finds_parts_of_both_names_in_any_case_and_takes_no_wildcards(
    acme: Tenant, sync: Workflow, q: str, found: set[str]
) -> None:
    a_schedule(sync, "Morning sync")
    a_schedule(sync, "100% sure")
    a_schedule(a_published_workflow(acme, "Daily digest"), "Nightly")
    assert set(names(acme, ScheduleFilter(q=q))) == found


def test_more_workflows_of_a_name_than_are_listed_one_by_one_are_found_as_well(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_schedule(a_published_workflow(acme, "Daily digest"), "Nightly")
    a_schedule(a_published_workflow(acme, "Weekly digest"), "On Mondays")
    a_schedule(a_published_workflow(acme, "Invoices"), "Hourly")
    monkeypatch.setattr(narrowing, "FEW", 1)
    assert names(acme, ScheduleFilter(q="digest")) == ["Nightly", "On Mondays"]


def test_the_list_is_sorted_by_name_next_fire_last_fire_and_change(acme: Tenant, sync: Workflow, db: Any) -> None:
    for name, hours, fired_ago in (("beta", 2, 1), ("Alpha", 3, None), ("gamma", 1, 5)):
        schedule = a_schedule(sync, name, next_fire_at=NOW + timedelta(hours=hours))
        if fired_ago:
            db.get(ScheduleCursor, schedule.id).last_fire_at = NOW - timedelta(hours=fired_ago)
        schedule.updated_at = NOW + timedelta(minutes=hours)
    a_schedule(sync, "paused", status="paused", updated_at=NOW)
    db.flush()
    assert names(acme, sort="name") == ["Alpha", "beta", "gamma", "paused"]
    assert names(acme, sort="next") == ["gamma", "beta", "Alpha", "paused"]
    assert names(acme, sort="last")[:2] == ["beta", "gamma"]
    assert names(acme, sort="updated") == ["Alpha", "beta", "gamma", "paused"]
    assert names(acme, sort="no such order") == names(acme, sort="next")


def test_pages_follow_each_other_without_gap_or_repeat_and_are_bounded(acme: Tenant, sync: Workflow) -> None:
    for number in range(5):
        a_schedule(sync, f"S{number}")
    first, second, third = (schedules_page(acme.id, ScheduleFilter(), "next", number, 2) for number in (1, 2, 3))
    assert [row.name for page in (first, second, third) for row in page.rows] == ["S0", "S1", "S2", "S3", "S4"]
    assert (first.has_more, third.has_more, first.total) == (True, False, 5)
    assert schedules_page(acme.id, ScheduleFilter(), number=-7).number == 1
    assert schedules_page(acme.id, ScheduleFilter(), number=10**9).number == pages.PAGES_MAX


def test_the_total_stops_counting_at_a_bound(acme: Tenant, sync: Workflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "COUNT_MAX", 2)
    for number in range(3):
        a_schedule(sync, f"S{number}")
    page = schedules_page(acme.id, ScheduleFilter())
    assert (page.total, page.is_total_exact) == (2, False)


@pytest.mark.parametrize("sort", SORTS)
def test_a_search_counts_less_and_shows_as_many(
    sort: str, acme: Tenant, sync: Workflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(narrowing, "FOUND_MAX", 3)
    for number in range(6):
        a_schedule(sync, f"S{number}")
    asked = [schedules_page(acme.id, ScheduleFilter(q="s"), sort, number, 2) for number in (1, 2, 3)]
    assert {(page.total, page.is_total_exact) for page in asked} == {(3, False)}
    assert sorted(row.name for page in asked for row in page.rows) == [f"S{number}" for number in range(6)]
    assert [page.has_more for page in asked] == [True, True, False]
    fewer = schedules_page(acme.id, ScheduleFilter(q="s1"))
    assert (fewer.total, fewer.is_total_exact) == (1, True)
    assert schedules_page(acme.id, ScheduleFilter()).total == 6


def test_a_row_whose_timing_cannot_be_read_takes_nothing_else_away(acme: Tenant, sync: Workflow) -> None:
    a_schedule(sync, "Poisoned", timezone="Atlantis/Centre")
    a_schedule(sync, "Sound")
    rows = {row.name: row for row in schedules_page(acme.id, ScheduleFilter()).rows}
    assert rows["Poisoned"].timing is None
    assert rows["Sound"].timing is not None
    assert explain(rows["Poisoned"], NOW).at is not None


def test_one_schedule_is_shown_to_its_tenant_only_and_stays_readable_when_deleted(sync: Workflow) -> None:
    schedule = a_schedule(sync, payload_json={"a": 1}, deleted_at=NOW)
    row = schedule_detail(sync.tenant_id, schedule.id)
    assert (row.name, row.payload_json, row.deleted_at) == ("Morning sync", {"a": 1}, NOW)
    with pytest.raises(NotFound):
        schedule_detail(a_tenant("globex").id, schedule.id)


def test_the_ledger_is_read_backwards_also_across_equal_instants(sync: Workflow, db: Any) -> None:
    schedule = a_schedule(sync)
    for minutes_ago in (3, 2, 1):
        fired(db, schedule, minutes_ago)
    an_occurrence(db, schedule, 2, "refused", origin_key="run_now:abc")
    first, has_more = occurrences_page(sync.tenant_id, schedule.id, limit=2)
    assert [(entry.scheduled_for, entry.origin_key) for entry in first] == [
        (NOW - timedelta(minutes=1), "timing"),
        (NOW - timedelta(minutes=2), "timing"),
    ]
    assert has_more
    before = (first[-1].scheduled_for, first[-1].origin_key)
    rest, has_more = occurrences_page(sync.tenant_id, schedule.id, before=before)
    assert [entry.is_by_hand for entry in rest] == [True, False]
    assert not has_more
    assert [entry.outcome for entry in occurrences_page(sync.tenant_id, schedule.id, "refused")[0]] == ["refused"]
    assert occurrences_page(a_tenant("globex").id, schedule.id) == ([], False)


def test_the_picker_offers_what_can_be_scheduled_and_says_why_the_rest_cannot(acme: Tenant, sync: Workflow) -> None:
    a_workflow(acme, "A draft")
    inferred = a_workflow(acme, "An inferred one")
    a_version(inferred, payload_schema_mode="inferred")
    a_workflow(acme, "Gone", deleted_at=NOW)
    a_published_workflow(a_tenant("globex"), "Theirs")
    offered = {choice.label: choice for choice in eligible_workflows(acme.id)}
    assert next(iter(offered)) == "Invoice sync"
    assert {label: choice.obstacle for label, choice in offered.items()} == {
        "Invoice sync": None,
        "A draft": "not published",
        "An inferred one": "its payload schema is inferred, not pinned",
    }
    for choice in offered.values():
        draft = ScheduleDraft(workflow_id=choice.id, name=choice.label, cron="0 9 * * *")
        if choice.obstacle:
            with pytest.raises(Refused):
                create_schedule(an_actor(acme), draft, NOW)
        else:
            create_schedule(an_actor(acme), draft, NOW)
    assert [choice.label for choice in eligible_workflows(acme.id, "INVOICE")] == ["Invoice sync"]
    assert len(eligible_workflows(acme.id, limit=1)) == 1


def test_a_typed_name_means_one_workflow_of_the_tenant_or_is_refused(acme: Tenant, sync: Workflow) -> None:
    twin = a_published_workflow(acme, "Invoice sync", key="twin")
    a_published_workflow(a_tenant("globex"), "Theirs")
    assert chosen_workflow(acme.id, " Invoice sync (twin) ").id == twin.id
    assert chosen_workflow(acme.id, "invoice-sync").id == sync.id
    for typed, code in (
        ("Invoice sync", "WORKFLOW_AMBIGUOUS"),
        ("Theirs", "WORKFLOW_UNKNOWN"),
        ("a\x00b", "WORKFLOW_UNKNOWN"),
        ("", "WORKFLOW_REQUIRED"),
    ):
        with pytest.raises(Refused) as refused:
            chosen_workflow(acme.id, typed)
        assert [(problem.path, problem.code) for problem in refused.value.problems] == [("workflowId", code)]


def test_a_preview_shows_the_next_five_fires_or_every_reason_why_there_are_none() -> None:
    preview = timing_preview(ScheduleDraft(cron="@hourly", timezone="Europe/Paris"), NOW)
    assert (preview.words, preview.cron) == ("Every hour", "0 * * * *")
    assert preview.fires == tuple(NOW + timedelta(hours=hour) for hour in range(1, 6))
    refused = timing_preview(ScheduleDraft(cron="0 9 * *", timezone="Mars", name="", payload="{"), NOW)
    assert {problem.path for problem in refused.problems} == {"cron", "timezone"}


def test_a_skeleton_has_what_is_required_and_what_has_a_default() -> None:
    schema = {
        "type": "object",
        "required": ["region", "at", "tags", "nobody said"],
        "properties": {
            "region": {"enum": ["eu", "us"]},
            "at": {"$ref": "#/$defs/place"},
            "tags": {"type": "array"},
            "size": {"type": "integer", "default": 500},
            "note": {"type": "string"},
        },
        "$defs": {"place": {"required": ["floor"], "properties": {"floor": {"type": "integer", "minimum": 3}}}},
    }
    filled = {"region": "eu", "at": {"floor": 3}, "tags": [], "size": 500, "nobody said": None}
    assert skeleton_of(schema) == filled
    assert skeleton_of({"$ref": "#"}) == skeleton_of(True) == skeleton_of(None) == {}
    endless = {"required": ["next"], "properties": {"next": {"$ref": "#"}}}
    assert "next" in skeleton_of(endless)


def explained(sync: Workflow, **values: Any) -> Any:
    schedule = a_schedule(sync, **values)
    return explain(schedule_detail(sync.tenant_id, schedule.id), NOW)


def test_the_explanation_says_when_it_fires(sync: Workflow) -> None:
    found = explained(sync)
    assert (found.fires, found.at, found.is_due) == (True, NOW + timedelta(hours=1), False)
    assert explained(sync, name="Late", next_fire_at=NOW).is_due


def held_back_by_its_spread(sync: Workflow, db: Any, **values: Any) -> tuple[Schedule, ScheduleCursor]:
    """Due at NOW, and looked at 40 seconds later, because that belongs to its id."""
    schedule = a_schedule(sync, id=UUID(int=40), next_fire_at=NOW, spread_seconds=3600, **values)
    cursor = db.get(ScheduleCursor, schedule.id)
    cursor.wake_at = NOW + timedelta(seconds=40)
    db.flush()
    return schedule, cursor


def test_a_spread_after_a_failed_run_is_no_failed_try(sync: Workflow, db: Any) -> None:
    schedule, cursor = held_back_by_its_spread(sync, db)
    cursor.last_error = "The mail server refused it."
    db.flush()
    row = schedule_detail(sync.tenant_id, schedule.id)
    found = explain(row, NOW)
    assert (found.fires, found.reason, found.at) == (True, None, cursor.wake_at)
    assert [check for check in checklist(row, NOW).checks if check.name == "last_try"] == []


def test_what_a_spread_holds_back_and_will_be_skipped_is_not_what_fires_next(sync: Workflow, db: Any) -> None:
    schedule, _ = held_back_by_its_spread(sync, db, skip_next_at=NOW)
    found = explain(schedule_detail(sync.tenant_id, schedule.id), NOW)
    assert (found.fires, found.at) == (True, schedule.timing.next_after(NOW))


def test_what_a_held_or_paused_schedule_would_fire_is_not_what_will_be_skipped(sync: Workflow, db: Any) -> None:
    skipped = a_schedule(sync).timing.next_after(NOW)
    following = a_schedule(sync, name="b").timing.next_after(skipped)
    for status in ("paused", "invalid"):
        assert explained(sync, name=status, status=status, skip_next_at=skipped).at == following


def test_a_pause_that_outlasts_the_timing_does_not_say_that_it_goes_on(sync: Workflow) -> None:
    ending = {"ends_at": NOW + timedelta(hours=2), "paused_until": NOW + timedelta(hours=3)}
    found = explained(sync, status="paused", **ending)
    assert (found.at, found.reason) == (None, "it was paused. When the pause ends, nothing of its timing is left.")


def test_the_explanation_of_what_is_looked_at_later_names_that_time_and_the_error(sync: Workflow, db: Any) -> None:
    schedule, cursor = held_back_by_its_spread(sync, db)
    spread = explain(schedule_detail(sync.tenant_id, schedule.id), NOW)
    assert (spread.fires, spread.at, spread.is_due) == (True, cursor.wake_at, False)
    cursor.wake_at, cursor.last_error = NOW + timedelta(minutes=70), "Its timing could not be computed"
    db.flush()
    put_back = explain(schedule_detail(sync.tenant_id, schedule.id), NOW)
    assert (put_back.fires, put_back.reason) == (False, "Its timing could not be computed")


def test_the_explanation_says_why_it_does_not_fire_and_what_helps(acme: Tenant, sync: Workflow) -> None:
    assert explained(sync, name="a", status="paused", pause_reason="supplier outage").reason == (
        "it was paused: supplier outage."
    )
    invalid = explained(sync, name="b", status="invalid")
    assert "does not fit version 1 of Invoice sync: /region: region is required" in invalid.reason
    assert (invalid.fires, invalid.remedy) == (False, "payload")
    over = explained(sync, name="c", status="completed", trigger_type="schedule", cron=None, run_at=NOW)
    assert (over.reason, over.remedy) == ("its one time has passed.", "timing")
    assert explained(sync, name="d", deleted_at=NOW).reason == "it was deleted."
    held = a_published_workflow(acme, "Held", paused_at=NOW, pause_reason="migration")
    assert (explained(held).reason, explained(held, name="e").remedy) == ("Held is paused: migration.", "workflow")
