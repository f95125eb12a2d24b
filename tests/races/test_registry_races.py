"""Publishing, installing and taking back versions at the same time: real commits in several threads."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from domain.accounts.audit import Actor, AuditEntry
from domain.extensions.endpoints import ExtensionEndpoint, endpoints_of
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.install_secrets import install_secret_values, set_install_secret
from domain.extensions.installs import Install, configure_install, install_extension
from domain.extensions.registry import VersionExists, publish_version
from domain.kernel.clock import database_now
from domain.kernel.db import db, transaction
from domain.kernel.errors import Conflict, Held, NotFound
from domain.upgrades.version_removal import delete_version
from tests.factories import a_manifest, a_tenant, an_actor, an_extension, an_extension_version, an_install
from tests.races.together import together


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


def seed(app: Flask) -> tuple[Actor, UUID, UUID]:
    """Who acts, an extension and its only version."""
    with app.app_context(), transaction():
        acme = a_tenant()
        version = an_extension_version(an_extension(acme), capabilities=["cap:http.fetch"])
        return an_actor(acme), version.extension_id, version.id


def count(app: Flask, model: Any) -> int:
    with app.app_context():
        return int(db.session.scalar(select(func.count()).select_from(model)) or 0)


def publishing(actor: Actor, **manifest: Any) -> Callable[[], Any]:
    text = json.dumps(a_manifest(**manifest))
    return lambda: publish_version(actor, actor.tenant_id, text, database_now()).id


def test_the_same_manifest_published_by_many_at_once_is_one_version(app: Flask) -> None:
    with app.app_context(), transaction():
        actor = an_actor(a_tenant())

    answers = together(app, *[publishing(actor)] * 6)

    assert len(set(answers)) == 1
    assert (count(app, Extension), count(app, ExtensionVersion), count(app, ExtensionEndpoint)) == (1, 1, 3)
    assert count(app, AuditEntry) == 1


def test_of_different_manifests_of_one_version_one_wins(app: Flask) -> None:
    with app.app_context(), transaction():
        actor = an_actor(a_tenant())

    answers = together(app, *[publishing(actor, endpoints=[f"GET /{at}"]) for at in range(6)])

    assert sum(isinstance(one, VersionExists) for one in answers) == 5
    assert (count(app, ExtensionVersion), count(app, ExtensionEndpoint)) == (1, 1)


def test_endpoints_asked_for_by_many_at_once_are_made_once(app: Flask) -> None:
    _, _, version_id = seed(app)
    with app.app_context(), transaction():
        db.session.execute(ExtensionEndpoint.__table__.delete())
        db.session.execute(update(ExtensionVersion).values(endpoints_at=None))

    answers = together(app, *[lambda: {one.id for one in endpoints_of(version_id)}] * 6)

    assert len(answers[0]) == 3 and all(one == answers[0] for one in answers)
    assert count(app, ExtensionEndpoint) == 3


def test_an_extension_installed_by_many_at_once_is_installed_once(app: Flask) -> None:
    actor, extension_id, version_id = seed(app)

    answers = together(
        app, *[lambda: install_extension(actor, extension_id, version_id, [], {}, database_now()).id] * 6
    )

    assert sum(isinstance(one, Held) for one in answers) == 5 and count(app, Install) == 1


@pytest.mark.parametrize("_attempt", range(5))
def test_a_version_is_taken_back_or_installed_but_never_both(app: Flask, _attempt: int) -> None:
    actor, extension_id, version_id = seed(app)

    answers = together(
        app,
        lambda: install_extension(actor, extension_id, version_id, [], {}, database_now()).id,
        lambda: delete_version(actor, actor.tenant_id, extension_id, version_id).version,
    )

    refused = [one for one in answers if isinstance(one, Held | NotFound)]
    assert len(refused) == 1, answers
    assert count(app, Install) == count(app, ExtensionVersion) == (1 if isinstance(refused[0], Held) else 0)


def test_of_several_who_edit_an_install_one_is_first_and_the_others_hear_of_it(app: Flask) -> None:
    actor, _, version_id = seed(app)
    with app.app_context(), transaction():
        version = db.session.get_one(ExtensionVersion, version_id)
        install_id = an_install(_tenant(actor), version).id

    def editing(at: int) -> Callable[[], Any]:
        return lambda: configure_install(actor, install_id, 1, config={"by": str(at)}).config["by"]

    answers = together(app, *[editing(at) for at in range(6)])

    first = [one for one in answers if isinstance(one, str)]
    assert len(first) == 1 and sum(isinstance(one, Conflict) for one in answers) == 5
    with app.app_context():
        stored = db.session.get_one(Install, install_id)
        assert (stored.config, stored.revision) == ({"by": first[0]}, 2)


def test_secrets_written_at_once_are_all_kept(app: Flask) -> None:
    actor, _, version_id = seed(app)
    with app.app_context(), transaction():
        install_id = an_install(_tenant(actor), db.session.get_one(ExtensionVersion, version_id)).id

    def keeping(name: str) -> Callable[[], Any]:
        return lambda: set_install_secret(actor, install_id, name, f"value of {name}", database_now()).name

    together(app, *[keeping(name) for name in ("A", "B", "C", "A", "B", "C")])

    with app.app_context():
        install = db.session.get_one(Install, install_id)
        assert install_secret_values(install) == {name: f"value of {name}" for name in ("A", "B", "C")}


def _tenant(actor: Actor) -> Any:
    from domain.accounts.tenants import Tenant

    return db.session.get_one(Tenant, actor.tenant_id)
