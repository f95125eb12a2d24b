"""What a file may be: everything else is refused with a code and a place, before anything looks at the database."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.bundles.documents import bundle_bytes, read_bundle
from domain.bundles.reading import MAX_BYTES, BundleRefused
from tests.domain.bundles.bundle_files import a_document, a_file, an_entry


def refusal(raw: bytes) -> BundleRefused:
    with pytest.raises(BundleRefused) as refused:
        read_bundle(raw)
    return refused.value


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "JSON_INVALID"),
        (b"{", "JSON_INVALID"),
        (b"\xff\xfe", "JSON_TEXT"),
        (b'{"format": 1, "format": 2}', "JSON_DUPLICATE_KEY"),
        (b"[" * 100_000, "JSON_TOO_DEEP"),
        (b" " * (MAX_BYTES + 1), "JSON_TOO_LARGE"),
        (b'{"a": NaN}', "JSON_NUMBER"),
    ],
)
def test_what_is_no_json_is_an_invalid_bundle(raw: bytes, reason: str) -> None:
    refused = refusal(raw)
    assert (refused.code, refused.details["reason"]) == ("INVALID_BUNDLE", reason)


def test_a_list_is_an_invalid_bundle() -> None:
    assert refusal(b"[]").code == "INVALID_BUNDLE"


def test_the_header_is_looked_at_before_the_rest() -> None:
    foreign = refusal(b'{"format": "other", "formatVersion": 9}')
    assert foreign.code == "UNSUPPORTED_FORMAT"
    assert foreign.details == {"expectedFormat": "alga-psa.workflow-bundle", "receivedFormat": "other"}
    for version in (2, 0, "1", 1.0, True, None):
        newer = refusal(json.dumps({"format": "alga-psa.workflow-bundle", "formatVersion": version}).encode())
        assert newer.code == "UNSUPPORTED_FORMAT_VERSION"
        assert newer.details == {"expectedFormatVersion": 1, "receivedFormatVersion": version}


def test_a_header_of_any_length_is_answered_in_short() -> None:
    for header in ({"format": "x" * 10_000}, {"format": "alga-psa.workflow-bundle", "formatVersion": "9" * 10_000}):
        refused = refusal(json.dumps(header).encode())
        assert len(json.dumps(refused.details)) < 1_000
    listed = refusal(b'{"format": ["alga-psa.workflow-bundle"]}')
    assert (listed.code, listed.details["receivedFormat"]) == ("UNSUPPORTED_FORMAT", None)


def test_a_file_with_very_many_mistakes_is_refused_at_the_first_hundred() -> None:
    crowd = a_document() | {"workflows": [{}] * 1_000_000}
    many = [an_entry(f"k{number}") | {"publishedVersions": [{}] * 100_000} for number in range(2)]
    odd = an_entry("odd") | {"publishedVersions": [{}] * 1_000}
    named = a_document() | {f"k{number}" * 200: 1 for number in range(1_000)}
    for document, count in ((crowd, 1), (a_document(*many), 2), (a_document(*[odd] * 500), 100), (named, 100)):
        refused = refusal(json.dumps(document).encode())
        assert refused.code == "SCHEMA_VALIDATION_FAILED"
        assert len(refused.details["errors"]) == len(refused.problems) == count
        assert len(json.dumps(refused.details)) < 100_000
    assert refusal(json.dumps(crowd).encode()).problems[0].path == "/workflows"


def test_all_that_is_wrong_with_the_form_is_told_at_its_place() -> None:
    entry = an_entry() | {"id": "0197b0c2-0000-7000-8000-000000000000"}
    entry["metadata"]["concurrencyLimit"] = -1
    del entry["draft"]["draftVersion"]
    refused = refusal(a_file(entry))
    assert refused.code == "SCHEMA_VALIDATION_FAILED"
    paths = {error["path"] for error in refused.details["errors"]}
    assert paths == {
        "/workflows/0/id",
        "/workflows/0/metadata/concurrencyLimit",
        "/workflows/0/draft/draftVersion",
    }
    assert refused.problems[0].path in paths and refused.problems[0].path in refused.message


@pytest.mark.parametrize("when", ["yesterday", "2026-01-25", "2026-02-30T00:00:00Z", "2026-01-25T00:00:00"])
def test_the_time_of_the_export_is_an_instant(when: str) -> None:
    refused = refusal(a_file(exportedAt=when))
    assert (refused.code, refused.details["errors"][0]["path"]) == ("SCHEMA_VALIDATION_FAILED", "/exportedAt")


def test_a_bundle_without_workflows_is_refused() -> None:
    assert refusal(json.dumps(a_document() | {"workflows": []}).encode()).code == "SCHEMA_VALIDATION_FAILED"


def test_a_key_may_be_in_the_file_once() -> None:
    refused = refusal(a_file(an_entry("one"), an_entry("two"), an_entry("one")))
    assert (refused.code, refused.details["workflowKey"]) == ("DUPLICATE_KEY", "one")
    assert refused.problems[0].path == "/workflows/2/key"


def test_a_version_may_be_in_a_workflow_once() -> None:
    refused = refusal(a_file(an_entry("one", versions=(1, 2, 1))))
    assert (refused.code, refused.details) == ("DUPLICATE_VERSION", {"workflowKey": "one", "version": 1})
    assert refused.problems[0].path == "/workflows/0/publishedVersions/2/version"


def test_an_export_is_laid_out_in_one_way() -> None:
    text = bundle_bytes(read_bundle(a_file(an_entry("zeta"), an_entry("alpha", versions=(2, 1))))).decode()
    document = json.loads(text)
    assert [one["key"] for one in document["workflows"]] == ["alpha", "zeta"]
    assert [one["version"] for one in document["workflows"][0]["publishedVersions"]] == [1, 2]
    assert text == json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def test_what_is_read_and_written_reads_the_same() -> None:
    once = bundle_bytes(read_bundle(a_file(an_entry("one"), an_entry("two", versions=()))))
    assert bundle_bytes(read_bundle(once)) == once


def version(number: int, **definition: Any) -> dict[str, Any]:
    return {"version": number, "definition": {"steps": [], **definition}, "payloadSchemaJson": None}


def test_a_version_says_what_differs_from_the_draft_and_is_stored_without_it() -> None:
    trigger = {"type": "event", "eventName": "invoice.paid"}
    stated = version(2, trigger=None, payloadSchemaRef="payload.Other.v1", payloadSchemaMode="inferred")
    entry = an_entry(versions=[version(1), stated, version(3, trigger=trigger)], trigger=trigger)
    (workflow,) = read_bundle(a_file(entry)).workflows
    first, second, third = workflow.versions
    assert (first.trigger, first.schema_mode, first.schema_ref) == (trigger, "pinned", "payload.Empty.v1")
    assert (second.trigger, second.schema_mode, second.schema_ref) == (None, "inferred", "payload.Other.v1")
    assert third.trigger == trigger
    assert "trigger" not in third.definition and "payloadSchemaMode" not in second.definition
    again = bundle_bytes(read_bundle(a_file(entry)))
    assert bundle_bytes(read_bundle(again)) == again


def test_ids_of_elsewhere_are_left_out_and_children_called_by_key() -> None:
    child_id, nil = "0197b0c2-aaaa-7000-8000-000000000000", "00000000-0000-0000-0000-000000000000"
    calls = [
        {"id": "known", "type": "control.callWorkflow", "workflowId": child_id.upper(), "workflowVersion": 1},
        {"id": "lost", "type": "control.callWorkflow", "workflowId": nil, "workflowVersion": 1},
    ]
    child = an_entry("child")
    child["draft"]["definition"]["id"] = child_id
    workflows = read_bundle(a_file(an_entry("parent", steps=calls), child)).workflows
    assert "id" not in workflows[0].draft_definition
    steps = workflows[1].draft_definition["steps"]
    assert [step["workflowKey"] for step in steps] == ["child", nil]
    assert all("workflowId" not in step for step in steps)


def test_what_only_looks_like_a_call_is_left_as_it_is() -> None:
    literal = {"type": "control.callWorkflow", "workflowId": "7"}
    step = {"id": "say", "type": "action.call", "config": {"actionId": "log.write", "inputMapping": {"m": literal}}}
    (workflow,) = read_bundle(a_file(an_entry(steps=[step]))).workflows
    assert workflow.draft_definition["steps"] == workflow.versions[0].definition["steps"] == [step]


@pytest.mark.parametrize("ref", [5, "", {"a": 1}, "x" * 201])
def test_the_schema_that_a_version_names_is_a_ref(ref: Any) -> None:
    refused = refusal(a_file(an_entry(versions=[version(1, payloadSchemaRef=ref)])))
    assert refused.code == "SCHEMA_VALIDATION_FAILED"
    assert refused.problems[0].path == "/workflows/0/publishedVersions/0/definition/payloadSchemaRef"


def test_versions_leave_room_for_those_that_are_published_next() -> None:
    assert refusal(a_file(an_entry(versions=(2**31 - 2,)))).code == "SCHEMA_VALIDATION_FAILED"


def test_a_setting_of_a_wrong_kind_is_told_in_words() -> None:
    refused = refusal(a_file(an_entry(concurrencyLimit=1.5)))
    assert refused.problems[0].message == "must be null or a whole number"


def test_a_time_trigger_is_taken_out_of_the_settings_and_the_definitions() -> None:
    trigger = {"type": "recurring", "cron": "0 9 * * *", "timezone": "UTC"}
    entry = an_entry(versions=[version(1, trigger=trigger)], trigger=trigger)
    (workflow,) = read_bundle(a_file(entry)).workflows
    assert (workflow.trigger, workflow.versions[0].trigger) == (None, None)
    assert workflow.time_triggers == (trigger, trigger)
    assert "trigger" not in workflow.versions[0].definition


@pytest.mark.parametrize(("threshold", "read"), [("0.50", 0.5), (1, 1.0), (None, None)])
def test_a_threshold_may_be_text(threshold: Any, read: float | None) -> None:
    (workflow,) = read_bundle(a_file(an_entry(failureRateThreshold=threshold))).workflows
    assert workflow.failure_rate_threshold == read


@pytest.mark.parametrize("threshold", ["0", "0.0", "2", "-0.5", "much", 0, 1.5])
def test_a_threshold_is_a_share(threshold: Any) -> None:
    assert refusal(a_file(an_entry(failureRateThreshold=threshold))).code == "SCHEMA_VALIDATION_FAILED"
