"""Secrets in payloads: sealed when typed, references where the schema allows them, and kept on request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.accounts.secrets import create_secret
from domain.accounts.tenants import Tenant
from domain.kernel.errors import Refused
from domain.kernel.vault import unseal
from domain.workflows.payload_secrets import opened, shown, stored_problems, taken_payload
from tests.factories import NOW, a_tenant, an_actor

TOKEN = {"type": "string", "minLength": 6, "x-secret": True}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "token": TOKEN,
        "region": {"type": "string"},
        "pin": {"type": ["integer", "null"], "x-secret": True},
        "login": {"type": "object", "x-secret": True},
        "hosts": {
            "type": "array",
            "items": {"type": "object", "properties": {"host": {"type": "string"}, "key": TOKEN}, "required": ["key"]},
        },
    },
    "patternProperties": {"^key_": TOKEN},
    "required": ["token"],
}
KEPT = {"$kept": True}
REFERENCE = {"$secret": "BILLING"}


@pytest.fixture
def acme(db: Any) -> Tenant:
    tenant = a_tenant("acme")
    create_secret(an_actor(tenant), "BILLING", "swordfish", "", NOW)
    return tenant


def refusals(acme: Tenant, payload: Any, stored: Any = None, schema: Any = SCHEMA) -> set[tuple[str, str]]:
    with pytest.raises(Refused) as refused:
        taken_payload(acme.id, schema, payload, stored)
    assert not any("hunter2" in problem.message for problem in refused.value.problems)
    return {(problem.path, problem.code) for problem in refused.value.problems}


def test_what_is_typed_into_a_secret_field_is_sealed_and_the_rest_is_not(acme: Tenant) -> None:
    payload = {"token": "hunter2hunter2", "region": "eu", "pin": 48151623, "login": {"user": "u", "pass": "hunter2"},
        "hosts": [{"host": "a", "key": "hunter2key"}], "key_x": "hunter2x", "keyless": "plain"}  # fmt: skip

    taken = taken_payload(acme.id, SCHEMA, payload)

    assert "hunter2" not in json.dumps(taken) and "48151623" not in json.dumps(taken)
    assert shown(taken) == {
        "token": KEPT, "region": "eu", "pin": KEPT, "login": KEPT, "hosts": [{"host": "a", "key": KEPT}], "key_x": KEPT,
        "keyless": "plain",
    }  # fmt: skip
    assert opened(acme.id, taken) == payload
    assert unseal(acme.id, taken["pin"]["$sealed"]) == 48151623
    assert stored_problems(acme.id, SCHEMA, taken) == []


def test_nothing_is_sealed_where_nothing_was_typed(acme: Tenant) -> None:
    assert taken_payload(acme.id, SCHEMA, {"token": "hunter2hunter2", "pin": None})["pin"] is None


def test_a_secret_too_short_to_be_found_again_is_refused(acme: Tenant) -> None:
    assert refusals(acme, {"token": "hunter2hunter2", "pin": 123}) == {("payload/pin", "SECRET_TOO_SHORT")}


def test_a_typed_secret_is_checked_with_the_schema_like_any_value(acme: Tenant) -> None:
    assert refusals(acme, {"token": "short"}) == {("payload/token", "MIN_LENGTH")}
    assert refusals(acme, {}) == {("payload/token", "REQUIRED")}


def test_a_reference_is_taken_where_the_schema_marks_a_secret(acme: Tenant) -> None:
    payload = {"token": REFERENCE, "hosts": [{"key": REFERENCE}], "login": REFERENCE, "pin": REFERENCE}

    assert taken_payload(acme.id, SCHEMA, payload) == payload
    assert shown(payload) == payload
    assert stored_problems(acme.id, SCHEMA, payload) == []


def test_a_reference_fits_one_of_several_forms_of_a_payload(acme: Tenant) -> None:
    forms = [
        {"properties": {"token": TOKEN}, "required": ["token"]},
        {"properties": {"user": {}}, "required": ["user"]},
    ]

    assert taken_payload(acme.id, {"type": "object", "oneOf": forms}, {"token": REFERENCE}) == {"token": REFERENCE}


def test_the_rest_of_a_payload_with_a_reference_is_still_checked(acme: Tenant) -> None:
    assert refusals(acme, {"token": REFERENCE, "region": 5}) == {("payload/region", "TYPE")}


@pytest.mark.parametrize(
    ("payload", "expected"),
    {
        "not marked": ({"token": REFERENCE, "region": REFERENCE}, ("payload/region", "SECRET_NOT_ALLOWED")),
        "unknown member": ({"token": REFERENCE, "x": [REFERENCE]}, ("payload/x/0", "SECRET_NOT_ALLOWED")),
        "inside a secret": ({"token": REFERENCE, "login": {"p": REFERENCE}}, ("payload/login/p", "SECRET_NOT_ALLOWED")),
        "the payload itself": (REFERENCE, ("payload", "SECRET_NOT_ALLOWED")),
        "more beside it": ({"token": {**REFERENCE, "a": 1}}, ("payload/token", "SECRET_NAME_INVALID")),
        "bad name": ({"token": {"$secret": "billing"}}, ("payload/token", "SECRET_NAME_INVALID")),
        "not a name": ({"token": {"$secret": {"$secret": "A"}}}, ("payload/token", "SECRET_NAME_INVALID")),
        "nobody's": ({"token": {"$secret": "NOBODY"}}, ("payload/token", "UNKNOWN_SECRET")),
        "sealed elsewhere": ({"token": {"$sealed": "gAAAAA"}}, ("payload/token", "SEALED_NOT_ALLOWED")),
        "nothing kept": ({"token": KEPT}, ("payload/token", "SECRET_NOT_KEPT")),
    }.values(),
)
def test_objects_that_stand_for_a_secret_have_their_place(acme: Tenant, payload: Any, expected: Any) -> None:
    assert refusals(acme, payload) == {expected}


def test_the_name_of_another_tenants_secret_is_unknown(acme: Tenant) -> None:
    charlie = an_actor(a_tenant("umbrella"))
    create_secret(charlie, "THEIRS", "swordfish", "", NOW)

    assert refusals(acme, {"token": {"$secret": "THEIRS"}}) == {("payload/token", "UNKNOWN_SECRET")}


def test_what_is_shown_can_be_sent_back_and_keeps_what_is_stored(acme: Tenant) -> None:
    stored = taken_payload(acme.id, SCHEMA, {"token": "hunter2hunter2", "region": "eu", "hosts": [{"key": "hunter2a"}]})

    again = taken_payload(acme.id, SCHEMA, {**shown(stored), "region": "us"}, stored)

    assert again == {**stored, "region": "us"}
    assert refusals(acme, {"token": "hunter2hunter2", "login": KEPT}, stored) == {("payload/login", "SECRET_NOT_KEPT")}


def test_a_sealed_value_is_taken_only_where_the_same_one_is_stored(acme: Tenant) -> None:
    stored = taken_payload(acme.id, SCHEMA, {"token": "hunter2hunter2", "key_b": "hunter2b"})

    assert taken_payload(acme.id, SCHEMA, stored, stored) == stored
    moved = {"token": stored["key_b"], "key_b": stored["token"]}
    assert refusals(acme, moved, stored) == {
        ("payload/token", "SEALED_NOT_ALLOWED"), ("payload/key_b", "SEALED_NOT_ALLOWED"),
    }  # fmt: skip
    assert refusals(acme, stored) == refusals(acme, moved)


def test_a_kept_value_is_checked_with_the_schema_it_is_kept_for(acme: Tenant) -> None:
    stored = taken_payload(acme.id, SCHEMA, {"token": "hunter2"})
    stricter = {"type": "object", "properties": {"token": {**TOKEN, "minLength": 8}}}

    assert refusals(acme, {"token": KEPT}, stored, stricter) == {("payload/token", "MIN_LENGTH")}
    assert [problem.path for problem in stored_problems(acme.id, stricter, stored)] == ["/token"]


class TestLists:
    """Kept marks inside a list that was changed."""

    def stored(self, acme: Tenant, *hosts: str) -> Any:
        items = [{"host": host, "key": f"hunter2-{host}-{index}"} for index, host in enumerate(hosts)]
        return taken_payload(acme.id, SCHEMA, {"token": REFERENCE, "hosts": items})

    def keys(self, acme: Tenant, stored: Any, *hosts: str) -> list[str]:
        items = [{"host": host, "key": KEPT} for host in hosts]
        taken = taken_payload(acme.id, SCHEMA, {"token": REFERENCE, "hosts": items}, stored)
        return [item["key"] for item in opened(acme.id, taken)["hosts"]]

    def test_an_item_edited_in_its_place_keeps_its_secret(self, acme: Tenant) -> None:
        assert self.keys(acme, self.stored(acme, "a", "b"), "a", "c") == ["hunter2-a-0", "hunter2-b-1"]

    def test_items_that_moved_or_lost_a_neighbour_keep_their_own(self, acme: Tenant) -> None:
        stored = self.stored(acme, "a", "b", "c")

        assert self.keys(acme, stored, "c", "a", "b") == ["hunter2-c-2", "hunter2-a-0", "hunter2-b-1"]
        assert self.keys(acme, stored, "b", "c") == ["hunter2-b-1", "hunter2-c-2"]

    def test_nobody_is_given_a_secret_that_may_be_anothers(self, acme: Tenant) -> None:
        stored = self.stored(acme, "a", "a", "b")
        payload = {"token": REFERENCE, "hosts": [{"host": "a", "key": KEPT}, {"host": "d", "key": KEPT}]}

        assert refusals(acme, payload, stored) == {
            ("payload/hosts/0/key", "SECRET_NOT_KEPT"), ("payload/hosts/1/key", "SECRET_NOT_KEPT"),
        }  # fmt: skip


def test_a_value_stays_sealed_under_a_schema_that_calls_it_secret_no_more(acme: Tenant) -> None:
    stored = taken_payload(acme.id, SCHEMA, {"token": "hunter2"})
    open_schema = {"type": "object", "properties": {"token": {"type": "string"}}}

    assert stored_problems(acme.id, open_schema, stored) == []
    assert taken_payload(acme.id, open_schema, {"token": KEPT}, stored) == stored


def test_a_reference_under_such_a_schema_is_a_problem(acme: Tenant) -> None:
    problems = stored_problems(acme.id, {"type": "object"}, {"a": [REFERENCE]})

    assert [(problem.path, problem.code) for problem in problems] == [("/a/0", "SECRET_NOT_ALLOWED")]


def test_a_payload_sealed_for_another_tenant_is_a_problem_and_no_error(acme: Tenant) -> None:
    theirs = taken_payload(a_tenant("umbrella").id, SCHEMA, {"token": "hunter2"})

    assert [problem.code for problem in stored_problems(acme.id, SCHEMA, theirs)] == ["SECRET_NOT_READABLE"]


@pytest.mark.parametrize(
    ("schema", "payload", "sealed"),
    [
        ({"$ref": "#/$defs/x", "$defs": {"x": {"properties": {"a": TOKEN}}}}, {"a": "hunter2"}, {"a": KEPT}),
        ({"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"a": {"x-secret": True}}}]},
         {"a": "hunter2"}, {"a": KEPT}),
        ({"properties": {"b": {}}, "additionalProperties": TOKEN}, {"a": "hunter2", "b": "plain"}, {"a": KEPT, "b": "plain"}),
        ({"properties": {"a": {"prefixItems": [{}], "items": TOKEN}}}, {"a": ["plain", "hunter2"]}, {"a": ["plain", KEPT]}),
        ({"properties": {"child": {"$ref": "#"}, "a": TOKEN}}, {"child": {"child": {"a": "hunter2"}}},
         {"child": {"child": {"a": KEPT}}}),
        ({"dependentSchemas": {"b": {"properties": {"a": TOKEN}}}}, {"a": "hunter2", "b": 1}, {"a": KEPT, "b": 1}),
        ({"unevaluatedProperties": TOKEN}, {"a": "hunter2"}, {"a": KEPT}),
        ({"examples": [{"x-secret": True}], "properties": {"x-secret": {"const": True}}}, {"x-secret": True},
         {"x-secret": True}),
    ],
)  # fmt: skip
def test_marks_are_followed_wherever_a_schema_may_put_them(
    acme: Tenant, schema: Any, payload: Any, sealed: Any
) -> None:
    assert shown(taken_payload(acme.id, {"type": "object", **schema}, payload)) == sealed
