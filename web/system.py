"""Health for machines, and the state of the system and its audit log for people."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong

from flask import Blueprint, Flask, current_app, render_template
from flask.typing import ResponseReturnValue

from domain.health import (
    CHECK_SECONDS,
    OK,
    Health,
    check_health,
    is_database_away,
    processes_page,
    unfinished_runs,
)
from domain.kernel.db import transaction
from domain.kernel.log import logger
from web.access import is_fragment, member_access, public, request_now, signed_in
from web.filters import Label
from web.throttle import is_redis_up

blueprint = Blueprint("system", __name__)

log = logger(__name__)
# A connection that hangs holds its thread until the network gives up; two of them, and further probes only wait.
_probes = ThreadPoolExecutor(2, thread_name_prefix="health")


@blueprint.app_template_filter()
def process_status(is_alive: bool) -> Label:
    """Whether the process renews its heartbeat."""
    return Label("Alive", "ok", "check-circle") if is_alive else Label("Gone", "fail", "x-circle")


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
    template = "system/_state.html" if is_fragment() else "system/index.html"
    return render_template(
        template,
        health=current_health(),
        processes=processes_page(request_now()),
        load=unfinished_runs(member_access().tenant.id),
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
