"""The database: one declarative base, one transaction context manager, engine settings per process role."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from flask_sqlalchemy import SQLAlchemy
from psycopg.types.array import ListBinaryDumper
from sqlalchemy import DateTime, MetaData, Uuid, event, func, text
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, SessionTransaction, mapped_column

from domain.kernel.ids import new_id

NAMING = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# Seconds a statement, a lock wait and an idle transaction may last, per process role.
TIMEOUTS = {
    "web": {"statement_timeout": 15, "lock_timeout": 5, "idle_in_transaction_session_timeout": 15},
    "scheduler": {"statement_timeout": 30, "lock_timeout": 10, "idle_in_transaction_session_timeout": 10},
    "worker": {"statement_timeout": 30, "lock_timeout": 15, "idle_in_transaction_session_timeout": 10},
    "command": {"statement_timeout": 300, "lock_timeout": 30, "idle_in_transaction_session_timeout": 60},
}

# Seconds a whole transaction may last, from PostgreSQL 17 on. Who stands still after having sent half of what it asks is neither
# idle nor waited for in the eyes of the timeouts above, and would keep what it has locked for as long as it stands still. A
# scheduler that lives ends its session sooner, on any version (domain/runs/heartbeats.py).
TRANSACTION_SECONDS = {"web": 300, "scheduler": 120, "worker": 60, "command": 0}

# Whose statements are planned each time they are asked (docs/decisions/0027-plans.md): the scheduler's take batches of any size,
# filters of pages fit one row or all. Not by plan_cache_mode: that has every foreign key of every row planned anew.
PLANNED_EACH_TIME = frozenset({"scheduler", "web"})
PREPARED_AFTER, NEVER_PREPARED = 5, 1 << 30

# Execution options of a statement that is planned once per connection even there: whatever it is asked, one plan is right.
PLANNED_ONCE = {"planned_once": True}

# So many rows are written with plans of their own.
MANY_ROWS = 100

# Serialisation failure, deadlock, lock not available.
COLLISIONS = frozenset({"40001", "40P01", "55P03"})
COLLISION_TRIES = 3

# A standby, or a primary that has become one.
READ_ONLY = "25006"

# Where a session keeps what is to be done after the commit of its unit of work; there is one as long as the key is there.
UNIT_OF_WORK = "unit_of_work"

Answer = TypeVar("Answer")
Row = TypeVar("Row")


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: DateTime(timezone=True), UUID: Uuid()}


class Identified:
    """`id`, `created_at`, `updated_at`: what every table but the hot ones has."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp(), onupdate=func.clock_timestamp())


db = SQLAlchemy()


def engine_options(role: str, threads: int) -> dict[str, Any]:
    """SQLAlchemy engine options for a process of `role` with `threads` threads."""
    settings = " ".join(f"-c {name}={seconds * 1000}" for name, seconds in TIMEOUTS[role].items())
    return {
        "pool_size": threads,
        # The connection used last has its plans and catalogues warm.
        "pool_use_lifo": True,
        "max_overflow": 2,
        # Errors of statements are logged: what was to be stored, such as the hash of a password, stays out of the log.
        "hide_parameters": True,
        "pool_events": [(_limiting(TRANSACTION_SECONDS[role]), "connect"), (leave_ended, "checkout")],
        "pool_timeout": 10,
        "pool_recycle": 1800,
        "connect_args": {
            "options": f"{settings} -c timezone=UTC -c jit=off",
            "application_name": f"carillon-{role}",
            "prepare_threshold": NEVER_PREPARED if role in PLANNED_EACH_TIME else PREPARED_AFTER,
            "connect_timeout": 5,
            "keepalives": 1,
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
        },
    }


@event.listens_for(Engine, "connect")
def _send_arrays_in_binary(connection: Any, _record: object) -> None:
    # Text arrays of 1,000 values cost 24 ms to quote; binary ones 1.5 ms.
    if isinstance(connection, psycopg.Connection) or hasattr(connection, "adapters"):
        connection.adapters.register_dumper(list, ListBinaryDumper)


def _limiting(transaction_seconds: int) -> Callable[[Any, object], None]:
    def limit(connection: Any, _record: object) -> None:
        # An older server would turn down a connection that asks for it when it is made.
        if connection.info.server_version >= 170_000:
            connection.autocommit = True
            connection.execute(f"SET transaction_timeout = '{transaction_seconds}s'")
            connection.autocommit = False

    return limit


@event.listens_for(Engine, "do_execute")
def _prepare(cursor: Any, statement: str, values: Any, context: Any) -> bool:
    """Send a statement that is planned once as a prepared one; the others are sent by whoever calls this."""
    is_planned_once = context is not None and "planned_once" in context.execution_options
    if is_planned_once:
        cursor.execute(statement, values, prepare=True)
    return is_planned_once


