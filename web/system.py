"""Health for machines, and the state of the system and its audit log for people."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from datetime import datetime, timedelta

from flask import Blueprint, Flask, current_app, render_template, url_for
from flask.typing import ResponseReturnValue

from domain.fire_minutes import lateness_by_minute, outcomes_of_hour
from domain.health import (
    BACKLOG_MAX,
    CHECK_SECONDS,
    OK,
    Backlog,
    Connections,
    Health,
    backlog,
    check_health,
    connections,
    is_database_away,
    processes_page,
    unfinished_runs,
)
from domain.invariant_checks import Watch, watch_of
from domain.invariant_sources import RUNS, TASKS, WAITS
from domain.invariants import INVARIANTS, Finding, Invariant
from domain.kernel.db import transaction
from domain.kernel.log import logger
from domain.runs.heartbeats import KINDS, SCHEDULER, WORKER
from domain.runs.runs import CALL, EFFECT, PURE
from domain.timing.words import duration_words
from web.access import is_fragment, member_access, public, request_now, signed_in
from web.filters import OUTCOME_LABELS, Label, outcome
from web.plots import AXIS, lateness_in_words, lateness_plot
from web.throttle import is_redis_up

blueprint = Blueprint("system", __name__)

log = logger(__name__)

# What an alert on the metrics asks for as well: see docs/operating.md.
STALE_AFTER = timedelta(minutes=5)
WAITS_LONG_SECONDS = 60
CONNECTIONS_NEARLY_ALL = 0.9

LANE_WORDS = {PURE: "Pure steps", EFFECT: "With effects", CALL: "Calls of extensions"}
# A connection that hangs holds its thread until the network gives up; two of them, and further probes only wait.
_probes = ThreadPoolExecutor(2, thread_name_prefix="health")


@blueprint.app_template_filter()
def process_status(is_alive: bool) -> Label:
    """Whether the process renews its heartbeat."""
    return Label("Alive", "ok", "check-circle") if is_alive else Label("Gone", "fail", "x-circle")


@blueprint.app_template_filter()
def standing(watch: Watch, now: datetime) -> Label:
    """Whether all invariants hold, as far as anybody knows now."""
    if watch.broken:
        return Label(f"{len(watch.broken)} of {len(INVARIANTS)} broken", "fail", "x-circle")
    if watch.checked_at is None or is_stale(watch, now):
        return (
            Label("Not known", "held", "alert-triangle")
            if watch.checked_at
            else Label("Not checked yet", "mute", "clock")
        )
    return Label("All hold", "ok", "check-circle")


@blueprint.app_template_filter()
def place_of(found: Finding, invariant: Invariant) -> str:
    """The page of what breaks an invariant: of the run, the task, or the schedule that decided about an instant."""
    if invariant.source == TASKS:
        return url_for("tasks.show", task_id=found.id)
    if invariant.source in (RUNS, WAITS):
        return url_for("runs.show", run_id=found.id)
    return url_for("schedules.show", schedule_id=found.schedule_id or found.id)


@blueprint.get("/healthz")
@public
def healthz() -> ResponseReturnValue:
    """200 when everything is alive, else 503 and what is wrong."""
    health = current_health()
    body = {"status": health.status, "problems": health.problems, "processes": health.processes}
    return body | {"lateSeconds": health.late_seconds}, 200 if health.status == OK else 503


@blueprint.get("/system")
@signed_in
def index() -> ResponseReturnValue:
    tenant, now = member_access().tenant, request_now()
    minutes, outcomes = lateness_by_minute(now), outcomes_of_hour(tenant.id, now)
    processes = processes_page(now)
    gone = {row.kind for row, _ in processes if row.kind in KINDS} - {row.kind for row, alive in processes if alive}
    health, queues, used, watch = current_health(), backlog(now), connections(), watch_of(tenant.id)
    return render_template(
        "system/_state.html" if is_fragment() else "system/index.html",
        health=health,
        warnings=warnings(health, queues, used, watch, now),
        processes=processes,
        last_seen=[next(row for row, _ in processes if row.kind == kind) for kind in sorted(gone)],
        load=unfinished_runs(tenant.id),
        lateness=lateness_plot(minutes, tenant.timezone, "lateness-words"),
        lateness_words=lateness_in_words(minutes, tenant.timezone),
        axis=AXIS,
        outcomes=[(outcome(word), outcomes.get(word, 0)) for word in OUTCOME_LABELS],
        queues=queues,
        lanes=LANE_WORDS,
        backlog_max=BACKLOG_MAX,
        connections=used,
        watch=watch,
        now=now,
        invariants=len(INVARIANTS),
    )


def warnings(
    health: Health, queues: Sequence[Backlog], used: Connections, watch: Watch, now: datetime
) -> list[tuple[str, str]]:
    """What will be a problem if nobody looks, as (what is seen, what to do), of what the problems do not explain."""
    found = []
    slow = [queue for queue in queues if queue.oldest_seconds > WAITS_LONG_SECONDS]
    if slow and health.processes.get(WORKER):
        waits = " and ".join(f"{LANE_WORDS[one.lane]} for {duration_words(one.oldest_seconds)}" for one in slow)
        found.append(
            (f"Runs are ready and no worker takes them: {waits}.", "Start more workers, or look into their log.")
        )
    if is_stale(watch, now) and health.processes.get(SCHEDULER) and watch.checked_at:
        ago = duration_words((now - watch.checked_at).total_seconds())
        found.append((f"The invariants have not been checked for {ago}.", "Look into the log of the schedulers."))
    if used.used >= used.allowed * CONNECTIONS_NEARLY_ALL:
        known = f"{used.used} of {used.allowed} connections of the database are in use."
        found.append((known, "Give processes fewer threads, or the database more connections."))
    return found


def is_stale(watch: Watch, now: datetime) -> bool:
    """Whether so many checks did not happen that nobody knows whether the invariants hold."""
    return watch.checked_at is not None and watch.checked_at < now - STALE_AFTER


def current_health() -> Health:
    """The health of the installation, known within little more than `CHECK_SECONDS` whatever hangs."""
    probe = _probes.submit(_probe, current_app._get_current_object())  # type: ignore[attr-defined]
    try:
        return probe.result(timeout=CHECK_SECONDS)
    except TookTooLong:
        probe.cancel()
        return Health.without_database()


def _probe(app: Flask) -> Health:
    with app.app_context():
        try:
            with transaction():
                return check_health(is_redis_up)
        except Exception as error:
            if not is_database_away(error):
                log.exception("The health check failed.")
            return Health.without_database()
