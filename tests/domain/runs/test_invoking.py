"""Writing calls down: begun only by who holds the run, ended once, lost with whoever had begun them."""

from __future__ import annotations

from typing import Any

import pytest

from domain.runs import invoking
from domain.runs.invocations import Invocation
from domain.runs.invoking import Outcome, end_invocation, held_run, lose_invocations
from domain.runs.runs import Run
from tests.calls import a_call_run, an_invocation
from tests.factories import NOW, a_step, a_tenant, an_install

pytestmark = pytest.mark.usefixtures("db")

PATH = "root.steps[0]"


@pytest.fixture
def run(db: Any) -> Run:
    made = a_call_run(an_install(a_tenant()), "running")
    made.claim_epoch = 3
    db.flush()
    return made


def test_who_has_begun_the_attempt_and_holds_the_run_may_call(run: Run) -> None:
    a_step(run, status="started", claim_epoch=3)
    held = held_run(run.id, PATH, "", 1)
    assert held is not None and held.install_id == run.install_id


@pytest.mark.parametrize(
    ("status", "step_status", "epoch", "attempt"),
    [
        ("running", "started", 1, 1),  # taken and claimed by another, who has not begun yet
        ("running", "failed", 3, 1),
        ("running", "started", 3, 2),
        ("queued", "started", 3, 1),
    ],
)
def test_nobody_else_may(run: Run, db: Any, status: str, step_status: str, epoch: int, attempt: int) -> None:
    a_step(run, status=step_status, claim_epoch=epoch)
    run.status = status
    db.flush()
    assert held_run(run.id, PATH, "", attempt) is None


def test_a_call_ends_once(run: Run, db: Any) -> None:
    call_id = an_invocation(run, "started").id
    ended_at = end_invocation(call_id, Outcome("succeeded", endpoint_status=200))
    assert end_invocation(call_id, Outcome("failed", "RUNNER_TIMEOUT")) is None
    ended = db.get_one(Invocation, call_id, populate_existing=True)
    assert (ended.status, ended.finished_at) == ("succeeded", ended_at) and ended_at is not None


def test_only_calls_under_way_are_lost_and_say_so_in_the_log(
    run: Run, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr(invoking.log, "warning", lambda said, **fields: lines.append({"said": said, **fields}))
    going, done = an_invocation(run, "started").id, an_invocation(run, attempt=2).id
    other = an_invocation(a_call_run(an_install(a_tenant("globex")), "running"), "started").id
    assert lose_invocations([run.id], NOW) == 1 and lose_invocations([], NOW) == 0
    found = {one: db.get_one(Invocation, one, populate_existing=True) for one in (going, done, other)}
    assert [found[one].status for one in (going, done, other)] == ["lost", "succeeded", "started"]
    assert found[going].error_code == "WORKER_LOST" and found[going].finished_at == NOW
    assert [(line["run_id"], line["status"]) for line in lines] == [(str(run.id), "lost")]
