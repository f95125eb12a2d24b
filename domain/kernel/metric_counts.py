"""The counts of all processes in one table, so that whoever is asked can answer for all of them.

A process writes how much it has counted so far under a key of its own, as often as it likes: writing a sum twice changes
nothing. After an hour it takes another key and goes on from there; rows of keys that nobody writes any more are folded
into one row per sample. A total is the sum over all keys, so it only grows, whoever ends, however suddenly.
"""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import CollectorRegistry
from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from domain.kernel import clock
from domain.kernel.db import Base, db, transaction
from domain.kernel.ids import new_id
from domain.kernel.log import first_line, logger
from domain.kernel.metrics import NOTHING, REGISTRY, Labels, Sums, counted, labels_of, last_stroke

log = logger(__name__)

# The key under which the folded rows are.
FOLDED = UUID(int=0)
KEY_LASTS = timedelta(hours=1)
# Long after the last transaction that may write to a key has ended.
FOLD_AFTER = 2 * KEY_LASTS


class MetricCount(Base):
    """`value`: what the process with this key has added to the sample since `key_made_at`. `labels`: a JSON object."""

    __tablename__ = "metric_counts"
    __table_args__ = (CheckConstraint("value >= 0", name="value"),)

    process_key: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    labels: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[float]
    key_made_at: Mapped[datetime]


_WRITE = text("""
    INSERT INTO metric_counts (process_key, name, labels, value, key_made_at)
    SELECT :key, name, labels, value, :made_at
    FROM unnest(CAST(:names AS text[]), CAST(:labels AS text[]), CAST(:values AS double precision[]))
        AS sample(name, labels, value)
    ON CONFLICT (process_key, name, labels) DO UPDATE SET value = excluded.value
""")

_FOLD = text("""
    WITH old AS (
        DELETE FROM metric_counts WHERE process_key <> :folded AND key_made_at < :before RETURNING name, labels, value
    )
    INSERT INTO metric_counts AS c (process_key, name, labels, value, key_made_at)
    SELECT :folded, name, labels, sum(value), :now FROM old GROUP BY name, labels ORDER BY name, labels
    ON CONFLICT (process_key, name, labels) DO UPDATE SET value = c.value + excluded.value
""")


class Tally:
    """What one process has counted, and how much of it is on record."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._lock = threading.Lock()
        self._key: tuple[UUID, datetime] | None = None
        # The sums when the key was made, and those that were written last.
        self._base = self._written = NOTHING
        self._stroke = 0

    @property
    def is_behind(self) -> bool:
        """Whether anything but how long requests took has been counted since the last time."""
        return last_stroke() != self._stroke

    def write(self) -> int:
        """Put what has been counted since the last time on record, in a unit of work of its own; how many samples."""
        with self._lock:
            # Before the sums: what is counted meanwhile is written twice rather than not at all.
            stroke = last_stroke()
            sums = counted(self._registry)
            changed = {at for at, value in sums.items() if value != self._written.get(at)}
            if not changed:
                self._stroke = stroke
                return 0
            with transaction():
                key, made_at = self._key_at(clock.database_now())
                _write(key, made_at, {at: sums[at] - self._base.get(at, 0) for at in changed})
            self._written, self._stroke = sums, stroke
            return len(changed)

    def _key_at(self, now: datetime) -> tuple[UUID, datetime]:
        """The key to write under, and since when. It stays the same when writing fails: nobody knows whether it did."""
        if self._key is None or now - self._key[1] >= KEY_LASTS:
            self._key, self._base = (new_id(), now), self._written
        return self._key


TALLY = Tally()


def record_new_counts() -> None:
    """What `record_counts` does, unless only requests were timed since the last time: that waits for a later one."""
    if TALLY.is_behind:
        record_counts()


def record_counts() -> None:
    """Put what this process has counted on record. What cannot be written now is written with what comes next."""
    try:
        TALLY.write()
    except Exception as error:
        log.warning("What was counted could not be put on record yet", error=first_line(error))


def totals() -> Sums:
    """The sum over all processes, those that have ended included."""
    rows = db.session.execute(text("SELECT name, labels, sum(value) FROM metric_counts GROUP BY name, labels"))
    return {(name, labels_of(json.loads(labels))): float(value) for name, labels, value in rows}


def fold_counts(now: datetime) -> None:
    """Bring the rows of keys that nobody writes any more together."""
    # Two that fold the same rows would wait for each other; the other one has done it.
    if db.session.scalar(text("SELECT pg_try_advisory_xact_lock(hashtext('metric_counts'))")):
        db.session.execute(_FOLD, {"folded": FOLDED, "before": now - FOLD_AFTER, "now": now})


def _write(key: UUID, made_at: datetime, values: Sums) -> None:
    samples = sorted(values.items())
    db.session.execute(
        _WRITE,
        {
            "key": key,
            "made_at": made_at,
            "names": [name for (name, _), _ in samples],
            "labels": [_text(labels) for (_, labels), _ in samples],
            "values": [value for _, value in samples],
        },
    )


def _text(labels: Labels) -> str:
    return json.dumps(dict(labels), ensure_ascii=False)
