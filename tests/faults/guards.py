"""What the promise rests on, to be taken away: without it the same test has to see the promise broken."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from types import ModuleType

import pytest
from sqlalchemy import TextClause, text

from domain.execution import Worker
from domain.runs import claims
from tests.faults.fleet import execute
from tests.faults.inside import Inside
from workers import scheduler as scheduling
from workers.scheduler import Scheduler

GUARDED = pytest.mark.parametrize("is_guarded", [True, False], ids=["guarded", "unguarded"])


def without_sql(monkeypatch: pytest.MonkeyPatch, module: ModuleType, *guards: str) -> None:
    """The statements of the module do not say `guards` any more."""
    for guard in guards:
        assert guard in inspect.getsource(module), f"{module.__name__} has no such guard any more: {guard}"

    def unguarded(statement: str) -> TextClause:
        for guard in guards:
            statement = statement.replace(guard, "")
        return text(statement)

    monkeypatch.setattr(module, "text", unguarded)
    for name, value in vars(module).items():
        if isinstance(value, TextClause):
            monkeypatch.setattr(module, name, unguarded(value.text))


def announce_only_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who fires a run announces it, and nobody looks again for what is ready."""
    unannounced: list[int] = []
    fire, ready_by_lane = Scheduler._fire_batch, scheduling.ready_by_lane

    def fire_and_note(self: Scheduler, batch: int) -> int:
        fired = fire(self, batch)
        unannounced.append(fired)
        return fired

    def not_announced_yet() -> dict[str, int]:
        count = sum(unannounced)
        unannounced.clear()
        return {lane: min(ready, count) for lane, ready in ready_by_lane().items() if count}

    monkeypatch.setattr(Scheduler, "_fire_batch", fire_and_note)
    monkeypatch.setattr(scheduling, "ready_by_lane", not_announced_yet)


def one_chunk_per_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker does not look for more when it has done what a message was for."""
    work = Worker.work

    def work_once(self: Worker, lane: str, *_: object) -> bool:
        work(self, lane)
        return False

    monkeypatch.setattr(Worker, "work", work_once)


def drop_constraints(inside: Inside, table: str, names: Sequence[str]) -> None:
    """What the schema itself would refuse is let through."""
    for name in names:
        execute(inside.app, f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE")


def claim_without_looking(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message is obeyed whatever became of its run."""
    one_chunk_per_message(monkeypatch)
    without_sql(monkeypatch, claims, "AND status = 'queued'", "AND r.finished_at IS NULL")
    drop_constraints(inside, "runs", ["ck_runs_finished"])
