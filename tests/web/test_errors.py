"""From what went wrong to what is answered."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest
from flask import Flask

from domain.kernel import errors
from tests.servers import make_app, plain_config
from tests.web.cast import HTMX
from web.access import public
from web.errors import STATUSES, status_of

PROBLEM = "application/problem+json"
FAILURES: dict[str, tuple[Exception, int]] = {
    "refused": (errors.Refused.at("name", "Enter a name.", "NAME_REQUIRED"), 422),
    "notfound": (errors.NotFound(), 404),
    "forbidden": (errors.Forbidden(), 403),
    "conflict": (errors.Conflict(), 409),
    "stale": (errors.StaleTransition(), 409),
    "held": (errors.Held("The workflow is paused."), 409),
    "throttled": (errors.Throttled(), 429),
    "lost": (errors.LostClaim(), 409),
    "broken": (RuntimeError("SELECT secret FROM /etc/passwd"), 500),
}


@pytest.fixture(scope="module")
def failing() -> Flask:
    """An application with a page and an API address for every failure."""
    app = make_app(plain_config())

    @public
    def fail(name: str) -> None:
        raise FAILURES[name][0]

    for prefix in ("/fail", "/api/fail"):
        app.add_url_rule(f"{prefix}/<name>", endpoint=prefix, view_func=fail, methods=["GET"])
    return app


def test_a_host_that_is_not_known_is_told_to_programs_as_a_problem() -> None:
    client = make_app(replace(plain_config(), host_names=("carillon.test",))).test_client()
    asked = client.get("/api/schedules", headers={"Host": "elsewhere.test"})
    assert (asked.status_code, asked.content_type, asked.get_json()["code"]) == (400, PROBLEM, "BAD_REQUEST")
    page = client.get("/schedules", headers={"Host": "elsewhere.test"})
    assert (page.status_code, page.mimetype) == (400, "text/plain")


def test_every_class_of_error_has_a_status() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.DomainError)]
    assert all(any(parent in STATUSES for parent in kind.__mro__) for kind in kinds)
    assert status_of(errors.StaleTransition()) == 409


@pytest.mark.parametrize("name", FAILURES)
def test_a_page_says_what_is_wrong_and_what_to_do(failing: Flask, name: str) -> None:
    answer = failing.test_client().get(f"/fail/{name}")
    assert answer.status_code == FAILURES[name][1]
    assert answer.headers["X-Request-Id"] in answer.text
    assert "<h1>" in answer.text and "Traceback" not in answer.text and "passwd" not in answer.text


@pytest.mark.parametrize("name", FAILURES)
def test_htmx_gets_a_notice_that_replaces_nothing(failing: Flask, name: str) -> None:
    answer = failing.test_client().get(f"/fail/{name}", headers=HTMX)
    error, status = FAILURES[name]
    assert (answer.status_code, answer.headers["HX-Reswap"]) == (status, "none")
    assert "<html" not in answer.text
    # The script itself speaks for the others.
    assert ("HX-Trigger" in answer.headers) == (status in (409, 422))
    if status == 409:
        assert json.loads(answer.headers["HX-Trigger"])["toast"] == {"message": str(error), "kind": "error"}


@pytest.mark.parametrize("name", FAILURES)
def test_the_api_answers_with_problem_json(failing: Flask, name: str) -> None:
    answer = failing.test_client().get(f"/api/fail/{name}")
    error, status = FAILURES[name]
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    problem = answer.get_json(force=True)
    assert problem["status"] == status and problem["title"] and problem["detail"]
    assert problem["requestId"] == answer.headers["X-Request-Id"]
    if isinstance(error, errors.DomainError):
        assert problem["code"] == error.code
    assert ("errors" in problem) == (name == "refused")


def test_the_api_names_the_fields(failing: Flask) -> None:
    problem = failing.test_client().get("/api/fail/refused").get_json(force=True)
    assert problem["errors"] == [{"path": "name", "message": "Enter a name.", "code": "NAME_REQUIRED"}]


def test_someone_who_came_too_often_is_told_when_to_come_again(failing: Flask) -> None:
    assert int(failing.test_client().get("/api/fail/throttled").headers["Retry-After"]) > 0


def test_an_unexpected_error_is_logged_once_with_its_number(failing: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        failing.test_client().get("/fail/broken")
    assert [record.exc_info is not None for record in caplog.records] == [True]


@pytest.mark.parametrize(("given", "is_taken"), [("abc-123", True), ("x" * 65, False), ("a b", False), ("<b>", False)])
def test_a_request_number_from_outside_is_taken_over_when_it_is_one(failing: Flask, given: str, is_taken: bool) -> None:
    answer = failing.test_client().get("/fail/notfound", headers={"X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) is is_taken
    assert len(answer.headers.getlist("X-Request-Id")) == 1


def test_a_body_that_is_too_large_is_not_read(failing: Flask) -> None:
    client = failing.test_client()
    answer = client.post("/sign-in", data={"email": "x" * 1_100_000})
    assert answer.status_code == 413


def test_every_request_is_one_line_without_its_query(failing: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    failing.test_client().get("/fail/notfound?q=private")
    line = capsys.readouterr().out
    assert line.count("A request was answered.") == 1
    assert "/fail/notfound" in line and "private" not in line


def test_each_failure_leaves_the_request_number_out_of_the_next(failing: Flask) -> None:
    client = failing.test_client()
    first, second = (client.get("/fail/notfound").headers["X-Request-Id"] for _ in range(2))
    assert first != second
