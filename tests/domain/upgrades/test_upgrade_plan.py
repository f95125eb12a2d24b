"""What another version would mean for the schedules of an install: told beforehand, and nothing is changed by asking."""

from __future__ import annotations

from random import Random
from time import process_time
from typing import Any

import pytest

from domain.accounts.audit import Actor
from domain.kernel.errors import NotFound
from domain.upgrades import upgrade_plan
from tests.domain.upgrades.scene import HEALTH, NEEDS_REGION, REPORT, SYNC, calling, declared, endpoint, stored
from tests.factories import a_tenant, an_extension, an_extension_version
from tests.statements import counted

FITS, DOES_NOT = {"region": "eu"}, {"note": "swordfish"}


def plan(install: Any, version: Any) -> Any:
    return upgrade_plan(install.tenant_id, install.id, version.id)


def test_a_schedule_finds_its_endpoint_by_method_and_path(install: Any, extension: Any) -> None:
    sync, health = calling(install, SYNC), calling(install, HEALTH, "Alive?", status="paused")
    second = an_extension_version(extension, "2.0.0", [REPORT, HEALTH, SYNC])

    found = plan(install, second)

    assert [(one.schedule_id, one.endpoint_id) for one in found.going_on] == [
        (sync.id, endpoint(second, SYNC).id),
        (health.id, endpoint(second, HEALTH).id),
    ]
    assert (found.from_version, found.to_version, found.missing, found.new_capabilities) == ("1.0.0", "2.0.0", (), ())


def test_another_method_or_a_longer_path_is_another_endpoint(install: Any, extension: Any) -> None:
    calling(install, SYNC)
    second = an_extension_version(extension, "2.0.0", ["GET /api/sync", "POST /api/sync/all"])

    found = plan(install, second)

    assert [one.called for one in found.missing] == [SYNC]


def test_what_is_missing_is_told_with_the_nearest_endpoints_that_can_be_scheduled(install: Any, extension: Any) -> None:
    sync = calling(install, SYNC, "Nightly")
    called = ["POST /v2/other", "GET /api/sync2", "POST /api/sync2", "DELETE /api/sync", "POST /api/sync/:id", HEALTH]
    second = an_extension_version(extension, "2.0.0", called)

    missing = plan(install, second).missing

    assert [(one.schedule_id, one.name, one.enabled, one.method, one.path) for one in missing] == [
        (sync.id, "Nightly", True, "POST", "/api/sync")
    ]
    assert [near.called for near in missing[0].nearest] == ["POST /api/sync2", "GET /api/sync2", HEALTH]


def test_paused_completed_and_invalid_schedules_are_missing_too(install: Any, extension: Any) -> None:
    calling(install, status="paused")
    calling(install, status="completed")
    calling(install, status="invalid", invalid_reason="it does not fit")
    second = an_extension_version(extension, "2.0.0", [HEALTH])

    assert {(one.status, one.enabled) for one in plan(install, second).missing} == {
        ("paused", False),
        ("completed", False),
        ("invalid", False),
    }


def test_deleted_schedules_and_those_of_other_installs_are_none_of_it(install: Any, extension: Any, acme: Any) -> None:
    from tests.factories import NOW, an_install

    calling(install, deleted_at=NOW)
    other = an_extension_version(an_extension(acme, "com.acme.other"), "1.0.0", [SYNC])
    calling(an_install(acme, other))
    second = an_extension_version(extension, "2.0.0", [HEALTH])

    assert (plan(install, second).missing, plan(install, second).remapped) == ((), ())


def test_payloads_that_no_longer_fit_are_listed_with_the_field_and_without_their_values(
    install: Any, extension: Any
) -> None:
    calling(install, name="Fits", payload_json=FITS)
    misfit = calling(install, name="Does not", payload_json=DOES_NOT)
    calling(install, name="Without a body")
    second = an_extension_version(extension, "2.0.0", [declared(SYNC, NEEDS_REGION), HEALTH])

    found = plan(install, second)

    assert [one.name for one in found.going_on] == ["Fits"]
    assert [one.name for one in found.newly_invalid] == ["Does not", "Without a body"]
    reason = next(one.reason for one in found.newly_invalid if one.schedule_id == misfit.id)
    assert "region" in reason
    assert "swordfish" not in reason
    assert stored(misfit).status == "active"


def test_new_capabilities_are_those_that_nobody_granted_and_the_installed_version_did_not_ask(
    extension: Any, acme: Any
) -> None:
    from tests.factories import an_install

    asked = ["cap:http.fetch", "cap:storage.kv", "cap:log.emit"]
    first = an_extension_version(extension, "1.0.0", capabilities=asked[:1])
    install = an_install(acme, first)
    second = an_extension_version(extension, "2.0.0", capabilities=[*asked, "cap:secrets.get"])
    install.capabilities = ["cap:secrets.get"]

    assert plan(install, second).new_capabilities == ("cap:storage.kv",)


def test_the_fingerprint_tells_every_difference_that_matters(install: Any, extension: Any) -> None:
    sync = calling(install, SYNC)
    second = an_extension_version(extension, "2.0.0", [declared(SYNC, NEEDS_REGION), HEALTH])
    third = an_extension_version(extension, "3.0.0", [HEALTH])
    seen = {plan(install, second).fingerprint}
    assert seen == {plan(install, second).fingerprint}

    sync.payload_json = FITS
    seen.add(plan(install, second).fingerprint)
    seen.add(plan(install, third).fingerprint)
    calling(install, HEALTH)
    seen.add(plan(install, second).fingerprint)
    sync.status, sync.paused_at = "paused", sync.created_at
    seen.add(plan(install, second).fingerprint)

    assert len(seen) == 5


def test_a_version_of_another_extension_is_not_found(install: Any, acme: Any) -> None:
    stranger = an_extension_version(an_extension(acme, "com.acme.other"))

    with pytest.raises(NotFound):
        plan(install, stranger)


def test_another_tenant_finds_no_install(install: Any, extension: Any) -> None:
    second = an_extension_version(extension, "2.0.0")
    charlie = Actor(a_tenant("globex").id)

    with pytest.raises(NotFound):
        upgrade_plan(charlie.tenant_id, install.id, second.id)


def test_the_plan_takes_as_many_statements_for_twenty_schedules_as_for_one(
    install: Any, extension: Any, db: Any
) -> None:
    second = an_extension_version(extension, "2.0.0", [declared(SYNC, NEEDS_REGION)])
    ids = install.tenant_id, install.id, second.id
    calling(install, payload_json=FITS)
    with counted() as few:
        upgrade_plan(*ids)
    for number in range(10):
        calling(install, HEALTH, f"Health {number}")
        calling(install, SYNC, f"Sync {number}", payload_json=FITS)
    with counted() as many:
        upgrade_plan(*ids)

    assert len(many) == len(few)


def test_paths_that_are_hard_to_compare_keep_nobody_waiting(install: Any, extension: Any) -> None:
    letters = Random(5)
    hard = ["POST /" + "".join(letters.choices("ab", k=198)) for _ in range(400)]
    first = an_extension_version(extension, "1.9.0", hard[:1])
    install.version_id = first.id
    for number in range(50):
        calling(install, hard[0], f"Hourly {number}", endpoint=endpoint(first, hard[0]))
    second = an_extension_version(extension, "2.0.0", hard[1:])
    began = process_time()
    missing = plan(install, second).missing
    assert [len(one.nearest) for one in missing] == [3] * 50
    assert process_time() - began < 15
