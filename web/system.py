"""Health for machines, and the state of the system and its audit log for people."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong

from flask import Blueprint, Flask, current_app, render_template
from flask.typing import ResponseReturnValue

from domain.fire_minutes import lateness_by_minute, outcomes_of_hour
from domain.health import (
    BACKLOG_MAX,
    CHECK_SECONDS,
    OK,
    Health,
    backlog,
    check_health,
    connections,
    is_database_away,
    processes_page,
    unfinished_runs,
)
from domain.invariant_checks import watch_of
from domain.invariants import INVARIANTS
from domain.kernel.db import transaction
from domain.kernel.log import logger
from domain.runs.runs import CALL, EFFECT, PURE
from web.access import is_fragment, member_access, public, request_now, signed_in
from web.filters import OUTCOME_LABELS, Label, outcome
from web.plots import AXIS, lateness_in_words, lateness_plot
from web.throttle import is_redis_up

blueprint = Blueprint("system", __name__)

log = logger(__name__)

LANE_WORDS = {PURE: "Pure steps", EFFECT: "With effects", CALL: "Calls of extensions"}
# A connection that hangs holds its thread until the network gives up; two of them, and further probes only wait.
_probes = ThreadPoolExecutor(2, thread_name_prefix="health")


@blueprint.app_template_filter()
def process_status(is_alive: bool) -> Label:
    """Whether the process renews its heartbeat."""
    return Label("Alive", "ok", "check-circle") if is_alive else Label("Gone", "fail", "x-circle")


@blueprint.app_template_filter()
def holding(is_so: bool) -> Label:
    """Whether all invariants hold."""
    return Label("All hold", "ok", "check-circle") if is_so else Label("Broken", "fail", "x-circle")


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
    return render_template(
        "system/_state.html" if is_fragment() else "system/index.html",
        health=current_health(),
        processes=processes_page(now),
        load=unfinished_runs(tenant.id),
        lateness=lateness_plot(minutes, tenant.timezone, "lateness-words"),
        lateness_words=lateness_in_words(minutes, tenant.timezone),
        axis=AXIS,
        outcomes=[(outcome(word), outcomes.get(word, 0)) for word in OUTCOME_LABELS],
        queues=backlog(now),
        lanes=LANE_WORDS,
        backlog_max=BACKLOG_MAX,
        connections=connections(),
        watch=watch_of(tenant.id),
        invariants=len(INVARIANTS),
    )


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
