"""Long work under a request: a page that asks for a stream is told how far it has come, and at the end what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore, Thread
from typing import Any

from flask import Response, copy_current_request_context, current_app, g, make_response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import InternalServerError

from domain.kernel.errors import Throttled
from domain.kernel.log import log_context, logger
from web.access import LOG_STACK, request_id

STREAM = "application/x-ndjson"
# An empty line now and then: proxies end what is silent, and only what is sent shows that nobody reads any more.
SILENT_SECONDS = 5.0
# In one process, whatever they do. Each takes a connection, and one more of gunicorn's threads as long as somebody reads.
AT_ONCE = 3
BUSY = "Other files are being looked at or imported. Wait a minute, then import again."

log = logger(__name__)

Progress = Callable[[int, int], None]
Line = dict[str, Any]

_places = BoundedSemaphore(AT_ONCE)


def told(work: Callable[[Progress], ResponseReturnValue], *, or_untold: bool = False) -> ResponseReturnValue:
    """The answer of `work`. A page that asks for a stream is told meanwhile how far it has come, in lines of JSON:
    `{"done", "total"}` each time, and at the end `{"status", "html"}`. Empty lines mean nothing.

    The work goes on when nobody reads any more. When there is too much of it already, raises Throttled, or with `or_untold`
    does the work as for a page that asks for no stream.
    """
    is_asked = request.accept_mimetypes.best == STREAM
    if not is_asked or not _places.acquire(blocking=False):
        if is_asked and not or_untold:
            raise Throttled(BUSY)
        return work(lambda _done, _total: None)
    lines: SimpleQueue[Line | None] = SimpleQueue()
    try:
        Thread(target=_in_thread(work, lines), name="import", daemon=True).start()
    except BaseException:
        _places.release()
        raise
    return Response(_texts(lines), content_type=STREAM, headers={"X-Accel-Buffering": "no"})


def _in_thread(work: Callable[[Progress], ResponseReturnValue], lines: SimpleQueue[Line | None]) -> Callable[[], None]:
    """`work` with the context of this request, and with a session of its own that ends with it."""
    rendered_at = g.get("rendered_at")

    @copy_current_request_context
    def answer() -> None:
        with ExitStack() as stack:
            # The lines that are logged here bear the number of the request, and its tenant once that is known.
            stack.enter_context(log_context(request_id=request_id()))
            request.environ[LOG_STACK] = stack
            if rendered_at:
                g.rendered_at = rendered_at
            found = _answered(lambda: work(lambda done, total: lines.put({"done": done, "total": total})))
            lines.put({"status": found.status_code, "html": found.get_data(as_text=True)})
            log.info("Long work ended.", path=request.path, status=found.status_code)

    def run() -> None:
        try:
            answer()
        finally:
            # The session is closed by now, so that whoever has read the last line finds nothing held.
            _places.release()
            lines.put(None)

    return run


def _answered(work: Callable[[], ResponseReturnValue]) -> Response:
    try:
        return make_response(work())
    except Exception as error:
        try:
            return make_response(current_app.handle_user_exception(error))
        except Exception:
            log.exception("Long work ended with an error.")
            return make_response(current_app.handle_user_exception(InternalServerError(original_exception=error)))


def _texts(lines: SimpleQueue[Line | None]) -> Iterator[str]:
    # The first at once, so that the headers are on their way before the first step is done.
    yield "\n"
    while True:
        try:
            line = lines.get(timeout=SILENT_SECONDS)
        except Empty:
            yield "\n"
            continue
        if line is None:
            return
        yield json.dumps(line) + "\n"
