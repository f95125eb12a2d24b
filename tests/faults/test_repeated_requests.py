"""A web process that dies while it carries out what somebody asked for: they ask again, and it is done once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from domain.firing import run_now
from domain.kernel.db import db, transaction
from tests.domain.firing.ledger import a_target
from tests.factories import a_schedule, a_tenant, a_user
from tests.faults.fleet import scalar
from tests.faults.guards import GUARDED
from tests.faults.inside import Death
from tests.faults.invariants import check_invariants
from tests.web.cast import Browser, client_of
from tests.web.schedule_pages import FAR

ONE_CLICK = {"request_key": "one click"}


@pytest.fixture
def app(fresh_app: Flask) -> Flask:
    return fresh_app


@pytest.fixture
def pressed(app: Flask) -> tuple[Browser, str]:
    """Who presses, and the address of what they press."""
    with app.app_context(), transaction():
        tenant = a_tenant()
        alice = client_of(app, a_user(tenant), tenant)
        return alice, f"/schedules/{a_schedule(a_target(tenant), overlap='allow', next_fire_at=FAR).id}/run-now"


def die(*_: Any) -> Any:
    raise Death


def forget_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody remembers what was asked for, and a run by hand is just another one."""
    monkeypatch.setattr(run_now, "claim_request", lambda *_: None)
    monkeypatch.setattr(run_now, "answer_request", lambda *_: None)
    monkeypatch.setattr(run_now, "run_now_origin", lambda _key: f"run_now:{uuid4()}")


def remember_requests_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was asked for is remembered before it is done, in a commit of its own."""
    claim = run_now.claim_request

    def claim_and_commit(*asked: Any) -> Any:
        earlier = claim(*asked)
        db.session.commit()
        return earlier

    monkeypatch.setattr(run_now, "claim_request", claim_and_commit)


def count(app: Flask, table: str) -> int:
    return int(scalar(app, f"SELECT count(*) FROM {table}"))


@GUARDED
@pytest.mark.parametrize(
    ("died_in", "unguard", "runs"),
    [
        # The last thing that happens before the commit, and the first thing after it.
        pytest.param("domain.firing.run_now.announce_work", remember_requests_apart, (0, 0), id="before the commit"),
        pytest.param("web.schedules.actions.changed", forget_requests, (1, 2), id="after the commit"),
    ],
)
def test_who_asks_again_because_no_answer_came_gets_one_run(
    app: Flask,
    pressed: tuple[Browser, str],
    died_in: str,
    unguard: Callable[[pytest.MonkeyPatch], None],
    runs: tuple[int, int],
    is_guarded: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`runs`: how many there are when it has died, and without the guard after the second try."""
    if not is_guarded:
        unguard(monkeypatch)
    alice, address = pressed
    with monkeypatch.context() as dying:
        dying.setattr(died_in, die)
        with pytest.raises(Death):
            alice.post(address, ONE_CLICK)
    assert count(app, "runs") == runs[0]
    answer = alice.post(address, ONE_CLICK)
    assert count(app, "runs") == count(app, "occurrences") == (1 if is_guarded else runs[1])
    if is_guarded:
        assert answer.status_code == 303
        check_invariants(app)
