"""The interpreter: plain recursive code that runs a definition from the top, as often as it takes.

Where a run was before a crash is not stored: steps on record give their recorded results, and since expressions see
nothing but the payload and such results, the run arrives where it was and goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain.engine.compiled import CompiledDefinition
from domain.engine.failures import Canceled, StepFailed, Suspended
from domain.engine.running import Execution, Returned
from domain.engine.step_log import StepLog
from domain.runs.claims import Claim
from domain.runs.runs import CANCELED, FAILED, SUCCEEDED, WAITING


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended: `status` as in `runs`, the value of its `control.return`, its last state label, its error.

    One that is `waiting` has not ended: what it waits for is committed, and it is nobody's any more.
    """

    status: str
    output: Any
    state: str | None
    error: dict[str, Any] | None


def interpret(definition: CompiledDefinition, claim: Claim, log: StepLog) -> Result:
    """Run the definition. The caller ends the run and inserts `log.pending_rows()` in one transaction.

    Raises LostClaim when another process has taken the run over, and database errors; the run then goes on elsewhere.
    """
    if definition.fault:
        return Result(FAILED, None, None, definition.fault.error)
    execution = Execution(claim, log, reads_system=definition.reads_system)
    output = None
    try:
        execution.run_steps(definition.steps, "")
    except Returned as end:
        output = end.value
    except StepFailed as failure:
        return Result(FAILED, None, execution.state, failure.error)
    except Suspended:
        return Result(WAITING, None, execution.state, None)
    except Canceled:
        error = {"category": "Canceled", "code": "CANCELED", "message": "Canceled while it ran.", "nodePath": None}
        return Result(CANCELED, None, execution.state, error)
    return Result(SUCCEEDED, output, execution.state, None)
