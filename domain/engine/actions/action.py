"""An action: a named, versioned piece of work that a step can call, with checked inputs and outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from uuid import UUID

import jsonschema_rs

from domain.engine.failures import ACTION, VALIDATION, StepFailed
from domain.engine.retries import Retry
from domain.workflows import schema_rules

# What an action touches: nothing; rows of our own database, in the transaction that records its step, hence exactly
# once; the world outside, hence at least once and always with the same idempotency key.
PURE, LOCAL, OUTSIDE = "pure", "local", "outside"
EFFECTS = (PURE, LOCAL, OUTSIDE)


@dataclass(frozen=True)
class ActionContext:
    """For whom and as what an action runs. `now` follows the database's clock; pure actions get no context.

    `depth`: how many events led to this run. `workflow_id`: None in a run that calls an endpoint of an extension.
    `hidden`: the secrets among the inputs, for whoever keeps a record of its own.
    """

    run_id: UUID
    tenant_id: UUID
    workflow_id: UUID | None
    step_path: str
    iteration: str
    attempt: int
    idempotency_key: str | None
    now: datetime
    depth: int = 0
    hidden: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Example:
    """Inputs, and the output they give (of an action that reads stored rows: on an empty store)."""

    inputs: dict[str, Any]
    output: dict[str, Any]


@dataclass(frozen=True)
class Action:
    """`run(inputs)` of a pure action, `run(inputs, context)` of any other; both take and return a JSON object.

    `run` raises StepFailed to say what went wrong; its category says whether trying again could help. `is_idempotent`:
    a second call with the same key does nothing more; an outside action without it is not called again after its worker
    was lost. `retry_hint`: how a step that says nothing about retries is tried again.
    """

    id: str
    version: int
    label: str
    category: str
    description: str
    input_schema: dict[str, Any]
    output_schema: dict[str, Any]
    effect: str
    example: Example
    run: Callable[..., dict[str, Any]]
    is_idempotent: bool = True
    retry_hint: Retry | None = None

    @cached_property
    def _inputs(self) -> jsonschema_rs.Draft202012Validator:
        return schema_rules.compiled(self.input_schema)

    @cached_property
    def _outputs(self) -> jsonschema_rs.Draft202012Validator:
        return schema_rules.compiled(self.output_schema)

    def check_inputs(self, inputs: Any) -> None:
        """Raises StepFailed (ValidationError) naming every input that does not fit."""
        if not self._inputs.is_valid(inputs):
            problems = schema_rules.payload_problems(self.input_schema, inputs)
            message = "; ".join(f"{problem.path or 'the input'} {problem.message}" for problem in problems)
            raise StepFailed(f"The input of {self.id} does not fit: {message}.", "INVALID_INPUT", VALIDATION)

    def call(self, inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
        """Run with checked inputs. Raises StepFailed (ActionError) when the output is not as declared."""
        output = self.run(inputs) if self.effect == PURE else self.run(inputs, context)
        if not self._outputs.is_valid(output):
            raise StepFailed(f"{self.id} answered with something it never should.", "INVALID_OUTPUT", ACTION)
        return output
