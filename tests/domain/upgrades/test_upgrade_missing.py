"""Schedules whose endpoint is gone: they keep the install where it is, until somebody says what becomes of each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from domain.kernel.errors import Refused
from domain.kernel.ids import new_id
from domain.schedules.occurrences import Occurrence
from domain.upgrades import RemapFailed, upgrade_install, upgrade_plan
from tests.domain.upgrades.scene import (
    ELEVEN,
    HEALTH,
    NEEDS_REGION,
    REPORT,
    SYNC,
    audited,
    called_by,
    calling,
    cursor_of,
    declared,
    endpoint,
    stored,
)
from tests.factories import NOW, an_extension_version


@pytest.fixture
def without_sync(extension: Any) -> Any:
    return an_extension_version(extension, "2.0.0", [HEALTH, REPORT, "PUT /api/sync"])


def test_nothing_changes_while_one_is_missing_and_all_of_them_are_named(
    alice: Any, install: Any, first: Any, without_sync: Any
) -> None:
    sync, health = calling(install, SYNC), calling(install, HEALTH)
    paused = calling(install, SYNC, "Nightly", status="paused")

    with pytest.raises(RemapFailed) as failed:
        upgrade_install(alice, install.id, without_sync.id, NOW)

    assert (failed.value.code, [one.schedule_id for one in failed.value.missing]) == (
        "SCHEDULE_REMAP_FAILED",
        [sync.id, paused.id],
    )
    assert install.version_id == first.id
    assert [called_by(one) for one in (sync, health)] == [("1.0.0", SYNC), ("1.0.0", HEALTH)]
    assert audited("install.upgraded") == []


def test_those_that_something_was_said_of_are_not_named_again(alice: Any, install: Any, without_sync: Any) -> None:
    one, other = calling(install, SYNC), calling(install, SYNC, "Nightly")

    with pytest.raises(RemapFailed) as failed:
        upgrade_install(alice, install.id, without_sync.id, NOW, disable_missing={one.id})

    assert [missing.schedule_id for missing in failed.value.missing] == [other.id]


def test_only_what_is_missing_is_disabled_with_who_and_why(alice: Any, install: Any, without_sync: Any) -> None:
    sync, health = calling(install, SYNC), calling(install, HEALTH)

    done = upgrade_install(alice, install.id, without_sync.id, NOW, disable_missing=True)

    assert (done.disabled, done.remapped, stored(health).status) == (1, 1, "active")
    row = stored(sync)
    assert (row.status, row.paused_at, row.paused_by) == ("paused", NOW, alice.user_id)
    assert row.pause_reason == "Version 2.0.0 has no POST /api/sync. Choose another endpoint."
    assert (called_by(sync), cursor_of(sync).wake_at) == (("1.0.0", SYNC), None)
    (entry,) = audited("schedule.disabled")
    assert (entry.subject_id, entry.actor_id, entry.reason) == (sync.id, alice.user_id, row.pause_reason)


def test_a_pause_that_would_end_by_itself_does_not_wake_what_has_nothing_to_call(
    alice: Any, install: Any, without_sync: Any, db: Any
) -> None:
    until = ELEVEN + timedelta(hours=5)
    sync = calling(install, SYNC, status="paused", pause_reason="a storm", paused_until=until)

    upgrade_install(alice, install.id, without_sync.id, ELEVEN + timedelta(minutes=1), disable_missing=True)

    assert (stored(sync).paused_until, cursor_of(sync).wake_at) == (None, None)
    gap = db.scalars(select(Occurrence)).one()
    assert (gap.scheduled_for, "a storm" in gap.detail) == (ELEVEN, True)
    assert cursor_of(sync).next_fire_at == ELEVEN + timedelta(hours=1)


def test_an_invalid_one_is_disabled_too(alice: Any, install: Any, without_sync: Any) -> None:
    sync = calling(install, SYNC, status="invalid", invalid_reason="it does not fit")

    upgrade_install(alice, install.id, without_sync.id, NOW, disable_missing=True)

    assert (stored(sync).status, stored(sync).invalid_reason, cursor_of(sync).wake_at) == ("paused", None, None)


def test_another_endpoint_can_take_its_place(alice: Any, install: Any, without_sync: Any) -> None:
    sync = calling(install, SYNC, payload_json={"full": True})

    done = upgrade_install(alice, install.id, without_sync.id, NOW, remap={sync.id: endpoint(without_sync, REPORT).id})

    assert (done.redirected, called_by(sync), stored(sync).status) == (1, ("2.0.0", REPORT), "active")
    assert cursor_of(sync).wake_at == ELEVEN
    (entry,) = audited("schedule.remapped")
    assert (entry.before["calls"], entry.after["calls"]) == (SYNC, REPORT)


@pytest.mark.parametrize("called", [HEALTH, "PUT /api/sync"])
def test_another_endpoint_must_take_its_payload_and_must_be_schedulable(
    alice: Any, install: Any, without_sync: Any, called: str
) -> None:
    sync = calling(install, SYNC, payload_json={"full": True})

    with pytest.raises(Refused) as refused:
        upgrade_install(alice, install.id, without_sync.id, NOW, remap={sync.id: endpoint(without_sync, called).id})

    code = "PAYLOAD_INVALID" if called == HEALTH else "ENDPOINT_UNKNOWN"
    assert [(one.path, one.code) for one in refused.value.problems] == [(f"remap/{sync.id}", code)]


def test_another_endpoint_must_be_of_the_new_version(alice: Any, install: Any, without_sync: Any, first: Any) -> None:
    sync = calling(install, SYNC)

    with pytest.raises(Refused) as refused:
        upgrade_install(alice, install.id, without_sync.id, NOW, remap={sync.id: endpoint(first, HEALTH).id})

    assert refused.value.problems[0].code == "ENDPOINT_UNKNOWN"


@pytest.mark.parametrize("kind", ["not missing", "unknown"])
def test_nothing_is_done_to_what_is_not_missing(alice: Any, install: Any, without_sync: Any, kind: str) -> None:
    health = calling(install, HEALTH)
    schedule_id: UUID = health.id if kind == "not missing" else new_id()
    target = endpoint(without_sync, REPORT).id

    for wanted in ({"remap": {schedule_id: target}}, {"disable_missing": {schedule_id}}):
        with pytest.raises(Refused) as refused:
            upgrade_install(alice, install.id, without_sync.id, NOW, **wanted)  # type: ignore[arg-type]
        assert refused.value.problems[0].code == "SCHEDULE_NOT_MISSING"


def test_what_was_left_behind_never_keeps_a_later_upgrade_from_happening(
    alice: Any, install: Any, without_sync: Any, extension: Any
) -> None:
    sync = calling(install, SYNC)
    upgrade_install(alice, install.id, without_sync.id, NOW, disable_missing=True)
    third = an_extension_version(extension, "3.0.0", [HEALTH])

    plan = upgrade_plan(install.tenant_id, install.id, third.id)
    upgrade_install(alice, install.id, third.id, NOW)

    assert ([one.schedule_id for one in plan.stale], plan.missing) == ([sync.id], ())
    assert (stored(sync).status, called_by(sync)) == ("paused", ("1.0.0", SYNC))


@pytest.mark.parametrize("way", ["back", "forward"])
def test_what_was_left_behind_has_its_endpoint_again_and_waits_for_somebody(
    alice: Any, install: Any, without_sync: Any, first: Any, extension: Any, way: str
) -> None:
    sync = calling(install, SYNC)
    upgrade_install(alice, install.id, without_sync.id, NOW, disable_missing=True)
    target = first if way == "back" else an_extension_version(extension, "3.0.0", [SYNC])

    plan = upgrade_plan(install.tenant_id, install.id, target.id)
    upgrade_install(alice, install.id, target.id, NOW)

    assert [one.schedule_id for one in plan.back] == [sync.id]
    assert (called_by(sync), stored(sync).status) == ((target.version, SYNC), "paused")
    assert cursor_of(sync).wake_at is None


def test_what_was_left_behind_can_be_given_another_endpoint_and_stays_paused(
    alice: Any, install: Any, without_sync: Any, extension: Any
) -> None:
    sync = calling(install, SYNC)
    upgrade_install(alice, install.id, without_sync.id, NOW, disable_missing=True)
    third = an_extension_version(extension, "3.0.0", [REPORT])

    upgrade_install(alice, install.id, third.id, NOW, remap={sync.id: endpoint(third, REPORT).id})

    assert (called_by(sync), stored(sync).status) == (("3.0.0", REPORT), "paused")


def test_an_endpoint_that_needs_another_payload_is_refused_with_the_field(
    alice: Any, install: Any, extension: Any
) -> None:
    sync = calling(install, SYNC, payload_json={"note": "swordfish"})
    second = an_extension_version(extension, "2.0.0", [declared(REPORT, NEEDS_REGION)])

    with pytest.raises(Refused) as refused:
        upgrade_install(alice, install.id, second.id, NOW, remap={sync.id: endpoint(second, REPORT).id})

    message = refused.value.problems[0].message
    assert "region" in message
    assert "swordfish" not in message


@pytest.mark.parametrize("endpoints", [[HEALTH], [declared(SYNC, NEEDS_REGION), HEALTH]])
def test_a_paused_schedule_whose_timing_cannot_be_computed_any_more_keeps_nobody_from_upgrading(
    alice: Any, install: Any, extension: Any, db: Any, endpoints: list[Any]
) -> None:
    """Its zone is gone, for one: left without its endpoint, or with a payload that does not fit there."""
    broken = calling(install, SYNC, status="paused")
    db.execute(text("UPDATE schedules SET timezone = 'Mars/Base' WHERE id = :id"), {"id": broken.id})
    db.expire_all()
    second = an_extension_version(extension, "2.0.0", endpoints)

    upgrade_install(alice, install.id, second.id, ELEVEN + timedelta(minutes=1), disable_missing=True)

    assert install.version_id == second.id
    assert stored(broken).status == ("paused" if len(endpoints) == 1 else "invalid")
    assert (cursor_of(broken).next_fire_at, cursor_of(broken).wake_at) == (None, None)
