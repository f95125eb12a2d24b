"""The names of a tenant that a definition may refer to, and what is said of those that are not there."""

from __future__ import annotations

from typing import Any

import pytest

from domain.accounts.secrets import Secret
from domain.engine.known import Known, KnownWorkflow, known_names
from domain.engine.name_checks import check_event_name, check_schema_ref, check_secret_name, check_workflow_call
from domain.engine.problems import Report
from domain.events.events import EventType
from domain.kernel.ids import new_id
from domain.workflows.payload_schemas import register_schema
from tests.factories import NOW, a_published_workflow, a_tenant, a_version, a_workflow, an_actor
from tests.statements import counted


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


def calling(*keys: str, **more: Any) -> dict[str, Any]:
    """A definition that calls these workflows, the first in a branch."""
    calls = [{"id": f"c-{key}", "type": "control.callWorkflow", "workflowKey": key, **more} for key in keys]
    first = {"id": "if", "type": "control.if", "condition": True, "then": calls[:1]}
    return {"steps": [first, *calls[1:]]}


def codes(check: Any, *args: Any, known: Known | None = None) -> list[tuple[str, str | None]]:
    report = Report(known=known)
    check(*args, report)
    return [(problem.code, problem.suggestion) for problem in report.problems]


def test_the_names_are_those_of_the_tenant_and_of_what_lives(acme: Any, db: Any) -> None:
    other = a_tenant("umbrella")
    for tenant, prefix in ((acme, "OURS"), (other, "THEIRS")):
        db.add(Secret(tenant_id=tenant.id, name=prefix, sealed="x", changed_at=NOW))
        db.add(EventType(tenant_id=tenant.id, name=prefix.lower(), payload_schema_ref="payload.Empty.v1"))
        register_schema(an_actor(tenant), f"payload.{prefix}.v1", {"type": "object"}, NOW)
        workflow = a_published_workflow(tenant, prefix.lower())
        a_version(workflow, 2)
    a_workflow(acme, "draft")
    a_published_workflow(acme, "gone", deleted_at=NOW)
    db.flush()

    known = known_names(acme.id)

    assert {key: (one.published, one.versions) for key, one in known.workflows.items()} == {
        "ours": (2, frozenset({1, 2})),
        "draft": (None, frozenset()),
    }
    assert (known.events, known.secrets) == ({"ours": "payload.Empty.v1"}, frozenset({"OURS"}))
    assert {"payload.OURS.v1", "trigger.clock.v1"} <= known.schema_refs
    assert "payload.THEIRS.v1" not in known.schema_refs


def test_reading_them_costs_the_same_however_many_there_are(acme: Any) -> None:
    def cost() -> int:
        with counted() as statements:
            known_names(acme.id, "first", calling("a0"))
        return len(statements)

    few = cost()
    for number in range(12):
        a_published_workflow(acme, f"a{number}", draft_definition=calling(f"a{number + 1}"))

    assert cost() == few == 5


def test_the_way_of_calls_back_to_a_workflow_is_found_through_published_versions(acme: Any) -> None:
    a_published_workflow(acme, "b", draft_definition=calling("x", "c"))
    a_published_workflow(acme, "c", draft_definition=calling("a"))
    a_published_workflow(acme, "x", draft_definition=calling("x"))
    unpublished = a_workflow(acme, "d", draft_definition=calling("a"))

    known = known_names(acme.id, "a", calling("b", "d"))

    assert known.way_back("b") == ("b", "c", "a")
    assert known.way_back("a") == ("a",)
    assert known.way_back("x") is None
    assert known.way_back(unpublished.key) is None


def test_a_call_of_a_numbered_version_follows_that_version(acme: Any) -> None:
    b = a_published_workflow(acme, "b", draft_definition=calling("a"))
    a_version(b, 2, definition={"steps": []})

    assert known_names(acme.id, "a", calling("b")).way_back("b") is None
    assert known_names(acme.id, "a", calling("b", workflowVersion="latest")).way_back("b") is None
    assert known_names(acme.id, "a", calling("b", workflowVersion=1)).way_back("b") == ("b", "a")


