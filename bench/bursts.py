"""What became of N schedules that were due at one instant, in seconds after it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from bench.results import median


@dataclass(frozen=True)
class Burst:
    """`committed`: the last decision and its run are there for all to see; a peer keeps no such row. `enqueued`: the last
    message was sent. `started`: the last job began its first step. None: there is no such moment, or it never came."""

    committed: float | None
    enqueued: float | None
    first_started: float | None
    started: float | None
    finished: float | None
    lost: int
    doubled: int

    def row(self, count: int) -> dict[str, Any]:
        """For the table; the rate counts what was started."""
        rate = (count - self.lost) / self.started if self.started else None
        return asdict(self) | {"fires/s": rate}


def burst_of(lines: Iterable[str], count: int, instant: datetime) -> Burst:
    """What the jobs of a peer wrote down: `number sent_at started_at finished_at` each, `sent_at` 0 when unknown."""
    zero = instant.timestamp()
    written = [line.split() for line in lines]
    if not written:
        return Burst(None, None, None, None, None, count, 0)
    sent, started, finished = ([float(line[place]) - zero for line in written] for place in (1, 2, 3))
    distinct = len({line[0] for line in written})
    enqueued = max(sent) if max(sent) > -60 else None
    return Burst(None, enqueued, min(started), max(started), max(finished), count - distinct, len(written) - distinct)


def lateness_of(lines: Iterable[str], instants: Sequence[datetime]) -> list[float]:
    """From the same lines: how long after its instant, the last one before it, each job was begun."""
    zeros = [instant.timestamp() for instant in instants]
    started = [float(line.split()[2]) for line in lines]
    return [at - max((zero for zero in zeros if zero <= at), default=zeros[0]) for at in started]


def median_of(bursts: Sequence[Burst]) -> Burst:
    """The median of each time, and the most that was lost and doubled."""
    times = {one.name: median(getattr(burst, one.name) for burst in bursts) for one in fields(Burst)}
    times |= {name: max(getattr(burst, name) for burst in bursts) for name in ("lost", "doubled")}
    return Burst(**times)
