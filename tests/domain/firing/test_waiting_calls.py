"""Why a call that was asked for has not begun."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from domain.firing.run_now import run_schedule_now
from domain.kernel.ids import new_id
from domain.runs.heartbeats import SCHEDULER, WORKER, beat
from domain.runs.runs import Run
from domain.runs.waiting import EARLIER_RUN, LIMIT, NEXT, obstacle_of
from tests.domain.firing.calls import Installed
from tests.domain.firing.ledger import NOON

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def alive(db: Any) -> None:
    for kind in (SCHEDULER, WORKER):
        beat(new_id(), kind, "host", 1, "dev", 60)


def called(acme: Installed) -> Run:
    schedule = acme.schedule(overlap="allow")
    return run_schedule_now(acme.actor, schedule.id, str(new_id()), NOON)


def told(run: Run) -> tuple[str, str]:
    obstacle = obstacle_of(run, NOON)
    assert obstacle is not None
    return obstacle.reason, obstacle.message


@pytest.mark.usefixtures("alive")
def test_a_call_that_nothing_holds_is_about_to_start(acme: Installed) -> None:
    assert told(called(acme)) == (NEXT, "It is about to start.")


@pytest.mark.usefixtures("alive")
def test_a_call_waits_for_others_of_its_extension(
    acme: Installed,
    configure: Callable[..., None],
    db: Any,
) -> None:
    configure(calls_per_install=1)
    first, second = called(acme), called(acme)
    first.ready_at = NOON
    db.flush()
    assert told(second) == (LIMIT, "Its extension may have one call at a time, and that many are going.")


@pytest.mark.usefixtures("alive")
def test_a_call_waits_for_others_of_its_tenant(
    acme: Installed,
    configure: Callable[..., None],
    db: Any,
) -> None:
    configure(calls_per_tenant=2)
    going = [called(Installed(acme.tenant, f"com.acme.other{number}")) for number in range(2)]
    for run in going:
        run.ready_at = NOON
    db.flush()
    words = "Your extensions may have 2 calls at a time together, and that many are going."
    assert told(called(acme)) == (LIMIT, words)


@pytest.mark.usefixtures("alive")
def test_a_call_waits_for_the_earlier_one_of_its_schedule(acme: Installed, db: Any) -> None:
    schedule = acme.schedule(overlap="queue")
    first, second = (run_schedule_now(acme.actor, schedule.id, key, NOON) for key in ("first", "second"))
    first.ready_at = NOON
    db.flush()
    obstacle = obstacle_of(second, NOON)
    assert obstacle is not None
    assert (obstacle.reason, obstacle.run_id) == (EARLIER_RUN, first.id)
