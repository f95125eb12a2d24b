"""What differs between two versions, or between the draft and what runs; and an old version becoming the draft again."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.kernel.errors import Conflict, NotFound
from domain.workflows.comparisons import ADDED, CONTEXT_LINES, REMOVED, SAME, difference, draft_changes, version_changes
from domain.workflows.drafts import restore_version
from tests.factories import NOW, a_published_workflow, a_tenant, a_user, a_version, a_workflow, an_actor

LATER = NOW + timedelta(hours=1)
ON_PAID = {"type": "event", "eventName": "invoice.paid"}


def numbered(count: int) -> list[str]:
    return [f"line {number}" for number in range(1, count + 1)]


def test_a_change_is_shown_with_the_lines_around_it() -> None:
    old = numbered(20)
    new = [*old[:9], "another", *old[10:]]

    (hunk,) = difference("\n".join(old), "\n".join(new))

    assert [(line.kind, line.old_number, line.new_number, line.text) for line in hunk] == [
        (SAME, 7, 7, "line 7"),
        (SAME, 8, 8, "line 8"),
        (SAME, 9, 9, "line 9"),
        (REMOVED, 10, None, "line 10"),
        (ADDED, None, 10, "another"),
        (SAME, 11, 11, "line 11"),
        (SAME, 12, 12, "line 12"),
        (SAME, 13, 13, "line 13"),
    ]


@pytest.mark.parametrize(("apart", "hunks"), [(2 * CONTEXT_LINES, 1), (2 * CONTEXT_LINES + 1, 2)])
def test_changes_near_each_other_stand_together(apart: int, hunks: int) -> None:
    old = numbered(40)
    new = list(old)
    new[10], new[11 + apart] = "x", "y"

    assert len(difference("\n".join(old), "\n".join(new))) == hunks


def test_equal_texts_differ_in_nothing() -> None:
    assert difference("a\nb", "a\nb") == difference("", "") == []


LINES = st.lists(st.sampled_from("abcd"), max_size=14)


@given(LINES, LINES)
def test_the_shown_lines_lead_from_one_text_to_the_other(old: list[str], new: list[str]) -> None:
    lines = [line for hunk in difference("\n".join(old), "\n".join(new)) for line in hunk]

    assert [line.text for line in lines if line.old_number] == [
        old[line.old_number - 1] for line in lines if line.old_number
    ]
    assert [line.text for line in lines if line.new_number] == [
        new[line.new_number - 1] for line in lines if line.new_number
    ]
    removed = {line.old_number for line in lines if line.kind == REMOVED}
    added = {line.new_number for line in lines if line.kind == ADDED}
    assert [text for number, text in enumerate(old, 1) if number not in removed] == [
        text for number, text in enumerate(new, 1) if number not in added
    ]


def test_a_large_text_with_lines_that_repeat_is_compared_in_no_time() -> None:
    old = [line for number in range(2_500) for line in ("{", f'"id": "s{number}",', "},", "")]
    new = [line.replace("s7", "t7") for line in old]

    began = time.monotonic()
    hunks = difference("\n".join(old), "\n".join(new))

    assert time.monotonic() - began < 5
    added = [line.text for hunk in hunks for line in hunk if line.kind == ADDED]
    assert {line for line in new if "t7" in line} <= set(added)
    assert len(added) < 500


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Any) -> Any:
    return an_actor(acme, a_user(acme, "alice@acme.test", "admin"))


def test_an_unchanged_draft_is_the_same_as_what_runs_and_an_unpublished_one_has_nothing_to_compare(acme: Any) -> None:
    published = draft_changes(a_published_workflow(acme))

    assert published is not None
    assert published.is_same
    assert draft_changes(a_workflow(acme, "Draft")) is None


def test_changed_settings_are_told_beside_changed_lines(acme: Any) -> None:
    workflow = a_published_workflow(acme)
    workflow.draft_trigger, workflow.draft_schema_ref = ON_PAID, "trigger.clock.v1"

    changes = draft_changes(workflow)

    assert changes is not None
    assert [(change.name, change.before, change.after) for change in changes.settings] == [
        ("trigger", None, ON_PAID),
        ("payloadSchemaRef", "payload.Empty.v1", "trigger.clock.v1"),
    ]
    assert changes.hunks == ()


def test_a_ref_that_is_inferred_is_no_setting(acme: Any) -> None:
    workflow = a_workflow(acme, draft_schema_mode="inferred", draft_trigger=ON_PAID)
    a_version(workflow, payload_schema_mode="inferred", payload_schema_ref="trigger.clock.v1", trigger=ON_PAID)

    changes = draft_changes(workflow)

    assert changes is not None
    assert changes.is_same


def test_any_two_versions_are_compared_in_either_direction(acme: Any) -> None:
    workflow = a_published_workflow(acme)
    a_version(workflow, 2, definition={"steps": []})

    there, back = (version_changes(acme.id, workflow.id, *pair) for pair in ((1, 2), (2, 1)))

    assert [line.text for line in there.hunks[0] if line.kind == ADDED] == [
        line.text for line in back.hunks[0] if line.kind == REMOVED
    ]
    assert version_changes(acme.id, workflow.id, 2, 2).is_same
    with pytest.raises(NotFound):
        version_changes(a_tenant("umbrella").id, workflow.id, 1, 2)


def test_restoring_puts_definition_trigger_and_schema_choice_of_a_version_into_the_draft(
    alice: Any, acme: Any, db: Any
) -> None:
    workflow = a_workflow(acme, draft_trigger=ON_PAID, draft_schema_mode="inferred")
    first = a_version(workflow, trigger=ON_PAID, payload_schema_mode="inferred")
    a_version(workflow, 2, definition={"steps": []}, payload_schema_ref="trigger.clock.v1")
    workflow.draft_definition, workflow.draft_trigger = {"steps": []}, None
    workflow.draft_schema_mode, workflow.draft_schema_ref = "pinned", "trigger.clock.v1"
    db.flush()

    restored = restore_version(alice, workflow.id, 1, workflow.revision, LATER)

    assert restored.draft_definition == first.definition
    assert (restored.draft_trigger, restored.draft_schema_mode) == (ON_PAID, "inferred")
    assert restored.draft_schema_ref == "payload.Empty.v1"
    assert (restored.published_version, restored.revision, restored.content_changed_at) == (2, 2, LATER)
    changes = draft_changes(restored, 1)
    assert changes is not None
    assert changes.is_same
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.reason, entry.after["draft_trigger"]) == ("workflow.restored", "Version 1", ON_PAID)


def test_a_trigger_in_an_old_text_does_not_come_back(alice: Any, acme: Any) -> None:
    workflow = a_published_workflow(acme)
    cron = {"type": "recurring", "cron": "0 9 * * *"}
    a_version(workflow, 2, definition={"steps": [], "trigger": cron}, trigger=cron)

    restored = restore_version(alice, workflow.id, 2, workflow.revision, LATER)

    assert (restored.draft_definition, restored.draft_trigger) == ({"steps": []}, None)


def test_restoring_over_somebody_else_s_change_is_a_conflict(alice: Any, acme: Any) -> None:
    workflow = a_published_workflow(acme)

    with pytest.raises(Conflict):
        restore_version(alice, workflow.id, 1, workflow.revision + 1, LATER)


def test_restoring_what_the_draft_is_already_changes_nothing(alice: Any, acme: Any, db: Any) -> None:
    workflow = a_published_workflow(acme)

    assert restore_version(alice, workflow.id, 1, workflow.revision, LATER).revision == 1
    assert db.scalars(select(AuditEntry)).all() == []


def test_neither_an_absent_version_nor_a_stranger_s_workflow_is_restored(alice: Any, acme: Any) -> None:
    workflow = a_published_workflow(acme)
    other = a_tenant("umbrella")
    charlie = an_actor(other, a_user(other, "charlie@umbrella.test", "admin"))

    for actor, version in ((alice, 2), (charlie, 1)):
        with pytest.raises(NotFound):
            restore_version(actor, workflow.id, version, workflow.revision, LATER)
