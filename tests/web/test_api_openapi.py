"""The description of the API says what the views do: every route, what it needs, what it takes and what it answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema.validators import Draft202012Validator
from schemathesis.specs.openapi.definitions import OPENAPI_31
from werkzeug.routing import Rule

from domain.accounts.tenants import Tenant
from tests.factories import a_token, a_user
from tests.web.addresses import address
from tests.web.callers import Caller
from tests.web.cast import Browser
from web.access import public
from web.api.definition_bodies import WRITABLE
from web.api.extensions import PUBLISHABLE
from web.api.installs import CONFIGURABLE, INSTALLABLE
from web.api.openapi import definitions, extensions, schedules
from web.api.openapi.declaring import Declaration, declared
from web.api.openapi.document import UndeclaredView, api_routes, declaration_of, openapi_document, path_of
from web.api.openapi.words import ID, TEXT, maybe, record
from web.api.outlook import TIMING_MEMBERS
from web.api.schedule_bodies import CREATABLE, EDITABLE
from web.api.upgrading import UPGRADABLE


@pytest.fixture
def caller(app: Flask, acme: Tenant) -> Caller:
    return Caller(app.test_client(), a_token(acme, a_user(acme))[1])


def routes(app: Flask) -> Iterator[tuple[Rule, str, Declaration]]:
    for rule, method in api_routes(app):
        yield rule, method, declaration_of(app, rule.endpoint)


def example(schema: dict[str, Any]) -> str:
    """Text that may stand in a query where the schema is asked for."""
    if "enum" in schema:
        return str(schema["enum"][0])
    by_format = {"uuid": "01a1fb80-25f1-7000-9878-3cc29d3900f9", "date-time": "2026-11-21T08:00:00Z"}
    return by_format.get(schema.get("format", ""), {"boolean": "true", "integer": "1"}.get(schema["type"], "x"))


def test_every_route_of_the_api_is_described(app: Flask, client: FlaskClient) -> None:
    described = client.get("/api/openapi.json").get_json()
    assert described["openapi"] == "3.1.0"
    told = {(path, method.upper()) for path, methods in described["paths"].items() for method in methods}
    assert told == {(path_of(rule), method) for rule, method in api_routes(app)}
    assert ("/api/schedules/{scheduleId}/run-now", "POST") in told


def test_a_route_that_declares_nothing_is_found() -> None:
    app = Flask("undeclared")
    app.add_url_rule("/api/secret", view_func=public(lambda: ""))
    with pytest.raises(UndeclaredView, match="declared"):
        openapi_document(app)


def test_two_schemas_of_one_name_are_found() -> None:
    app = Flask("twice")
    for name, shape in (("a", record("Thing", a=TEXT)), ("b", record("Thing", b=TEXT))):
        app.add_url_rule(f"/api/{name}", name, declared("Read", shape, is_public=True)(public(lambda: "")))
    with pytest.raises(ValueError, match="Thing"):
        openapi_document(app)


def test_the_description_holds_together(client: FlaskClient) -> None:
    described = client.get("/api/openapi.json").get_json()
    components = described["components"]
    for schema in components["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for reference in references(described):
        kind, name = reference.removeprefix("#/components/").split("/")
        assert name in components[kind], reference
    ids = [operation["operationId"] for methods in described["paths"].values() for operation in methods.values()]
    assert len(ids) == len(set(ids))


def references(said: Any) -> Iterator[str]:
    if isinstance(said, list):
        for one in said:
            yield from references(one)
    elif isinstance(said, dict):
        if isinstance(said.get("$ref"), str):
            yield said["$ref"]
        for one in said.values():
            yield from references(one)


def test_the_description_is_openapi_3_1(client: FlaskClient) -> None:
    described = client.get("/api/openapi.json").get_json()
    assert not [f"{one.json_path} {one.message}" for one in Draft202012Validator(OPENAPI_31).iter_errors(described)]
    described["paths"]["/api/audit"]["get"]["parameters"][0]["in"] = "nowhere"
    assert not Draft202012Validator(OPENAPI_31).is_valid(described)


def test_the_examples_are_what_the_views_take(
    client: FlaskClient, caller: Caller, acme: Tenant, ids: dict[str, Any], db: Any
) -> None:
    schemas = client.get("/api/openapi.json").get_json()["components"]["schemas"]
    examples = {title: example for title, schema in schemas.items() for example in schema.get("examples", ())}
    for title, example in examples.items():
        resolved = Draft202012Validator({**schemas[title], "components": {"schemas": schemas}})
        assert resolved.is_valid(example), title
    made = caller.post("/schedules", examples["NewSchedule"] | {"workflowId": str(ids["workflow_id"])})
    schedule = f"/schedules/{made.json['id']}"
    assert made.status_code == 201
    for path, title, status in (
        (f"{schedule}/pause", "Pause", 200),
        ("/schedules/preview", "Timing", 200),
        ("/workflow-definitions", "NewWorkflowDefinition", 201),
        ("/payload-schemas", "NewPayloadSchema", 201),
    ):
        assert caller.post(path, examples[title]).status_code == status, title
    revision = caller.get(schedule).json["revision"]
    assert caller.patch(schedule, examples["ScheduleChange"] | {"revision": revision}).status_code == 200


def test_who_has_to_wait_or_to_say_who_asks_is_told_by_headers(client: FlaskClient) -> None:
    told = client.get("/api/openapi.json").get_json()["components"]["responses"]
    headers = {status: list(answer.get("headers", ())) for status, answer in told.items()}
    assert headers["429"] == headers["503"] == ["Retry-After"] and headers["401"] == ["WWW-Authenticate"]


def test_it_says_what_each_route_needs(client: FlaskClient) -> None:
    paths = client.get("/api/openapi.json").get_json()["paths"]
    assert paths["/api/audit"]["get"]["description"] == "Needs `workflow:admin`."
    assert paths["/api/schedules"]["post"]["description"] == "Needs `extension:write` or `workflow:manage`."
    assert paths["/api/openapi.json"]["get"]["security"] == [{}]
    create = paths["/api/schedules"]["post"]
    assert "Idempotency-Key" in {one["name"] for one in create["parameters"]}
    assert {"201", "401", "403", "409", "413", "415", "422", "429"} <= set(create["responses"])
    change = paths["/api/schedules/{scheduleId}"]["patch"]
    assert "If-Match" in {one["name"] for one in change["parameters"]} and "412" in change["responses"]
    assert "ETag" in change["responses"]["200"]["headers"] and "Location" in create["responses"]["201"]["headers"]


def test_the_filters_and_fields_that_are_declared_are_those_that_are_known(
    app: Flask, caller: Caller, ids: dict[str, Any], db: Any
) -> None:
    for rule, method, known in routes(app):
        path = address(app, rule, ids).removeprefix("/api")
        for name, schema in known.query.items():
            undo = db.connection().begin_nested()
            answer = caller.send(method, f"{path}?{name}={example(schema)}")
            undo.rollback()
            assert "UNKNOWN_FIELD" not in answer.text, f"{method} {path} knows no {name}"
        # A bundle is judged by the schema of its own.
        if known.body is not None and "properties" in known.body:
            told = refused_names(caller, method, path, known.body["properties"])
            assert told == {"nothingOfTheKind"}, f"{method} {path}"


def refused_names(caller: Caller, method: str, path: str, members: Any) -> set[str]:
    """Which of `members` and one that nobody knows are refused for not being known."""
    body = dict.fromkeys([*members, "nothingOfTheKind"])
    problems = caller.send(method, path, body).json["errors"]
    return {problem["path"] for problem in problems if problem["code"] in ("UNKNOWN_FIELD", "READ_ONLY_FIELD")}


def test_the_declared_bodies_have_all_the_fields_that_there_are() -> None:
    for body, members in (
        (schedules.NEW_SCHEDULE, CREATABLE),
        (schedules.SCHEDULE_CHANGE, EDITABLE),
        (schedules.NEW_CALL_SCHEDULE, CREATABLE - {"workflowId"}),
        (schedules.TIMING, TIMING_MEMBERS),
        (definitions.NEW_DEFINITION, WRITABLE),
        (definitions.DEFINITION_CHANGE, WRITABLE | {"revision"}),
        (extensions.NEW_VERSION, PUBLISHABLE),
        (extensions.NEW_INSTALL, INSTALLABLE),
        (extensions.INSTALL_CHANGE, CONFIGURABLE),
        (extensions.UPGRADE, UPGRADABLE),
    ):
        assert set(body["properties"]) == set(members), body["title"]


def test_what_is_read_is_what_was_declared(app: Flask, caller: Caller, ids: dict[str, Any]) -> None:
    document = openapi_document(app)
    seen = 0
    for rule, method, known in routes(app):
        if method != "GET" or known.is_public:
            continue
        answer = caller.get(address(app, rule, ids).removeprefix("/api"))
        assert answer.status_code in {200, *map(int, document["paths"][path_of(rule)]["get"]["responses"])}
        if answer.status_code == 200:
            faults = list(Draft202012Validator(known.answers[200]).iter_errors(answer.json))
            assert not faults, f"{rule.rule}: {faults[0].json_path} {faults[0].message}"
            seen += 1
    assert seen > 15


def test_a_nullable_choice_takes_null_and_a_nullable_record_as_well() -> None:
    kept = Draft202012Validator(maybe(record("Thing", id=ID)))
    assert kept.is_valid(None) and kept.is_valid({"id": "x"}) and not kept.is_valid({})
    assert Draft202012Validator(maybe({"type": "string", "enum": ["a"]})).is_valid(None)


def test_the_page_names_every_route_and_loads_nothing_from_elsewhere(app: Flask, alice: Browser) -> None:
    for answer in (app.test_client().get("/api/docs"), alice.get("/api/docs")):
        assert answer.status_code == 200
        assert answer.content_type.startswith("text/html")
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert "//" not in answer.text.replace("http://www.w3.org/", "")
        assert "style=" not in answer.text and "<script>" not in answer.text
        for rule, _ in api_routes(app):
            assert path_of(rule) in answer.text
        assert "dstRepeat" in answer.text and "Needs workflow:admin." in answer.text


def test_the_description_is_the_same_every_time(app: Flask) -> None:
    assert json.dumps(openapi_document(app)) == json.dumps(openapi_document(app))
