"""Schedules where the edition has none: held with that reason, not lost, and going on when it returns."""

from __future__ import annotations

from typing import Any

import pytest

from domain.accounts.audit import audit_page
from domain.accounts.tenants import COMMUNITY, ENTERPRISE, Tenant, set_edition
from domain.firing.run_now import run_schedule_now
from domain.kernel.errors import Held, Refused
from tests.domain.firing.ledger import a_live_schedule, a_target, minute, occurrences, runs, tick_until_idle
from tests.factories import a_tenant, an_actor

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme")


def test_what_is_due_without_the_edition_is_refused_and_the_next_fires_when_it_returns(acme: Tenant) -> None:
    schedule = a_live_schedule(a_target(acme))
    actor = an_actor(acme)
    set_edition(actor, COMMUNITY)
    tick_until_idle(minute(1))
    set_edition(actor, ENTERPRISE)
    tick_until_idle(minute(2))
    assert [(row.outcome, row.reason) for row in occurrences(schedule)] == [("refused", "edition"), ("fired", None)]
    assert len(runs(schedule)) == 1


def test_a_schedule_is_not_run_by_hand_without_the_edition(acme: Tenant) -> None:
    schedule = a_live_schedule(a_target(acme))
    actor = an_actor(acme)
    set_edition(actor, COMMUNITY)
    with pytest.raises(Held) as held:
        run_schedule_now(actor, schedule.id, "key-1", minute(0))
    assert held.value.code == "EDITION_REQUIRED"
    set_edition(actor, ENTERPRISE)
    assert run_schedule_now(actor, schedule.id, "key-2", minute(0)).schedule_id == schedule.id


def test_another_edition_is_on_record_once(acme: Tenant, db: Any) -> None:
    actor = an_actor(acme)
    for _ in range(2):
        set_edition(actor, COMMUNITY)
    db.flush()
    entries, _ = audit_page(acme.id, subject_id=acme.id)
    assert [(entry.action, entry.before, entry.after) for entry in entries] == [
        ("tenant.edited", {"edition": "enterprise"}, {"edition": "community"})
    ]


def test_there_are_two_editions(acme: Tenant) -> None:
    with pytest.raises(Refused) as refused:
        set_edition(an_actor(acme), "platinum")
    assert [problem.path for problem in refused.value.problems] == ["edition"]
    assert acme.edition == ENTERPRISE
