"""The lines of the checklist that are about what a schedule runs: a workflow, or an endpoint of an extension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from domain.extensions.settings import limits
from domain.firing.checks import FAIL, OK, WARN, Check
from domain.firing.circumstances import Circumstances
from domain.firing.holds import Refusal, holds_of
from domain.schedules.schedules import ENDPOINT
from domain.timing.words import absolute


def target_checks(row: Any, around: Circumstances) -> Iterator[Check]:
    """Whether the target can be started, and whether the edition includes it."""
    holds = {hold.reason: hold.detail for hold in holds_of(row)}
    if row.target_kind == ENDPOINT:
        yield from _endpoint(row, around, holds)
    else:
        yield _workflow(row, holds)
    if edition := holds.get(Refusal.EDITION):
        yield Check("edition", FAIL, edition)
    else:
        yield Check("edition", OK, "Its tenant's edition includes schedules.")


def slot_check(row: Any, around: Circumstances) -> Check:
    """Whether what fires has to wait for others to end."""
    if row.target_kind == ENDPOINT:
        return _calls(row, around)
    if around.slots is None:
        return Check("slot", OK, f"{row.workflow_name} has no limit of runs at a time.")
    if around.taken < around.slots:
        limit = "1 run" if around.slots == 1 else f"{around.slots} runs"
        going = "none is" if not around.taken else f"{around.taken} {'is' if around.taken == 1 else 'are'}"
        return Check("slot", OK, f"{row.workflow_name} may have {limit} at a time; {going} going.")
    holder = f"a run of {around.holder_name}" if around.holder_name else "a run that no schedule started"
    is_own = around.holder_schedule_id == row.id
    words = f"All of the {around.slots} runs that {row.workflow_name} may have at a time are taken"
    if around.slots == 1:
        words = f"The one run that {row.workflow_name} may have at a time is taken"
    sentence = f"{words} by {holder if around.slots == 1 else 'others, first ' + holder}: what fires waits for it."
    return Check("slot", OK if is_own else WARN, sentence, "run", around.holder_id)


def _workflow(row: Any, holds: Mapping[Refusal, str]) -> Check:
    if deleted := holds.get(Refusal.WORKFLOW_DELETED):
        return Check("workflow", FAIL, deleted)
    if unpublished := holds.get(Refusal.WORKFLOW_UNPUBLISHED):
        return Check("workflow", FAIL, unpublished, "publish")
    if paused := holds.get(Refusal.WORKFLOW_PAUSED):
        return Check("workflow", FAIL, paused, "workflow")
    return Check("workflow", OK, f"{row.workflow_name} is published and not paused.")


def _endpoint(row: Any, around: Circumstances, holds: Mapping[Refusal, str]) -> Iterator[Check]:
    if stale := holds.get(Refusal.ENDPOINT_STALE):
        yield Check("endpoint", FAIL, stale, "endpoint")
    else:
        what = f"{row.endpoint_method} {row.endpoint_path}"
        yield Check("endpoint", OK, f"The installed version of {row.extension_name} has {what}.")
    if disabled := holds.get(Refusal.INSTALL_DISABLED):
        yield Check("extension", FAIL, disabled, "extension")
    else:
        yield Check("extension", OK, f"{row.extension_name} is enabled.")
    if no_runner := holds.get(Refusal.RUNNER_NOT_CONFIGURED):
        yield Check("runner", FAIL, no_runner, "system")
    else:
        yield Check("runner", OK, "A runner is configured.")
    if around.open_until is not None:
        since = f"Its last {around.failures} calls failed" + (
            f" ({around.circuit_error})" if around.circuit_error else ""
        )
        again = absolute(around.open_until, row.timezone, around.database_now)
        yield Check("circuit", WARN, f"{since}: nothing is sent to {row.extension_name} until {again}.", "extension")


def _calls(row: Any, around: Circumstances) -> Check:
    most = limits().calls_per_install
    may = f"{row.extension_name} may have {most} {'call' if most == 1 else 'calls'} at a time"
    if around.calls_going < most:
        return Check(
            "slot", OK, f"{may}; {around.calls_going or 'none'} {'is' if around.calls_going < 2 else 'are'} going."
        )
    return Check("slot", WARN, f"{may}, and as many are going: what fires waits for one of them.")
