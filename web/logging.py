"""Every request has a number, which its log lines, its answer and its error page carry, and one line in the log."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import Any

from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.kernel.log import log_context, logger
from web.access import LOG_STACK

_GIVEN = re.compile(r"[A-Za-z0-9._-]{1,64}")

log = logger(__name__)


class AccessLog:
    """WSGI middleware: takes over or makes the number (`X-Request-Id`), binds it to the log, and writes the line."""

    def __init__(self, wsgi_app: Callable[..., Iterable[bytes]]) -> None:
        self.wsgi_app = wsgi_app

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        number = given if _GIVEN.fullmatch(given) else str(new_id())
        environ["carillon.request_id"] = number
        started = clock.monotonic()
        statuses = ["500"]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            statuses.append(status[:3])
            return start_response(status, [*headers, ("X-Request-Id", number)], exc_info)

        with ExitStack() as stack:
            stack.enter_context(log_context(request_id=number))
            environ[LOG_STACK] = stack
            try:
                return self.wsgi_app(environ, start)
            finally:
                _write_line(environ, statuses[-1], clock.monotonic() - started)


def _write_line(environ: dict[str, Any], status: str, seconds: float) -> None:
    # The query is left out: people search for names and numbers that do not belong in a log.
    path = environ.get("PATH_INFO", "")
    if path.startswith("/static/"):
        return
    log.info(
        "A request was answered.",
        method=environ.get("REQUEST_METHOD"),
        path=path,
        status=int(status),
        duration_ms=round(seconds * 1000, 1),
    )
