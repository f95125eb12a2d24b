"""Named secrets: strict names, values of a length that can be hidden, and no trace of them outside."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.audit import Actor, AuditEntry
from domain.accounts.secrets import (
    Secret,
    create_secret,
    delete_secret,
    describe_secret,
    replace_secret,
    secret_names,
    secret_values,
    secrets_page,
    stored_secret,
    unknown_secret_names,
)
from domain.accounts.tenants import Tenant
from domain.kernel.errors import NotFound, Refused
from domain.schedules.secret_uses import secret_uses
from tests.factories import NOW, a_published_workflow, a_schedule, a_tenant, a_user, a_workflow, an_actor

VALUE = "hunter2hunter2"


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Tenant) -> Actor:
    return an_actor(acme, a_user(acme))


def test_a_secret_is_stored_sealed_and_opened_by_name(alice: Actor, acme: Tenant, db: Any) -> None:
    secret = create_secret(alice, " BILLING ", VALUE, " For invoices ", NOW)

    assert (secret.name, secret.description, secret.changed_at, secret.changed_by) == (
        "BILLING", "For invoices", NOW, alice.user_id,
    )  # fmt: skip
    assert VALUE not in db.scalars(select(Secret.sealed)).one()
    assert secret_values(acme.id, {"BILLING", "OTHER"}) == {"BILLING": VALUE}
    assert secret_values(a_tenant("umbrella").id, {"BILLING"}) == {}


@pytest.mark.parametrize("name", ["", "billing", "1A", "_A", "A-B", "A B", "Ä", "A" * 65, "A\n", "A\x00"])
def test_a_name_is_capitals_digits_and_underscores(alice: Actor, name: str) -> None:
    if name.strip() == "A":
        return
    with pytest.raises(Refused) as refused:
        create_secret(alice, name, VALUE, "", NOW)

    assert [(p.path, p.code) for p in refused.value.problems] == [("name", "SECRET_NAME_INVALID")]


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("", "SECRET_TOO_SHORT"), ("abc", "SECRET_TOO_SHORT"), ("  abc  ", "SECRET_TOO_SHORT"),
        ("x" * 10_001, "SECRET_TOO_LONG"), ("abcd\x00", "SECRET_TEXT"), ("abcd\ud800", "SECRET_TEXT"),
    ],
)  # fmt: skip
def test_a_value_has_a_length_that_can_be_hidden(alice: Actor, value: str, code: str) -> None:
    with pytest.raises(Refused) as refused:
        create_secret(alice, "BILLING", value, "", NOW)
    assert [(p.path, p.code) for p in refused.value.problems] == [("value", code)]

    secret = create_secret(alice, "BILLING", "x" * 10_000, "", NOW)
    with pytest.raises(Refused) as refused:
        replace_secret(alice, secret.id, value, NOW)
    assert [(p.path, p.code) for p in refused.value.problems] == [("value", code)]


def test_everything_wrong_with_a_secret_is_told_together(alice: Actor) -> None:
    with pytest.raises(Refused) as refused:
        create_secret(alice, "x", "x", "x" * 501, NOW)

    assert [problem.path for problem in refused.value.problems] == ["name", "value", "description"]


def test_a_name_is_taken_once_per_tenant(alice: Actor, acme: Tenant) -> None:
    create_secret(alice, "BILLING", VALUE, "", NOW)
    create_secret(an_actor(a_tenant("umbrella")), "BILLING", "theirs", "", NOW)

    with pytest.raises(Refused) as refused:
        create_secret(alice, "BILLING", "other value", "", NOW)

    assert refused.value.problems[0].code == "NAME_TAKEN"
    assert secret_values(acme.id, {"BILLING"}) == {"BILLING": VALUE}


def test_a_replaced_value_is_used_from_then_on(alice: Actor, acme: Tenant) -> None:
    secret = create_secret(alice, "BILLING", VALUE, "", NOW)

    replace_secret(alice, secret.id, "another value", NOW.replace(hour=12))

    assert secret_values(acme.id, {"BILLING"}) == {"BILLING": "another value"}
    assert secret.changed_at == NOW.replace(hour=12)


def test_the_record_says_who_did_what_and_holds_no_value(alice: Actor, db: Any) -> None:
    secret = create_secret(alice, "BILLING", VALUE, "For invoices", NOW)
    replace_secret(alice, secret.id, "hunter2again", NOW)
    describe_secret(alice, secret.id, "For bills")
    describe_secret(alice, secret.id, "For bills")
    delete_secret(alice, secret.id)

    entries = db.scalars(select(AuditEntry).order_by(AuditEntry.id)).all()
    assert [(entry.action, entry.subject_kind, entry.subject_label) for entry in entries] == [
        (f"secret.{verb}", "secret", "BILLING") for verb in ("created", "replaced", "described", "deleted")
    ]
    said = str([(entry.before, entry.after, entry.reason) for entry in entries])
    assert "hunter2" not in said and secret.sealed not in said
    assert (entries[2].before, entries[2].after) == ({"description": "For invoices"}, {"description": "For bills"})


def test_names_are_listed_in_order_and_page_by_page(alice: Actor, acme: Tenant) -> None:
    for name in ("C", "A", "B"):
        create_secret(alice, name, VALUE, "", NOW)

    first, has_more = secrets_page(acme.id, limit=2)
    rest, is_more = secrets_page(acme.id, after=first[-1].name)

    assert [secret.name for secret in first + rest] == secret_names(acme.id) == ["A", "B", "C"]
    assert (has_more, is_more) == (True, False)
    assert [secret.name for secret in secrets_page(acme.id, q="b")[0]] == ["B"]
    assert secrets_page(acme.id, q="%")[0] == []
    assert [secret.changer.name for secret in first if secret.changer] == ["Alice", "Alice"]
    assert unknown_secret_names(acme.id, {"A", "D"}) == {"D"}


def test_strangers_find_no_secret_by_id(alice: Actor) -> None:
    secret = create_secret(alice, "BILLING", VALUE, "", NOW)
    charlie = an_actor(a_tenant("umbrella"))

    for command in (
        lambda: stored_secret(charlie.tenant_id, secret.id),
        lambda: replace_secret(charlie, secret.id, VALUE, NOW),
        lambda: describe_secret(charlie, secret.id, ""),
        lambda: delete_secret(charlie, secret.id),
    ):
        with pytest.raises(NotFound):
            command()


def test_who_names_a_secret_is_known_before_it_is_deleted(alice: Actor, acme: Tenant) -> None:
    step = {
        "id": "call",
        "type": "action.call",
        "config": {"inputMapping": {"headers": [{"x": {"$secret": "BILLING"}}]}},
    }
    naming = {"schemaVersion": 1, "root": {"steps": [step]}}
    sync = a_published_workflow(acme, "Sync", draft_definition=naming)
    other = a_published_workflow(acme, "Other")
    a_workflow(acme, "Draft only", draft_definition=naming)
    a_published_workflow(acme, "Gone", draft_definition=naming, deleted_at=NOW)
    a_schedule(other, "Nightly", payload_json={"keys": [{"$secret": "BILLING"}]})
    a_schedule(other, "Daily", payload_json={"keys": [{"$secret": "BILLING_TOO"}], "text": "BILLING"})
    a_published_workflow(a_tenant("umbrella"), "Theirs", draft_definition=naming)

    uses = secret_uses(acme.id, "BILLING")

    assert [named.name for named in uses.workflows] == ["Sync"]
    assert uses.workflows[0].id == sync.id
    assert [named.name for named in uses.schedules] == ["Nightly"]
    assert not secret_uses(acme.id, "NOBODY")
