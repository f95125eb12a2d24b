"""The work that everybody in bench/ gets: N schedules due at one minute, five zones in turn, 300 bytes of payload each.

Plain Python: the peers run in an environment of their own and import this too.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONES = ("UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Sydney")
STARTS = "bench:starts"
"""The list in Redis where each job of a peer writes what it did: `number sent_at started_at finished_at`, in seconds."""


@dataclass(frozen=True)
class Task:
    """One schedule to register: hourly, at the minute that the instant has in `zone`."""

    number: int
    zone: str
    minute: int
    payload: dict[str, Any]

    @property
    def cron(self) -> str:
        return f"{self.minute} * * * *"


def tasks(count: int, instant: datetime, first: int = 1) -> Iterator[Task]:
    """`count` schedules that are next due at `instant`, a whole minute in UTC; numbered from `first` on."""
    minutes = [instant.astimezone(ZoneInfo(zone)).minute for zone in ZONES]
    for number in range(first, first + count):
        place = number % len(ZONES)
        yield Task(number, ZONES[place], minutes[place], payload(number))


def payload(number: int) -> dict[str, Any]:
    """About 300 bytes of JSON, different for each."""
    return {"n": number, "region": f"eu-{number}", "note": hashlib.md5(b"%d" % number).hexdigest() * 8}


def asked_tasks() -> Iterator[Task]:
    """What the environment of a peer's process asks for."""
    count, first = int(os.environ["BENCH_COUNT"]), int(os.environ["BENCH_FIRST"])
    return tasks(count, datetime.fromisoformat(os.environ["BENCH_INSTANT"]), first)


def three_steps(given: dict[str, Any]) -> dict[str, Any]:
    """What Carillon's workflow does in its three steps."""
    state = {"state": "working"}
    state |= {"region": given["region"], "twice": given["n"] * 2}
    return state | {"value": state["twice"]}


def do_work(client: Any, given: dict[str, Any], sent_at: float) -> None:
    """The job of a peer: the steps, and a line that says when it was sent, begun and done (`client`: of redis-py)."""
    started_at = time.time()
    three_steps(given)
    client.rpush(STARTS, f"{given['n']} {sent_at:.6f} {started_at:.6f} {time.time():.6f}")


def next_minute(now: datetime, lead_seconds: float) -> datetime:
    """The first whole minute that is at least `lead_seconds` away."""
    soonest = now + timedelta(seconds=lead_seconds)
    whole = soonest.replace(second=0, microsecond=0)
    return whole if whole == soonest else whole + timedelta(minutes=1)