@pytest.mark.parametrize("version", [1.5, -1, 10**20, 1e300, "1", "x", True, None])
def test_a_literal_that_looks_like_a_call_of_no_version_stops_nobody(acme: Any, version: Any) -> None:
    assigned = {"vars.x": {"type": "control.callWorkflow", "workflowKey": "c", "workflowVersion": version}}
    steps = [{"id": "a", "type": "transform.assign", "config": {"assign": assigned}}]
    a_published_workflow(acme, "b", draft_definition={"steps": steps})

    assert known_names(acme.id, "a", calling("b")).calls.keys() == {"b"}


def test_a_call_is_judged_by_key_version_and_way_back() -> None:
    workflows = {
        "sync": KnownWorkflow(new_id(), 3, frozenset({1, 3})),
        "raw": KnownWorkflow(new_id(), None, frozenset()),
        "mine": KnownWorkflow(new_id(), 1, frozenset({1})),
    }
    known = Known(workflows=workflows, own_key="mine", calls={"sync": frozenset({"mine"})})
    free = Known(workflows=workflows)

    assert codes(check_workflow_call, "sync", None, known=free) == []
    assert codes(check_workflow_call, "sync", "latest", known=free) == []
    assert codes(check_workflow_call, "sync", 3, known=free) == []
    assert codes(check_workflow_call, "sync", 2, known=free) == [("UNKNOWN_WORKFLOW_VERSION", "Known versions: 1, 3.")]
    assert codes(check_workflow_call, "snyc", None, known=free) == [("UNKNOWN_WORKFLOW", "Did you mean sync?")]
    assert codes(check_workflow_call, "raw", None, known=free) == [("WORKFLOW_NOT_PUBLISHED", "Publish it first.")]
    assert [code for code, _ in codes(check_workflow_call, "sync", 3, known=known)] == ["WORKFLOW_CALL_CYCLE"]
    assert [code for code, _ in codes(check_workflow_call, "mine", None, known=known)] == ["WORKFLOW_CALL_CYCLE"]
    assert codes(check_workflow_call, "snyc", 2) == []


@pytest.mark.parametrize(("key", "version"), [("", None), (7, None), (None, 1), ("sync", "3"), ("sync", 0), ("sync", True)])  # fmt: skip
def test_a_call_in_a_form_that_names_nothing_is_refused(key: Any, version: Any) -> None:
    assert [code for code, _ in codes(check_workflow_call, key, version)] == ["INVALID_CONFIG"]


def test_an_event_outside_the_catalogue_is_warned_of() -> None:
    known = Known(events={"invoice.paid": "payload.Empty.v1"})

    assert codes(check_event_name, "invoice.paid", known=known) == []
    assert codes(check_event_name, "invoice.payd", known=known) == [("UNKNOWN_EVENT", "Did you mean invoice.paid?")]
    assert [code for code, _ in codes(check_event_name, " ")] == ["INVALID_CONFIG"]
    assert codes(check_event_name, "invoice.payd") == []


def test_a_ref_that_is_not_registered_is_refused() -> None:
    known = Known(schema_refs=frozenset({"payload.Order.v1"}))

    assert codes(check_schema_ref, "payload.Order.v1", "formSchemaRef", known=known) == []
    assert codes(check_schema_ref, "payload.Ordr.v1", "formSchemaRef", known=known) == [
        ("UNKNOWN_PAYLOAD_SCHEMA_REF", "Did you mean payload.Order.v1?")
    ]
    assert [code for code, _ in codes(check_schema_ref, 7, "formSchemaRef")] == ["INVALID_CONFIG"]
    assert codes(check_schema_ref, "payload.Ordr.v1", "formSchemaRef") == []


@pytest.mark.parametrize("name", ["token", "1A", "", "A-B", 7, None, "A" * 65, "Ä"])
def test_a_bad_secret_name_is_refused(name: Any) -> None:
    assert [code for code, _ in codes(check_secret_name, name, "inputMapping.token")] == ["INVALID_SECRET_NAME"]


def test_a_secret_that_is_not_there_yet_is_warned_of() -> None:
    known = Known(secrets=frozenset({"API_TOKEN"}))

    assert codes(check_secret_name, "API_TOKEN", "token", known=known) == []
    assert codes(check_secret_name, "API_TOKE", "token", known=known) == [
        ("SECRET_NOT_FOUND", "Did you mean API_TOKEN?")
    ]
    assert codes(check_secret_name, "API_TOKE", "token") == []
