"""The registry of payload schemas over the API, by ref."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from domain.accounts.permissions import VIEWER
from domain.accounts.tenants import Tenant
from domain.workflows.built_in_schemas import BUILT_IN, EMPTY_REF
from domain.workflows.payload_schemas import use_schema
from tests.factories import NOW, a_tenant, a_token, a_user, a_workflow
from tests.web.callers import Caller, problems_of

SCHEMAS = "/payload-schemas"
REF = "payload.InvoiceSync.v1"
REGION = {"type": "object", "properties": {"region": {"enum": ["eu", "us"]}}}


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


@pytest.fixture
def charlie(app: Flask, db: Any) -> Caller:
    return Caller(app.test_client(), a_token(a_tenant("globex"))[1])


def register(caller: Caller, ref: str = REF, schema: Any = REGION, key: str | None = None) -> Any:
    return caller.post(SCHEMAS, {"ref": ref, "schema": schema}, key=key)


def test_a_schema_is_registered_read_replaced_and_deleted(alice: Caller) -> None:
    made = register(alice, key="k-1")
    assert made.status_code == 201 and made.location == f"/api{SCHEMAS}/{REF}"
    assert (made.json["schema"], made.json["isBuiltIn"], made.json["usedAt"]) == (REGION, False, None)
    assert register(alice, key="k-1").json == made.json
    assert alice.get(f"{SCHEMAS}/{REF}").json == made.json
    replaced = alice.patch(f"{SCHEMAS}/{REF}", {"schema": {"type": "object"}})
    assert replaced.json["schema"] == {"type": "object"} == alice.get(f"{SCHEMAS}/{REF}").json["schema"]
    assert alice.delete(f"{SCHEMAS}/{REF}").status_code == 204
    assert alice.get(f"{SCHEMAS}/{REF}").status_code == 404


def test_the_pages_hold_the_built_in_schemas_first_and_everything_once(alice: Caller) -> None:
    own = [f"payload.Number{number}.v1" for number in range(4)]
    for ref in reversed(own):
        register(alice, ref)
    seen: list[Any] = []
    cursor = ""
    for _ in range(10):
        answer = alice.get(f"{SCHEMAS}?limit=2{cursor}").json
        assert len(answer["items"]) <= 2
        seen += answer["items"]
        if answer["nextCursor"] is None:
            break
        cursor = f"&cursor={answer['nextCursor']}"
    assert [row["ref"] for row in seen] == [*BUILT_IN, *own]
    assert [row["isBuiltIn"] for row in seen] == [True] * len(BUILT_IN) + [False] * 4
    assert [row["ref"] for row in alice.get(f"{SCHEMAS}?q=number1").json["items"]] == [own[1]]
    assert alice.get(f"{SCHEMAS}?q=%00").status_code == 422


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({}, {"schema": "REQUIRED"}),
        ({"ref": 1, "schema": {}}, {"ref": "TEXT_REQUIRED"}),
        ({"ref": "x", "schema": 7}, {"ref": "SCHEMA_REF_INVALID", "schema": "SCHEMA_INVALID"}),
        ({"ref": EMPTY_REF, "schema": REGION}, {"ref": "SCHEMA_REF_TAKEN"}),
        ({"ref": REF, "schema": REGION, "usedAt": None}, {"usedAt": "READ_ONLY_FIELD"}),
    ],
)
def test_what_cannot_be_registered_is_refused_where_it_is_wrong(
    alice: Caller, body: dict[str, Any], found: dict[str, str]
) -> None:
    answer = alice.post(SCHEMAS, body)
    assert answer.status_code == 422 and set(problems_of(answer)) == set(found)
    assert len(alice.get(SCHEMAS).json["items"]) == len(BUILT_IN)


def test_what_is_in_use_stays(alice: Caller, acme: Tenant) -> None:
    register(alice)
    a_workflow(acme, draft_schema_ref=REF)
    assert problems_of(alice.delete(f"{SCHEMAS}/{REF}")) == {"ref": "SCHEMA_IN_USE"}
    use_schema(acme.id, REF, NOW)
    assert problems_of(alice.patch(f"{SCHEMAS}/{REF}", {"schema": {}})) == {"ref": "SCHEMA_IN_USE"}
    row = alice.get(f"{SCHEMAS}?q=Invoice").json["items"][0]
    assert (row["draftCount"], row["usedAt"]) == (1, "2026-03-02T10:00:00Z")


def test_what_is_built_in_is_read_and_stays(alice: Caller) -> None:
    assert alice.get(f"{SCHEMAS}/{EMPTY_REF}").json["schema"] == BUILT_IN[EMPTY_REF]
    for answer in (alice.patch(f"{SCHEMAS}/{EMPTY_REF}", {"schema": {}}), alice.delete(f"{SCHEMAS}/{EMPTY_REF}")):
        assert problems_of(answer) == {"ref": "SCHEMA_BUILT_IN"}


def test_an_edit_of_something_older_is_refused(alice: Caller) -> None:
    register(alice)
    path = f"{SCHEMAS}/{REF}"
    tag = {"If-Match": alice.get(path).headers["ETag"]}
    assert alice.send("PATCH", path, {"schema": {"type": "object"}}, tag).status_code == 200
    assert alice.send("PATCH", path, {"schema": REGION}, tag).status_code == 412
    assert alice.send("DELETE", path, None, tag).status_code == 412
    assert alice.get(path).json["schema"] == {"type": "object"}


@pytest.mark.parametrize("ref", ["x", "payload.Nobody.v1", "a%00b", "%F0%9F%8D%AF", "x" * 2000])
def test_there_is_nothing_under_other_refs(alice: Caller, ref: str) -> None:
    assert alice.get(f"{SCHEMAS}/{ref}").status_code == 404
    assert alice.patch(f"{SCHEMAS}/{ref}", {"schema": {}}).status_code == 404
    assert alice.delete(f"{SCHEMAS}/{ref}").status_code == 404


def test_strangers_find_nothing_and_viewers_change_nothing(
    app: Flask, alice: Caller, charlie: Caller, acme: Tenant
) -> None:
    register(alice)
    bob = Caller(app.test_client(), a_token(acme, a_user(acme, "bob@acme.test", VIEWER))[1])
    assert charlie.get(f"{SCHEMAS}/{REF}").status_code == 404
    assert charlie.delete(f"{SCHEMAS}/{REF}").status_code == 404
    assert REF not in charlie.get(SCHEMAS).text
    assert bob.get(f"{SCHEMAS}/{REF}").status_code == 200
    for answer in (register(bob, "payload.Mine.v1"), bob.patch(f"{SCHEMAS}/{REF}", {}), bob.delete(f"{SCHEMAS}/{REF}")):
        assert answer.status_code == 403
