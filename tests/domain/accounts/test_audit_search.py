"""Looking things up in the audit log."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from domain.accounts import audit_search
from domain.accounts.audit import Actor, record_refusal
from domain.accounts.audit_search import AuditFilter, actions_on_record, search_audit
from tests.factories import a_tenant


@pytest.fixture
def tenant(db: Any) -> Any:
    tenant = a_tenant()
    for number in range(10):
        record_refusal(Actor(tenant.id), f"test.action_{number % 3}", "tenant", tenant.id, f"Reason-{number}")
        db.flush()
    return tenant


def reasons(page: audit_search.AuditPage) -> list[str]:
    return [str(entry.reason) for entry in page.entries]


def test_a_look_for_words_goes_so_far_and_the_next_one_further(tenant: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_search, "WORDS_WINDOW", 4)
    narrowed, found, before = AuditFilter(q="reason-1"), [], None
    for _ in range(3):
        page = search_audit(tenant.id, narrowed, before)
        found.append(reasons(page))
        before = page.next_before
    assert found == [[], [], ["Reason-1"]]
    assert before is None


def test_a_full_page_of_words_leads_on_below_its_last_entry(tenant: Any) -> None:
    narrowed, seen = AuditFilter(q="reason"), []
    page = search_audit(tenant.id, narrowed, None, 4)
    while page.next_before:
        seen += reasons(page)
        page = search_audit(tenant.id, narrowed, page.next_before, 4)
    assert [*seen, *reasons(page)] == [f"Reason-{number}" for number in reversed(range(10))]


def test_the_actions_are_named_once_each_and_only_those_of_the_tenant(tenant: Any, db: Any) -> None:
    other = a_tenant("globex")
    record_refusal(Actor(other.id), "test.other", "tenant", other.id, "No")
    db.flush()
    assert actions_on_record(tenant.id) == ["test.action_0", "test.action_1", "test.action_2"]
    assert actions_on_record(other.id) == ["test.other"]


def test_an_action_is_found_by_its_index(tenant: Any, db: Any) -> None:
    # Enough rows for the planner to prefer an index over reading everything.
    db.execute(
        text("""
            INSERT INTO audit_entries (id, tenant_id, actor_label, action, result, subject_kind)
            SELECT gen_random_uuid(), :tenant_id, 'Alice', 'test.many', 'changed', 'tenant' FROM generate_series(1, 5000)
        """),
        {"tenant_id": tenant.id},
    )
    db.execute(text("ANALYZE audit_entries"))
    plan = "EXPLAIN SELECT id FROM audit_entries WHERE tenant_id = :id AND action = 'test.action_1' ORDER BY id DESC LIMIT 51"
    told = "\n".join(db.scalars(text(plan), {"id": tenant.id}))
    assert "ix_audit_entries_action" in told
