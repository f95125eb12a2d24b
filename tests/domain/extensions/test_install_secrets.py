"""Secrets of an install: sealed, replaced by name, and never in the record of who changed what."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor, AuditEntry
from domain.extensions import install_secrets as rules
from domain.extensions.install_secrets import (
    delete_install_secret,
    install_secret_values,
    install_secrets,
    set_install_secret,
)
from domain.extensions.installs import Install
from domain.kernel.errors import NotFound, Refused
from tests.factories import NOW, a_tenant, a_user, an_actor, an_install

VALUE = "hunter2hunter2"


@pytest.fixture
def alice(db: Any) -> Actor:
    acme = a_tenant("acme")
    return an_actor(acme, a_user(acme))


@pytest.fixture
def install(db: Any, alice: Actor) -> Install:
    from domain.accounts.tenants import Tenant

    return an_install(db.get_one(Tenant, alice.tenant_id))


def test_a_secret_is_stored_sealed_and_opened_for_a_call(alice: Actor, install: Install) -> None:
    kept = set_install_secret(alice, install.id, " API_TOKEN ", VALUE, NOW)

    assert (kept.name, kept.changed_by, kept.changed_at) == ("API_TOKEN", alice.user_id, NOW)
    assert VALUE not in kept.sealed
    assert install_secret_values(install) == {"API_TOKEN": VALUE}


def test_the_same_name_again_replaces_the_value_and_others_stay(db: Any, alice: Actor, install: Install) -> None:
    set_install_secret(alice, install.id, "b.second", VALUE, NOW)
    set_install_secret(alice, install.id, "API_TOKEN", VALUE, NOW)
    set_install_secret(alice, install.id, "API_TOKEN", "another value", NOW)

    assert install_secret_values(install) == {"API_TOKEN": "another value", "b.second": VALUE}
    assert [one.name for one in install_secrets(install)] == ["API_TOKEN", "b.second"]


def test_a_deleted_secret_is_gone(alice: Actor, install: Install) -> None:
    set_install_secret(alice, install.id, "API_TOKEN", VALUE, NOW)
    delete_install_secret(alice, install.id, "API_TOKEN")

    assert install_secret_values(install) == {}
    with pytest.raises(NotFound):
        delete_install_secret(alice, install.id, "API_TOKEN")


def test_the_record_says_who_did_what_and_holds_no_value(db: Any, alice: Actor, install: Install) -> None:
    set_install_secret(alice, install.id, "API_TOKEN", VALUE, NOW)
    set_install_secret(alice, install.id, "API_TOKEN", VALUE + "x", NOW)
    delete_install_secret(alice, install.id, "API_TOKEN")

    entries = list(db.scalars(select(AuditEntry).order_by(AuditEntry.id)))
    assert [one.action for one in entries] == [
        "install.secret_added",
        "install.secret_replaced",
        "install.secret_deleted",
    ]
    assert {one.subject_id for one in entries} == {install.id}
    assert all("hunter2" not in str([one.before, one.after]) for one in entries)


@pytest.mark.parametrize("name", ["", "1A", "_A", "A B", "Ä", "A" * 65, "A\n.", "A/B"])
def test_a_name_begins_with_a_letter(alice: Actor, install: Install, name: str) -> None:
    with pytest.raises(Refused) as refusal:
        set_install_secret(alice, install.id, name, VALUE, NOW)
    assert [one.code for one in refusal.value.problems] == ["SECRET_NAME_INVALID"]


@pytest.mark.parametrize("value", ["", "abc", "x" * 10_001, "abcd\x00"])
def test_a_value_can_be_hidden_and_sent(alice: Actor, install: Install, value: str) -> None:
    with pytest.raises(Refused) as refusal:
        set_install_secret(alice, install.id, "API_TOKEN", value, NOW)
    assert [one.path for one in refusal.value.problems] == ["value"]


def test_an_install_keeps_a_bounded_number(alice: Actor, install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "MAX_SECRETS", 1)
    set_install_secret(alice, install.id, "FIRST", VALUE, NOW)
    set_install_secret(alice, install.id, "FIRST", VALUE, NOW)
    with pytest.raises(Refused, match="at most 1 secrets"):
        set_install_secret(alice, install.id, "SECOND", VALUE, NOW)


def test_strangers_and_removed_installs_keep_nothing(db: Any, alice: Actor, install: Install) -> None:
    stranger = an_actor(a_tenant("bravo"))
    for change in (
        lambda: set_install_secret(stranger, install.id, "API_TOKEN", VALUE, NOW),
        lambda: delete_install_secret(stranger, install.id, "API_TOKEN"),
    ):
        with pytest.raises(NotFound):
            change()
    install.deleted_at = NOW
    db.flush()
    with pytest.raises(NotFound):
        set_install_secret(alice, install.id, "API_TOKEN", VALUE, NOW)
