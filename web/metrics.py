"""`/metrics` for Prometheus: whoever is allowed to by configuration asks any web process, which answers for all processes.

What a request changed is put on record at its end; how long requests took, with the heartbeat of the process.
"""

from __future__ import annotations

from hmac import compare_digest
from ipaddress import ip_address, ip_network

from flask import Blueprint, Flask, Response, abort, current_app, g, request, request_finished, request_started
from prometheus_client import CONTENT_TYPE_LATEST
from werkzeug.exceptions import Forbidden, Unauthorized

from domain.kernel import clock
from domain.kernel.config import Config
from domain.kernel.db import transaction
from domain.kernel.metric_counts import record_counts, record_new_counts
from domain.kernel.metrics import REQUEST_SECONDS
from domain.metrics import exposition
from web.access import is_fragment, public, request_now
from web.security import UNSAFE_METHODS

blueprint = Blueprint("metrics", __name__)

# What machines ask for again and again, and files.
UNTIMED = ("metrics.show", "system.healthz", "static")


@blueprint.get("/metrics")
@public
def show() -> Response:
    """404 unless the installation says who may ask; else 401 or 403 for anybody else."""
    _check_asker(current_app.config["CARILLON"])
    record_counts()
    with transaction():
        text = exposition(request_now())
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def register(app: Flask) -> None:
    """Have requests timed, and what a request counted put on record when it is over."""
    app.teardown_request(_after_change)
    request_started.connect(_note_arrival, app)
    request_finished.connect(_note_answer, app)


def _note_arrival(_app: Flask, **_more: object) -> None:
    g.arrived_at = clock.monotonic()


def _note_answer(_app: Flask, **_more: object) -> None:
    """Areas are the parts of the application, so there are few of them; what matches none is `none`."""
    if "arrived_at" not in g or request.endpoint in UNTIMED:
        return
    area = (request.blueprint or "none").partition(".")[0]
    kind = "change" if request.method in UNSAFE_METHODS else "fragment" if is_fragment() else "page"
    REQUEST_SECONDS.labels(area=area, kind=kind).observe(clock.monotonic() - g.arrived_at)


def _after_change(_error: BaseException | None) -> None:
    if request.method in UNSAFE_METHODS:
        record_new_counts()


def _check_asker(config: Config) -> None:
    if not config.metrics_token and not config.metrics_allow:
        abort(404)
    if config.metrics_allow and not _is_from(config.metrics_allow):
        raise Forbidden("CARILLON_METRICS_ALLOW does not name the address that this comes from.")
    if config.metrics_token and not _has_token(config.metrics_token):
        raise Unauthorized("Send the token of CARILLON_METRICS_TOKEN in the header Authorization: Bearer …")


def _is_from(networks: tuple[str, ...]) -> bool:
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return any(one in ip_network(network) for network in networks for one in (address, mapped) if one)


def _has_token(token: str) -> bool:
    given = request.authorization
    sent = given.token if given is not None and given.type == "bearer" else None
    return compare_digest((sent or "").encode(), token.encode())
