"""Dramatiq on Redis, cut down to what hints need: no retries, no delays, no time limits, nothing that can lose a run.

PostgreSQL owns retries, timeouts and the question what is left to do; see docs/decisions.
"""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import Middleware
from flask import Flask

from domain.kernel.config import Config
from domain.kernel.db import forget_connections

TERM_DEBOUNCE_SECONDS = 5
SENDER_TIMEOUT_SECONDS = 1
NAMESPACE = "carillon"


class AppContext(Middleware):
    """One application context per message, in the thread that works on it."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.local = threading.local()

    def after_process_boot(self, broker: dramatiq.Broker) -> None:  # noqa: ARG002
        with self.app.app_context():
            forget_connections()

    def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:  # noqa: ARG002
        self.local.context = self.app.app_context()
        self.local.context.push()

    def after_process_message(
        self,
        broker: dramatiq.Broker,  # noqa: ARG002
        message: MessageProxy,  # noqa: ARG002
        *,
        result: Any = None,  # noqa: ARG002
        exception: BaseException | None = None,  # noqa: ARG002
    ) -> None:
        self.local.context.pop()

    def after_skip_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
        self.after_process_message(broker, message)


class DebouncedTerm(Middleware):
    """Hosts send SIGTERM to every process and the master forwards it: the second one must not mean "kill"."""

    def after_process_boot(self, _broker: dramatiq.Broker) -> None:
        inner = signal.getsignal(signal.SIGTERM)
        last = -float(TERM_DEBOUNCE_SECONDS)

        def handle(number: int, frame: FrameType | None) -> None:
            nonlocal last
            if time.monotonic() - last < TERM_DEBOUNCE_SECONDS:
                return
            last = time.monotonic()
            if callable(inner):
                inner(number, frame)

        signal.signal(signal.SIGTERM, handle)


def make_broker(config: Config, app: Flask, *more: Middleware) -> RedisBroker:
    """The broker of a process, with `more` middleware behind the two that every message needs."""
    broker: RedisBroker = RedisBroker(  # type: ignore[no-untyped-call]
        url=config.redis_url, namespace=NAMESPACE, middleware=[DebouncedTerm(), AppContext(app), *more]
    )
    return broker


def make_sender(redis_url: str) -> RedisBroker:
    """A broker that only sends. It gives up within a second or two, where a consumer waits: what could not be said is
    said again with the next round, and the rounds must go on."""
    parts = urlsplit(redis_url)
    timeouts = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), str(SENDER_TIMEOUT_SECONDS))
    # Not urlunsplit: it drops the slashes of unix:///path.
    url = f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(dict(parse_qsl(parts.query)) | timeouts)}"
    sender: RedisBroker = RedisBroker(url=url, namespace=NAMESPACE, middleware=[])  # type: ignore[no-untyped-call]
    return sender
