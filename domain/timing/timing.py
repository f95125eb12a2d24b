"""When a schedule is due: once at an instant, or by a cron pattern in a zone, inside an optional window."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from domain.kernel.errors import Refused
from domain.timing import cron as rhythm
from domain.timing.cron import Cron, DstGap, DstRepeat, parse_cron
from domain.timing.epoch import check_aware, from_epoch, to_epoch, to_epoch_up
from domain.timing.zones import parse_zone

TriggerType = Literal["schedule", "recurring"]

_SECOND = timedelta(seconds=1)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Timing:
    """Immutable and comparable by value. Exactly one of ``run_at`` and ``cron`` is set.

    Instants are aware UTC datetimes of whole seconds. The window [starts_at, ends_at] includes both ends and concerns
    recurring timings only.
    """

    timezone: str
    run_at: datetime | None = None
    cron: Cron | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    dst_gap: DstGap = "after"
    dst_repeat: DstRepeat = "first"

    def __post_init__(self) -> None:
        if (self.run_at is None) == (self.cron is None):
            raise ValueError("a timing has either an instant or a pattern")

    @classmethod
    def once(cls, run_at: datetime, timezone: str = "UTC") -> "Timing":
        """Due once; a fraction of a second is dropped. Raises Refused at ``timezone``, ValueError when naive."""
        return cls(parse_zone(timezone), run_at=from_epoch(to_epoch(run_at)))

    @classmethod
    def recurring(
        cls,
        cron: Cron | str,
        timezone: str,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        dst_gap: DstGap = "after",
        dst_repeat: DstRepeat = "first",
    ) -> "Timing":
        """Due by a pattern. Raises Refused at ``cron`` or ``timezone``, ValueError for naive bounds."""
        return cls(
            parse_zone(timezone),
            cron=cron if isinstance(cron, Cron) else parse_cron(cron),
            starts_at=None if starts_at is None else from_epoch(to_epoch_up(starts_at)),
            ends_at=None if ends_at is None else from_epoch(to_epoch(ends_at)),
            dst_gap=dst_gap,
            dst_repeat=dst_repeat,
        )

    @property
    def trigger_type(self) -> TriggerType:
        """``schedule`` for one instant, ``recurring`` for a pattern: the words of rows and API."""
        return "schedule" if self.cron is None else "recurring"

    def next_after(self, instant: datetime) -> datetime | None:
        """The first due instant strictly after ``instant``, or None when nothing follows."""
        check_aware(instant)
        if self.cron is None:
            return self.run_at if self.run_at is not None and self.run_at > instant else None
        if self.starts_at is not None:
            instant = max(instant, self.starts_at - _SECOND)
        found = rhythm.next_instant(self.cron, self.timezone, instant, dst_gap=self.dst_gap, dst_repeat=self.dst_repeat)
        return None if found is None or (self.ends_at is not None and found > self.ends_at) else found

    def instants(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Every due instant in (after, until], ascending."""
        if self.cron is None:
            return iter(self._once_in(after, until))
        after, until = self._clipped(after, until)
        return rhythm.instants(self.cron, self.timezone, after, until, dst_gap=self.dst_gap, dst_repeat=self.dst_repeat)

    def count(self, after: datetime, until: datetime) -> int:
        """How many due instants lie in (after, until]; quick for years of minutes."""
        if self.cron is None:
            return len(self._once_in(after, until))
        after, until = self._clipped(after, until)
        return rhythm.count_between(
            self.cron, self.timezone, after, until, dst_gap=self.dst_gap, dst_repeat=self.dst_repeat
        )

    def has(self, instant: datetime) -> bool:
        """Whether it is due at exactly that instant."""
        return self.count(instant - _SECOND, instant) > 0

    def last(self, until: datetime, limit: int, not_before: datetime = _EARLIEST) -> list[datetime]:
        """At most ``limit`` due instants in [not_before, until], newest first."""
        after = from_epoch(to_epoch_up(not_before) - 1)
        if self.cron is None:
            return self._once_in(after, until)[:limit]
        after, until = self._clipped(after, until)
        return rhythm.previous_instants(
            self.cron,
            self.timezone,
            until,
            limit,
            not_before=after + _SECOND,
            dst_gap=self.dst_gap,
            dst_repeat=self.dst_repeat,
        )

    def _once_in(self, after: datetime, until: datetime) -> list[datetime]:
        check_aware(after, until)
        return [self.run_at] if self.run_at is not None and after < self.run_at <= until else []

    def _clipped(self, after: datetime, until: datetime) -> tuple[datetime, datetime]:
        """(after, until] cut to the window."""
        check_aware(after, until)
        if self.starts_at is not None:
            after = max(after, self.starts_at - _SECOND)
        if self.ends_at is not None:
            until = min(until, self.ends_at)
        return after, until


def check_run_at(run_at: datetime, now: datetime) -> None:
    """Raises Refused at ``runAt`` with RUN_AT_IN_PAST unless ``run_at`` is strictly after ``now``."""
    if to_epoch(run_at) <= to_epoch(now):
        raise Refused.at("runAt", "This time has passed. Choose one in the future.", code="RUN_AT_IN_PAST")


def check_window(timing: Timing, now: datetime) -> None:
    """Raises Refused at ``endsAt`` with WINDOW_EMPTY when nothing can be due any more between its start and its end."""
    if timing.ends_at is None:
        return
    if timing.starts_at is not None and timing.ends_at < timing.starts_at:
        raise Refused.at("endsAt", "The end lies before the start. Choose a later end.", code="WINDOW_EMPTY")
    if timing.next_after(now) is None:
        message = "Nothing is due before this end. Choose a later end or another pattern."
        raise Refused.at("endsAt", message, code="WINDOW_EMPTY")
