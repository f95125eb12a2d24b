"""Publishing: a version gets in once and never changes, and only those it is for see it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError

from domain.accounts.audit import Actor, AuditEntry
from domain.extensions.endpoints import endpoints_of
from domain.extensions.extensions import (
    ExtensionVersion,
    extension_named,
    extension_of,
    version_of_extension,
    versions_of_extension,
)
from domain.extensions.manifests import content_hash, parse_manifest
from domain.extensions.registry import VersionExists, publish_version
from domain.kernel.errors import NotFound, Refused
from domain.kernel.ids import new_id
from tests.factories import NOW, a_manifest, a_tenant, a_user, an_actor, an_extension, an_extension_version


@pytest.fixture
def alice(db: Any) -> Actor:
    acme = a_tenant("acme")
    return an_actor(acme, a_user(acme))


def publish(actor: Actor | None, manifest: dict[str, Any]) -> ExtensionVersion:
    return publish_version(actor, actor.tenant_id if actor else None, json.dumps(manifest), NOW)


def test_a_published_version_has_its_hash_its_endpoints_and_a_row_of_audit(db: Any, alice: Actor) -> None:
    version = publish(alice, a_manifest("1.4.0"))

    extension = extension_of(alice.tenant_id, version.extension_id)
    assert (extension.publisher, extension.name, extension.created_by) == ("Acme", "com.acme.rmm-sync", alice.user_id)
    assert version.content_hash == content_hash(parse_manifest(a_manifest("1.4.0")))
    assert (version.version, version.published_at, version.published_by) == ("1.4.0", NOW, alice.user_id)
    assert len(endpoints_of(version.id)) == 3
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.subject_id) == ("extension.published", extension.id)
    assert entry.after == {"version": "1.4.0", "contentHash": version.content_hash}


def test_the_same_content_again_is_the_same_version_and_no_news(db: Any, alice: Actor) -> None:
    first = publish(alice, a_manifest())

    assert publish(alice, a_manifest()).id == first.id
    assert db.scalar(select(func.count()).select_from(AuditEntry)) == 1


def test_other_content_needs_another_number(db: Any, alice: Actor) -> None:
    publish(alice, a_manifest())
    with pytest.raises(VersionExists, match="another version number"):
        publish(alice, a_manifest(endpoints=["GET /other"]))

    other = publish(alice, a_manifest("1.0.1", endpoints=["GET /other"]))

    assert [one.version for one in versions_of_extension(other.extension_id)] == ["1.0.1", "1.0.0"]


def test_the_same_declared_hash_does_not_hide_another_manifest(db: Any, alice: Actor) -> None:
    declared = {"contentHash": "sha256:" + "ab" * 32}
    publish(alice, a_manifest() | declared)
    with pytest.raises(VersionExists):
        publish(alice, a_manifest(endpoints=["GET /other"]) | declared)


def test_the_database_keeps_a_version_as_it_is(db: Any, alice: Actor) -> None:
    version = publish(alice, a_manifest())
    version.manifest = a_manifest(endpoints=[])
    with pytest.raises(DBAPIError, match="never changes"):
        db.flush()


def test_a_broken_manifest_publishes_nothing(db: Any, alice: Actor) -> None:
    for text in ("{", "[]", json.dumps(a_manifest(endpoints=["FETCH /a"])), '{"name": "a", "name": "b"}'):
        with pytest.raises(Refused):
            publish_version(alice, alice.tenant_id, text, NOW)
    assert db.scalar(select(func.count()).select_from(ExtensionVersion)) == 0


def test_what_a_tenant_publishes_is_its_own(db: Any, alice: Actor) -> None:
    bravo = a_tenant("bravo")
    charlie = an_actor(bravo, a_user(bravo, "charlie@bravo.test"))
    mine, theirs = publish(alice, a_manifest()), publish(charlie, a_manifest())

    assert mine.extension_id != theirs.extension_id
    with pytest.raises(NotFound):
        extension_of(bravo.id, mine.extension_id)


def test_what_the_operator_publishes_is_for_everybody(db: Any, alice: Actor) -> None:
    version = publish(None, a_manifest())

    assert extension_of(alice.tenant_id, version.extension_id).tenant_id is None
    assert extension_named(None, "Acme", "com.acme.rmm-sync") is not None
    assert extension_named(alice.tenant_id, "Acme", "com.acme.rmm-sync") is None
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.tenant_id, entry.actor_label, entry.subject_label) == (None, "Command line", "com.acme.rmm-sync")


def test_a_version_is_found_only_under_its_own_extension(db: Any, alice: Actor) -> None:
    version = publish(alice, a_manifest())
    other = an_extension_version(an_extension(name="com.acme.other"))

    assert version_of_extension(version.extension_id, version.id).id == version.id
    for extension_id, version_id in ((version.extension_id, other.id), (new_id(), version.id), (other.id, None)):
        with pytest.raises(NotFound):
            version_of_extension(extension_id, version_id)
