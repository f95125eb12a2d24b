"""The scheduler process: a handful of one-second metronomes around domain functions. Any number may run at once.

APScheduler only ticks: it holds no schedule, keeps no store, and its wall clock decides nothing. Inside its second a
tick waits for the instant that is due, so what is due at 09:00:00 is not found at 09:00:01.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from types import FrameType

from apscheduler.schedulers.blocking import BlockingScheduler
from dramatiq import Broker
from flask import Flask

from domain.fire_minutes import sum_minutes
from domain.firing.tick import are_due, fire_due, next_wake
from domain.health import is_database_away
from domain.invariant_checks import check_invariants
from domain.kernel import clock
from domain.kernel.config import Config
from domain.kernel.db import transaction
from domain.kernel.failpoints import hit
from domain.kernel.ids import new_id
from domain.kernel.log import first_line, log_context, logger
from domain.pruning import prune
from domain.publishing.failing import pause_failing
from domain.runs.admission import admit_waiting, look_for_waiting, ready_by_lane
from domain.runs.call_admission import admit_calls
from domain.runs.children import end_orphans
from domain.runs.heartbeats import SCHEDULER
from domain.runs.waking import Waiting, waiting_now, wake_due, wake_parents
from workers.broker import make_sender, sending_errors
from workers.dispatcher import announce_ready
from workers.herds import HERD, Herd
from workers.listening import listen
from workers.process import Life, configured, process_app
from workers.reaper import Reaper

log = logger(__name__)

SECOND = 1.0
# A tick ends just before its second does, so that the next one is not turned away as a second instance.
TICK_SECONDS = 0.97
# One for each job, and one for the second lane of a herd.
CONNECTIONS = 10
# How soon to look again when what is due is in another scheduler's hands.
CONTENDED_SECONDS = 0.05
STALLED_AFTER_SECONDS = 5
SUM_SECONDS, CHECK_SECONDS, HOLD_FAILING_SECONDS = 20.0, 60.0, 5.0
# Longer than connecting and the longest statement of a scheduler together.
HUNG_AFTER_SECONDS = 60
# Hosts kill what is not gone soon after they asked for it, most of them after 30 seconds.
STOP_SECONDS = 20.0


class Scheduler:
    """One scheduler process."""

    def __init__(self, app: Flask, config: Config, broker: Broker) -> None:
        self.app = app
        self.config = config
        self.broker = broker
        self.life = Life(app, SCHEDULER, config.lease_seconds)
        self.work_is_ready = threading.Event()
        self.stopping = threading.Event()
        self.ticks = 0
        self.is_ticking = False
        self.herd = Herd(app, lambda batch: self._fire_batch(batch), self.stopping)
        self.reaper = Reaper(app, config.lease_seconds)

    def tick(self) -> None:
        """Fire what is due within this second, each at its instant; go on beyond it while there is more."""
        self.is_ticking = True
        until = clock.monotonic() + TICK_SECONDS
        try:
            while not self.stopping.is_set():
                self.ticks += 1
                with self.app.app_context():
                    with transaction():
                        now, next_wake_at = next_wake()
                    if next_wake_at is not None and next_wake_at <= now and self._fire():
                        continue
                if not self._wait_for(next_wake_at, now, until):
                    return
        finally:
            self.is_ticking = False

    def wake(self) -> None:
        """Let runs go on whose wait is over, each at its moment; and end those that no run waits for any more."""
        until = clock.monotonic() + TICK_SECONDS
        while not self.stopping.is_set():
            with self.app.app_context():
                with transaction():
                    waiting = waiting_now()
                if self._wake(waiting):
                    self.work_is_ready.set()
                    continue
            if not self._wait_for(waiting.next_due_at, waiting.now, until):
                return

    def _wake(self, waiting: Waiting) -> int:
        """End what is to end of what there is; how many runs go on. Each kind is committed before the next one is looked at."""
        woken = 0
        if waiting.is_due:
            with transaction():
                woken = wake_due(waiting.now)
        if waiting.for_children:
            with transaction():
                woken += wake_parents()
        if waiting.has_children:
            with transaction():
                end_orphans(waiting.now)
        return woken

    def _wait_for(self, at: datetime | None, now: datetime, until: float) -> bool:
        """Wait for an instant, not beyond `until`; False, at once, when it lies behind that: the next metronome finds it."""
        if at is None:
            return False
        left = max((at - now).total_seconds(), CONTENDED_SECONDS)
        if clock.monotonic() + left >= until:
            return False
        self.stopping.wait(left)
        return True

    def _fire(self) -> bool:
        """Decide what is due; whether anything was, that is not in other hands."""
        with transaction():
            is_herd = are_due(HERD + 1)
        fired = self.herd.decide() if is_herd else self._fire_batch(HERD)
        if fired:
            self.work_is_ready.set()
        return fired > 0

    def _fire_batch(self, batch: int) -> int:
        self.ticks += 1
        with transaction():
            fired = fire_due(clock.database_now(), batch)
        hit("tick.after_commit")
        return fired

    def dispatch(self) -> None:
        """Admit and announce, each second and whenever somebody says that work is ready."""
        until = clock.monotonic() + TICK_SECONDS
        while not self.stopping.is_set() and clock.monotonic() < until:
            self.work_is_ready.clear()
            if self.herd.is_held():
                self.work_is_ready.wait(CONTENDED_SECONDS)
                continue
            with self.app.app_context():
                ready = self._admit()
            hit("dispatch.before_send")
            try:
                announce_ready(self.broker, ready, self.config.call_threads)
            except sending_errors() as error:
                log.warning(
                    "Ready work cannot be announced; workers hear of it when the broker is back", error=str(error)
                )
            self.work_is_ready.wait(max(until - clock.monotonic(), 0))

    def _admit(self) -> dict[str, int]:
        """Let in who may start; what is ready then, per lane."""
        with transaction():
            now, is_anybody_waiting = look_for_waiting()
            if not is_anybody_waiting:
                return ready_by_lane()
        with transaction():
            admit_waiting(now)
        with transaction():
            admit_calls(now)
        with transaction():
            return ready_by_lane()

    def reap(self) -> None:
        """Let others go on with what those held who died or stand still."""
        if self.reaper.reap():
            self.work_is_ready.set()

    def hold_failing(self) -> None:
        with self.app.app_context(), transaction():
            pause_failing(clock.database_now())

    def prune(self) -> None:
        """Forget what is past its time, a batch after the other."""
        is_more = True
        while is_more and not self.stopping.is_set():
            with self.app.app_context(), transaction():
                is_more = prune(clock.database_now()) > 0

    def sum_minutes(self) -> None:
        """Keep the sums of the ledger by minute, which the page System reads."""
        with self.app.app_context(), transaction():
            sum_minutes(clock.database_now())

    def check_invariants(self) -> None:
        """See whether what is stored fits together; one of the schedulers does, once a minute."""
        with self.app.app_context(), transaction():
            check_invariants(clock.database_now())

    def watch(self) -> None:
        """End the process when ticks stop coming: APScheduler sleeps on the wall clock, which may be set back. A tick
        that is under way may wait for the database as long as a statement may last."""
        seen, stalled = -1, 0
        while not self.stopping.wait(SECOND):
            stalled = stalled + 1 if self.ticks == seen else 0
            seen = self.ticks
            if stalled >= (HUNG_AFTER_SECONDS if self.is_ticking else STALLED_AFTER_SECONDS):
                log.critical("No tick for too long; ending so that a supervisor starts this process anew")
                os._exit(70)

    def _stop_in_time(self) -> None:
        """End although a job does not come back: what it has not committed is as if it had never begun."""
        if not self.life.ended.wait(STOP_SECONDS):
            log.warning("A job is still under way; ending without it")
            self.life.end()
            os._exit(0)

    def jobs(self) -> list[tuple[Callable[[], None], float, float]]:
        """Each with how often, and how long after the start first, in seconds: what is due comes before what can wait.

        Whole seconds, so that they wake up together: much of what a look costs is to find the processor's caches cold.
        """
        return [
            (self.tick, SECOND, 0),
            (self.dispatch, SECOND, 0),
            (self.life.beat, self.config.lease_seconds / 3, 0),
            (self.wake, SECOND, 0),
            (self.reap, SECOND, 1),
            (self.hold_failing, HOLD_FAILING_SECONDS, 2),
            (self.sum_minutes, SUM_SECONDS, 3),
            (self.check_invariants, CHECK_SECONDS, 4),
            (self.prune, 3600, 5),
        ]

    def run(self) -> None:
        """Tick until SIGTERM or SIGINT; then end as soon as what is under way is committed, after STOP_SECONDS anyway."""
        metronome = BlockingScheduler(timezone=UTC, job_defaults={"coalesce": True, "max_instances": 1})
        start = clock.now()
        for job, seconds, wait in self.jobs():
            patient, first = partial(_patiently, job), start + timedelta(seconds=wait)
            metronome.add_job(patient, "interval", seconds=seconds, misfire_grace_time=None, next_run_time=first)

        def stop(_number: int, _frame: FrameType | None) -> None:
            self.stopping.set()
            self.work_is_ready.set()
            threading.Thread(target=self._stop_in_time, daemon=True).start()
            threading.Thread(target=metronome.shutdown, daemon=True).start()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        threading.Thread(target=self.watch, daemon=True).start()
        hearing = (self.config.database_url, self.work_is_ready, self.stopping)
        threading.Thread(target=listen, args=hearing, daemon=True).start()
        log.info("Scheduler started", process_id=str(self.life.id))
        metronome.start()
        self.life.end()
        log.info("Scheduler stopped")


def _patiently(job: Callable[[], None]) -> None:
    """A database that is away is one line a second; whatever else goes wrong is APScheduler's to log in full."""
    try:
        with log_context(request_id=new_id()):
            job()
    except Exception as error:
        if not is_database_away(error):
            raise
        log.warning("The database cannot be reached", job=job.__name__, error=first_line(error))


def main() -> None:
    """Run one scheduler process until it is told to stop."""
    config = configured()
    app = process_app(config, "scheduler", CONNECTIONS)
    Scheduler(app, config, make_sender(config.broker_url or config.redis_url)).run()


if __name__ == "__main__":
    main()
