"""Programs that ask the API for the same at the same moment: real commits in several threads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from domain.accounts.tenants import Tenant
from domain.kernel.db import Base, db, transaction
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from domain.workflows.payload_schemas import register_schema
from tests.factories import NOW, a_published_workflow, a_schedule, a_tenant, a_token, a_user, an_actor, an_install
from tests.web.callers import Caller

AT_ONCE, ROUNDS, SECONDS = 4, 4, 120

Ask = Callable[[Caller, int], TestResponse]


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


@pytest.fixture
def acme(app: Flask) -> Tenant:
    with app.app_context(), transaction():
        tenant = a_tenant()
        db.session.expunge_all()
    return tenant


@pytest.fixture
def secret(app: Flask, acme: Tenant) -> str:
    with app.app_context(), transaction():
        return a_token(acme, a_user(acme, "dora@acme.test"))[1]


@pytest.fixture
def paths(app: Flask, acme: Tenant) -> dict[str, Any]:
    """What can be edited, by its address, and a change of it that is another one for each number."""
    with app.app_context(), transaction():
        workflow = a_published_workflow(acme)
        schema = register_schema(an_actor(acme), "payload.Race.v1", {"type": "object"}, NOW)
        return {
            f"/schedules/{a_schedule(workflow).id}": lambda number: {"name": f"Sync {number}"},
            f"/workflow-definitions/{workflow.id}": lambda number: {"description": f"Sync {number}"},
            f"/extensions/{an_install(acme).extension_id}/install": lambda number: {"config": {"region": str(number)}},
            f"/payload-schemas/{schema.ref}": lambda number: {"schema": {"type": "object", "title": str(number)}},
        }


def at_once(app: Flask, secret: str, ask: Ask) -> list[TestResponse]:
    """What AT_ONCE programs are answered that ask at the same moment."""
    start = Barrier(AT_ONCE)

    def one(number: int) -> TestResponse:
        caller = Caller(app.test_client(), secret)
        start.wait(SECONDS)
        return ask(caller, number)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, range(AT_ONCE)))


def count(app: Flask, model: type[Base]) -> int:
    with app.app_context():
        return int(db.session.scalar(select(func.count()).select_from(model)) or 0)


def test_of_edits_of_the_same_reading_one_is_made_and_the_others_are_told(
    app: Flask, secret: str, paths: dict[str, Any]
) -> None:
    reader = Caller(app.test_client(), secret)
    for path, change in paths.items():
        for round_number in range(ROUNDS):
            tag = reader.get(path).headers["ETag"]

            def edit(caller: Caller, number: int, path: str = path, tag: str = tag, first: int = round_number) -> Any:
                body = paths[path](1 + first * AT_ONCE + number)
                return caller.send("PATCH", path, body, {"If-Match": tag})

            answers = at_once(app, secret, edit)
            assert Counter(answer.status_code for answer in answers) == {200: 1, 412: AT_ONCE - 1}, path
            (won,) = (answer for answer in answers if answer.status_code == 200)
            told = reader.get(path)
            assert told.headers["ETag"] == won.headers["ETag"] != tag
            assert change(0).keys() <= told.json.keys() and told.json == won.json


def test_a_request_that_is_sent_several_times_at_once_is_carried_out_once(
    app: Flask, secret: str, paths: dict[str, Any]
) -> None:
    schedule = next(path for path in paths if path.startswith("/schedules"))
    workflow = next(path for path in paths if path.startswith("/workflow")).rpartition("/")[2]
    body = {"workflowId": workflow, "cron": "0 7 * * *", "enabled": False}
    for number in range(ROUNDS):
        made = at_once(app, secret, lambda caller, _, key=f"made-{number}": caller.post("/schedules", body, key=key))
        assert [(answer.status_code, answer.json) for answer in made] == [(201, made[0].json)] * AT_ONCE
        ran = at_once(app, secret, lambda caller, _, key=f"ran-{number}": caller.post(f"{schedule}/run-now", key=key))
        assert {(answer.status_code, answer.json["id"]) for answer in ran} == {(202, ran[0].json["id"])}
    assert (count(app, Schedule), count(app, Run)) == (1 + ROUNDS, ROUNDS)


def test_of_different_requests_with_one_key_at_once_one_is_carried_out(
    app: Flask, secret: str, paths: dict[str, Any]
) -> None:
    workflow = next(path for path in paths if path.startswith("/workflow")).rpartition("/")[2]
    for number in range(ROUNDS):

        def make(caller: Caller, program: int, key: str = f"k-{number}") -> TestResponse:
            return caller.post("/schedules", {"workflowId": workflow, "cron": f"{program} 7 * * *"}, key=key)

        answers = at_once(app, secret, make)
        assert Counter(answer.status_code for answer in answers) == {201: 1, 409: AT_ONCE - 1}
        assert {answer.json["code"] for answer in answers if answer.status_code == 409} == {"IDEMPOTENCY_KEY_REUSED"}
    assert count(app, Schedule) == 1 + ROUNDS
