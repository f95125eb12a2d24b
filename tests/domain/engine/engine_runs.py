"""Runs of definitions without a database: a step store in memory that can crash, and the actions that tests count."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from domain.engine.actions.action import LOCAL, OUTSIDE, Action, ActionContext, Example
from domain.engine.actions.registry import ACTIONS
from domain.engine.actions.schemas import ANY, OBJECT, object_schema
from domain.engine.compiled import compile_definition
from domain.engine.failures import StepFailed
from domain.engine.interpreter import Result, interpret
from domain.engine.retries import Retry
from domain.engine.step_log import StepLog
from domain.engine.step_store import Record, Row
from domain.engine.steps import Opening
from domain.engine.validation import definition_problems, has_errors, is_pure
from domain.runs.claims import Claim
from domain.runs.waits import RETRY

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
MOST_CLAIMS = 500


class Crash(BaseException):
    """The process is gone."""


class MemoryStore:
    """Steps and one counter, with transactions; crashes at the boundaries whose numbers are given."""

    def __init__(self, crash_at: tuple[int, ...] = (), cancel_after: int | None = None) -> None:
        self.rows: list[Row] = []
        self.waits: list[tuple[Opening, Row]] = []
        self.waited: set[tuple[str, str, int]] = set()
        self.is_waiting = False
        self.count = 0
        self.local: list[tuple[str, str]] = []
        self.outside: list[tuple[str, str, Any]] = []
        self.crash_at = crash_at
        self.cancel_after = cancel_after
        self.boundaries = 0
        self.commits = 0

    def boundary(self) -> None:
        self.boundaries += 1
        if self.boundaries in self.crash_at:
            raise Crash

    @contextmanager
    def writing(self, lock: Callable[[], None] | None = None) -> Iterator[bool]:
        before = copy.deepcopy((self.rows, self.count, self.local, self.waits, self.is_waiting))
        if lock:
            lock()
        try:
            yield self.cancel_after is not None and self.commits >= self.cancel_after
            self.boundary()
        except BaseException:
            self.rows, self.count, self.local, self.waits, self.is_waiting = before
            raise
        self.commits += 1
        self.boundary()

    def insert(self, rows: list[Row]) -> None:
        kept = [_stored(row) for row in rows]
        taken = {_key(row) for row in self.rows}
        assert not taken & {_key(row) for row in kept}
        self.rows.extend(kept)

    def end_attempt(self, row: Row) -> None:
        [found] = [kept for kept in self.rows if _key(kept) == _key(_stored(row))]
        assert found["status"] == "started"
        found.update({name: _stored(row)[name] for name in ("status", "output", "error", "finished_at")})

    def open_wait(self, opening: Opening | None, place: Row, state: str | None) -> None:
        if opening:
            self.waits.append((opening, dict(place)))
        self.is_waiting = opening is None or not opening.is_met

    def wake(self, output: Any = None, error: dict[str, Any] | None = None) -> Opening:
        """What was waited for is there: the step gets its outcome, as the database's waking does it."""
        assert self.is_waiting
        opening, place = self.waits[-1]
        if opening.kind == RETRY:
            self.waited.add(_key(place))
        else:
            [row] = [kept for kept in self.rows if _key(kept) == _key(place)]
            assert row["status"] == "waiting"
            status = "failed" if error else "succeeded"
            row.update(status=status, output=output, error=error, finished_at=NOW.isoformat())
        self.is_waiting = False
        return opening

    def records(self) -> list[Record]:
        names = [name for name in Record.__dataclass_fields__ if name not in ("started_at", "has_waited")]
        return [
            Record(
                **{name: row[name] for name in names},
                started_at=datetime.fromisoformat(row["started_at"]),
                has_waited=_key(row) in self.waited,
            )
            for row in sorted(self.rows, key=lambda row: row["position"])
        ]

    def places(self) -> list[tuple[str, str]]:
        """Where steps were recorded, in order; one entry per step, however often it was attempted."""
        ordered = sorted(self.rows, key=lambda row: row["position"])
        return list(dict.fromkeys((row["step_path"], row["iteration"]) for row in ordered))


WORLDS: dict[UUID, MemoryStore] = {}


