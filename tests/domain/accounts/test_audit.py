"""The audit log."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import delete, func, select, text, update
from sqlalchemy.exc import DBAPIError

from domain.accounts.audit import Actor, AuditEntry, audit_page, record_refusal
from domain.accounts.members import add_member
from domain.accounts.tenants import edit_tenant
from domain.kernel.db import transaction
from domain.kernel.log import log_context
from tests.factories import a_tenant, a_user, an_actor


def test_the_row_stands_and_falls_with_the_change(db: Any) -> None:
    acme = a_tenant()
    db.commit()

    def rename_and_fail() -> None:
        with transaction():
            edit_tenant(an_actor(acme), "Renamed", "UTC")
            db.flush()
            assert db.scalar(select(func.count()).select_from(AuditEntry)) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        rename_and_fail()
    assert db.scalar(select(func.count()).select_from(AuditEntry)) == 0
    db.refresh(acme)
    assert acme.name == "Acme"


@pytest.mark.parametrize(
    "rewrite",
    [update(AuditEntry).values(reason="nothing to see"), delete(AuditEntry), text("TRUNCATE audit_entries")],
)
def test_what_is_on_record_cannot_be_rewritten(db: Any, rewrite: Any) -> None:
    edit_tenant(an_actor(a_tenant()), "Renamed", "UTC")
    db.flush()
    with pytest.raises(DBAPIError), db.begin_nested():
        db.execute(rewrite)
    assert db.scalar(select(AuditEntry.reason)) is None


def test_a_change_that_changes_nothing_is_not_on_record(db: Any) -> None:
    acme = a_tenant()
    edit_tenant(an_actor(acme), acme.name, acme.timezone)
    db.flush()
    assert audit_page(acme.id) == ([], False)


def test_pages_go_from_new_to_old_without_gaps(db: Any) -> None:
    acme = a_tenant()
    for number in range(5):
        edit_tenant(an_actor(acme), f"Name {number}", "UTC")
    db.flush()
    first, has_more = audit_page(acme.id, limit=3)
    rest, has_none = audit_page(acme.id, limit=3, before=first[-1].id)
    assert [entry.after["name"] for entry in [*first, *rest]] == [f"Name {number}" for number in (4, 3, 2, 1, 0)]
    assert (has_more, has_none) == (True, False)


def test_entries_are_found_by_subject_kind_and_result_in_one_tenant_only(db: Any) -> None:
    acme, globex = a_tenant(), a_tenant("globex")
    alice = a_user(acme)
    member, _ = add_member(an_actor(acme, alice), "dora@acme.test", "Dora", "viewer")
    edit_tenant(an_actor(globex), "Renamed", "UTC")
    record_refusal(an_actor(acme, alice), "schedules.pause", "schedule", None, "Your role does not allow this.")
    db.flush()
    assert [entry.action for entry in audit_page(acme.id)[0]] == ["schedules.pause", "member.added"]
    assert [entry.action for entry in audit_page(acme.id, subject_id=member.user_id)[0]] == ["member.added"]
    assert audit_page(acme.id, subject_id=globex.id) == ([], False)


def test_a_row_carries_the_number_of_the_request_else_that_of_the_work_under_way(db: Any) -> None:
    acme = a_tenant()
    system, alice = Actor(acme.id), Actor(acme.id, label="Alice", request_id="request-1")
    with log_context(run_id="run-1"):
        record_refusal(system, "tenant.edit", "tenant", acme.id, "By a run")
        with log_context(request_id="tick-1"):
            record_refusal(system, "tenant.edit", "tenant", acme.id, "By a tick")
            record_refusal(alice, "tenant.edit", "tenant", acme.id, "By a person")
    db.flush()
    numbers = {entry.reason: entry.request_id for entry in audit_page(acme.id)[0]}
    assert numbers == {"By a run": "run-1", "By a tick": "tick-1", "By a person": "request-1"}
