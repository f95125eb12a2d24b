"""Rows of several tables in one statement."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from domain.accounts.tenants import Tenant
from domain.accounts.users import Membership, User
from domain.kernel.ids import new_id
from domain.kernel.inserting import insert_one, insert_rows
from domain.workflows.workflows import Workflow
from tests.factories import a_tenant
from tests.statements import counted


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant()


def a_person(name: str) -> dict[str, Any]:
    return {"id": new_id(), "email": f"{name}@acme.test", "name": name, "password_hash": "none"}


def a_membership(tenant: Tenant, person: dict[str, Any]) -> dict[str, Any]:
    return {"id": new_id(), "tenant_id": tenant.id, "user_id": person["id"], "role": "viewer"}


def test_rows_that_refer_to_each_other_are_written_by_one_statement(acme: Tenant, db: Any) -> None:
    people = [a_person(f"person-{number}") for number in range(3)]
    with counted() as statements:
        insert_rows((Membership, [a_membership(acme, one) for one in people]), (User, people))
    assert len(statements) == 1
    assert {db.get(User, one["id"]).name for one in people} == {"person-0", "person-1", "person-2"}


def test_what_refers_to_nothing_is_refused_with_all_the_rest(acme: Tenant, db: Any) -> None:
    ada, nobody = a_person("ada"), a_person("nobody")
    with pytest.raises(IntegrityError), db.begin_nested():
        insert_rows((Membership, [a_membership(acme, nobody)]), (User, [ada]))
    assert db.get(User, ada["id"]) is None


def test_one_row_comes_back_as_it_is_stored(acme: Tenant, db: Any) -> None:
    ada = a_person("ada")
    with counted() as statements:
        stored = insert_one(User, ada, (Membership, [a_membership(acme, ada)]))
    assert len(statements) == 1
    assert stored.created_at is not None and db.get(User, ada["id"]) is stored
    assert not db.dirty and not db.new
    stored.name = "Ada"
    db.flush()
    db.expire(stored)
    assert stored.name == "Ada"


def test_what_many_rows_have_in_common_is_in_each_and_nothing_more_is(acme: Tenant, db: Any) -> None:
    same: dict[str, Any] = {"tenant_id": acme.id, "draft_trigger": None, "content_changed_at": acme.created_at}
    # For Python these are equal.
    definitions: list[Any] = [{"is": 1}, {"is": True}, {"is": 1.0}]
    rows = [
        same | {"id": new_id(), "key": f"sync-{number}", "name": "Sync", "draft_definition": definition}
        for number, definition in enumerate(definitions)
    ]
    with counted() as statements:
        insert_rows((Workflow, rows))
    assert len(statements) == 1
    columns = (Workflow.tenant_id, Workflow.draft_trigger, Workflow.draft_definition["is"].astext)
    stored = db.execute(select(*columns).order_by(Workflow.key)).all()
    assert stored == [(acme.id, None, "1"), (acme.id, None, "true"), (acme.id, None, "1.0")]


def test_json_comes_back_in_the_order_in_which_it_is_stored(acme: Tenant, db: Any) -> None:
    named = {"id": new_id(), "tenant_id": acme.id, "key": "sync", "name": "Sync", "content_changed_at": acme.created_at}
    stored = insert_one(Workflow, named | {"draft_definition": {"longer": 1, "b": 2}})
    assert list(stored.draft_definition) == ["b", "longer"]


def test_no_value_is_null_of_json_only_where_there_must_be_one(acme: Tenant, db: Any) -> None:
    named = {"id": new_id(), "tenant_id": acme.id, "key": "sync", "name": "Sync"}
    empty = {"draft_definition": None, "draft_trigger": None, "content_changed_at": acme.created_at}
    stored = insert_one(Workflow, named | empty)
    kinds = select(func.jsonb_typeof(Workflow.draft_definition), func.jsonb_typeof(Workflow.draft_trigger))
    assert db.execute(kinds.where(Workflow.id == stored.id)).one() == ("null", None)
