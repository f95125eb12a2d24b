"""A herd: N schedules that are all due at one minute, by Carillon and by what a team would otherwise use.

`.venv/bin/python -m bench.herd` gives each its own fresh servers and the same work, and measures from the instant that
all are due: the last decision committed, the last message sent, the last job begun and done, what was lost or doubled.
`--kill scheduler` (or worker) kills its process in the middle of the herd and starts it again after `--down` seconds.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bench.bursts import Burst, median_of
from bench.contenders import ALL, CARILLON, Contender, is_there, made, name_of, processes_of, seconds_each
from bench.floors import batch_seconds, push_seconds
from bench.processes import SCHEDULER, WORKER, Processes, await_true
from bench.results import Report, ratio
from bench.servers import bench_servers
from bench.work import next_minute
from domain.kernel.log import configure_logs

# From the start of the processes to the instant: everybody is up and idle by then.
STARTING_SECONDS = 15
# How long nothing may happen before a herd counts as over.
QUIET_SECONDS = 20
LOOK_SECONDS = 0.25


@dataclass(frozen=True)
class Asked:
    """What is to be measured. `kill`: the role to be killed halfway, or None. `patience`: seconds for the whole herd.
    `busy`: how many times as long as on an idle machine registering may take."""

    count: int
    groups: int
    kill: str | None
    down: float
    patience: float
    busy: float = 1.0


@dataclass(frozen=True)
class Herd:
    """`load`: of the machine in the minute before. When something was killed, `killed`: how many seconds after the instant;
    `recovered`: seconds from then to the last start."""

    burst: Burst
    load: float
    killed: float | None = None
    recovered: float | None = None


class TooLate(Exception):
    """The instant was too near when everything was registered. `seconds`: what registering took."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"registering took {seconds:.0f} s")
        self.seconds = seconds


def herd(key: str, asked: Asked) -> Herd:
    """One herd of one contender, on fresh servers; once more with more time to register if that was too short."""
    try:
        return _herd_on_fresh_servers(key, asked, asked.count * seconds_each(key) * asked.busy)
    except TooLate as late:
        return _herd_on_fresh_servers(key, asked, 2 * late.seconds)


def _herd_on_fresh_servers(key: str, asked: Asked, registering: float) -> Herd:
    with bench_servers(is_migrated=key == CARILLON) as servers, processes_of(key, servers) as processes:
        contender = made(key, servers, processes)
        try:
            return _herd(contender, asked, processes, registering)
        finally:
            contender.close()


def _herd(contender: Contender, asked: Asked, processes: Processes, registering: float) -> Herd:
    begun_at, load = time.time(), os.getloadavg()[0]
    instant = next_minute(datetime.now(UTC), STARTING_SECONDS + 10 + registering)
    contender.register(asked.count, instant)
    left = instant.timestamp() - time.time()
    if left < STARTING_SECONDS:
        raise TooLate(time.time() - begun_at)
    time.sleep(left - STARTING_SECONDS)
    contender.start(asked.groups)
    time.sleep(max(instant.timestamp() - time.time(), 0))
    killed_at = _kill_halfway(contender, asked, processes) if asked.kill else None
    _await_end(contender, asked, instant, processes)
    burst = contender.burst(asked.count, instant)
    if killed_at is None or burst.started is None:
        return Herd(burst, load)
    killed = killed_at - instant.timestamp()
    return Herd(burst, load, killed, burst.started - killed)


