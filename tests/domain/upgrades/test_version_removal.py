"""Taking back a version: only when nothing refers to it, and then with all that is its own."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select

from domain.accounts.audit import Actor, AuditEntry
from domain.accounts.tenants import Tenant
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.kernel.db import db as database
from domain.kernel.errors import Forbidden, Held, NotFound
from domain.kernel.ids import new_id
from domain.runs.invocations import Invocation
from domain.runs.runs import BY_HAND, Run
from domain.schedules.schedules import Schedule
from domain.upgrades.version_removal import delete_version, references_to
from tests.factories import (
    NOW,
    a_tenant,
    a_user,
    an_actor,
    an_endpoint,
    an_extension,
    an_extension_version,
    an_install,
)


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Tenant) -> Actor:
    return an_actor(acme, a_user(acme))


@pytest.fixture
def extension(acme: Tenant) -> Extension:
    return an_extension(acme)


@pytest.fixture
def version(extension: Extension) -> ExtensionVersion:
    """The first of two; the second one is installed in what follows."""
    return an_extension_version(extension, "1.0.0")


@pytest.fixture
def newer(extension: Extension) -> ExtensionVersion:
    return an_extension_version(extension, "1.1.0")


def rows(model: Any) -> int:
    return int(database.session.scalar(select(func.count()).select_from(model)) or 0)


def test_an_unused_version_goes_with_its_endpoints_and_leaves_the_others(
    db: Any, alice: Actor, version: ExtensionVersion, newer: ExtensionVersion
) -> None:
    deleted = delete_version(alice, alice.tenant_id, version.extension_id, version.id)

    assert (deleted.version, deleted.was_last) == ("1.0.0", False)
    assert (rows(ExtensionVersion), rows(ExtensionEndpoint)) == (1, 3)
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.before["version"]) == ("extension.version_deleted", "1.0.0")
    assert delete_version(alice, alice.tenant_id, newer.extension_id, newer.id).was_last
    assert (rows(ExtensionVersion), rows(ExtensionEndpoint)) == (0, 0)


@pytest.mark.parametrize("reference", ["install", "removed install", "schedule", "deleted schedule", "run", "call"])
def test_whatever_refers_to_a_version_keeps_it(
    acme: Tenant, alice: Actor, version: ExtensionVersion, newer: ExtensionVersion, reference: str
) -> None:
    words = refer(acme, version, newer, reference)

    with pytest.raises(Held, match=words) as held:
        delete_version(alice, alice.tenant_id, version.extension_id, version.id)

    assert held.value.code == "VERSION_IN_USE"
    assert len(references_to(version)) == 1
    assert (rows(ExtensionVersion), rows(ExtensionEndpoint)) == (2, 6)


def refer(acme: Tenant, version: ExtensionVersion, newer: ExtensionVersion, reference: str) -> str:
    if reference.endswith("install"):
        an_install(acme, version, deleted_at=NOW if reference == "removed install" else None)
        return "it was installed when" if reference == "removed install" else "it is installed"
    install = an_install(acme, newer)
    endpoint = an_endpoint(version)
    called: dict[str, Any] = {"tenant_id": acme.id, "install_id": install.id}
    if reference.endswith("schedule"):
        gone = {"deleted_at": NOW} if reference == "deleted schedule" else {}
        values = {"status": "paused", "paused_at": NOW} | gone
        values |= {"trigger_type": "recurring", "cron": "0 * * * *", "timezone": "UTC", "payload_json": None}
        add(Schedule(**called, endpoint_id=endpoint.id, target_kind="endpoint", name="Stale sync", **values))
        return r"schedules call its endpoints \(Stale sync\)"
    if reference == "run":
        target = {"endpoint_id": endpoint.id, "extension_version_id": version.id, "target_kind": "endpoint"}
        add(Run(**called, **target, status="queued", lane="call", started_by=BY_HAND, input_json=None))
        return "runs of it are on record"
    known = {"extension_id": version.extension_id, "version_id": version.id, "content_hash": version.content_hash}
    known |= {"run_id": new_id(), "step_path": "root", "iteration": "", "attempt": 1, "trigger": "manual"}
    known |= {"method": "POST", "path": "/api/sync", "idempotency_key": "k", "started_at": NOW}
    add(Invocation(**called, **known))
    return "calls of it are on record"


def add(row: Any) -> None:
    database.session.add(row)
    database.session.flush()


def test_strangers_find_no_version_and_nobody_deletes_what_is_for_everybody(
    alice: Actor, version: ExtensionVersion
) -> None:
    bravo = a_tenant("bravo")
    shared = an_extension_version(an_extension(name="com.shared.sync"))

    with pytest.raises(NotFound):
        delete_version(an_actor(bravo), bravo.id, version.extension_id, version.id)
    with pytest.raises(Forbidden):
        delete_version(alice, alice.tenant_id, shared.extension_id, shared.id)
    with pytest.raises(Forbidden):
        delete_version(None, None, version.extension_id, version.id)
    with pytest.raises(NotFound):
        delete_version(None, None, new_id(), shared.id)
    assert delete_version(None, None, shared.extension_id, shared.id).name == "com.shared.sync"
