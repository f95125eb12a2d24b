"""Is everything that fires and runs alive? Said without a word about any tenant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import psycopg
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from domain.kernel import clock
from domain.kernel.db import COLLISIONS, READ_ONLY, db
from domain.runs.heartbeats import KINDS, SCHEDULER, WORKER, Heartbeat, heartbeats_page
from domain.runs.runs import LANES, QUEUED, RUNNING, WAITING, Run
from domain.schedules.cursors import ScheduleCursor

LATE_AFTER = timedelta(minutes=2)
CHECK_SECONDS = 2
WITHOUT = {SCHEDULER: "nothing fires until one starts.", WORKER: "runs wait until one starts."}
TRANSIENT = (
    psycopg.OperationalError,
    psycopg.errors.IdleInTransactionSessionTimeout,
    psycopg.errors.TransactionTimeout,
    psycopg.errors.ReadOnlySqlTransaction,
)
REDIS_AWAY = "Redis cannot be reached: workers look for runs themselves, and start them a second or two late."
OK, DEGRADED, FAILING = "ok", "degraded", "failing"
BACKLOG_MAX = 10_000

# Both along ix_runs_ready.
_BACKLOG = text("""
    SELECT lane.name AS lane, (SELECT count(*) FROM (
        SELECT FROM runs r WHERE r.lane = lane.name AND r.status = 'queued' AND r.ready_at IS NOT NULL LIMIT :most
    ) ready) AS ready, (
        SELECT min(r.ready_at) FROM runs r WHERE r.lane = lane.name AND r.status = 'queued' AND r.ready_at IS NOT NULL
    ) AS oldest
    FROM unnest(CAST(:lanes AS text[])) AS lane(name)
""")

# Everybody may read these, other than pg_stat_activity. reserved_connections came with PostgreSQL 16.
_CONNECTIONS = text("""
    SELECT CAST((SELECT sum(numbackends) FROM pg_stat_database) AS integer) AS used,
        CAST(current_setting('max_connections') AS integer)
        - CAST(current_setting('superuser_reserved_connections') AS integer)
        - CAST(coalesce(current_setting('reserved_connections', true), '0') AS integer) AS allowed
""")


@dataclass(frozen=True)
class Health:
    """`processes`: the living by kind. `late_seconds`: how long the most overdue cursor has been waiting; 0 for none.

    Degraded means that nothing is lost but things happen later than they should.
    """

    status: str
    problems: tuple[str, ...]
    processes: dict[str, int]
    late_seconds: int = 0

    @classmethod
    def without_database(cls) -> Health:
        return cls(FAILING, ("The database cannot be reached.",), {})


@dataclass(frozen=True)
class Load:
    """Unfinished runs of one tenant by status."""

    queued: int
    running: int
    waiting: int


def check_health(is_redis_up: Callable[[], bool]) -> Health:
    """Ask the database and Redis. Raises what the driver raises when the database does not answer in time."""
    db.session.execute(text(f"SET LOCAL statement_timeout = '{CHECK_SECONDS}s'"))
    now = clock.database_now()
    processes = alive_processes(now)
    late = lateness(now)
    serious = [f"No {kind} is alive: {WITHOUT[kind]}" for kind in KINDS if not processes[kind]]
    if late > LATE_AFTER:
        serious.append(f"Schedules are decided {int(late.total_seconds())} s late.")
    minor = [] if is_redis_up() else [REDIS_AWAY]
    status = FAILING if serious else DEGRADED if minor else OK
    return Health(status, (*serious, *minor), dict(processes), int(late.total_seconds()))


def alive_processes(now: datetime) -> Counter[str]:
    """How many processes of each kind have a heartbeat."""
    counts = select(Heartbeat.kind, func.count()).where(Heartbeat.lease_until > now).group_by(Heartbeat.kind)
    return Counter({kind: int(count) for kind, count in db.session.execute(counts)})


def lateness(now: datetime) -> timedelta:
    """How long ago the most overdue schedule should have been looked at."""
    # Written with <= and ORDER BY … LIMIT so that the partial index on wake_at answers it with one entry.
    due = select(ScheduleCursor.wake_at).where(ScheduleCursor.wake_at <= now).order_by(ScheduleCursor.wake_at)
    oldest = db.session.scalars(due.limit(1)).one_or_none()
    return now - oldest if oldest else timedelta(0)


def unfinished_runs(tenant_id: UUID) -> Load:
    """The unfinished runs of a tenant, counted by status."""
    counts = (
        select(Run.status, func.count())
        .where(Run.tenant_id == tenant_id, Run.finished_at.is_(None), Run.status.in_((QUEUED, RUNNING, WAITING)))
        .group_by(Run.status)
    )
    by_status = {kind: int(count) for kind, count in db.session.execute(counts)}
    return Load(by_status.get(QUEUED, 0), by_status.get(RUNNING, 0), by_status.get(WAITING, 0))


@dataclass(frozen=True)
class Backlog:
    """What stands in a lane for anybody to take: `ready` runs, counted up to BACKLOG_MAX, the first since
    `oldest_seconds`; 0 when there is none."""

    lane: str
    ready: int
    oldest_seconds: float


@dataclass(frozen=True)
class Connections:
    """Connections to the database server, whoever has them, and how many it gives to such users as this one."""

    used: int
    allowed: int


def backlog(now: datetime) -> list[Backlog]:
    """The lanes of the whole installation."""
    rows = {row.lane: row for row in db.session.execute(_BACKLOG, {"lanes": list(LANES), "most": BACKLOG_MAX})}
    return [Backlog(lane, rows[lane].ready, _seconds_since(rows[lane].oldest, now)) for lane in LANES]


def connections() -> Connections:
    """How near the server is to refusing connections."""
    return Connections(*db.session.execute(_CONNECTIONS).one())


def _seconds_since(instant: datetime | None, now: datetime) -> float:
    return max((now - instant).total_seconds(), 0) if instant else 0


def processes_page(now: datetime) -> list[tuple[Heartbeat, bool]]:
    """The processes of the last hour, each with whether it is alive."""
    return [(row, row.lease_until > now) for row in heartbeats_page(now)]


def is_database_away(error: BaseException | None) -> bool:
    """Whether `error` says that the database cannot be reached, takes no writes or is too busy to answer in time, rather
    than that it refused a statement: nothing was changed, and the same request may succeed a moment later."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError) or not isinstance(error.orig, TRANSIENT):
        return False
    state = error.orig.sqlstate
    # Without a state the connection itself failed; 08 and 57P are its classes for lost and ended connections, 53 for
    # what it has run out of, 25P03, 25P04 and 57014 for what took too long.
    return (
        state is None
        or state.startswith(("08", "53", "57P"))
        or state in {READ_ONLY, "25P03", "25P04", "57014"} | COLLISIONS
    )
