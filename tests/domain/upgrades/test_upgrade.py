"""Changing the version of an install moves its schedules in the same transaction, forward and back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor, AuditEntry
from domain.kernel.errors import Conflict, Held, NotFound
from domain.schedules.occurrences import Occurrence
from domain.upgrades import uninstall, upgrade_install, upgrade_plan
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
    stored,
)
from tests.factories import NOW, a_tenant, an_extension, an_extension_version, an_install

FITS = {"region": "eu"}


def test_every_schedule_calls_the_new_version_and_stays_as_it_was(alice: Any, install: Any, extension: Any) -> None:
    sync, health = calling(install, SYNC), calling(install, HEALTH, "Alive?", status="paused", pause_reason="a storm")
    second = an_extension_version(extension, "2.0.0", [HEALTH, SYNC])

    done = upgrade_install(alice, install.id, second.id, NOW)

    assert (done.from_version, done.to_version, done.remapped, done.is_changed) == ("1.0.0", "2.0.0", 2, True)
    assert (install.version_id, install.revision) == (second.id, 2)
    assert [called_by(sync), called_by(health)] == [("2.0.0", SYNC), ("2.0.0", HEALTH)]
    assert (stored(sync).status, stored(health).status, stored(health).pause_reason) == ("active", "paused", "a storm")
    assert cursor_of(sync).wake_at == ELEVEN


def test_going_back_takes_the_schedules_back(alice: Any, install: Any, extension: Any, first: Any) -> None:
    sync = calling(install, SYNC)
    second = an_extension_version(extension, "2.0.0", [SYNC])
    upgrade_install(alice, install.id, second.id, NOW)

    upgrade_install(alice, install.id, first.id, NOW)

    assert (install.version_id, called_by(sync), stored(sync).status) == (first.id, ("1.0.0", SYNC), "active")


def test_the_same_version_again_changes_nothing_and_leaves_no_trace(
    alice: Any, install: Any, first: Any, db: Any
) -> None:
    calling(install)

    assert not upgrade_install(alice, install.id, first.id, NOW).is_changed

    assert install.revision == 1
    assert db.scalars(select(AuditEntry)).all() == []


def test_who_changed_what_is_on_record_for_the_install_and_each_schedule(
    alice: Any, install: Any, extension: Any
) -> None:
    sync = calling(install, SYNC)
    second = an_extension_version(extension, "2.0.0", [SYNC])

    upgrade_install(alice, install.id, second.id, NOW)

    (upgraded,), (remapped,) = audited("install.upgraded"), audited("schedule.remapped")
    assert (upgraded.actor_id, upgraded.subject_kind, upgraded.subject_id) == (alice.user_id, "install", install.id)
    assert upgraded.before == {"version": "1.0.0", "capabilities": []}
    assert upgraded.after == {"extension": extension.name, "version": "2.0.0", "capabilities": []}
    assert (remapped.subject_id, remapped.before["version"], remapped.after["version"]) == (sync.id, "1.0.0", "2.0.0")


def test_what_no_longer_fits_becomes_invalid_and_comes_back_paused(
    alice: Any, install: Any, extension: Any, first: Any
) -> None:
    fits, misfit = calling(install, name="Fits", payload_json=FITS), calling(install, name="Does not")
    second = an_extension_version(extension, "2.0.0", [declared(SYNC, NEEDS_REGION)])

    done = upgrade_install(alice, install.id, second.id, NOW)

    assert (done.invalidated, stored(fits).status, stored(misfit).status) == (1, "active", "invalid")
    assert "payload" in str(stored(misfit).invalid_reason)
    assert audited("schedule.invalidated")[0].reason == stored(misfit).invalid_reason

    back = upgrade_install(alice, install.id, first.id, NOW)

    assert (back.recovered, stored(misfit).status, cursor_of(misfit).wake_at) == (1, "paused", None)
    assert stored(misfit).pause_reason == "Fits again since version 1.0.0: resume it when you are ready"
    assert [entry.subject_id for entry in audited("schedule.recovered")] == [misfit.id]


def test_the_pause_of_what_becomes_invalid_ends_on_record(alice: Any, install: Any, extension: Any, db: Any) -> None:
    calling(install, payload_json={}, status="paused", pause_reason="a storm")
    second = an_extension_version(extension, "2.0.0", [declared(SYNC, NEEDS_REGION)])

    upgrade_install(alice, install.id, second.id, ELEVEN + timedelta(minutes=5))

    gap = db.scalars(select(Occurrence)).one()
    assert (gap.outcome, gap.reason, gap.scheduled_for) == ("skipped", "paused", ELEVEN)
    assert "a storm" in gap.detail


def test_secrets_that_the_new_schema_marks_are_sealed(alice: Any, install: Any, extension: Any) -> None:
    schedule = calling(install, payload_json={"token": "purple-tortoise"})
    schema = {"type": "object", "properties": {"token": {"type": "string", "x-secret": True}}}
    second = an_extension_version(extension, "2.0.0", [declared(SYNC, schema)])

    upgrade_install(alice, install.id, second.id, NOW)

    assert list(stored(schedule).payload_json["token"]) == ["$sealed"]


def test_more_capabilities_need_a_yes(alice: Any, install: Any, extension: Any, first: Any) -> None:
    second = an_extension_version(extension, "2.0.0", [SYNC, HEALTH], capabilities=["cap:http.fetch"])

    with pytest.raises(Held) as held:
        upgrade_install(alice, install.id, second.id, NOW, grant=["cap:storage.kv"])

    assert (held.value.code, install.version_id, install.capabilities) == ("CAPABILITIES_REQUIRED", first.id, [])
    assert "cap:http.fetch" in held.value.message

    upgrade_install(alice, install.id, second.id, NOW, grant=["cap:http.fetch"])
    assert install.capabilities == ["cap:http.fetch"]


def test_a_yes_grants_nothing_that_the_version_does_not_ask(alice: Any, install: Any, extension: Any) -> None:
    second = an_extension_version(extension, "2.0.0", [SYNC])

    upgrade_install(alice, install.id, second.id, NOW, grant=["cap:http.fetch"])

    assert install.capabilities == []


def test_a_capability_that_was_denied_stays_denied(alice: Any, acme: Any, extension: Any) -> None:
    first = an_extension_version(extension, "1.0.0", capabilities=["cap:http.fetch"])
    install = an_install(acme, first)
    second = an_extension_version(extension, "2.0.0", capabilities=["cap:http.fetch"])

    upgrade_install(alice, install.id, second.id, NOW)

    assert install.capabilities == []


def test_what_a_version_does_not_ask_is_given_back_and_asked_for_anew(alice: Any, acme: Any, extension: Any) -> None:
    first = an_extension_version(extension, "1.0.0", capabilities=["cap:http.fetch"])
    install = an_install(acme, first, capabilities=["cap:http.fetch"])
    second = an_extension_version(extension, "2.0.0")

    upgrade_install(alice, install.id, second.id, NOW)

    assert install.capabilities == []
    with pytest.raises(Held):
        upgrade_install(alice, install.id, first.id, NOW)


def test_a_confirmation_holds_only_for_the_plan_it_was_given_to(alice: Any, install: Any, extension: Any) -> None:
    calling(install, SYNC)
    second = an_extension_version(extension, "2.0.0", [HEALTH])
    seen = upgrade_plan(install.tenant_id, install.id, second.id).fingerprint
    late = calling(install, SYNC, "Made meanwhile")

    with pytest.raises(Conflict):
        upgrade_install(alice, install.id, second.id, NOW, disable_missing=True, fingerprint=seen)

    assert (stored(late).status, install.version_id) != ("paused", second.id)
    anew = upgrade_plan(install.tenant_id, install.id, second.id).fingerprint
    assert upgrade_install(alice, install.id, second.id, NOW, disable_missing=True, fingerprint=anew).disabled == 2


def test_what_the_plan_said_is_what_happens(alice: Any, install: Any, extension: Any) -> None:
    calling(install, name="Goes on", payload_json=FITS)
    calling(install, name="Does not fit")
    calling(install, name="Fits again", payload_json=FITS, status="invalid", invalid_reason="it did not")
    calling(install, HEALTH, "Is missing")
    second = an_extension_version(extension, "2.0.0", [declared(SYNC, NEEDS_REGION)])
    told = upgrade_plan(install.tenant_id, install.id, second.id)

    done = upgrade_install(alice, install.id, second.id, NOW, disable_missing=True)

    assert (done.remapped, done.disabled, done.invalidated, done.recovered) == (
        len(told.remapped),
        len(told.missing),
        len(told.newly_invalid),
        len(told.recovering),
    )
    assert upgrade_plan(install.tenant_id, install.id, second.id).missing == ()


def test_a_version_of_another_extension_and_another_tenants_install_are_not_found(
    alice: Any, install: Any, acme: Any, extension: Any
) -> None:
    stranger = an_extension_version(an_extension(acme, "com.acme.other"))
    second = an_extension_version(extension, "2.0.0")

    with pytest.raises(NotFound):
        upgrade_install(alice, install.id, stranger.id, NOW)
    with pytest.raises(NotFound):
        upgrade_install(Actor(a_tenant("globex").id), install.id, second.id, NOW)


def test_what_was_uninstalled_cannot_be_upgraded(alice: Any, install: Any, extension: Any) -> None:
    second = an_extension_version(extension, "2.0.0")
    uninstall(alice, install.id, NOW)

    with pytest.raises(NotFound):
        upgrade_install(alice, install.id, second.id, NOW)


def test_a_schedule_without_a_name_is_called_what_it_calls(alice: Any, install: Any, extension: Any) -> None:
    unnamed, named = calling(install, SYNC), calling(install, SYNC, "Nightly")
    second = an_extension_version(extension, "2.0.0", [REPORT])
    target = upgrade_plan(install.tenant_id, install.id, second.id).choices[0].endpoint_id

    upgrade_install(alice, install.id, second.id, NOW, remap={unnamed.id: target, named.id: target})

    assert (stored(unnamed).name, stored(named).name) == (REPORT, "Nightly")
