"""What always holds between rows, whatever died in between. Each query finds what breaks it, so each must find nothing.

They run beside the work they check, so each reads a bounded part along an index and never the whole history: what was
decided, started and finished lately, and what is not finished a page after the other. Three of those that tests check are not
here: that no instant was left out needs a list of all that were due, that no effect was doubled needs the record of who
was called, and that every change was written down is asked of the change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from domain.invariant_sources import (
    BEGINNING,
    CURSORS,
    DECIDED,
    DECIDED_PAGE,
    HISTORY,
    PAGE_END,
    RUNS,
    SCHEDULES,
    SEEN,
    TASKS,
    WAITS,
)
from domain.kernel import clock
from domain.kernel.db import db
from domain.kernel.ids import first_id_at

FOUND_MAX = 100
# So many rows are looked at at once of what was decided, started and finished lately; of what is not finished so many.
ROWS_MAX = 50_000
PAGE = 10_000

_IMPOSSIBLE = "This should not be possible. Keep a copy of the database and report it with these ids."
_SCHEDULER = (
    "The schedulers should have done this. Look into their log, and start another one when they cannot keep up."
)
_CLOCK = (
    "The clock of the database was ahead and has been set back. What it passed over stays decided, so these schedules stand "
    "still until it gets there again: make copies of them, which fire at once, and delete them."
)


@dataclass(frozen=True)
class Invariant:
    """`name`: its label among the metrics. `words`: what was found when it is broken. `remedy`: what to do then.
    `source`: which rows are looked at, as `seen`. `breaks`: the rest of the query. `is_fleeting`: it may be so for a
    moment, while somebody is about to mend it."""

    name: str
    words: str
    source: str
    breaks: str
    remedy: str = _IMPOSSIBLE
    is_fleeting: bool = False


@dataclass(frozen=True)
class Finding:
    """A row that breaks an invariant. `schedule_id` and `scheduled_for` name an occurrence, which has no index on its id.
    `found_at`: when it was found first, as far as anybody knows."""

    id: UUID
    tenant_id: UUID
    schedule_id: UUID | None = None
    scheduled_for: datetime | None = None
    found_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Scope:
    """Where to look: what was decided, started or finished in the `window` before `now`, pages of `page` rows behind
    `after` (the last key of the page before, empty at the beginning), and again at what was found before.

    `until`: the end of a page of what was decided, None: all of it. `old`: what was found so long ago that it is only
    looked at while it can still be mended, which history cannot.
    """

    now: datetime
    window: timedelta
    page: int = PAGE
    after: Sequence[str] = ()
    known: Sequence[Finding] = ()
    old: Sequence[Finding] = ()
    until: datetime | None = None


INVARIANTS = (
    Invariant("fired_without_run", "a fired occurrence without its run", DECIDED,
        "WHERE seen.outcome = 'fired' AND NOT EXISTS (SELECT FROM runs r WHERE r.id = seen.id)"),
    Invariant("run_unfired", "a run for what did not fire", DECIDED,
        "JOIN runs r ON r.id = seen.id WHERE seen.outcome <> 'fired'"),
    Invariant("decided_twice", "an instant that was decided twice", DECIDED, """
        WHERE seen.origin_key = 'timing' AND (SELECT coalesce(o.through, o.scheduled_for) FROM occurrences o
            WHERE o.schedule_id = seen.schedule_id AND o.origin_key = 'timing' AND o.id <> seen.id
              AND o.scheduled_for <= seen.scheduled_for ORDER BY o.scheduled_for DESC LIMIT 1) >= seen.scheduled_for"""),
    Invariant("cursor_behind", "a schedule that would decide an instant again", DECIDED, """
        JOIN schedule_cursors c ON c.schedule_id = seen.schedule_id
        WHERE seen.origin_key = 'timing' AND c.next_fire_at <= coalesce(seen.through, seen.scheduled_for)"""),
    Invariant("decided_early", "an instant that was decided before its time", DECIDED,
        "WHERE coalesce(seen.through, seen.scheduled_for) > least(seen.decided_at, :now + interval '1 minute')",
        _CLOCK),
    Invariant("tenants_mixed", "a run or a schedule of another tenant", DECIDED, """
        JOIN schedules s ON s.id = seen.schedule_id LEFT JOIN runs r ON r.id = seen.id
        WHERE s.tenant_id <> seen.tenant_id OR r.tenant_id <> seen.tenant_id"""),
    Invariant("fired_while_held", "a fire of a schedule that was paused or deleted", DECIDED, """
        JOIN schedules s ON s.id = seen.schedule_id
        WHERE seen.outcome = 'fired' AND seen.origin_key = 'timing' AND seen.decided_at - interval '1 minute' >
            CASE WHEN s.deleted_at IS NOT NULL THEN s.deleted_at WHEN s.status = 'paused' THEN s.paused_at END"""),
    Invariant("version_unpublished", "a run of a version that was not published yet", DECIDED, """
        JOIN runs r ON r.id = seen.id JOIN workflow_versions v ON v.tenant_id = r.tenant_id
            AND v.workflow_id = r.workflow_id AND v.version = r.workflow_version
        WHERE v.published_at > seen.decided_at + interval '1 minute'"""),
    Invariant("run_undecided", "a run of a schedule that is not in its ledger", RUNS, """
        WHERE seen.started_by IN ('schedule', 'recurring') AND NOT seen.is_rehearsal AND NOT EXISTS (
            SELECT FROM occurrences o WHERE o.schedule_id = seen.schedule_id AND o.id = seen.id
            AND o.scheduled_for = seen.scheduled_for)"""),
    Invariant("ended_and_held", "a run that somebody holds after its end", RUNS, """
        WHERE (seen.status IN ('succeeded', 'failed', 'canceled')) <> (seen.finished_at IS NOT NULL)
           OR (seen.finished_at IS NOT NULL AND seen.claimed_by IS NOT NULL)"""),
    Invariant("step_unclaimed", "a step of somebody who did not hold the run", RUNS, """
        WHERE EXISTS (SELECT FROM run_steps t WHERE t.run_id = seen.id AND t.claim_epoch > seen.claim_epoch)"""),
    Invariant("step_twice", "a step that was done twice", RUNS, """
        WHERE EXISTS (SELECT FROM run_steps t WHERE t.run_id = seen.id AND t.status = 'succeeded'
            GROUP BY t.step_path, t.iteration HAVING count(*) > 1)"""),
    Invariant("step_missing", "a hole in the steps of a run", RUNS, """
        WHERE EXISTS (SELECT FROM run_steps t WHERE t.run_id = seen.id HAVING count(*) <> max(t.position) + 1)"""),
    Invariant("wait_missing", "a run that waits for nothing", RUNS, """
        WHERE seen.status = 'waiting' AND NOT EXISTS (
            SELECT FROM waits w WHERE w.run_id = seen.id AND w.status = 'open')"""),
    Invariant("overlap", "two runs at once of a schedule that wants one at a time", RUNS, """
        CROSS JOIN LATERAL (SELECT * FROM schedules WHERE id = seen.schedule_id AND overlap <> 'allow' OFFSET 0) s
        WHERE s.updated_at < seen.ready_at AND seen.finished_at IS NULL AND seen.backfill_id IS NULL
          AND NOT seen.is_rehearsal AND EXISTS (
            SELECT FROM runs o WHERE o.schedule_id = seen.schedule_id AND o.id > seen.id AND s.updated_at < o.ready_at
              AND o.finished_at IS NULL AND o.backfill_id IS NULL AND NOT o.is_rehearsal)"""),
    Invariant("lost", "a run whose process has been gone for ten minutes", RUNS, """
        WHERE seen.status = 'running' AND seen.started_at < :now - interval '10 minutes' AND NOT EXISTS (
            SELECT FROM heartbeats h WHERE h.id = seen.claimed_by AND h.lease_until > :now - interval '10 minutes')""",
        _SCHEDULER, is_fleeting=True),
    Invariant("orphan", "a child run that goes on without its parent", RUNS, """
        JOIN runs p ON p.id = seen.parent_run_id WHERE seen.finished_at IS NULL AND seen.cancel_requested_at IS NULL
          AND p.finished_at < :now - interval '2 minutes'""", _SCHEDULER, is_fleeting=True),
    Invariant("unwatched", "an active schedule that nobody looks at", SCHEDULES, """
        LEFT JOIN schedule_cursors c ON c.schedule_id = seen.id
        WHERE seen.status = 'active' AND seen.deleted_at IS NULL AND c.wake_at IS NULL""",
        "Pause each of these schedules and resume it: that computes when it fires next. Then report it with these ids."),
    Invariant("wait_unneeded", "a wait of a run that does not wait", WAITS,
        "JOIN runs r ON r.id = seen.id WHERE r.status <> 'waiting'"),
    Invariant("task_unneeded", "a task that nobody waits for", TASKS,
        "JOIN waits w ON w.id = seen.wait_id WHERE w.status <> 'open'"),
    Invariant("overdue", "a schedule that has been due for two minutes", CURSORS, "WHERE true", _SCHEDULER,
        is_fleeting=True),
)  # fmt: skip

_SETTINGS = {"plan_cache_mode": "force_custom_plan"} | dict.fromkeys(
    ("enable_seqscan", "enable_mergejoin", "enable_hashjoin", "jit"), "off"
)


def broken_invariants(window: timedelta = timedelta(hours=1)) -> dict[str, list[str]]:
    """What is broken now, in words, with the ids of what breaks it."""
    return {invariant.words: [str(one.id) for one in found] for invariant, found in broken_now(window).items()}


def broken_now(window: timedelta = timedelta(hours=1)) -> dict[Invariant, list[Finding]]:
    """What is broken now, with what breaks it, at most FOUND_MAX of each page; empty when all holds.

    Everything that is not finished is looked at, and what was decided, started and finished in the `window`; of the last
    two at most ROWS_MAX.
    """
    scope = Scope(clock.database_now(), window, page=1_000_000)
    use_indexes()
    found: dict[Invariant, list[Finding]] = {}
    for page in _pages_decided(scope):
        for invariant in INVARIANTS:
            # Of what is not decided the first page is all.
            if invariant.source == DECIDED or not page.after:
                found[invariant] = found.get(invariant, []) + breaches(invariant, page)
    return {invariant: list(dict.fromkeys(rows)) for invariant, rows in found.items() if rows}


def _pages_decided(scope: Scope) -> Iterator[Scope]:
    end = decided_until(scope)
    while end and [end.isoformat()] != scope.after:
        yield replace(scope, until=end)
        scope = replace(scope, after=[end.isoformat()])
        end = decided_until(scope)
    yield scope


def breaches(invariant: Invariant, scope: Scope) -> list[Finding]:
    """What breaks the invariant within the scope, at most FOUND_MAX rows."""
    key = ", seen.schedule_id, seen.scheduled_for" if invariant.source == DECIDED else ""
    query = text(
        f"WITH seen AS MATERIALIZED ({SEEN[invariant.source]})"  # noqa: S608
        f" SELECT DISTINCT seen.id, seen.tenant_id{key} FROM seen {invariant.breaks} LIMIT {FOUND_MAX}"
    )
    return [Finding(*row) for row in db.session.execute(query, _only_used(query, _bounds(invariant.source, scope)))]


def decided_until(scope: Scope) -> datetime | None:
    """Where a page of ROWS_MAX rows of what was decided ends; None when there is no more than a page."""
    bounds = _bounds(DECIDED, scope)
    row = db.session.execute(DECIDED_PAGE, {"since": bounds["since"], "most": ROWS_MAX}).one()
    return row.until if row.number == ROWS_MAX else None


def page_end(source: str, scope: Scope) -> list[str]:
    """The last key of the scope's page; empty when it is the last page, or the source is not read in pages."""
    if source not in PAGE_END:
        return []
    query = text(f"{PAGE_END[source]} OFFSET {scope.page - 1} LIMIT 1")
    last = db.session.execute(query, _only_used(query, _bounds(source, scope))).one_or_none()
    return [str(part) for part in last] if last else []


def use_indexes() -> None:
    """For the rest of the transaction: plan each statement for its values, and read no table from end to end, also not
    along an index to join it with what was seen."""
    for setting, value in _SETTINGS.items():
        db.session.execute(text("SELECT set_config(:setting, :value, true)"), {"setting": setting, "value": value})


def _bounds(source: str, scope: Scope) -> dict[str, Any]:
    since = scope.now - scope.window
    if source == DECIDED and scope.after:
        since = datetime.fromisoformat(scope.after[0])
    after = () if source == DECIDED else scope.after or BEGINNING.get(source, ())
    known = scope.known if source in HISTORY else [*scope.known, *scope.old]
    return {
        "now": scope.now,
        "since": since,
        "until": scope.until or "infinity",
        "first_id": first_id_at(since),
        "most": ROWS_MAX,
        "page": scope.page,
        "known": [one.id for one in known],
        "old": [one.id for one in scope.old],
        "known_schedules": [one.schedule_id for one in scope.known],
        "known_instants": [one.scheduled_for for one in scope.known],
        **{f"after_{number}": part for number, part in enumerate(after)},
    }


def _only_used(query: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name in query._bindparams}
