"""What the circuit of an install makes of failing calls: left alone after five, found again by one probe."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from domain.extensions.circuits import InstallCircuit, circuit_of
from domain.extensions.installs import Install
from domain.kernel import clock
from domain.runs.waits import Wait
from tests.calls import a_call_schedule
from tests.domain.engine.endpoint_runs import a_waiting_call, an_installed, configure, fresh, invocations, work
from tests.runners import LocalRunner

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, runner: LocalRunner) -> None:
    configure(monkeypatch, runner.settings(timeout_seconds=15))


@pytest.fixture
def install(db: Any) -> Install:
    return an_installed()


def calls_tried_once(install: Install, count: int) -> list[Any]:
    schedule = a_call_schedule(install, "Once", max_attempts=1, overlap="allow")
    return [a_waiting_call(install, schedule_id=schedule.id).id for _ in range(count)]


def let_probe(install: Install, db: Any) -> None:
    """The time until the next probe is over."""
    db.execute(
        text("UPDATE install_circuits SET open_until = clock_timestamp() WHERE install_id = :id"), {"id": install.id}
    )
    db.commit()


@pytest.mark.parametrize(
    "behaviour",
    [
        {"do": "drop"},
        {"do": "http", "status": 503},
        {"do": "empty"},
        {"do": "not_json"},
        {"do": "answer", "answer": {"status": 500, "error": "execute_failed: trap"}},
    ],
)
def test_after_five_calls_without_a_usable_answer_nobody_calls(
    install: Install, runner: LocalRunner, behaviour: dict[str, Any]
) -> None:
    runner.script(behaviour)
    runs = calls_tried_once(install, 7)
    work()
    assert len(runner.calls()) == 5
    codes = [invocations(run)[0].status for run in runs]
    assert codes == ["failed"] * 5 + ["not_sent"] * 2
    assert fresh(runs[-1]).error["code"] == "CIRCUIT_OPEN" and "left alone" in fresh(runs[-1]).error["message"]


@pytest.mark.parametrize("status", [404, 429])
def test_what_is_refused_is_an_answer(install: Install, runner: LocalRunner, status: int) -> None:
    runner.script({"do": "answer", "answer": {"status": status}})
    calls_tried_once(install, 7)
    work()
    assert len(runner.calls()) == 7


def test_a_call_comes_back_when_the_probe_may_go(install: Install, runner: LocalRunner, db: Any) -> None:
    runner.script({"do": "drop"})
    calls_tried_once(install, 5)
    work()
    run = a_waiting_call(install).id
    work()
    circuit = circuit_of(install.id)
    wait = db.scalars(db.query(Wait).filter_by(run_id=run).statement).one()
    assert circuit and circuit.open_until and fresh(run).status == "waiting"
    assert abs(wait.due_at - circuit.open_until) < timedelta(seconds=10)


def test_a_probe_that_is_answered_lets_all_calls_go(install: Install, runner: LocalRunner, db: Any) -> None:
    runner.script({"do": "drop", "times": 5})
    calls_tried_once(install, 5)
    work()
    let_probe(install, db)
    runs = calls_later(install, 3)
    work()
    assert [fresh(run).status for run in runs] == ["succeeded"] * 3
    circuit = circuit_of(install.id)
    assert circuit and circuit.failures == 0


def test_a_probe_that_fails_is_the_only_call(install: Install, runner: LocalRunner, db: Any) -> None:
    runner.script({"do": "drop"})
    calls_tried_once(install, 5)
    work()
    let_probe(install, db)
    calls_later(install, 3)
    work()
    assert len(runner.calls()) == 6
    circuit = circuit_of(install.id)
    assert circuit and circuit.open_until and circuit.failures == 6
    assert circuit.open_until - clock.database_now() > timedelta(seconds=30)


def calls_later(install: Install, count: int) -> list[Any]:
    return [a_waiting_call(install).id for _ in range(count)]


def test_another_tenant_is_called_while_one_is_left_alone(install: Install, runner: LocalRunner, db: Any) -> None:
    other = an_installed("globex")
    tenant_id = str(install.tenant_id)
    runner.script({"do": "drop", "tenant": tenant_id})
    calls_tried_once(install, 6)
    run = a_waiting_call(other).id
    work()
    assert fresh(run).status == "succeeded"
    assert db.query(InstallCircuit).count() == 1
