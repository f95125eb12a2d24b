"""What the ledger of a schedule must hold, worked out by counting minutes: nothing of it comes from the code under test."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

MINUTE = timedelta(minutes=1)
# No pattern is further from one instant to the next than this.
HORIZON = timedelta(hours=1)


@dataclass(frozen=True)
class Pattern:
    """Every `every` minutes of the hour, from `starts_at` to `ends_at` if given, both included; or once, `at`."""

    every: int = 1
    at: datetime | None = None
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    def typed(self) -> dict[str, Any]:
        """The fields of a schedule draft that say the same."""
        if self.at is not None:
            return {"trigger_type": "schedule", "run_at": self.at.isoformat(), "cron": None}
        edges = {"starts_at": self.starts_at, "ends_at": self.ends_at}
        return {"cron": f"*/{self.every} * * * *"} | {name: at.isoformat() for name, at in edges.items() if at}

    def instants(self, after: datetime, until: datetime) -> set[datetime]:
        """Those in (after, until]."""
        if self.at is not None:
            return {self.at} if after < self.at <= until else set()
        found = set()
        instant = after.replace(second=0, microsecond=0) + MINUTE
        if self.starts_at is not None:
            instant = max(instant, self.starts_at)
        while instant <= (min(until, self.ends_at) if self.ends_at else until):
            if instant.minute % self.every == 0:
                found.add(instant)
            instant += MINUTE
        return found

    def first(self, after: datetime, recorded: set[datetime]) -> datetime | None:
        """The first instant after `after` that is not recorded yet."""
        return min(self.instants(after, max({after} | recorded) + HORIZON) - recorded, default=None)


@dataclass
class Expected:
    """One schedule: its pattern since `since`, and the instants of the patterns before it."""

    pattern: Pattern | None
    since: datetime
    overlap: str
    earlier: set[datetime] = field(default_factory=set)
    skipped: datetime | None = None
    made_up: set[datetime] = field(default_factory=set)

    def change(self, pattern: Pattern | None, now: datetime, recorded: set[datetime]) -> None:
        """Another pattern from `now` on (None: deleted); what came due until then stays owed. What was to be skipped
        still is if the pattern has it and repeats."""
        if pattern == self.pattern:
            return
        until = max({now} | recorded | self.made_up)
        if pattern is None or pattern.at or self.skipped not in pattern.instants(until, until + HORIZON):
            self.skipped = None
        if self.pattern is not None:
            self.earlier |= self.pattern.instants(self.since, until)
        self.pattern, self.since = pattern, until

    def owed(self, until: datetime) -> set[datetime]:
        """Every instant up to `until` that has to be accounted for."""
        return self.earlier | (self.pattern.instants(self.since, until) if self.pattern else set())

    def next_undecided(self, recorded: set[datetime]) -> datetime | None:
        """Where the cursor has to stand."""
        return self.pattern.first(self.since, recorded) if self.pattern else None
