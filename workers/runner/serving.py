"""The runner over HTTP: `POST /v1/execute` and `GET /healthz`, and with a script `/_test/calls` and `/_test/script`.

Statuses other than 200 are about the exchange: 401 without the token, 413 about the size, 415 and 400 when it is
no JSON, 422 when it is no call.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import socket
import sys
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from domain.kernel.clock import monotonic
from domain.kernel.log import first_line, logger
from workers.runner.calls import BadCall, Call, Unprocessable, parse_call
from workers.runner.executing import Answer, Executor, failure
from workers.runner.misbehaving import BLOCK, misbehave
from workers.runner.scripts import Script, dawdle

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_DRAINED_BYTES = 8 * MAX_BODY_BYTES
READ_SECONDS = 30.0
# These keep to the protocol; any other behaviour is one of the connection.
POLITE = ("run", "answer", "delay")

log = logger(__name__)


class RunnerServer(ThreadingHTTPServer):
    """`script`: None outside of tests, and then nothing but the contract is served."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], token: str, executor: Executor, script: Script | None = None) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.token = token
        self.executor = executor
        self.script = script
        self._going = 0
        self._changed = threading.Condition()
        super().__init__(address, RunnerExchange)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._going += 1
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._changed:
                self._going -= 1
                self._changed.notify_all()

    def drain(self, seconds: float) -> int:
        """Wait until what was asked for is answered, `seconds` at most; how many exchanges are still under way."""
        with self._changed:
            self._changed.wait_for(lambda: self._going == 0, seconds)
            return self._going

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Whoever asked may be gone before the answer: that is worth a line and not a traceback."""
        error = sys.exception()
        log.warning("An exchange ended early", error=first_line(error) if error else "")


class RunnerExchange(BaseHTTPRequestHandler):
    """One connection, which is one request."""

    server: RunnerServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "carillon-runner", ""
    timeout = READ_SECONDS

    def do_GET(self) -> None:
        if self.path == "/healthz":
            self._answer(200, {"status": "ok"})
        elif self.server.script and self.path == "/_test/calls" and self._is_known():
            self._answer(200, self.server.script.calls())
        else:
            self._answer(404, {"error": "not_found"})

    def do_DELETE(self) -> None:
        if not (self.server.script and self.path == "/_test/calls" and self._is_known()):
            return self._answer(404, {"error": "not_found"})
        self.server.script.reset()
        self.server.executor.replays.clear()
        return self._answer(200, {})

    def do_PUT(self) -> None:
        body = self._body()
        if not (self.server.script and self.path == "/_test/script" and self._is_known()):
            return self._answer(404, {"error": "not_found"})
        if body is not None:
            self.server.script.set(json.loads(body))
            self._answer(200, {})
        return None

    def do_POST(self) -> None:
        body = self._body()
        if self.path != "/v1/execute":
            return self._answer(404, {"error": "not_found"})
        if not self._is_known():
            return self._answer(401, {"error": "unauthorized: x-runner-service-token is missing or wrong"})
        if body is None:
            return self._answer(413, {"error": f"content-length must be given and at most {MAX_BODY_BYTES} bytes"})
        with contextlib.suppress(ConnectionError, TimeoutError):
            self._execute(body)
        return None

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: each call has a line of its own."""

    def _execute(self, body: bytes) -> None:
        if self.headers.get_content_type() != "application/json":
            return self._answer(415, {"error": "content-type must be application/json"})
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            return self._answer(400, {"error": "the body is not JSON"})
        record = self.server.script.record(headers, value) if self.server.script else None
        try:
            call = parse_call(headers, value)
        except Unprocessable as wrong:
            return self._answer(422, {"error": str(wrong)})
        except BadCall as bad:
            return self._answer(200, failure(bad.status, bad.error))
        return self._run(call, record)

    def _run(self, call: Call, record: dict[str, Any] | None) -> None:
        script, began = self.server.script, monotonic()
        told = script.behaviour(call) if script else {"do": "run"}
        is_polite = told["do"] in POLITE
        answer: dict[str, Any] = {}
        is_replay = False
        if is_polite or told.get("executes"):
            answer, is_replay = self.server.executor.answer(call, lambda run: self._told(told, record, run))
        if script and record is not None:
            script.write(record, replayed=is_replay, answer=answer if is_polite else told["do"])
        context, seconds = call.context, round(monotonic() - began, 3)
        log.info(
            "A call was answered",
            call=f"{call.method} {call.path}",
            extension=context["extension_id"],
            request_id=context.get("request_id"),
            status=answer.get("status"),
            error=answer.get("error"),
            replayed=is_replay,
            seconds=seconds,
        )
        if script and not is_polite:
            self.close_connection = True
            return misbehave(self, told, json.dumps(answer).encode())
        return self._answer(200, answer, {"x-idempotent-replay": "1"} if is_replay else {})

    def _told(self, told: dict[str, Any], record: dict[str, Any] | None, run: Callable[[], Answer]) -> Answer:
        """What an extension answers, slower or otherwise when told so."""
        script = self.server.script
        if script and record is not None:
            script.write(record, executed=True)
        if script and told["do"] == "delay":
            dawdle(told, told["seconds"])
        return {**run(), **told.get("answer", {})}

    def _is_known(self) -> bool:
        given = self.headers.get("x-runner-service-token", "")
        return hmac.compare_digest(given.encode(), self.server.token.encode())

    def _body(self) -> bytes | None:
        """The body; None when its length is not told or too much. Read in any case: an unread one breaks the connection."""
        length = self.headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            return None
        if int(length) <= MAX_BODY_BYTES:
            return self.rfile.read(int(length))
        left = min(int(length), MAX_DRAINED_BYTES)
        while left > 0 and (block := self.rfile.read(min(left, BLOCK))):
            left -= len(block)
        return None

    def _answer(self, status: int, value: Any, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(value).encode()
        self.close_connection = True
        with contextlib.suppress(ConnectionError, TimeoutError):
            self.send_response(status, HTTPStatus(status).phrase)
            for name, text in {"content-type": "application/json", **(headers or {})}.items():
                self.send_header(name, text)
            self.send_header("content-length", str(len(body)))
            self.send_header("connection", "close")
            self.end_headers()
            self.wfile.write(body)
