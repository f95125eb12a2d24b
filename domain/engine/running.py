"""A run while it is being interpreted: its scopes, and the way from step to step."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from domain.engine.assign_paths import AssignPath, assigned, check_assignable
from domain.engine.failures import StepFailed
from domain.engine.retries import Retry
from domain.engine.step_log import StepLog
from domain.engine.steps import At, Task
from domain.expressions.mappings import Scopes
from domain.runs.claims import Claim


@dataclass(frozen=True, slots=True)
class Step:
    """A compiled step. `path`: `root.steps[2].then.steps[0]`; `run(execution, iteration)` interprets it.

    `goes_on`: its own failure, after the last attempt, does not stop the steps behind it.
    """

    path: str
    id: str
    type: str
    run: Callable[[Execution, str], None]
    retry: Retry | None = None
    goes_on: bool = False


Block = tuple[Step, ...]


class Returned(Exception):
    """The run has reached `control.return`; `value` is its output."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class Execution:
    """The scopes of one run. What is put into them is never changed, only replaced, so records stay as they were."""

    def __init__(self, claim: Claim, log: StepLog, *, reads_system: bool = True) -> None:
        self.claim = claim
        self.log = log
        self._reads_system = reads_system
        self._retry: Retry | None = None
        self._at: At | None = None
        self._error: dict[str, Any] | None = None
        self._payload = claim.input_json
        self._vars: dict[str, Any] = {}
        self._local: dict[str, Any] = {}
        self._scopes: Scopes | None = None
        self._meta = _meta(claim)

    def run_steps(self, block: Block, iteration: str) -> None:
        """Interpret the steps in order. Raises Returned, StepFailed, Suspended, Canceled or LostClaim."""
        for step in block:
            self._retry = step.retry
            try:
                step.run(self, iteration)
            except StepFailed as failure:
                if failure.is_final or not step.goes_on or failure.node_path != step.path:
                    raise
                self.note_error(failure.error)

    def result_of(self, task: Task) -> Any:
        """The output of a step: on record, or done now. What the step says about retries wins over the task's own."""
        task.retry = self._retry or task.retry
        return self.log.result_of(task)

    @property
    def state(self) -> str | None:
        """The label of the run."""
        return self.log.state

    def scopes(self) -> Scopes:
        """What expressions see: the roots, and every variable and loop local by its bare name.

        `system` holds the recorded start of the step and chance derived from its place: a resumed run sees the same.
        """
        if self._scopes is None:
            self._at = None
            self._scopes = {
                **self._vars,
                **self._local,
                "payload": self._payload,
                "vars": self._vars,
                "local": self._local,
                "meta": self._meta,
                "error": self._error,
            }
        if self._at is not self.log.at or self._at is None:
            self._at = self.log.at
            self._scopes["system"] = self._system(self._at)
        return self._scopes

    def _system(self, at: At | None) -> dict[str, Any]:
        if at is None or not self._reads_system:
            return {}
        chance = hashlib.sha256(f"{self.claim.run_id}\n{at.path}\n{at.iteration}\nchance".encode()).digest()
        return {
            "now": at.started_at.isoformat(),
            "random": int.from_bytes(chance[:6]) / 2**48,
            "uuid": str(UUID(bytes=chance[:16], version=4)),
        }

    def set_state(self, state: str) -> None:
        """Label the run, visible as `meta.state`."""
        self.log.state = state
        self._meta = {**self._meta, "state": state}
        self._scopes = None

    def note_error(self, error: dict[str, Any] | None) -> None:
        """Make it what expressions see as `error`."""
        self._error = error
        self._scopes = None

    @contextmanager
    def caught(self, error: dict[str, Any]) -> Iterator[None]:
        """Inside, `error` is what was caught; afterwards it is again what it was."""
        outer = self._error
        self.note_error(error)
        try:
            yield
        finally:
            self.note_error(outer)

    def check_assignable(self, path: AssignPath) -> None:
        """Raises StepFailed when `assign` would."""
        check_assignable(self._root(path), path)

    def assign(self, path: AssignPath, value: Any) -> None:
        """Put a value in its place."""
        changed = assigned(self._root(path), path, value)
        if path.root == "vars":
            self._vars = changed
        else:
            self._payload = changed
        self._scopes = None

    def assign_var(self, name: str, value: Any) -> None:
        """Give a variable a value."""
        self._vars = {**self._vars, name: value}
        self._scopes = None

    @contextmanager
    def scopes_kept(self) -> Iterator[None]:
        """Undo afterwards what is assigned inside, for work that is recorded first and applied later."""
        kept = self._payload, self._vars, self._scopes
        try:
            yield
        finally:
            self._payload, self._vars, self._scopes = kept

    @contextmanager
    def loop(self, item_var: str) -> Iterator[Callable[[dict[str, Any]], None]]:
        """A loop: yields what enters an item, given its locals; restores locals and the shadowed variable at the end."""
        outer, had, shadowed = self._local, item_var in self._vars, self._vars.get(item_var)

        def enter(local: dict[str, Any]) -> None:
            self._local = {**outer, **local}
            self._vars = {**self._vars, item_var: local["item"]}
            self._scopes = None

        try:
            yield enter
        finally:
            self._local = outer
            self._vars = {name: value for name, value in self._vars.items() if name != item_var}
            if had:
                self._vars[item_var] = shadowed
            self._scopes = None

    def _root(self, path: AssignPath) -> dict[str, Any]:
        return self._vars if path.root == "vars" else self._payload


def _meta(claim: Claim) -> dict[str, Any]:
    """`startedAt`, the recorded start of the run's first claim, is the only time that expressions see."""
    return {
        "runId": str(claim.run_id),
        "workflowId": str(claim.workflow_id),
        "workflowVersion": claim.workflow_version,
        "trigger": claim.trigger_metadata,
        "state": None,
        "startedAt": claim.started_at.isoformat(),
    }
