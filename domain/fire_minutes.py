"""What was decided in each minute, and how late: sums of the ledger that cost the same to read however much was fired.

A scheduler adds the last minutes up again and again, so that what was committed late is in them too. A page reads sixty
minutes of sums instead of an hour of the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import BigInteger, select, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel.db import Base, db

# Under this id stand the sums of all tenants.
EVERYBODY = UUID(int=0)
MINUTES = 60
HOUR = timedelta(minutes=MINUTES)
KEPT = 2 * HOUR
# Longer than a transaction that decides may last.
SETTLES_AFTER = timedelta(minutes=1)
# Whole minutes, as many as a statement can add up in its time also where thousands are fired each second.
ADDED_AT_ONCE = timedelta(minutes=10)


class FireMinute(Base):
    """`number`: instants of the minute with this outcome. `late_…`: seconds from the instant to its decision, of what
    its timing fired; None where nothing was fired so."""

    __tablename__ = "fire_minutes"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    minute: Mapped[datetime] = mapped_column(primary_key=True)
    outcome: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    late_p50: Mapped[float | None]
    late_p99: Mapped[float | None]
    late_max: Mapped[float | None]


@dataclass(frozen=True)
class Minute:
    """How late the whole installation fired in a minute: `fired` instants, seconds; None when nothing was due."""

    at: datetime
    fired: int = 0
    p50: float | None = None
    p99: float | None = None
    most: float | None = None


_LAST = text("SELECT max(minute) FROM fire_minutes WHERE tenant_id = :everybody")

# A range of ix_occurrences_decided.
_SUM = text("""
    INSERT INTO fire_minutes (tenant_id, minute, outcome, number, late_p50, late_p99, late_max)
    SELECT coalesce(tenant_id, :everybody), minute, outcome, sum(count),
        percentile_disc(0.5) WITHIN GROUP (ORDER BY late), percentile_disc(0.99) WITHIN GROUP (ORDER BY late), max(late)
    FROM (
        SELECT tenant_id, date_trunc('minute', decided_at, 'UTC') AS minute, outcome, count,
            CASE WHEN outcome = 'fired' AND origin_key = 'timing'
                 THEN greatest(CAST(extract(epoch FROM decided_at - scheduled_for) AS double precision), 0) END AS late
        FROM occurrences WHERE decided_at >= :since AND decided_at < :until
    ) decided
    GROUP BY GROUPING SETS ((tenant_id, minute, outcome), (minute, outcome))
    ON CONFLICT (tenant_id, minute, outcome) DO UPDATE SET number = excluded.number, late_p50 = excluded.late_p50,
        late_p99 = excluded.late_p99, late_max = excluded.late_max
""")


def sum_minutes(now: datetime) -> bool:
    """Add up what was decided since the last time, at most an hour back; False when somebody else is at it."""
    if not db.session.scalar(text("SELECT pg_try_advisory_xact_lock(hashtext('fire_minutes'))")):
        return False
    last = db.session.scalar(_LAST, {"everybody": EVERYBODY})
    since = max(_minute(now) - HOUR, (last or now - HOUR) - SETTLES_AFTER)
    # With a plan for any values, the whole ledger may seem the shorter way.
    db.session.execute(text("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)"))
    start, end = min(since, _minute(now)), now + timedelta(microseconds=1)
    while start < end:
        until = min(start + ADDED_AT_ONCE, end)
        db.session.execute(_SUM, {"everybody": EVERYBODY, "since": start, "until": until})
        start = until
    return True


def lateness_by_minute(now: datetime) -> list[Minute]:
    """The last sixty minutes of the installation, the oldest first, that of `now` at the end."""
    first = _minute(now) - HOUR + timedelta(minutes=1)
    rows = select(FireMinute).where(
        FireMinute.tenant_id == EVERYBODY, FireMinute.minute >= first, FireMinute.outcome == "fired"
    )
    known = {
        row.minute: Minute(row.minute, row.number, row.late_p50, row.late_p99, row.late_max)
        for row in db.session.scalars(rows)
    }
    minutes = [first + timedelta(minutes=number) for number in range(MINUTES)]
    return [known.get(at) or Minute(at) for at in minutes]


def outcomes_of_hour(tenant_id: UUID, now: datetime) -> dict[str, int]:
    """How many instants of a tenant's schedules were decided in the last sixty minutes, by outcome."""
    first = _minute(now) - HOUR + timedelta(minutes=1)
    sums = text("""
        SELECT outcome, CAST(sum(number) AS bigint) AS number FROM fire_minutes
        WHERE tenant_id = :tenant_id AND minute >= :first GROUP BY outcome
    """)
    return {row.outcome: row.number for row in db.session.execute(sums, {"tenant_id": tenant_id, "first": first})}


def worst_of(minutes: Sequence[Minute]) -> float | None:
    """The latest fire of these minutes, in seconds; None when nothing was due in them."""
    return max((minute.most for minute in minutes if minute.most is not None), default=None)


def prune_minutes(now: datetime) -> int:
    """Forget sums that no page shows any more; how many."""
    gone = text("DELETE FROM fire_minutes WHERE minute < :before RETURNING 1")
    return len(db.session.execute(gone, {"before": now - KEPT}).all())


def _minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)
