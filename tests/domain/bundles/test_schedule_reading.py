"""What a file of schedules may be: everything else is refused with a code and a place, before the database is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from jsonschema_specifications import REGISTRY

from domain.bundles.reading import BundleRefused
from domain.bundles.schedule_documents import read_schedule_bundle
from domain.bundles.schedule_schema import MAX_SCHEDULES, SCHEMA
from tests.domain.bundles.schedule_files import CALL, HOURLY, a_bundle, a_call_item, a_file, an_item

PUBLISHED = Path(__file__).parents[3] / "docs" / "schemas" / "schedule-bundle.v1.schema.json"
GUIDE = Path(__file__).parents[3] / "docs" / "schedule-bundles.md"
ONCE = {"triggerType": "schedule", "timezone": "Europe/Paris", "runAt": "2026-04-01T09:00:00+02:00"}


def refusal(raw: bytes) -> BundleRefused:
    with pytest.raises(BundleRefused) as refused:
        read_schedule_bundle(raw)
    return refused.value


def test_the_published_schema_is_the_one_that_is_used() -> None:
    assert json.loads(PUBLISHED.read_text()) == SCHEMA
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_example_of_the_guide_is_a_bundle() -> None:
    text = GUIDE.read_text()
    example = text[text.index("```json\n") + 8 :].partition("```")[0]
    bundle = read_schedule_bundle(example.encode())
    assert bundle.kinds == {"workflow", "endpoint"}
    jsonschema.Draft202012Validator(SCHEMA, registry=REGISTRY).validate(json.loads(example))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "INVALID_BUNDLE"),
        (b"[]", "INVALID_BUNDLE"),
        (b"[" * 100_000, "INVALID_BUNDLE"),
        (b'{"format": "carillon.schedule-bundle", "format": 1}', "INVALID_BUNDLE"),
        (b'{"format": "alga-psa.workflow-bundle", "formatVersion": 1, "workflows": []}', "UNSUPPORTED_FORMAT"),
        (a_file(formatVersion=2), "UNSUPPORTED_FORMAT_VERSION"),
        (a_file(formatVersion="1"), "UNSUPPORTED_FORMAT_VERSION"),
        (a_file(schedules={}), "SCHEMA_VALIDATION_FAILED"),
        (a_file(tenantId="7"), "SCHEMA_VALIDATION_FAILED"),
        (a_file(*[{}] * (MAX_SCHEDULES + 1)), "SCHEMA_VALIDATION_FAILED"),
    ],
)
def test_what_is_no_bundle_is_refused_with_a_code(raw: bytes, code: str) -> None:
    assert refusal(raw).code == code


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"id": "0197b0c2-0000-7000-8000-000000000000"}, "id"),
        ({"status": "active"}, "status"),
        ({"name": None}, "name"),
        ({"externalKey": ""}, "externalKey"),
        ({"payload": [1]}, "payload"),
        ({"target": {}}, "target/publisher"),
        ({"target": {"workflow": "invoice-sync", "method": "POST"}}, "target/method"),
        ({"timing": {**HOURLY, "runAt": "2026-04-01T09:00:00Z"}}, "timing/runAt"),
        ({"timing": {**ONCE, "cron": "0 9 * * *"}}, "timing/cron"),
        ({"timing": {**ONCE, "runAt": "tomorrow"}}, "timing/runAt"),
        ({"timing": {"triggerType": "recurring", "cron": "0 9 * * *"}}, "timing/timezone"),
        ({"policies": {"overlap": "pile up"}}, "policies/overlap"),
        ({"policies": {"maxAttempts": 3}}, "policies/maxAttempts"),
        ({"policies": {"spreadSeconds": -1}}, "policies/spreadSeconds"),
    ],
)
def test_a_member_that_cannot_be_is_told_at_its_place(members: dict[str, Any], path: str) -> None:
    refused = refusal(a_file(an_item("first"), an_item(**members)))
    assert refused.code == "SCHEMA_VALIDATION_FAILED"
    assert f"/schedules/1/{path}" in {error["path"] for error in refused.details["errors"]}
    assert all(problem.path.startswith("/schedules/1/") for problem in refused.problems)


def test_everything_wrong_is_told_at_once() -> None:
    refused = refusal(a_file(an_item(id=1), an_item("noon", timing={**HOURLY, "cron": ""})))
    assert {problem.path for problem in refused.problems} == {"/schedules/0/id", "/schedules/1/timing/cron"}


def test_a_key_that_two_schedules_have_is_refused_also_when_it_is_written_in_two_ways() -> None:
    refused = refusal(a_file(an_item("noon"), an_item("night"), an_item(" noon ")))
    assert (refused.code, refused.details) == ("DUPLICATE_KEY", {"keys": ["noon"]})
    assert [problem.path for problem in refused.problems] == ["/schedules/0/externalKey", "/schedules/2/externalKey"]


def test_what_is_left_out_has_the_defaults_of_its_kind() -> None:
    run, call = a_bundle(an_item(), a_call_item()).schedules
    assert run["payload"] == {}
    assert run["policies"] == {
        "overlap": "queue", "catchUp": "latest", "maxLatenessSeconds": None, "spreadSeconds": 0,
    }  # fmt: skip
    assert (call["name"], call["payload"]) == (None, None)
    assert (call["policies"]["overlap"], call["policies"]["maxAttempts"]) == ("skip", 3)


def test_two_ways_to_write_one_thing_are_read_alike() -> None:
    by_hand = an_item(name=" The  morning sync", timing={**HOURLY, "cron": "@hourly", "startsAt": None})
    assert a_bundle(by_hand) == a_bundle(an_item())
    called = {**CALL, "method": "post", "path": "api//sync"}
    assert a_bundle(a_call_item(target=called)) == a_bundle(a_call_item())
    (once,) = a_bundle(an_item(timing=ONCE)).schedules
    assert once["timing"] == {
        "triggerType": "schedule", "timezone": "Europe/Paris", "runAt": "2026-04-01T07:00:00Z",
    }  # fmt: skip