def _count(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    world = WORLDS[context.run_id]
    world.boundary()
    world.count += 1
    world.local.append((context.step_path, context.iteration))
    if inputs["value"] == 7:
        raise StepFailed("Seven cannot be counted.", "SEVEN")
    return {"count": world.count}


def _ask(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    world = WORLDS[context.run_id]
    world.boundary()
    world.outside.append((context.step_path, context.iteration, (context.idempotency_key, inputs["value"])))
    world.boundary()
    if inputs["value"] == 3:
        raise StepFailed("The other side refuses three.", "THREE")
    return {"answer": inputs["value"] * 10}


def _flaky(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    """Fails as `value` says: so many times in that category."""
    world = WORLDS[context.run_id]
    world.boundary()
    world.outside.append((context.step_path, context.iteration, (context.idempotency_key, inputs["value"])))
    times, category = inputs["value"]
    if context.attempt <= times:
        raise StepFailed("Not yet.", "NOT_YET", category)
    return {"attempts": context.attempt}


def _action(action_id: str, effect: str, run: Any, **more: Any) -> Action:
    schema = object_schema(value=ANY)
    return Action(action_id, 1, action_id, "test", "", schema, OBJECT, effect, Example({}, {}), run, **more)


TEST_ACTIONS = {
    ("test.count", 1): _action("test.count", LOCAL, _count),
    ("test.ask", 1): _action("test.ask", OUTSIDE, _ask),
    ("test.once", 1): _action("test.once", OUTSIDE, _ask, is_idempotent=False),
    ("test.flaky", 1): _action("test.flaky", OUTSIDE, _flaky),
    ("test.hinted", 1): _action("test.hinted", OUTSIDE, _flaky, retry_hint=Retry(2, 10)),
    ("test.flaky_here", 1): _action("test.flaky_here", LOCAL, _flaky),
}


@contextmanager
def test_actions() -> Iterator[None]:
    """`test.count` (local) and `test.ask` (outside) can be called."""
    ACTIONS.update(TEST_ACTIONS)
    try:
        yield
    finally:
        for key in TEST_ACTIONS:
            ACTIONS.pop(key)


test_actions.__test__ = False  # type: ignore[attr-defined]


def a_claim(payload: dict[str, Any] | None = None, epoch: int = 1, run_id: UUID | None = None) -> Claim:
    run_id = run_id or uuid4()
    return Claim(
        run_id, run_id, run_id, 3, None, run_id, epoch, payload or {}, {"scheduleName": "Nightly"}, NOW, False, NOW
    )


def run_once(definition: Any, store: MemoryStore, claim: Claim) -> Result:
    """Interpret and end the run as a worker does. Raises Crash."""
    is_without_effect = is_pure(definition)
    log = StepLog(claim, store.records(), NOW, store=store, is_pure=is_without_effect)  # type: ignore[arg-type]
    result = interpret(compile_definition(definition, is_pure=is_without_effect), claim, log)
    if result.status == "waiting":
        assert log.pending_rows() == []
        return result
    with store.writing():
        store.insert(log.pending_rows())
    return result


def run_to_end(definition: Any, payload: dict[str, Any], store: MemoryStore) -> Result:
    """Run, and after every crash and every wait go on with what is on record."""
    run_id = uuid4()
    WORLDS[run_id] = store
    for epoch in range(1, MOST_CLAIMS):
        try:
            result = run_once(definition, store, a_claim(payload, epoch, run_id))
        except Crash:
            if not store.is_waiting:
                continue
        else:
            if result.status != "waiting":
                return result
        store.wake()
    raise AssertionError("it never ends")


def run_steps(*steps: dict[str, Any], **payload: Any) -> Result:
    """The result of a run of valid steps that nothing interrupts; steps get ids where they have none."""
    definition = {"steps": [with_ids(step, f"s{index}") for index, step in enumerate(steps)]}
    problems = definition_problems(definition)
    assert not has_errors(problems), problems
    return run_to_end(definition, payload, MemoryStore())


def with_ids(step: dict[str, Any], name: str) -> dict[str, Any]:
    named = {"id": name, **step}
    for branch in ("then", "else", "body", "try", "catch"):
        if isinstance(named.get(branch), list):
            named[branch] = [with_ids(child, f"{name}.{branch}{i}") for i, child in enumerate(named[branch])]
    return named


def expr(text: str) -> dict[str, str]:
    return {"$expr": text}


def assign(**places: Any) -> dict[str, Any]:
    """transform.assign; `_` in a name stands for the dot after its root."""
    return {"type": "transform.assign", "config": {"assign": places}}


def call(action_id: str, save_as: str | None = None, **inputs: Any) -> dict[str, Any]:
    saved = {"saveAs": save_as} if save_as else {}
    return {"type": "action.call", "config": {"actionId": action_id, "version": 1, "inputMapping": inputs, **saved}}


def when(condition: Any, then: list[Any], otherwise: list[Any] | None = None) -> dict[str, Any]:
    branches = {"then": then} if otherwise is None else {"then": then, "else": otherwise}
    return {"type": "control.if", "condition": condition, **branches}


def for_each(items: Any, item_var: str, *body: dict[str, Any]) -> dict[str, Any]:
    return {"type": "control.forEach", "items": items, "itemVar": item_var, "body": list(body)}


def give_back(value: Any) -> dict[str, Any]:
    return {"type": "control.return", "value": value}


def set_state(state: Any) -> dict[str, Any]:
    return {"type": "state.set", "config": {"state": state}}


def _key(row: Row) -> tuple[str, str, int]:
    return row["step_path"], row["iteration"], row["attempt"]


def _stored(row: Row) -> Row:
    """The row as jsonb gives it back: keys by length, whole numbers without exponent."""
    return json.loads(json.dumps(_ordered(row), default=str, allow_nan=False))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=lambda key: (len(key.encode()), key.encode()))}
    if isinstance(value, list):
        return [_ordered(item) for item in value]
    return int(value) if isinstance(value, float) and abs(value) >= 1e16 else value
