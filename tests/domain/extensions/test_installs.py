"""Installs: one per tenant and extension, held to what an admin granted, with a configuration of texts."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor, AuditEntry
from domain.accounts.tenants import Tenant
from domain.extensions.capabilities import ALWAYS, provided
from domain.extensions.extensions import ExtensionVersion
from domain.extensions.installs import (
    Install,
    configure_install,
    current_install,
    install_extension,
    install_of,
    installed_version,
    living_install,
)
from domain.kernel.errors import Conflict, Held, NotFound, Refused
from tests.factories import NOW, a_tenant, a_user, an_actor, an_extension, an_extension_version, an_install

ASKED = ["cap:http.fetch", "cap:secrets.get", "cap:log.emit"]


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Tenant) -> Actor:
    return an_actor(acme, a_user(acme))


@pytest.fixture
def version(acme: Tenant) -> ExtensionVersion:
    return an_extension_version(an_extension(acme), capabilities=ASKED)


def install(actor: Actor, version: ExtensionVersion, granted: Any = (), config: Any = None) -> Install:
    return install_extension(actor, version.extension_id, version.id, granted, config or {}, NOW)


def test_an_install_has_what_was_granted_and_nothing_else(db: Any, alice: Actor, version: ExtensionVersion) -> None:
    made = install(alice, version, ["cap:secrets.get"], {"region": "eu"})

    assert (made.tenant_id, made.version_id, made.created_by) == (alice.tenant_id, version.id, alice.user_id)
    assert (made.capabilities, made.config, made.enabled) == (["cap:secrets.get"], {"region": "eu"}, True)
    assert provided(made.capabilities, version.asked) == sorted({*ALWAYS, "cap:secrets.get"})
    entry = db.scalars(select(AuditEntry)).one()
    assert (entry.action, entry.subject_label) == ("install.created", "com.acme.rmm-sync")
    assert entry.after["capabilities"] == ["cap:secrets.get"] and entry.after["config"] == {"region": "eu"}


def test_nothing_is_granted_that_the_version_does_not_ask_for(alice: Actor, version: ExtensionVersion) -> None:
    with pytest.raises(Refused) as refusal:
        install(alice, version, ["cap:http.fetch", "cap:storage.kv"])
    assert [(one.path, one.code) for one in refusal.value.problems] == [("capabilities", "CAPABILITY_NOT_ASKED")]


def test_a_grant_that_the_version_no_longer_asks_for_is_not_provided() -> None:
    assert provided(["cap:http.fetch", "cap:storage.kv"], ["cap:http.fetch"]) == sorted({*ALWAYS, "cap:http.fetch"})


def test_an_extension_is_installed_once(db: Any, alice: Actor, version: ExtensionVersion) -> None:
    first = install(alice, version)
    with pytest.raises(Held) as held:
        install(alice, version)
    assert held.value.code == "ALREADY_INSTALLED"

    first.deleted_at = NOW
    db.flush()

    assert install(alice, version).id != first.id
    assert install_of(alice.tenant_id, first.id) is first


def test_every_tenant_installs_what_is_for_everybody(alice: Actor) -> None:
    shared = an_extension_version(an_extension(name="com.shared.sync"))
    bravo = a_tenant("bravo")
    charlie = an_actor(bravo, a_user(bravo, "charlie@bravo.test"))

    mine, theirs = install(alice, shared), install(charlie, shared)

    assert living_install(alice.tenant_id, shared.extension_id).id == mine.id
    assert living_install(bravo.id, shared.extension_id).id == theirs.id


def test_nobody_installs_what_another_tenant_published(version: ExtensionVersion) -> None:
    bravo = a_tenant("bravo")
    with pytest.raises(NotFound):
        install(an_actor(bravo), version)


def test_a_version_of_another_extension_is_not_found(alice: Actor, version: ExtensionVersion) -> None:
    other = an_extension_version(an_extension(name="com.acme.other"))
    with pytest.raises(NotFound):
        install_extension(alice, version.extension_id, other.id, (), {}, NOW)


@pytest.mark.parametrize(
    ("config", "path"),
    [
        ([], "config"),
        (None, "config"),
        ({"region": 1}, "config/region"),
        ({"region": None}, "config/region"),
        ({"region": {"a": "b"}}, "config/region"),
        ({"": "x"}, "config/"),
        ({"a b": "x"}, "config/a b"),
        ({"region": "x" * 10_001}, "config/region"),
        ({"region": "\x00"}, "config/region"),
        ({f"k{at}": "x" for at in range(101)}, "config"),
        ({f"k{at}": "x" * 9_000 for at in range(8)}, "config"),
    ],
)
def test_a_configuration_is_an_object_of_texts(alice: Actor, version: ExtensionVersion, config: Any, path: str) -> None:
    with pytest.raises(Refused) as refusal:
        install_extension(alice, version.extension_id, version.id, (), config, NOW)
    assert [one.path for one in refusal.value.problems] == [path]


def test_everything_wrong_with_an_install_is_told_together(alice: Actor, version: ExtensionVersion) -> None:
    with pytest.raises(Refused) as refusal:
        install(alice, version, ["cap:everything"], {"region": 1})
    assert [one.path for one in refusal.value.problems] == ["config/region", "capabilities/0"]


def test_configuring_changes_what_it_names_and_says_what_changed(
    db: Any, alice: Actor, version: ExtensionVersion
) -> None:
    made = install(alice, version, ["cap:http.fetch"], {"region": "eu"})

    configure_install(alice, made.id, 1, config={"region": "us"})
    assert (made.config, made.capabilities, made.revision) == ({"region": "us"}, ["cap:http.fetch"], 2)
    configure_install(alice, made.id, 2, capabilities=[])
    assert (made.config, made.capabilities, made.revision) == ({"region": "us"}, [], 3)

    entries = db.scalars(select(AuditEntry).where(AuditEntry.action == "install.configured").order_by(AuditEntry.id))
    assert [(one.before, one.after) for one in entries] == [
        ({"config": {"region": "eu"}}, {"config": {"region": "us"}}),
        ({"capabilities": ["cap:http.fetch"]}, {"capabilities": []}),
    ]


def test_a_change_that_changes_nothing_is_not_on_record(db: Any, alice: Actor, version: ExtensionVersion) -> None:
    made = install(alice, version, ["cap:http.fetch"], {"region": "eu"})

    configure_install(alice, made.id, 1, config={"region": "eu"}, capabilities=["cap:http.fetch"])

    assert made.revision == 1
    assert [one.action for one in db.scalars(select(AuditEntry))] == ["install.created"]


def test_a_configuration_can_be_saved_while_an_older_grant_is_not_asked_for_any_more(
    db: Any, alice: Actor, version: ExtensionVersion
) -> None:
    made = an_install(db.get_one(Tenant, alice.tenant_id), version, capabilities=["cap:storage.kv"])

    configure_install(alice, made.id, 1, config={"region": "eu"})

    assert (made.config, made.capabilities) == ({"region": "eu"}, ["cap:storage.kv"])


def test_two_who_edit_at_once_do_not_overwrite_each_other(alice: Actor, version: ExtensionVersion) -> None:
    made = install(alice, version)
    configure_install(alice, made.id, 1, config={"region": "us"})
    with pytest.raises(Conflict):
        configure_install(alice, made.id, 1, config={"region": "eu"})


def test_strangers_find_no_install(alice: Actor, version: ExtensionVersion) -> None:
    made, bravo = install(alice, version), a_tenant("bravo")

    assert current_install(bravo.id, version.extension_id) is None
    for ask in (
        lambda: living_install(bravo.id, version.extension_id),
        lambda: install_of(bravo.id, made.id),
        lambda: configure_install(an_actor(bravo), made.id, 1, config={}),
    ):
        with pytest.raises(NotFound):
            ask()


def test_an_install_says_its_version(alice: Actor, version: ExtensionVersion) -> None:
    assert installed_version(install(alice, version)).id == version.id
