"""An ordinary day of everybody: what it costs to hold schedules of which none is due, and how late ten are at a minute.

`.venv/bin/python -m bench.ordinary` gives each contender fresh servers, `--stored` schedules that are not due and ten for
each of `--minutes` minutes, lets its processes settle, and watches them until the first of these. Late is the start of
the job, after its minute. Celery and pg-boss know minutes only, so this is what all of them can be asked.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bench.contenders import ALL, CARILLON, Contender, is_there, made, name_of, processes_of, seconds_each
from bench.processes import SCHEDULER, WORKER, Processes
from bench.results import Report, Row, ratio
from bench.servers import bench_servers
from bench.work import next_minute
from domain.kernel.log import configure_logs

EACH_MINUTE = 10
SETTLING_SECONDS = 15
# Registering ten takes as long as starting the command does; whoever has not begun by then counts as lost.
REGISTERING_SECONDS, PATIENCE_SECONDS = 6, 30
MINUTE, FAR_AWAY = timedelta(minutes=1), timedelta(minutes=30)
MEGABYTE = 1_000_000


def ordinary(key: str, stored: int, minutes: int, watched: int) -> Row:
    """One contender on fresh servers."""
    with bench_servers(is_migrated=key == CARILLON) as servers, processes_of(key, servers) as processes:
        contender = made(key, servers, processes)
        try:
            lead = 20 + stored * seconds_each(key) + minutes * REGISTERING_SECONDS
            first = next_minute(datetime.now(UTC), lead + SETTLING_SECONDS + watched)
            instants = [first + number * MINUTE for number in range(minutes)]
            _register(contender, stored, instants)
            contender.start(1)
            time.sleep(SETTLING_SECONDS)
            row = {"who": name_of(key), "stored": stored} | _idle(processes, watched)
            left = first.timestamp() - time.time()
            assert left > 0, f"registering took {-left:.0f} s too long"
            time.sleep(left + (minutes - 1) * 60 + PATIENCE_SECONDS)
            processes.check()
            return row | _late(contender.lateness(instants), minutes * EACH_MINUTE)
        finally:
            contender.close()


def _register(contender: Contender, stored: int, instants: Sequence[datetime]) -> None:
    contender.register(stored, instants[0] + FAR_AWAY)
    for number, instant in enumerate(instants):
        contender.register(EACH_MINUTE, instant, first=stored + 1 + number * EACH_MINUTE)


def _idle(processes: Processes, seconds: int) -> Row:
    """Per cent of one core and megabytes, of the schedulers and the workers: some have only workers."""
    roles = [role for role in (SCHEDULER, WORKER) if processes.count(role)]
    before = {role: processes.usage(role) for role in roles}
    time.sleep(seconds)
    after = {role: processes.usage(role) for role in roles}
    row: Row = {}
    for role in (SCHEDULER, WORKER):
        used = (after[role].cpu_seconds - before[role].cpu_seconds) * 100 / seconds if role in after else None
        row |= {f"{role} CPU %": used, f"{role} MB": after[role].memory / MEGABYTE if role in after else None}
    return row


def _late(seconds: Sequence[float], due: int) -> Row:
    if not seconds:
        return {"late p50 ms": None, "late max ms": None, "lost": due}
    middle = statistics.median(seconds)
    return {"late p50 ms": 1000 * middle, "late max ms": 1000 * max(seconds), "lost": due - len(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--who", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--stored", type=int, default=1_000)
    parser.add_argument("--minutes", type=int, default=2)
    parser.add_argument("--watched", type=int, default=30, help="seconds in which nothing is due")
    asked = parser.parse_args()
    configure_logs("WARNING", "console")
    report = Report("ordinary", vars(asked))
    for key in asked.who:
        if not is_there(key):
            print(f"!! LEFT OUT: {name_of(key)}, because what it needs is not installed (see bench/peers/make).")
            continue
        row = report.add(ordinary(key, asked.stored, asked.minutes, asked.watched))
        if key != CARILLON and asked.who[0] == CARILLON:
            late = ratio(row["late p50 ms"], report.rows[0]["late p50 ms"])
            report.ratios[f"{row['who']} / Carillon: late p50"] = late
    report.close()


if __name__ == "__main__":
    main()