def name_connections(name: str) -> None:
    """Have PostgreSQL show those that the current app makes from now on under `name`, of at most 63 bytes."""

    @event.listens_for(db.engine.dialect, "do_connect")
    def show(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
        options["application_name"] = name


def plan_checks_of(number: int) -> None:
    """Before so many rows are written: have this connection plan anew how it checks the keys they refer to.

    PostgreSQL keeps such a plan until the table that is referred to is analyzed. One from when that was nearly empty reads
    all of it, for each row.
    """
    if number >= MANY_ROWS:
        db.session.execute(text("DISCARD PLANS"))


def leave_ended(connection: Any, _record: object, _user: object) -> None:
    """Have a connection that was ended while it lay in the pool replaced, and with it all that are older.

    PostgreSQL says nothing to who rests but why it ends, so there is something to read, or a notice that its settings were
    changed, after which it still answers. That is seen without asking the server, which would be a trip before each use.
    """
    if connection.closed or (_is_spoken_to(connection) and not _answers(connection)):
        raise InvalidatePoolError


def _is_spoken_to(connection: Any) -> bool:
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    return bool(waiting.poll(0))


def _answers(connection: Any) -> bool:
    try:
        connection.execute("")
        connection.rollback()
    except psycopg.Error:
        return False
    return True


@event.listens_for(Engine, "handle_error")
def _leave_read_only(context: ExceptionContext) -> None:
    """A server that takes no writes is left at once, and with it all connections made to it: the next ones may reach the
    server that does. Kept, they would stay read-only for as long as the pool keeps them."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True


@contextmanager
def transaction() -> Iterator[None]:
    """One unit of work: commits at the end, rolls back when anything is raised. Opened at the edges only.

    Inside an open unit of work it is part of that one, so that commands can be composed.
    """
    session = db.session()
    if UNIT_OF_WORK in session.info:
        yield
        return
    acts: list[tuple[SessionTransaction | None, Callable[[], None]]] = []
    session.info[UNIT_OF_WORK] = acts
    try:
        yield
        session.commit()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.info.pop(UNIT_OF_WORK, None)
    for _, act in acts:
        act()


def end_reading() -> None:
    """Give the connection back before a wait for somebody else, who may take longer than an idle transaction lasts. What
    was read stays as it is. Inside an open unit of work nothing is given back."""
    session = db.session()
    if UNIT_OF_WORK in session.info or not session.in_transaction():
        return
    session.expire_on_commit = False
    try:
        session.commit()
    finally:
        session.expire_on_commit = True


def after_commit(act: Callable[[], None]) -> None:
    """Do `act` when the open unit of work has been committed, and never when it, or the savepoint in which this is
    asked, is rolled back. Outside of a unit of work it is done at once. It must not fail, nor use the database."""
    session = db.session()
    if UNIT_OF_WORK in session.info:
        session.info[UNIT_OF_WORK].append((session.get_nested_transaction(), act))
    else:
        act()


@event.listens_for(Session, "after_soft_rollback")
def _forget_acts(session: Session, undone: SessionTransaction) -> None:
    acts = session.info.get(UNIT_OF_WORK)
    if acts:
        acts[:] = [(asked_in, act) for asked_in, act in acts if not _is_within(asked_in, undone)]


def _is_within(asked_in: SessionTransaction | None, undone: SessionTransaction) -> bool:
    while asked_in is not None and asked_in is not undone:
        asked_in = asked_in.parent
    return asked_in is undone


def transacted(work: Callable[[], Answer]) -> Answer:
    """What `work` answers, done in a unit of work of its own; done again as a whole when it collided with another."""
    for _ in range(COLLISION_TRIES - 1):
        try:
            with transaction():
                return work()
        except DBAPIError as error:
            if not is_collision(error):
                raise
    with transaction():
        return work()


def is_collision(error: BaseException | None) -> bool:
    """Whether a transaction was ended only because another one was in its way: done again it may well succeed."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) in COLLISIONS


def is_about_values(error: BaseException) -> bool:
    """Whether the database refused what it was given (SQLSTATE classes 22 and 23): it will do so again."""
    return isinstance(error, DataError | IntegrityError)


def write_or_halve(
    rows: Sequence[Row], write: Callable[[Sequence[Row]], None], put_back: Callable[[Row, DBAPIError], None]
) -> None:
    """`write` a batch in a savepoint; one that the database refuses is halved until the bad row stands alone, and that
    one goes to `put_back`. Whatever is not about values is raised as it came."""
    try:
        with db.session.begin_nested():
            write(rows)
    except DBAPIError as error:
        if error.connection_invalidated or not is_about_values(error):
            raise
        if len(rows) == 1:
            with db.session.begin_nested():
                put_back(rows[0], error)
            return
        middle = len(rows) // 2
        write_or_halve(rows[:middle], write, put_back)
        write_or_halve(rows[middle:], write, put_back)


def forget_connections() -> None:
    """Call in a forked child before first use: connections of the parent are not its own."""
    db.engine.dispose(close=False)
