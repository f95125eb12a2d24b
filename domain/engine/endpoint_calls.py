"""Runs of endpoints: for the engine one step that calls `extension.invoke`, so that attempts, waits between them, losses,
cancelling and the idempotency key are what they are for every step."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import OUTSIDE
from domain.engine.actions.registry import find_action
from domain.engine.compiled import CompiledDefinition
from domain.engine.failures import TIMEOUT, TRANSIENT
from domain.engine.nodes import action_call
from domain.engine.retries import Retry
from domain.engine.running import Execution, Returned, Step
from domain.engine.secrecy import has_secrets
from domain.engine.steps import Attempt, Task
from domain.schedules.drafts import ATTEMPTS

PATH, STEP_ID = "root.steps[0]", "call"
BACKOFF_MS, MAX_DELAY_MS = 2_000, 300_000


def compiled_call(called: dict[str, Any]) -> CompiledDefinition:
    """What a run of an endpoint does; `called` as in `Claim`."""
    asked = {name: called[name] for name in ("extension", "method", "path")}
    attempts = called["attempts"] or ATTEMPTS
    retry = Retry(attempts, BACKOFF_MS, max_delay_ms=MAX_DELAY_MS, retry_on=(TRANSIENT, TIMEOUT))
    step = Step(PATH, STEP_ID, action_call.NODE.type, _step(asked), retry)
    return CompiledDefinition((step,), is_pure=False, reads_system=False)


def _step(called: dict[str, Any]) -> Any:
    def run(execution: Execution, iteration: str) -> None:
        action, claim = find_action("extension.invoke", 1), execution.claim

        def prepare() -> dict[str, Any]:
            # The payload goes as it is, not through an expression, which would take a list of one for its item.
            return called if claim.input_json is None else called | {"body": claim.input_json}

        def check(inputs: Any) -> None:
            if not has_secrets(inputs):
                action.check_inputs(inputs)

        def act(inputs: dict[str, Any], attempt: Attempt) -> dict[str, Any]:
            answer = action_call.called(action, inputs, action_call.context_of(claim, PATH, iteration, attempt))
            # What it said is with the call, cut to what a person reads.
            return {name: answer[name] for name in ("status", "duration_ms")}

        task = Task(PATH, iteration, STEP_ID, action_call.NODE.type, act, prepare, check, effect=OUTSIDE)
        raise Returned(execution.result_of(task))

    return run
