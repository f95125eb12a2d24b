"""POST /api/extensions/{id}/upgrade: what it would do, what keeps it from happening, and what came of it."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.extensions.extensions import ExtensionVersion, extension_of
from domain.extensions.installs import Install
from domain.schedules.schedules import Schedule
from tests.calls import a_call_schedule
from tests.factories import a_manifest, a_token, a_user, an_endpoint, an_extension_version, an_install
from tests.web.callers import Caller, problems_of

SYNC, HEALTH, PULL = "POST /api/sync", "GET /api/health", "POST /api/pull"


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def install(acme: Tenant, db: Any) -> Install:
    """1.0.0 has POST /api/sync and GET /api/health."""
    return an_install(acme)


@pytest.fixture
def newer(install: Install) -> ExtensionVersion:
    """2.0.0 keeps GET /api/health and has POST /api/pull instead."""
    return a_version_of(install, "2.0.0", [HEALTH, PULL])


def a_version_of(install: Install, number: str, endpoints: list[str], **manifest: Any) -> ExtensionVersion:
    return an_extension_version(extension_of(install.tenant_id, install.extension_id), number, endpoints, **manifest)


@pytest.fixture
def path(install: Install) -> str:
    return f"/extensions/{install.extension_id}"


def test_schedules_follow_an_upgrade_and_come_back_with_the_old_version(
    alice: Caller, install: Install, path: str, db: Any
) -> None:
    a_version_of(install, "1.1.0", [SYNC, HEALTH, PULL])
    schedule = a_call_schedule(install)
    before = schedule.endpoint_id
    db.commit()
    upgraded = alice.post(f"{path}/upgrade", {"version": "latest"})
    assert upgraded.status_code == 200, upgraded.json
    assert (upgraded.json["fromVersion"], upgraded.json["toVersion"]) == ("1.0.0", "1.1.0")
    assert (upgraded.json["changed"], upgraded.json["remapped"]) == (True, 1)
    told = alice.get(f"{path}/schedules/{schedule.id}").json
    assert (told["endpointId"] != str(before), told["endpointStale"], told["enabled"]) == (True, False, True)
    assert alice.post(f"{path}/upgrade", {"version": "1.0.0"}).json["remapped"] == 1
    assert alice.get(f"{path}/schedules/{schedule.id}").json["endpointId"] == str(before)
    assert alice.post(f"{path}/upgrade", {"version": "1.0.0"}).json["changed"] is False


@pytest.mark.usefixtures("newer")
def test_an_upgrade_that_strands_schedules_is_refused_with_the_list_of_them(
    alice: Caller, install: Install, newer: ExtensionVersion, path: str, db: Any
) -> None:
    stranded, kept = a_call_schedule(install, "Sync"), a_call_schedule(install, "Health", HEALTH)
    db.commit()
    refused = alice.post(f"{path}/upgrade", {"version": "2.0.0"})
    assert (refused.status_code, refused.json["code"]) == (409, "SCHEDULE_REMAP_FAILED")
    assert refused.content_type == "application/problem+json"
    (missing,) = refused.json["missing"]
    nearest = missing.pop("nearest")
    assert missing == {
        "scheduleId": str(stranded.id),
        "name": "Sync",
        "enabled": True,
        "method": "POST",
        "path": "/api/sync",
    }
    assert nearest[0] == {"endpointId": str(an_endpoint(newer, PULL).id), "method": "POST", "path": "/api/pull"}
    assert alice.get(f"{path}/install").json["version"] == "1.0.0"
    assert alice.get(f"{path}/schedules/{kept.id}").json["endpointId"] == str(kept.endpoint_id)
    actions = list(db.scalars(select(AuditEntry.action)))
    assert "api.upgrade_extension" in actions and "install.upgraded" not in actions


@pytest.mark.usefixtures("newer")
def test_missing_ones_are_disabled_when_asked_for(alice: Caller, install: Install, path: str, db: Any) -> None:
    stranded = a_call_schedule(install)
    db.commit()
    assert problems_of(alice.post(f"{path}/upgrade", {"version": "2.0.0", "disableMissing": "all"})) == {
        "disableMissing": "ARRAY_REQUIRED"
    }
    done = alice.post(f"{path}/upgrade", {"version": "2.0.0", "disableMissing": [str(stranded.id)]})
    assert (done.status_code, done.json["disabled"]) == (200, 1)
    told = alice.get(f"{path}/schedules/{stranded.id}").json
    assert (told["enabled"], told["endpointStale"]) == (False, True)
    assert told["pauseReason"]


def test_missing_ones_call_another_endpoint_when_told_which(
    alice: Caller, install: Install, newer: ExtensionVersion, path: str, db: Any
) -> None:
    stranded = a_call_schedule(install)
    db.commit()
    pull, own = str(an_endpoint(newer, PULL).id), str(stranded.endpoint_id)
    wrong = alice.post(f"{path}/upgrade", {"version": "2.0.0", "remap": {str(stranded.id): own}})
    assert problems_of(wrong) == {f"remap/{stranded.id}": "ENDPOINT_UNKNOWN"}
    nonsense = alice.post(f"{path}/upgrade", {"version": "2.0.0", "remap": {"Sync": pull}})
    assert problems_of(nonsense) == {"remap/Sync": "ID_INVALID"}
    done = alice.post(f"{path}/upgrade", {"version": "2.0.0", "remap": {str(stranded.id): pull}})
    assert (done.status_code, done.json["redirected"]) == (200, 1)
    assert alice.get(f"{path}/schedules/{stranded.id}").json["path"] == "/api/pull"


def test_a_dry_run_tells_what_is_left_to_say_and_changes_nothing(
    alice: Caller, install: Install, newer: ExtensionVersion, path: str, db: Any
) -> None:
    stranded, kept = a_call_schedule(install, "Sync"), a_call_schedule(install, "Health", HEALTH)
    db.commit()
    rows = len(list(db.scalars(select(AuditEntry.id))))
    asked = {"version": "2.0.0", "dryRun": True}
    told = alice.post(f"{path}/upgrade", asked)
    assert told.status_code == 200
    assert (told.json["ready"], told.json["unanswered"]) == (False, [str(stranded.id)])
    assert [one["scheduleId"] for one in told.json["remapped"]] == [str(kept.id)]
    assert [one["name"] for one in told.json["missing"]] == ["Sync"]
    remap = {str(stranded.id): str(an_endpoint(newer, PULL).id)}
    for answer in ({"remap": remap}, {"disableMissing": True}):
        said = alice.post(f"{path}/upgrade", asked | answer).json
        assert (said["ready"], said["unanswered"], len(said["missing"])) == (True, [], 1)
    assert len(list(db.scalars(select(AuditEntry.id)))) == rows
    db.expire_all()
    assert db.get(Install, install.id).version_id != newer.id
    assert db.get(Schedule, stranded.id).status == "active"


@pytest.mark.usefixtures("newer")
def test_what_was_agreed_to_is_bound_to_the_preview_of_it(alice: Caller, install: Install, path: str, db: Any) -> None:
    a_call_schedule(install)
    db.commit()
    asked = {"version": "2.0.0", "disableMissing": True}
    seen = alice.post(f"{path}/upgrade", asked | {"dryRun": True}).json["fingerprint"]
    later = a_call_schedule(install, "Later")
    db.commit()
    refused = alice.post(f"{path}/upgrade", asked | {"fingerprint": seen})
    assert (refused.status_code, refused.json["code"]) == (409, "CONFLICT")
    assert alice.get(f"{path}/schedules/{later.id}").json["enabled"] is True
    seen = alice.post(f"{path}/upgrade", asked | {"dryRun": True}).json["fingerprint"]
    assert alice.post(f"{path}/upgrade", asked | {"fingerprint": seen}).json["disabled"] == 2


def test_a_version_that_asks_for_more_needs_a_yes(alice: Caller, install: Install, path: str, db: Any) -> None:
    a_version_of(install, "1.1.0", [SYNC], capabilities=["cap:http.fetch"])
    db.commit()
    refused = alice.post(f"{path}/upgrade", {"version": "1.1.0"})
    assert (refused.status_code, refused.json["code"]) == (409, "CAPABILITIES_REQUIRED")
    told = alice.post(f"{path}/upgrade", {"version": "1.1.0", "dryRun": True}).json
    assert (told["ready"], told["ungranted"]) == (False, ["cap:http.fetch"])
    assert problems_of(alice.post(f"{path}/upgrade", {"version": "1.1.0", "grant": ["root"]})) == {
        "grant/0": "CAPABILITY_UNKNOWN"
    }
    assert alice.post(f"{path}/upgrade", {"version": "1.1.0", "grant": ["cap:http.fetch"]}).status_code == 200
    assert alice.get(f"{path}/install").json["capabilities"] == ["cap:http.fetch"]


def test_the_version_is_named_and_exists(alice: Caller, path: str, db: Any) -> None:
    db.commit()
    assert problems_of(alice.post(f"{path}/upgrade", {})) == {"version": "VERSION_REQUIRED"}
    assert problems_of(alice.post(f"{path}/upgrade", {"version": "7.0.0"})) == {"version": "VERSION_UNKNOWN"}


def test_publishing_upgrades_when_asked_for_and_publishes_nothing_when_it_cannot(
    alice: Caller, install: Install, path: str, db: Any
) -> None:
    stranded = a_call_schedule(install)
    db.commit()
    body = {"manifest": a_manifest("3.0.0", [PULL]), "upgrade": True}
    refused = alice.post("/extensions", body)
    assert (refused.status_code, refused.json["code"]) == (409, "SCHEDULE_REMAP_FAILED")
    assert [one["scheduleId"] for one in refused.json["missing"]] == [str(stranded.id)]
    assert [item["version"] for item in alice.get(f"{path}/versions").json["items"]] == ["1.0.0"]
    done = alice.post("/extensions", body | {"disableMissing": True})
    assert done.status_code == 201
    assert (done.json["upgraded"]["toVersion"], done.json["upgraded"]["disabled"]) == ("3.0.0", 1)
    assert alice.get(f"{path}/install").json["version"] == "3.0.0"


def test_sending_an_upgrade_twice_is_answered_with_what_the_first_did(
    alice: Caller, install: Install, path: str, db: Any
) -> None:
    a_version_of(install, "1.1.0", [SYNC])
    db.commit()
    first = alice.post(f"{path}/upgrade", {"version": "1.1.0"}, key="once")
    again = alice.post(f"{path}/upgrade", {"version": "1.1.0"}, key="once")
    assert first.json == again.json and first.json["changed"] is True
