"""A trigger is judged before it is published: its event, the two schemas, and the mapping between them."""

from __future__ import annotations

from typing import Any

import pytest

from domain.engine.known import Known
from domain.engine.trigger_checks import mapping_problems, payload_ref, source_ref, trigger_problems

PAID, ORDER = "payload.Paid.v1", "payload.Order.v1"
ORDER_SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "customer": {"$ref": "#/$defs/customer"},
        "note": {"type": "string"},
    },
    "required": ["id", "customer"],
    "$defs": {"customer": {"type": "object", "properties": {"name": {}, "mail": {}}, "required": ["name"]}},
}
KNOWN = Known(events={"invoice.paid": PAID}, schema_refs=frozenset({PAID, ORDER}))
COMPLETE = {"id": {"$expr": "event.payload.id"}, "customer.name": {"$expr": "event.correlationKey"}}


def trigger(**more: Any) -> dict[str, Any]:
    return {"type": "event", "eventName": "invoice.paid"} | more


def found(
    trigger: Any, mode: str = "pinned", ref: str | None = ORDER, schema: Any = ORDER_SCHEMA
) -> list[tuple[str, str]]:
    problems = trigger_problems(trigger, mode, ref, schema, KNOWN)
    assert {problem.severity for problem in problems} <= {"error"}
    return [(problem.step_path, problem.code) for problem in problems]


def test_no_trigger_with_a_pinned_schema_is_sound() -> None:
    assert found(None) == []


def test_an_inferred_schema_needs_an_event() -> None:
    assert found(None, "inferred") == [("schema_mode", "PAYLOAD_SCHEMA_INFERENCE_UNSUPPORTED_TRIGGER")]
    assert found(trigger(), "inferred", None, None) == []


@pytest.mark.parametrize("kind", ["schedule", "recurring"])
def test_time_is_no_trigger(kind: str) -> None:
    assert found({"type": kind, "cron": "0 9 * * *"}) == [("trigger_type", "TIME_TRIGGER_IN_DEFINITION")]


@pytest.mark.parametrize("odd", [{}, [], "event", {"type": "webhook"}, {"type": "event"}])
def test_whatever_else_is_no_trigger_either(odd: Any) -> None:
    assert found(odd) == [("trigger_type", "TRIGGER_INVALID")]


def test_an_event_outside_the_catalogue_is_refused_with_the_nearest_name() -> None:
    (problem,) = trigger_problems(trigger(eventName="invoice.payd"), "pinned", ORDER, ORDER_SCHEMA, KNOWN)

    assert (problem.step_path, problem.code, problem.suggestion) == (
        "event_name",
        "UNKNOWN_TRIGGER_EVENT",
        "Did you mean invoice.paid?",
    )


def test_a_source_schema_that_is_not_registered_is_refused_with_the_nearest_ref() -> None:
    odd = trigger(sourcePayloadSchemaRef="payload.Piad.v1", payloadMapping=COMPLETE)
    (problem,) = trigger_problems(odd, "pinned", ORDER, ORDER_SCHEMA, KNOWN)

    assert (problem.step_path, problem.code) == ("source_schema_ref", "UNKNOWN_TRIGGER_SOURCE_SCHEMA_REF")
    assert problem.suggestion == f"Did you mean {PAID}?"


def test_different_schemas_need_a_mapping_and_equal_ones_do_not() -> None:
    assert found(trigger()) == [("mapping", "TRIGGER_MAPPING_REQUIRED")]
    assert found(trigger(sourcePayloadSchemaRef=ORDER)) == []
    assert found(trigger(), ref=PAID) == []
    assert found(trigger(payloadMapping=COMPLETE)) == []
    assert found(trigger(), "inferred") == []


def test_the_schema_of_the_event_is_the_named_one_else_the_catalogue_s() -> None:
    assert source_ref(trigger(), KNOWN) == PAID
    assert source_ref(trigger(sourcePayloadSchemaRef=ORDER), KNOWN) == ORDER
    assert source_ref(trigger(eventName="other"), KNOWN) is None
    assert source_ref(None, KNOWN) is None
    assert payload_ref(trigger(), "pinned", ORDER, KNOWN) == ORDER
    assert payload_ref(trigger(), "inferred", ORDER, KNOWN) == PAID
    assert payload_ref(None, "inferred", ORDER, KNOWN) is None


@pytest.mark.parametrize(
    ("mapping", "path", "code"),
    [
        ({"note": {"$expr": ""}}, "mapping/note", "EMPTY_EXPRESSION"),
        ({"note": {"$expr": "event.payload."}}, "mapping/note", "INVALID_EXPRESSION"),
        ({"note": {"$expr": "payload.id"}}, "mapping/note", "TRIGGER_MAPPING_INVALID_ROOT"),
        ({"note": ["x", {"deep": {"$expr": "vars.id & event.name"}}]}, "mapping/note", "TRIGGER_MAPPING_INVALID_ROOT"),
        ({"note": {"$secret": "TOKEN"}}, "mapping/note", "SECRET_NOT_ALLOWED"),
        ({"note..x": 1}, "mapping/note..x", "TRIGGER_MAPPING_TARGET"),
        ({"": 1}, "mapping/", "TRIGGER_MAPPING_TARGET"),
        ({".".join("abcdefghijk"): 1}, "mapping/a.b.c.d.e.f.g.h.i.j.k", "TRIGGER_MAPPING_TARGET"),
        ({"a/b": {"$expr": ""}}, "mapping/a~1b", "EMPTY_EXPRESSION"),
        ({"id.part": 1}, "mapping/id.part", "TRIGGER_MAPPING_TARGET"),
    ],
)
def test_an_entry_of_the_mapping_is_refused_at_its_target(mapping: dict[str, Any], path: str, code: str) -> None:
    assert found(trigger(payloadMapping=COMPLETE | mapping)) == [(path, code)]


@pytest.mark.parametrize(
    ("mapping", "missing"),
    [
        ({"note": 1}, ["id", "customer"]),
        ({"id": 1, "customer.mail": 1}, ["customer.name"]),
        ({"id": 1, "customer": {"mail": 1}}, ["customer.name"]),
        ({"id": 1, "customer": {"$expr": "event.payload.customer"}}, []),
        ({"id": 1, "customer": {"name": {"$expr": "event.name"}}}, []),
        ({"id": 1, "customer": {"name": 1}, "customer.mail": 1}, None),
    ],
)
def test_a_required_field_that_nothing_fills_is_named(mapping: dict[str, Any], missing: list[str] | None) -> None:
    problems = mapping_problems(mapping, ORDER_SCHEMA)
    if missing is None:
        assert [problem.code for problem in problems] == ["TRIGGER_MAPPING_TARGET"]
        return
    assert {problem.code for problem in problems} <= {"TRIGGER_MAPPING_MISSING_REQUIRED_FIELDS"}
    assert [problem.suggestion for problem in problems] == [f"Map something to {name}." for name in missing]


@pytest.mark.parametrize("schema", [None, {}, {"required": 3, "properties": []}, {"$ref": "#"}, {"$ref": "#/nowhere"}])
def test_a_schema_that_says_nothing_requires_nothing(schema: Any) -> None:
    assert mapping_problems({"a": 1}, schema) == []


def test_a_schema_within_itself_ends() -> None:
    knot = {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert [problem.suggestion for problem in mapping_problems({"next.next": {"other": 1}}, knot)] == [
        "Map something to next.next.next."
    ]


def test_what_is_no_mapping_is_refused() -> None:
    assert [problem.code for problem in mapping_problems([1], ORDER_SCHEMA)] == ["TRIGGER_MAPPING_INVALID"]
