"""Secrets in steps: opened for an action, noted as used, and taken out of what it answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from domain.accounts.secrets import Secret, create_secret
from domain.accounts.tenants import Tenant
from domain.engine.failures import VALIDATION, StepFailed
from domain.engine.secrecy import defused, has_secrets, redacted, resolved, without_new_references
from domain.expressions.mappings import compile_value
from domain.kernel.vault import seal
from tests.factories import NOW, a_tenant, an_actor
from tests.statements import counted

BILLING = {"$secret": "BILLING"}


@pytest.fixture
def acme(db: Any) -> Tenant:
    tenant = a_tenant("acme")
    for name in ("BILLING", "MAIL"):
        create_secret(an_actor(tenant), name, f"swordfish of {name}", "", NOW)
    return tenant


def used_at(db: Any, name: str = "BILLING") -> datetime | None:
    return db.scalar(select(Secret.used_at).where(Secret.name == name))


def test_references_and_sealed_values_are_opened_at_any_depth(acme: Tenant) -> None:
    sealed = {"$sealed": seal(acme.id, {"user": "u", "pass": "hunter2", "pin": 48151623})}
    value = {"headers": [{"a": BILLING}], "body": {"login": sealed}, "plain": "x"}

    plain, hidden = resolved(acme.id, value)

    assert plain == {
        "headers": [{"a": "swordfish of BILLING"}],
        "body": {"login": {"user": "u", "pass": "hunter2", "pin": 48151623}},
        "plain": "x",
    }
    assert hidden == ("swordfish of BILLING", "48151623", "hunter2")
    assert redacted({"echo": plain}, hidden)["echo"]["body"]["login"] == {"user": "u", "pass": "***", "pin": "***"}
    assert value["headers"] == [{"a": BILLING}]


def test_one_query_reads_all_names_and_none_is_made_for_nothing(acme: Tenant) -> None:
    resolved(acme.id, [BILLING, {"$secret": "MAIL"}])

    with counted() as statements:
        resolved(acme.id, [BILLING, {"$secret": "MAIL"}, BILLING])
    assert len(statements) == 1
    with counted() as statements:
        assert resolved(acme.id, {"a": [1, "x"]}) == ({"a": [1, "x"]}, ())
    assert statements == []


def test_use_is_noted_at_most_hourly(acme: Tenant, db: Any) -> None:
    assert used_at(db) is None
    resolved(acme.id, BILLING)
    first = used_at(db)
    assert first is not None and abs(datetime.now(UTC) - first) < timedelta(minutes=5)
    assert used_at(db, "MAIL") is None

    resolved(acme.id, BILLING)
    assert used_at(db) == first
    db.execute(update(Secret).values(used_at=first - timedelta(hours=2)))
    resolved(acme.id, BILLING)
    assert used_at(db) >= first


def test_names_that_nobody_made_fail_the_step_all_at_once(acme: Tenant) -> None:
    other = an_actor(a_tenant("umbrella"))
    create_secret(other, "THEIRS", "swordfish", "", NOW)

    with pytest.raises(StepFailed, match="NONE, THEIRS") as failed:
        resolved(acme.id, [{"$secret": "THEIRS"}, {"$secret": "NONE"}, BILLING])

    assert (failed.value.code, failed.value.category) == ("SECRET_NOT_FOUND", VALIDATION)


@pytest.mark.parametrize("name", ["billing", "", None, 5, {"$secret": "BILLING"}, "A\x00"])
def test_what_is_no_name_fails_the_step(acme: Tenant, name: Any) -> None:
    with pytest.raises(StepFailed) as failed:
        resolved(acme.id, {"a": {"$secret": name}})

    assert failed.value.code == "SECRET_NAME_INVALID"


def test_what_cannot_be_opened_fails_the_step(acme: Tenant) -> None:
    with pytest.raises(StepFailed) as failed:
        resolved(acme.id, {"$sealed": seal(a_tenant("umbrella").id, "theirs")})

    assert failed.value.code == "SECRET_NOT_READABLE"


def test_expressions_move_references_and_sealed_values_as_they_are(acme: Tenant) -> None:
    sealed = {"$sealed": seal(acme.id, "hunter2")}
    mapping = compile_value({"a": {"$expr": "payload.token"}, "b": [BILLING], "c": {"$expr": "vars.kept"}})

    moved = mapping({"payload": {"token": sealed}, "vars": {"kept": BILLING}})

    assert moved == {"a": sealed, "b": [BILLING], "c": BILLING}
    assert has_secrets(moved) and not has_secrets({"a": [1]})
    assert resolved(acme.id, moved)[0]["a"] == "hunter2"


def test_nothing_from_outside_stands_for_a_secret(acme: Tenant) -> None:
    answer = {"a": [BILLING], "b": {"$sealed": "x", "c": 1}, "$kept": True}

    assert defused(answer) == {"a": [{"$$secret": "BILLING"}], "b": {"$$sealed": "x", "c": 1}, "$$kept": True}
    assert resolved(acme.id, defused(answer))[1] == ()


def test_our_own_actions_pass_references_on_and_make_none(acme: Tenant) -> None:
    sealed = {"$sealed": seal(acme.id, "hunter2")}
    inputs = {"text": '{"$secret": "MAIL"}', "items": [BILLING]}
    answer = {"items": [BILLING, sealed, {"$secret": "MAIL"}, {**BILLING, "more": 1}]}

    assert without_new_references(answer, inputs) == {
        "items": [BILLING, sealed, {"$$secret": "MAIL"}, {"$$secret": "BILLING", "more": 1}]
    }
    assert without_new_references("x", inputs) == "x"
