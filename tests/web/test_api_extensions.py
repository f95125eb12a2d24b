"""/api/extensions: publishing, versions, installing, configuring, holding, uninstalling, and secrets that are never read."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.permissions import VIEWER
from domain.accounts.tenants import Tenant
from domain.extensions.install_secrets import install_secret_values
from domain.extensions.installs import Install, current_install
from tests.calls import a_call_schedule
from tests.factories import (
    a_manifest,
    a_tenant,
    a_token,
    a_user,
    an_extension,
    an_extension_version,
    an_install,
)
from tests.statements import counted
from tests.web.callers import Caller, problems_of


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def bob(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme, "bob@acme.test", VIEWER), "bob")[1])


@pytest.fixture
def charlie(app: Flask, db: Any) -> Caller:
    other = a_tenant("globex")
    return Caller(app.test_client(), a_token(other, a_user(other, "charlie@globex.test"), "charlie")[1])


def published(alice: Caller, version: str = "1.0.0", **values: Any) -> Any:
    answer = alice.post("/extensions", {"manifest": a_manifest(version, **values)})
    assert answer.status_code == 201, answer.json
    return answer.json


def test_a_manifest_is_published_once_and_read_back(alice: Caller) -> None:
    manifest = a_manifest("1.4.0", capabilities=["cap:http.fetch"])
    first = alice.post("/extensions", {"manifest": manifest})
    assert first.status_code == 201, first.json
    assert first.headers["Location"].endswith(
        f"/api/extensions/{first.json['extensionId']}/versions/{first.json['id']}"
    )
    assert (first.json["version"], first.json["manifest"], first.json["upgraded"]) == ("1.4.0", manifest, None)
    assert first.json["capabilities"] == ["cap:http.fetch"]
    called = {f"{one['method']} {one['path']}": one["schedulable"] for one in first.json["endpoints"]}
    assert called == {"POST /api/sync": True, "GET /api/health": True, "GET /api/devices/:id": False}
    again = alice.post("/extensions", {"manifest": manifest})
    assert (again.status_code, again.json["id"]) == (200, first.json["id"])
    changed = alice.post("/extensions", {"manifest": a_manifest("1.4.0", ["GET /api/other"])})
    assert (changed.status_code, changed.json["code"]) == (409, "EXTENSION_VERSION_EXISTS")


def test_what_is_wrong_in_a_manifest_stands_at_its_place(alice: Caller) -> None:
    broken = a_manifest("one", ["POST /api/sync", "GET /a b"], runtime="")
    refused = alice.post("/extensions", {"manifest": broken})
    assert refused.status_code == 422
    assert set(problems_of(refused)) == {"manifest/version", "manifest/runtime", "manifest/api/endpoints/1/path"}
    assert problems_of(alice.post("/extensions", {})) == {"manifest": "MANIFEST_REQUIRED"}
    assert problems_of(alice.post("/extensions", {"manifest": {}, "latest": True})) == {"latest": "UNKNOWN_FIELD"}


def test_extensions_are_listed_by_name_page_by_page(alice: Caller, acme: Tenant, db: Any) -> None:
    for letter in "cab":
        an_extension_version(an_extension(acme, f"com.acme.{letter}"))
    shared = an_install(acme, an_extension_version(an_extension(None, "com.shared.d")))
    an_extension_version(an_extension(None, "com.shared.d-next", "Others"), "2.0.0")
    db.commit()
    first = alice.get("/extensions?limit=3").json
    names = [item["name"] for item in first["items"]]
    second = alice.get(f"/extensions?limit=3&cursor={first['nextCursor']}").json
    assert [*names, *(item["name"] for item in second["items"])] == [
        *(f"com.acme.{letter}" for letter in "abc"),
        *("com.shared.d", "com.shared.d-next"),
    ]
    assert second["nextCursor"] is None
    (installed,) = alice.get("/extensions?state=installed").json["items"]
    assert installed["id"] == str(shared.extension_id)
    assert (installed["installedVersion"], installed["enabled"], installed["isOwn"]) == ("1.0.0", True, False)
    assert [item["name"] for item in alice.get("/extensions?q=others").json["items"]] == ["com.shared.d-next"]
    assert problems_of(alice.get("/extensions?state=broken")) == {"state": "CHOICE_INVALID"}


def test_a_page_of_extensions_costs_the_same_however_many_are_on_it(alice: Caller, acme: Tenant, db: Any) -> None:
    def cost() -> int:
        db.commit()
        alice.get("/extensions")
        with counted() as statements:
            assert alice.get("/extensions").status_code == 200
        return len(statements)

    an_install(acme)
    few = cost()
    for number in range(12):
        an_install(acme, an_extension_version(an_extension(acme, f"com.acme.n{number}")))
    assert cost() == few


def test_versions_are_listed_latest_first_and_deleted_while_nothing_refers_to_them(
    alice: Caller, acme: Tenant, db: Any
) -> None:
    for version in ("1.0.0", "1.10.0", "1.9.0"):
        made = published(alice, version)
    path = f"/extensions/{made['extensionId']}"
    first = alice.get(f"{path}/versions?limit=2").json
    assert [item["version"] for item in first["items"]] == ["1.10.0", "1.9.0"]
    second = alice.get(f"{path}/versions?limit=2&cursor={first['nextCursor']}").json
    assert ([item["version"] for item in second["items"]], second["nextCursor"]) == (["1.0.0"], None)
    assert alice.post(f"{path}/install", {"version": "1.0.0"}).status_code == 201
    kept = alice.delete(f"{path}/versions/{second['items'][0]['id']}")
    assert (kept.status_code, kept.json["code"]) == (409, "VERSION_IN_USE")
    assert alice.delete(f"{path}/versions/{made['id']}").status_code == 204
    assert alice.get(f"{path}/versions/{made['id']}").status_code == 404
    assert problems_of(alice.get(f"{path}/versions?cursor={made['id']}")) == {"cursor": "CURSOR_UNKNOWN"}
    assert alice.get(path).json["latestVersion"] == "1.10.0"


def test_what_the_whole_installation_has_is_not_deleted_by_a_tenant(alice: Caller, db: Any) -> None:
    shared = an_extension_version(an_extension(None, "com.shared.sync"))
    db.commit()
    answer = alice.delete(f"/extensions/{shared.extension_id}/versions/{shared.id}")
    assert answer.status_code == 403
    assert alice.get(f"/extensions/{shared.extension_id}/versions/{shared.id}").status_code == 200


def test_the_latest_version_is_installed_with_what_an_admin_grants(alice: Caller) -> None:
    published(alice, "1.0.0")
    made = published(alice, "1.1.0", capabilities=["cap:http.fetch", "cap:secrets.get"])
    path = f"/extensions/{made['extensionId']}/install"
    assert alice.get(path).status_code == 404
    installed = alice.post(path, {"config": {"region": "eu"}, "capabilities": ["cap:http.fetch"]})
    assert installed.status_code == 201, installed.json
    assert installed.headers["Location"].endswith(f"/api{path}")
    document = installed.json
    assert (document["version"], document["enabled"], document["config"]) == ("1.1.0", True, {"region": "eu"})
    assert document["capabilities"] == ["cap:http.fetch"]
    assert document["askedCapabilities"] == ["cap:http.fetch", "cap:secrets.get"]
    assert alice.get(path).json == document
    assert alice.get(f"/extensions/{made['extensionId']}").json["install"] == document
    again = alice.post(path, {})
    assert (again.status_code, again.json["code"]) == (409, "ALREADY_INSTALLED")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"version": "9.9.9"}, {"version": "VERSION_UNKNOWN"}),
        ({"version": 1}, {"version": "TEXT_REQUIRED"}),
        ({"capabilities": ["cap:storage.kv"]}, {"capabilities": "CAPABILITY_NOT_ASKED"}),
        ({"capabilities": ["nonsense"]}, {"capabilities/0": "CAPABILITY_UNKNOWN"}),
        ({"config": {"region": 1}}, {"config/region": "CONFIG_INVALID"}),
        ({"config": []}, {"config": "CONFIG_INVALID"}),
        ({"enabled": False}, {"enabled": "READ_ONLY_FIELD"}),
    ],
)
def test_each_problem_of_an_install_stands_at_its_member(
    alice: Caller, acme: Tenant, db: Any, body: Any, problem: Any
) -> None:
    made = published(alice)
    answer = alice.post(f"/extensions/{made['extensionId']}/install", body)
    assert (answer.status_code, problems_of(answer)) == (422, problem)
    assert current_install(acme.id, made["extensionId"]) is None


def test_a_change_of_an_install_touches_only_what_it_names(alice: Caller, acme: Tenant, db: Any) -> None:
    version = an_extension_version(an_extension(acme), capabilities=["cap:http.fetch"])
    install = an_install(acme, version, config={"region": "eu"}, capabilities=["cap:http.fetch"])
    db.commit()
    path = f"/extensions/{install.extension_id}/install"
    seen = alice.get(path).json["revision"]
    configured = alice.patch(path, {"config": {"region": "us"}, "revision": seen})
    assert (configured.json["config"], configured.json["capabilities"]) == ({"region": "us"}, ["cap:http.fetch"])
    stale = alice.patch(path, {"config": {}, "revision": seen})
    assert (stale.status_code, stale.json["code"]) == (409, "CONFLICT")
    revoked = alice.patch(path, {"capabilities": None}).json
    assert (revoked["config"], revoked["capabilities"]) == ({"region": "us"}, [])
    assert problems_of(alice.patch(path, {"version": "2.0.0"})) == {"version": "READ_ONLY_FIELD"}


def test_an_install_is_held_with_a_reason_and_let_go_on(alice: Caller, acme: Tenant, db: Any) -> None:
    install = an_install(acme)
    db.commit()
    path = f"/extensions/{install.extension_id}/install"
    held = alice.post(f"{path}/disable", {"reason": "Audit"})
    assert held.status_code == 200
    assert (held.json["enabled"], held.json["disableReason"]) == (False, "Audit")
    twice = alice.post(f"{path}/disable", {"reason": "Audit"})
    assert (twice.status_code, twice.json["code"]) == (409, "STALE_TRANSITION")
    assert alice.get("/extensions").json["items"][0]["enabled"] is False
    enabled = alice.post(f"{path}/enable").json
    assert (enabled["enabled"], enabled["disabledAt"], enabled["disableReason"]) == (True, None, None)
    assert problems_of(alice.post(f"{path}/disable", {"reason": 7})) == {"reason": "TEXT_REQUIRED"}


def test_uninstalling_ends_its_schedules_and_leaves_the_extension(alice: Caller, acme: Tenant, db: Any) -> None:
    install = an_install(acme)
    schedule = a_call_schedule(install)
    db.commit()
    path = f"/extensions/{install.extension_id}"
    assert alice.delete(f"{path}/install").status_code == 204
    assert alice.delete(f"{path}/install").status_code == 404
    assert alice.get(path).json["install"] is None
    assert alice.get(f"{path}/schedules").status_code == alice.get(f"{path}/endpoints").status_code == 404
    assert alice.get(f"/schedules/{schedule.id}").status_code == 404


def test_secrets_are_written_listed_by_name_and_never_shown(alice: Caller, acme: Tenant, db: Any) -> None:
    install = an_install(acme)
    db.commit()
    path = f"/extensions/{install.extension_id}/install/secrets"
    made = alice.send("PUT", f"{path}/API_KEY", {"value": "correct horse"})
    replaced = alice.send("PUT", f"{path}/API_KEY", {"value": "battery staple"})
    alice.send("PUT", f"{path}/OTHER", {"value": "correct horse"})
    assert (made.status_code, replaced.status_code) == (201, 200)
    listed = alice.get(path)
    assert [item["name"] for item in listed.json["items"]] == ["API_KEY", "OTHER"]
    for answer in (made, replaced, listed, alice.get(f"/extensions/{install.extension_id}")):
        assert "horse" not in answer.text and "staple" not in answer.text
    assert install_secret_values(install)["API_KEY"] == "battery staple"
    told = str([(entry.before, entry.after) for entry in db.scalars(select(AuditEntry))])
    assert "API_KEY" in told and "staple" not in told
    assert problems_of(alice.send("PUT", f"{path}/1st", {"value": "x"})) == {
        "name": "SECRET_NAME_INVALID",
        "value": "SECRET_TOO_SHORT",
    }
    assert problems_of(alice.send("PUT", f"{path}/API_KEY", {"value": 1})) == {"value": "TEXT_REQUIRED"}
    assert alice.delete(f"{path}/API_KEY").status_code == 204
    assert alice.delete(f"{path}/API_KEY").status_code == alice.delete(f"{path}/a%00b").status_code == 404


def test_a_viewer_reads_and_changes_nothing(alice: Caller, bob: Caller, acme: Tenant, db: Any) -> None:
    install = an_install(acme)
    db.commit()
    path = f"/extensions/{install.extension_id}"
    for read in ("", "/versions", "/install", "/install/secrets", "/endpoints", "/schedules"):
        assert bob.get(f"{path}{read}").status_code == 200, read
    for answer in (
        bob.post("/extensions", {"manifest": a_manifest("2.0.0")}),
        bob.post(f"{path}/install/disable", {}),
        bob.patch(f"{path}/install", {"config": {}}),
        bob.delete(f"{path}/install"),
        bob.send("PUT", f"{path}/install/secrets/API_KEY", {"value": "correct horse"}),
        bob.post(f"{path}/upgrade", {"version": "latest"}),
    ):
        assert answer.status_code == 403
    assert db.get(Install, install.id).enabled


def test_another_tenant_finds_nothing_of_it(charlie: Caller, acme: Tenant, db: Any) -> None:
    install = an_install(acme)
    db.commit()
    path = f"/extensions/{install.extension_id}"
    assert charlie.get("/extensions").json["items"] == []
    assert problems_of(charlie.get(f"/extensions?cursor={install.extension_id}")) == {"cursor": "CURSOR_UNKNOWN"}
    for read in ("", "/versions", f"/versions/{install.version_id}", "/install", "/endpoints", "/schedules"):
        assert charlie.get(f"{path}{read}").status_code == 404, read
    assert charlie.post(f"{path}/install", {}).status_code == 404


def test_what_the_whole_installation_has_is_installed_by_each_tenant_alone(
    alice: Caller, charlie: Caller, acme: Tenant, db: Any
) -> None:
    shared = an_extension_version(an_extension(None, "com.shared.sync"))
    db.commit()
    path = f"/extensions/{shared.extension_id}"
    assert alice.post(f"{path}/install", {"config": {"region": "eu"}}).status_code == 201
    assert charlie.get(path).json["install"] is None
    assert charlie.get(f"{path}/install").status_code == 404
    assert charlie.post(f"{path}/install", {}).json["config"] == {}
