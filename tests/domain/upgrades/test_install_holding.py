"""Disabling an install holds its schedules and says why; enabling lets them go on with what comes next."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor
from domain.firing.tick import fire_due
from domain.kernel.errors import NotFound, Refused, StaleTransition
from domain.runs.runs import Run
from domain.schedules.occurrences import Occurrence
from domain.upgrades import disable_install, enable_install
from tests.domain.upgrades.scene import ELEVEN, audited, calling, cursor_of, stored
from tests.factories import NOW, a_tenant


def ledger(db: Any) -> list[tuple[Any, str, str | None]]:
    rows = db.execute(select(Occurrence).order_by(Occurrence.scheduled_for)).scalars()
    return [(row.scheduled_for, row.outcome, row.reason) for row in rows]


def test_it_says_who_and_why_and_is_on_record(alice: Any, install: Any, extension: Any) -> None:
    disable_install(alice, install.id, "  costs\n too much ", NOW)

    assert (install.disabled_at, install.disabled_by, install.disable_reason) == (NOW, alice.user_id, "costs too much")
    (entry,) = audited("install.disabled")
    assert (entry.actor_id, entry.reason, entry.before) == (alice.user_id, "costs too much", {"enabled": True})
    assert entry.after == {"extension": extension.name, "enabled": False}


def test_schedules_keep_their_status_and_their_instants_are_refused_with_the_reason(
    alice: Any, install: Any, db: Any
) -> None:
    schedule = calling(install)
    disable_install(alice, install.id, "costs too much", NOW)

    fire_due(ELEVEN)

    assert ledger(db) == [(ELEVEN, "refused", "install_disabled")]
    assert "costs too much" in db.scalars(select(Occurrence.detail)).one()
    assert stored(schedule).status == "active"


@pytest.mark.usefixtures("with_runner")
def test_what_was_due_before_still_fires(alice: Any, install: Any, db: Any) -> None:
    calling(install)

    disable_install(alice, install.id, "", ELEVEN + timedelta(seconds=1))

    assert ledger(db) == [(ELEVEN, "fired", None)]
    assert len(db.scalars(select(Run)).all()) == 1


@pytest.mark.usefixtures("with_runner")
def test_enabled_again_they_go_on_and_nothing_is_made_up(alice: Any, install: Any, db: Any) -> None:
    schedule = calling(install, catch_up="all")
    disable_install(alice, install.id, "", NOW)

    enable_install(alice, install.id, ELEVEN + timedelta(hours=1, minutes=30))
    fire_due(ELEVEN + timedelta(hours=2))

    assert [(at, outcome) for at, outcome, _ in ledger(db)] == [
        (ELEVEN, "refused"),
        (ELEVEN + timedelta(hours=1), "refused"),
        (ELEVEN + timedelta(hours=2), "fired"),
    ]
    assert cursor_of(schedule).next_fire_at == ELEVEN + timedelta(hours=3)
    assert (install.enabled, install.disabled_by, install.disable_reason) == (True, None, None)
    assert audited("install.enabled")[0].after["enabled"] is True


def test_it_cannot_be_done_twice(alice: Any, install: Any) -> None:
    with pytest.raises(StaleTransition):
        enable_install(alice, install.id, NOW)
    disable_install(alice, install.id, "first", NOW)
    with pytest.raises(StaleTransition):
        disable_install(alice, install.id, "second", NOW)

    assert install.disable_reason == "first"


def test_a_reason_that_cannot_be_shown_is_refused(alice: Any, install: Any) -> None:
    with pytest.raises(Refused) as refused:
        disable_install(alice, install.id, "x" * 501, NOW)

    assert [(one.path, one.code) for one in refused.value.problems] == [("reason", "REASON_TOO_LONG")]
    assert install.enabled


def test_another_tenant_finds_nothing_to_disable(install: Any) -> None:
    charlie = Actor(a_tenant("globex").id)

    for act in (
        lambda: disable_install(charlie, install.id, "", NOW),
        lambda: enable_install(charlie, install.id, NOW),
    ):
        with pytest.raises(NotFound):
            act()
