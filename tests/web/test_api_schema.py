"""Whatever the description allows is sent to every address: nothing breaks, and nothing is answered that was not declared."""

from __future__ import annotations

import contextvars
from typing import Any

import pytest
import schemathesis
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug.routing import Rule

from domain.accounts.tenants import Tenant
from tests.factories import a_token, a_user
from web.api.openapi.document import api_routes, path_of

DESCRIPTION = "/api/openapi.json"
EXAMPLES = 6
"""Of each operation: they are the same every time, so that the gate does not depend on luck."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
BOUNDS = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def secret(acme: Tenant, ids: dict[str, Any], db: Any) -> str:
    made = a_token(acme, a_user(acme, "dora@acme.test"))[1]
    db.commit()
    return made


def with_ids(case: Any, rule: Rule, ids: dict[str, Any]) -> Any:
    """The same request about something that there is."""
    for name in rule.arguments:
        first, *rest = name.split("_")
        case.path_parameters[first + "".join(word.capitalize() for word in rest)] = str(ids[name])
    return case


@pytest.mark.timeout(600)
def test_every_operation_answers_what_it_declares(
    app: Flask, client: FlaskClient, secret: str, ids: dict[str, Any], db: Any
) -> None:
    schema = contextvars.Context().run(schemathesis.openapi.from_wsgi, DESCRIPTION, app)
    known = {path_of(rule): rule for rule, _ in api_routes(app)}
    asked = set()

    def send(case: Any) -> None:
        undo = db.connection().begin_nested()
        answer = client.open(**case.as_transport_kwargs(headers={"Authorization": f"Bearer {secret}"}))
        undo.rollback()
        db.expire_all()
        case.validate_response(answer, checks=CHECKS)
        asked.add((case.operation.path, case.method, answer.status_code))

    for found in schema.get_all_operations():

        @BOUNDS
        @given(case=found.ok().as_strategy())
        def explore(case: Any) -> None:
            send(case)
            if known[case.operation.path].arguments:
                send(with_ids(case, known[case.operation.path], ids))

        explore()
    assert {path for path, _, _ in asked} == known.keys() - {DESCRIPTION}
    assert 401 not in {status for _, _, status in asked}
    read = {(path, method) for path, method, status in asked if method == "GET" and status == 200}
    assert len(read) > 15