def _kill_halfway(contender: Contender, asked: Asked, processes: Processes) -> float:
    """Kill when half of the schedules are let go, or their jobs done for a worker; the time of the kill."""
    progress = contender.begun if asked.kill == SCHEDULER else contender.ended
    await_true(lambda: progress() >= asked.count // 2, "half of the herd", asked.patience, pause=0.005)
    # Some have no scheduler of their own: their workers are it.
    restart = processes.kill(SCHEDULER if asked.kill == SCHEDULER and processes.count(SCHEDULER) else WORKER)
    killed_at = time.time()
    time.sleep(asked.down)
    restart()
    return killed_at


def _await_end(contender: Contender, asked: Asked, instant: datetime, processes: Processes) -> None:
    """Until all jobs are done, or nothing happened for long, or patience ends; then a second look for doubled ones."""
    seen, seen_at = -1, time.time()
    quiet = asked.patience if asked.kill else QUIET_SECONDS  # what holds a dead process's lock or lease runs out late
    while time.time() - instant.timestamp() < asked.patience and time.time() - seen_at < quiet:
        processes.check()
        ended = contender.ended()
        if ended >= asked.count:
            time.sleep(2)
            return
        if ended != seen:
            seen, seen_at = ended, time.time()
        time.sleep(LOOK_SECONDS)


def measure(report: Report, key: str, asked: Asked, times: int) -> Herd:
    """The median of several herds, as a row of the report."""
    herds = []
    for _ in range(times):
        herds.append(herd(key, asked))
    burst = median_of([one.burst for one in herds])
    # Of the herd that took longest to recover.
    killed, recovered = max(
        ((one.killed, one.recovered) for one in herds if one.recovered is not None),
        key=lambda times: times[1],
        default=(None, None),
    )
    load = max(one.load for one in herds)
    row: dict[str, Any] = {"who": name_of(key), "N": asked.count, "groups": asked.groups, "load": load}
    report.add(row | burst.row(asked.count) | ({"killed": killed, "recovered": recovered} if asked.kill else {}))
    return Herd(burst, load, killed, recovered)


def add_floors(report: Report, count: int, found: dict[str, Herd]) -> None:
    """What the same rows and the same messages take at best, and what Carillon is of it."""
    batch, push = batch_seconds(count), push_seconds(count)
    report.add({"who": "floor: one SQL batch", "N": count, "committed": batch, "lost": 0, "doubled": 0})
    report.add({"who": "floor: one pipelined push", "N": count, "enqueued": push, "lost": 0, "doubled": 0})
    if CARILLON in found:
        committed = found[CARILLON].burst.committed
        report.ratios[f"SQL batch / Carillon's last committed, N={count:,}"] = ratio(batch, committed)


def compare(report: Report, found: dict[str, Herd], asked: Asked) -> None:
    """What everybody's last moment is of Carillon's."""
    ours = found.get(CARILLON)
    if ours is None:
        return
    for key, one in found.items():
        if key != CARILLON:
            label = f"{name_of(key)} / Carillon, N={asked.count:,}, {asked.groups} group(s)"
            decided = ratio(one.burst.enqueued, ours.burst.committed)
            report.ratios[f"{label}: last sent / last committed"] = decided
            report.ratios[f"{label}: last started"] = ratio(one.burst.started, ours.burst.started)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--schedules", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--groups", type=int, nargs="+", default=[1, 2], help="schedulers and workers of each")
    parser.add_argument("--who", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--kill", choices=[SCHEDULER, WORKER])
    parser.add_argument("--down", type=float, default=1.0, help="seconds until what was killed is started again")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds from the instant")
    parser.add_argument("--busy", type=float, default=1.0, help="more time to register, by this factor")
    asked = parser.parse_args()
    configure_logs("WARNING", "console")
    report = Report("herd", vars(asked))
    keys = [key for key in asked.who if is_there(key)]
    for key in set(asked.who) - set(keys):
        print(f"!! LEFT OUT: {name_of(key)}, because what it needs is not installed (see bench/peers/make).")
    for count in asked.schedules:
        for groups in asked.groups:
            wanted = Asked(count, groups, asked.kill, asked.down, asked.patience, asked.busy)
            found = {key: measure(report, key, wanted, asked.times) for key in keys}
            compare(report, found, wanted)
        add_floors(report, count, found)
    report.close()


if __name__ == "__main__":
    main()
