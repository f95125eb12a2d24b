"""A request whose body comes slowly: whoever sends it keeps no connection of the database from others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, func, select

from domain.kernel.db import db, transaction
from domain.schedules.schedules import Schedule
from tests.domain.firing.ledger import a_target
from tests.factories import a_tenant, a_token, a_user
from web import security

LONG = "x" * security.SMALL_BODY_BYTES


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


class Sent(BytesIO):
    """A body on its way: how many connections are in use whenever more of it is waited for."""

    def __init__(self, body: bytes, pool: Any) -> None:
        super().__init__(body)
        self.pool = pool
        self.in_use: list[int] = []

    def read(self, size: int | None = -1) -> bytes:
        self.in_use.append(self.pool.checkedout())
        return super().read(size)

    def readinto(self, buffer: Any) -> int:
        self.in_use.append(self.pool.checkedout())
        return super().readinto(buffer)


@dataclass(frozen=True)
class Someone:
    """A program with a token, and the workflow it schedules."""

    app: Flask
    secret: str
    workflow_id: str

    def creates(self, name: str, note: str = "") -> tuple[int, list[int]]:
        """The status of creating a schedule, and the connections in use while its body came."""
        document = {"workflowId": self.workflow_id, "name": name, "cron": "0 2 * * *", "payload": {"note": note}}
        body = json.dumps(document).encode()
        with self.app.app_context():
            sent = Sent(body, db.engine.pool)
        answer = self.app.test_client().post(
            "/api/schedules",
            input_stream=sent,
            headers={"Authorization": f"Bearer {self.secret}", "Content-Type": "application/json"},
            environ_overrides={"CONTENT_LENGTH": str(len(body))},
        )
        return answer.status_code, sent.in_use


@pytest.fixture
def someone(app: Flask) -> Someone:
    with app.app_context(), transaction():
        tenant = a_tenant()
        known = Someone(app, a_token(tenant, a_user(tenant))[1], str(a_target(tenant).id))
    # The first use of a token is noted in a transaction of its own.
    assert known.creates("First")[0] == 201
    return known


@pytest.mark.parametrize("is_given_back", [True, False], ids=["guarded", "unguarded"])
@pytest.mark.parametrize("note", ["", LONG], ids=["small", "large"])
def test_while_a_body_comes_no_connection_is_kept_from_others(
    someone: Someone, monkeypatch: pytest.MonkeyPatch, note: str, is_given_back: bool
) -> None:
    """Small ones come before anything is asked; for others it is given back. Control: neither is done."""
    if not is_given_back:
        monkeypatch.setattr(security, "SMALL_BODY_BYTES", 0)
        monkeypatch.setattr(security, "end_reading", lambda: None)
    status, in_use = someone.creates("Nightly", note)
    assert status == 201 and in_use
    assert (max(in_use) == 0) is is_given_back


def test_a_small_request_is_one_transaction(someone: Someone) -> None:
    begun: list[object] = []
    with someone.app.app_context():
        engine = db.engine
    event.listen(engine, "begin", begun.append)
    assert someone.creates("Second")[0] == 201
    assert len(begun) == 1
    with someone.app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Schedule)) == 2
