"""Everything that has to be so for a schedule to fire, looked at by the rules that decide when it is due.

Holds come from `domain.firing.holds`, overlap and skips from `domain.timing.decisions`, the payload is validated against
the snapshot it would run with. `Checklist.sentence` sums it up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.firing.checks import FAIL, OK, WARN, Check, sentence_of
from domain.firing.circumstances import Circumstances, circumstances_of
from domain.firing.explain import Explanation, explain, hold_words, is_put_back
from domain.firing.holds import Refusal, holds_of
from domain.firing.target_checks import slot_check, target_checks
from domain.kernel.errors import Refused
from domain.runs.heartbeats import SCHEDULER, WORKER
from domain.schedules.payloads import payload_refusals
from domain.schedules.schedules import COMPLETED, PAUSED
from domain.schedules.targets import WorkflowTarget
from domain.timing.decisions import Policy, decide
from domain.timing.outcomes import Outcome, Reason
from domain.timing.words import absolute, duration_words

CLOCK_TOLERANCE_SECONDS = 5
PROBLEMS_SHOWN = 3
_OVERLAP_WORDS = {
    Reason.OVERLAP: "if that is still so when the next one is due, that is skipped.",
    Reason.QUEUE_FULL: "no more may wait, so what is due is skipped.",
    "allow": "the next one starts beside it.",
    "queue": "the next one fires and waits for it.",
    "skip": "the next one is skipped if that is still so when it is due.",
}


@dataclass(frozen=True)
class Checklist:
    """`explanation`: what the schedule says of itself; `checks`: that and what surrounds it."""

    explanation: Explanation
    checks: tuple[Check, ...]

    @property
    def wrong(self) -> tuple[Check, ...]:
        """The lines that are not as they should be, the worst first."""
        return tuple(sorted((check for check in self.checks if check.state != OK), key=lambda check: check.state))

    @property
    def fires(self) -> bool:
        """Whether it will fire as things stand."""
        return self.explanation.fires and not self.obstacle

    @property
    def beside(self) -> tuple[Check, ...]:
        """The wrong lines that the one sentence does not say already."""
        said = self.obstacle
        if self.explanation.reason is not None:
            failing = (check for check in self.wrong if check.state == FAIL)
            said = next((check for check in failing if check.remedy == self.explanation.remedy), None)
        return tuple(check for check in self.wrong if check is not said)

    @property
    def obstacle(self) -> Check | None:
        """What keeps a schedule from firing that by its own account would; None when nothing does."""
        failing = (check for check in self.checks if check.state == FAIL)
        return next(failing, None) if self.explanation.fires else None


def checklist(row: Any, now: datetime) -> Checklist:
    """The checklist of one schedule with its payload (`domain.schedules.pages.schedule_detail`)."""
    return Checklist(explain(row, now), tuple(checks_of(row, now)))


def checks_of(row: Any, now: datetime) -> list[Check]:
    """Every line, in the order in which people ask; empty for a deleted schedule. A fixed number of statements."""
    if row.deleted_at is not None:
        return []
    around = circumstances_of(row)
    return [
        _switch(row, now),
        *target_checks(row, around),
        _payload(row, around),
        *_timing(row, now),
        *_last_try(row, now),
        *_processes(around),
        _previous(row, around, now),
        slot_check(row, around),
        _clocks(around),
    ]


def _switch(row: Any, now: datetime) -> Check:
    if row.status == PAUSED:
        return Check("enabled", FAIL, sentence_of(explain(row, now).reason), "resume")
    if row.status == COMPLETED:
        return Check("enabled", FAIL, sentence_of(explain(row, now).reason), "timing")
    return Check("enabled", OK, "It is switched on.")


def _payload(row: Any, around: Circumstances) -> Check:
    held = next((hold_words(row, hold) for hold in holds_of(row) if hold.reason == Refusal.PAYLOAD_INVALID), None)
    target = around.target
    if target is None:
        return Check("payload", FAIL, "There is no version yet whose schema it could be checked with.", "publish")
    what = target.label
    if isinstance(target, WorkflowTarget):
        what = f"version {target.version.version} of {target.label}"
    try:
        problems = payload_refusals(target, row.payload_json)
    except Refused as refused:
        problems = list(refused.problems)
    if problems:
        told = "; ".join(f"{one.path}: {one.message}" for one in problems[:PROBLEMS_SHOWN])
        # Only a held one is refused when it is due; the run of another begins, and fails where it needs what is wrong.
        return Check("payload", FAIL if held else WARN, f"Its payload does not fit {what}: {told}", "payload")
    if held:
        return Check("payload", FAIL, sentence_of(held), "payload")
    if isinstance(target, WorkflowTarget) and target.takes_clock:
        return Check("payload", OK, f"{sentence_of(what, '')} is given the time it fires; it needs no payload.")
    return Check("payload", OK, f"Its payload fits {what}.")


def _timing(row: Any, now: datetime) -> Iterator[Check]:
    if row.timing is None:
        yield Check("timing", FAIL, "Its timing cannot be computed.", "timing")
        return
    yield _window(row, now)
    if row.timing.next_after(now) is None and (row.next_fire_at is None or row.next_fire_at > now):
        yield Check("timing", FAIL, "Nothing of its timing is left.", "timing")
    else:
        yield Check("timing", OK, "Its timing has instants to come.")
    if row.skip_next_at is not None:
        by = f" by {row.skip_next_by_name}" if row.skip_next_by_name else ""
        yield Check("skip_next", WARN, f"{absolute(row.skip_next_at, row.timezone, now)} will be skipped{by}.")


def _window(row: Any, now: datetime) -> Check:
    if row.ends_at is not None and row.ends_at < now:
        return Check("window", FAIL, f"Its window ended at {absolute(row.ends_at, row.timezone, now)}.", "timing")
    if row.starts_at is not None and row.starts_at > now:
        return Check("window", OK, f"Nothing is due before {absolute(row.starts_at, row.timezone, now)}.")
    if row.ends_at is not None:
        return Check("window", OK, f"It is inside its window until {absolute(row.ends_at, row.timezone, now)}.")
    return Check("window", OK, "No window limits it.")


def _last_try(row: Any, now: datetime) -> Iterator[Check]:
    if row.next_fire_at is None or row.wake_at is None or not row.next_fire_at <= now < row.wake_at:
        return
    if row.last_error and is_put_back(row):
        again = absolute(row.wake_at, row.timezone, now)
        yield Check("last_try", FAIL, f"{sentence_of(row.last_error)} It is tried again at {again}.", "timing")


def _processes(around: Circumstances) -> Iterator[Check]:
    if SCHEDULER in around.dead_kinds:
        yield Check("scheduler", FAIL, "No scheduler is alive: nothing fires until one starts.", "system")
    else:
        yield Check("scheduler", OK, "A scheduler is alive.")
    if WORKER in around.dead_kinds:
        yield Check("worker", WARN, "No worker is alive: it fires, and its run waits until one starts.", "system")
    else:
        yield Check("worker", OK, "A worker is alive.")


def _previous(row: Any, around: Circumstances, now: datetime) -> Check:
    if around.unfinished == 0:
        return Check("previous", OK, "No earlier run of it is unfinished.")
    several = "An earlier run is" if around.unfinished == 1 else f"{around.unfinished} earlier runs are"
    going = f"{several} unfinished ({around.going_status})" if around.unfinished == 1 else f"{several} unfinished"
    reason = _reason_next(row, around, now)
    state, words = WARN if reason else OK, _OVERLAP_WORDS[reason or row.overlap]
    return Check("previous", state, f"{going}: {words}", "run", around.going_id)


def _reason_next(row: Any, around: Circumstances, now: datetime) -> Reason | None:
    """Why the next instant would not fire with as many runs unfinished as there are now."""
    at = row.timing.next_after(max(now, row.skip_next_at or now)) if row.timing else None
    if at is None:
        return None
    policy = Policy(row.overlap, row.catch_up, row.max_lateness_seconds)
    decided = decide(row.timing, at, at, at, policy, around.unfinished).rows
    return next((one.reason for one in decided if one.outcome == Outcome.SKIPPED), None)


def _clocks(around: Circumstances) -> Check:
    seconds = around.skew.total_seconds()
    if abs(seconds) <= CLOCK_TOLERANCE_SECONDS:
        return Check("clock", OK, "This machine's clock agrees with the database's.")
    away = f"{duration_words(abs(seconds))} {'ahead of' if seconds > 0 else 'behind'} the database's"
    return Check("clock", WARN, f"This machine's clock is {away}. Schedules go by the database's.", "system")
