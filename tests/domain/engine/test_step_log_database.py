"""The step log on PostgreSQL: proven transactions, effects done once, nothing held while the other side is asked."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.request import Request, urlopen

import pytest
from sqlalchemy import func, select, update

from domain.engine.actions.action import OUTSIDE, ActionContext
from domain.engine.actions.registry import ACTIONS, find_action
from domain.engine.actions.schemas import OBJECT
from domain.engine.compiled import compile_definition, compiled_version
from domain.kernel.errors import LostClaim
from domain.kernel.failpoints import Failpoint, arm_failpoints
from domain.kernel.ids import new_id
from domain.runs.runs import Run
from domain.runs.steps import RunStep
from domain.runs.store_items import StoreItem
from tests.domain.engine.claimed_runs import a_running_run, carried_out
from tests.domain.engine.engine_runs import _action, assign, call, expr, for_each, give_back


@pytest.fixture(autouse=True)
def _no_failpoints():
    yield
    arm_failpoints("")


def taken_over(session, claim):
    """The claim of the worker that goes on with the run."""
    later = replace(claim, worker_id=new_id(), epoch=claim.epoch + 1)
    taken = {"claimed_by": later.worker_id, "claim_epoch": later.epoch}
    session.execute(update(Run).where(Run.id == claim.run_id).values(**taken))
    session.commit()
    return later


def rows_of(session, claim):
    rows = session.scalars(select(RunStep).where(RunStep.run_id == claim.run_id).order_by(RunStep.position))
    return list(rows)


def store_of(session, claim):
    items = session.scalars(select(StoreItem).where(StoreItem.tenant_id == claim.tenant_id))
    return {item.key: (item.value, item.revision) for item in items}


COUNT = call("store.increment", "counted", key="n")


def test_a_run_is_recorded_step_by_step(db):
    claim = a_running_run(db, assign(who=expr("payload.name")), COUNT, give_back(expr("counted.value")), name="Ada")
    assert carried_out(claim).output == 1
    rows = rows_of(db, claim)
    assert [(row.position, row.step_path, row.step_id, row.status) for row in rows] == [
        (0, "root.steps[0]", "s0", "succeeded"),
        (1, "root.steps[1]", "s1", "succeeded"),
        (2, "root.steps[2]", "s2", "succeeded"),
    ]
    assert (rows[0].output, rows[1].input, rows[1].output) == (
        {"who": "Ada"},
        {"key": "n"},
        {"value": 1, "revision": 1},
    )
    assert rows[0].idempotency_key is None and len(rows[1].idempotency_key) == 64
    assert all(row.claim_epoch == 1 and row.finished_at >= row.started_at for row in rows)
    assert abs(rows[0].started_at - claim.started_at) < timedelta(seconds=30)


@pytest.mark.parametrize("boundary", ["mid_step", "before_step_commit", "after_step_commit"])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_local_effect_happens_exactly_once_wherever_its_worker_dies(db, boundary, step):
    loop = for_each([1, 2, 3], "k", {"id": "inc", **COUNT})
    claim = a_running_run(db, loop, give_back(expr("counted.value")))
    arm_failpoints(f"engine.{boundary}=raise@{step}")
    with pytest.raises(Failpoint):
        carried_out(claim)
    arm_failpoints("")
    db.rollback()
    committed = store_of(db, claim).get("n", (0, 0))[0]
    assert committed == len([row for row in rows_of(db, claim) if row.step_id == "inc"])
    assert carried_out(taken_over(db, claim)).output == 3
    assert store_of(db, claim) == {"n": (3, 3)}


def test_a_failing_local_step_leaves_nothing_but_its_failure(db):
    put = call("store.set", key="n", value="text")
    claim = a_running_run(db, put, COUNT)
    result = carried_out(claim)
    assert result.error == {
        "category": "ValidationError",
        "code": "NOT_A_NUMBER",
        "message": "The key n does not hold a number, so nothing can be added to it.",
        "nodePath": "root.steps[1]",
    }
    assert store_of(db, claim) == {"n": ("text", 1)}
    assert [(row.status, row.error) for row in rows_of(db, claim)] == [("succeeded", None), ("failed", result.error)]
    assert carried_out(taken_over(db, claim)) == result


def test_whoever_lost_the_claim_writes_nothing(db):
    claim = a_running_run(db, assign(a=1), COUNT)
    taken_over(db, claim)
    with pytest.raises(LostClaim):
        carried_out(claim)
    assert (rows_of(db, claim), store_of(db, claim)) == ([], {})


def test_a_cancel_is_heard_before_the_next_effect(db):
    claim = a_running_run(db, assign(a=1), COUNT)
    db.execute(update(Run).where(Run.id == claim.run_id).values(cancel_requested_at=func.clock_timestamp()))
    db.commit()
    assert carried_out(claim).status == "canceled"
    assert [row.step_id for row in rows_of(db, claim)] == ["s0"]
    assert store_of(db, claim) == {}


def test_long_runs_without_effect_commit_on_their_way(db, monkeypatch):
    from domain.engine import step_log

    monkeypatch.setattr(step_log, "COMMIT_AFTER_SECONDS", 0.0)
    claim = a_running_run(db, assign(a=1), assign(a=2), give_back(expr("a")))
    arm_failpoints("engine.after_step_commit=raise@2")
    with pytest.raises(Failpoint):
        carried_out(claim)
    assert [row.step_id for row in rows_of(db, claim)] == ["s0", "s1"]
    arm_failpoints("")
    assert carried_out(taken_over(db, claim)).output == 2
    assert [row.claim_epoch for row in rows_of(db, claim)] == [1, 1, 2]


class OtherSide(BaseHTTPRequestHandler):
    """Answers how often it was asked, and remembers with which key."""

    asked: list[tuple[str, object]] = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.headers["Idempotency-Key"], body))
        answer = json.dumps({"times": len(self.asked)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def other_side(monkeypatch):
    OtherSide.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), OtherSide)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()

    def post(inputs, context: ActionContext):
        headers = {"Idempotency-Key": context.idempotency_key}
        address = f"http://127.0.0.1:{inputs.get('port', server.server_port)}/"
        with urlopen(Request(address, json.dumps(inputs["value"]).encode(), headers), timeout=5) as answer:
            return json.load(answer)

    action = replace(_action("test.post", OUTSIDE, post), input_schema=OBJECT)
    monkeypatch.setitem(ACTIONS, ("test.post", 1), action)
    yield OtherSide
    server.shutdown()
    server.server_close()
    thread.join(5)


ASK = call("test.post", "answer", value=expr("payload.n"))


@pytest.mark.parametrize(
    ("boundary", "asked", "attempts"),
    [
        ("before_step_commit=raise@1", 1, ["succeeded"]),
        ("after_step_commit=raise@1", 1, ["failed", "succeeded"]),
        ("mid_step=raise@1", 1, ["failed", "succeeded"]),
        ("after_effect=raise@1", 2, ["failed", "succeeded"]),
        ("before_step_commit=raise@2", 2, ["failed", "succeeded"]),
        ("after_step_commit=raise@2", 1, ["succeeded"]),
    ],
)
def test_an_outside_effect_is_attempted_again_with_the_same_key_unless_it_is_on_record(
    db, other_side, boundary, asked, attempts
):
    claim = a_running_run(db, ASK, give_back(expr("answer.times")), n=4)
    arm_failpoints(f"engine.{boundary}")
    with pytest.raises(Failpoint):
        carried_out(claim)
    arm_failpoints("")
    db.rollback()
    assert carried_out(taken_over(db, claim)).output == asked
    assert len(other_side.asked) == asked
    assert len({key for key, _ in other_side.asked}) == 1
    rows = [row for row in rows_of(db, claim) if row.step_id == "s0"]
    assert [row.status for row in rows] == attempts
    assert [row.attempt for row in rows] == list(range(1, len(attempts) + 1))
    assert {row.idempotency_key for row in rows} == {other_side.asked[0][0]}


def test_each_iteration_has_its_own_key(db, other_side):
    claim = a_running_run(db, for_each([1, 1], "k", {"id": "ask", **ASK}), n=1)
    carried_out(claim)
    assert len({key for key, _ in other_side.asked}) == 2


def test_an_other_side_that_is_not_there_fails_the_step_as_transient(db, other_side):
    claim = a_running_run(db, call("test.post", value=1, port=1))
    result = carried_out(claim)
    assert (result.error["category"], result.error["code"]) == ("TransientError", "UNREACHABLE")
    [row] = rows_of(db, claim)
    assert (row.status, row.error) == ("failed", result.error)


def test_a_worker_that_lost_its_claim_while_asking_cannot_record_the_answer(db, other_side, monkeypatch):
    claim = a_running_run(db, ASK, n=1)
    action = find_action("test.post", 1)

    def post_and_lose(inputs, context):
        taken_over(db, claim)
        return action.run(inputs, context)

    monkeypatch.setitem(ACTIONS, ("test.post", 1), replace(action, run=post_and_lose))
    with pytest.raises(LostClaim):
        carried_out(claim)
    [row] = rows_of(db, claim)
    assert row.status == "started"


def test_no_connection_is_held_while_the_other_side_is_asked(committing_app, monkeypatch):
    from domain.kernel.db import db as database

    held = []

    def ask(_inputs, _context):
        held.append(database.engine.pool.checkedout())
        return {}

    monkeypatch.setitem(ACTIONS, ("test.ask", 1), _action("test.ask", OUTSIDE, ask))
    claim = a_running_run(database.session, assign(a=1), call("test.ask", value=expr("a")), COUNT)
    assert carried_out(claim).status == "succeeded"
    assert held == [0]


def test_a_definition_that_is_compiled_once_is_not_read_again(db):
    claim = a_running_run(db, give_back(1))
    first = compiled_version(claim.workflow_id, 1)
    assert compiled_version(claim.workflow_id, 1) is first
    assert first.steps[0].path == "root.steps[0]"
    assert compile_definition({"steps": []}, is_pure=True).steps == ()


def losses_of(session, claim):
    return session.scalar(select(Run.losses).where(Run.id == claim.run_id))


def lost_twice(session, claim):
    session.execute(update(Run).where(Run.id == claim.run_id).values(losses=2))
    return taken_over(session, claim)


def test_beginning_an_attempt_that_kills_its_worker_again_is_no_progress(db, other_side):
    claim = lost_twice(db, a_running_run(db, ASK, n=1))
    arm_failpoints("engine.mid_step=raise")
    with pytest.raises(Failpoint):
        carried_out(claim)
    assert losses_of(db, claim) == 2
    assert other_side.asked == []


def test_a_step_that_is_done_makes_earlier_losses_count_no_more(db, other_side):
    claim = lost_twice(db, a_running_run(db, COUNT, ASK, n=1))
    arm_failpoints("engine.mid_step=raise@2")
    with pytest.raises(Failpoint):
        carried_out(claim)
    assert losses_of(db, claim) == 0
