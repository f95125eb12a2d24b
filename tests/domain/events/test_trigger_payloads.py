"""What the mapping of a trigger makes of an event."""

from __future__ import annotations

from typing import Any

import pytest

from domain.events.trigger_payloads import triggered_payload
from domain.expressions import ExpressionError
from domain.kernel.errors import Refused

TOLD = {"name": "invoice.paid", "correlationKey": "42", "payload": {"number": 42}, "payloadSchemaRef": "payload.A.v1"}


@pytest.mark.parametrize(
    ("mapping", "payload"),
    [
        (None, {"number": 42}),
        ({}, {}),
        ({"a.b.c": 1, "a.b.d": 2, "a.e": 3}, {"a": {"b": {"c": 1, "d": 2}, "e": 3}}),
        ({"all": {"$expr": "event.payload"}, "all.more": True}, {"all": {"number": 42, "more": True}}),
        ({"literal": {"x": 1}, "literal.y": 2}, {"literal": {"x": 1, "y": 2}}),
        ({"list": [{"$expr": "event.correlationKey"}, None]}, {"list": ["42", None]}),
        ({"missing": {"$expr": "event.payload.nothing"}}, {"missing": None}),
        ({"key": {"$secret": "TOKEN"}}, {"key": {"$secret": "TOKEN"}}),
    ],
)
def test_a_mapping_makes_a_payload(mapping: Any, payload: Any) -> None:
    assert triggered_payload({"payloadMapping": mapping}, TOLD) == payload


def test_the_published_trigger_is_never_changed() -> None:
    trigger = {"payloadMapping": {"a": {"x": {"y": 1}}, "a.x.z": 2}}
    assert triggered_payload(trigger, TOLD) == triggered_payload(trigger, TOLD) == {"a": {"x": {"y": 1, "z": 2}}}
    assert trigger == {"payloadMapping": {"a": {"x": {"y": 1}}, "a.x.z": 2}}


@pytest.mark.parametrize("mapping", [{"a": 1, "a.b": 2}, {"a": [], "a.b.c": 2}, {".".join("abcdefghijk"): 1}])
def test_targets_that_cannot_stand_are_refused(mapping: Any) -> None:
    with pytest.raises(Refused) as refused:
        triggered_payload({"payloadMapping": mapping}, TOLD)
    assert refused.value.problems[0].code == "TRIGGER_MAPPING_TARGET"


def test_nothing_but_the_event_is_seen() -> None:
    with pytest.raises(ExpressionError):
        triggered_payload({"payloadMapping": {"n": {"$expr": "1 + event.name"}}}, TOLD)
    assert triggered_payload({"payloadMapping": {"n": {"$expr": "payload.number"}}}, TOLD) == {"n": None}
