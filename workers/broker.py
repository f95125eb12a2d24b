"""Dramatiq, cut down to what hints need: no retries, no delays, no time limits, nothing that can lose a run. Messages
travel through Redis, or through RabbitMQ when BROKER_URL names one.

PostgreSQL owns retries, timeouts and the question what is left to do; see docs/decisions.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import FrameType
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import dramatiq
from dramatiq.broker import MessageProxy
from dramatiq.brokers.redis import RedisBroker
from dramatiq.errors import BrokerConnectionError
from dramatiq.middleware import Middleware
from flask import Flask
from redis.exceptions import RedisError

from domain.kernel.config import BadConfig, Config
from domain.kernel.db import forget_connections

TERM_DEBOUNCE_SECONDS = 5
SENDER_TIMEOUT_SECONDS = 1
NAMESPACE = "carillon"
RABBIT = ("amqp", "amqps")
RABBIT_TIMEOUTS = ("socket_timeout", "stack_timeout", "blocked_connection_timeout")


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


def make_broker(config: Config, app: Flask, *more: Middleware) -> dramatiq.Broker:
    """The broker of a process, with `more` middleware behind the two that every message needs."""
    return _broker_at(config.broker_url or config.redis_url, [DebouncedTerm(), AppContext(app), *more])


def make_sender(url: str) -> dramatiq.Broker:
    """A broker that only sends. It gives up within a second or two, where a consumer waits: what could not be said is
    said again with the next round, and the rounds must go on."""
    parts = urlsplit(url)
    names = RABBIT_TIMEOUTS if parts.scheme in RABBIT else ("socket_timeout", "socket_connect_timeout")
    timeouts = dict.fromkeys(names, str(SENDER_TIMEOUT_SECONDS))
    # Not urlunsplit: it drops the slashes of unix:///path.
    return _broker_at(
        f"{parts.scheme}://{parts.netloc}{parts.path}?{urlencode(dict(parse_qsl(parts.query)) | timeouts)}"
    )


def waiting_messages(broker: dramatiq.Broker, lane: str) -> int:
    """How many messages of the lane nobody has taken yet. Raises one of `sending_errors()`."""
    if isinstance(broker, RedisBroker):
        return int(broker.client.llen(f"{broker.namespace}:{lane}"))
    try:
        return _counted(broker, lane)
    except sending_errors():
        # Each thread has a connection of its own, which RabbitMQ closes when nothing was said for long.
        return _counted(broker, lane)


def _counted(rabbit: Any, lane: str) -> int:
    try:
        return int(rabbit.get_queue_message_counts(lane)[0])
    except sending_errors():
        # A connection that was lost is kept otherwise, and every later round fails as this one.
        del rabbit.connection
        raise


def sending_errors() -> tuple[type[Exception], ...]:
    """What says that the broker is away."""
    errors: tuple[type[Exception], ...] = (RedisError, BrokerConnectionError)
    # Without it nobody can have asked for RabbitMQ.
    return (*errors, OSError, import_module("pika.exceptions").AMQPError) if find_spec("pika") else errors


def _broker_at(url: str, middleware: Sequence[Middleware] = ()) -> dramatiq.Broker:
    """The address alone decides which one it is. Raises BadConfig when what speaks to it is not installed."""
    if urlsplit(url).scheme not in RABBIT:
        broker: Any = RedisBroker
        return broker(url=url, namespace=NAMESPACE, middleware=list(middleware))  # type: ignore[no-any-return]
    if not find_spec("pika"):
        raise BadConfig("BROKER_URL names a RabbitMQ, which needs another package: pip install 'carillon[rabbitmq]'.")
    rabbit: Any = import_module("dramatiq.brokers.rabbitmq").RabbitmqBroker
    return rabbit(url=url, middleware=list(middleware))  # type: ignore[no-any-return]
