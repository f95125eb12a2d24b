"""Which broker messages travel through: the address alone decides."""

from __future__ import annotations

import ast
import sys
from socket import gaierror
from types import ModuleType
from typing import Any

import pytest
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import default_middleware as defaults
from flask import Flask

from domain.kernel.config import BadConfig, Config
from domain.runs.runs import EFFECT
from tests.servers import ROOT, environment
from workers import broker as module
from workers.broker import make_broker, make_sender, sending_errors, waiting_messages
from workers.dispatcher import announce_ready

RABBIT_URL = "amqp://carillon:secret@mq.example.com:5672/carillon"


def config(**env: str) -> Config:
    return Config.from_env(environment("postgresql://x/y", "redis://127.0.0.1:9/0") | env)


class FakeRabbit:
    """What is asked of dramatiq's broker for RabbitMQ."""

    def __init__(self, **given: Any) -> None:
        self.given, self.is_open = given, True
        self.waiting, self.sent = 0, []  # type: ignore[var-annotated]

    @property
    def connection(self) -> None:
        """Gone after `del`, which may be said again."""

    @connection.deleter
    def connection(self) -> None:
        self.is_open = False

    def get_queue_message_counts(self, _lane: str) -> tuple[int, int, int]:
        if self.waiting < 0:
            raise module.BrokerConnectionError("gone")
        return self.waiting, 0, 0

    def enqueue(self, message: Any) -> None:
        self.sent.append(message)


@pytest.fixture
def rabbit(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if what speaks to RabbitMQ was installed."""
    spoken, errors = ModuleType("dramatiq.brokers.rabbitmq"), ModuleType("pika.exceptions")
    spoken.RabbitmqBroker, errors.AMQPError = FakeRabbit, type("AMQPError", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "find_spec", lambda _name: True)
    monkeypatch.setitem(sys.modules, "dramatiq.brokers.rabbitmq", spoken)
    monkeypatch.setitem(sys.modules, "pika.exceptions", errors)


def test_without_an_address_of_its_own_messages_travel_through_redis() -> None:
    assert config().broker_url == ""
    assert isinstance(make_broker(config(), Flask("x")), RedisBroker)


def test_another_redis_may_carry_them(fresh_redis: str) -> None:
    assert "socket_timeout" in config(BROKER_URL="redis://other:6379/1").broker_url
    broker = make_broker(config(BROKER_URL=fresh_redis), Flask("x"))
    assert isinstance(broker, RedisBroker)
    broker.client.ping()
    broker.client.connection_pool.disconnect()


def test_an_address_of_a_rabbitmq_is_all_it_takes(rabbit: None) -> None:
    found: Any = make_broker(config(BROKER_URL=RABBIT_URL), Flask("x"))
    assert isinstance(found, FakeRabbit)
    assert found.given["url"] == RABBIT_URL and len(found.given["middleware"]) == 2
    sender: Any = make_sender(RABBIT_URL)
    assert sender.given["url"].startswith(f"{RABBIT_URL}?") and "blocked_connection_timeout=1" in sender.given["url"]


def test_what_is_missing_to_speak_to_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    with pytest.raises(BadConfig, match="rabbitmq"):
        make_broker(config(BROKER_URL=RABBIT_URL), Flask("x"))


def test_an_address_of_something_else_is_refused() -> None:
    with pytest.raises(BadConfig, match="BROKER_URL"):
        config(BROKER_URL="kafka://mq:9092")


def test_as_many_messages_are_sent_as_are_missing(rabbit: None) -> None:
    sender: Any = make_sender(RABBIT_URL)
    sender.waiting = 2
    assert announce_ready(sender, {EFFECT: 5}, 1) == 3
    assert [message.queue_name for message in sender.sent] == [EFFECT] * 3


def kinds(middleware: Any) -> set[str]:
    return {type(one).__name__ for one in middleware}


def test_nothing_of_dramatiq_tries_delays_or_ends_messages(fresh_redis: str) -> None:
    """Its retries lose a message when Redis is away at the moment of a failure, and its limit of time ends no call into C."""
    broker: Any = make_broker(config(REDIS_URL=fresh_redis), Flask("x"))
    assert kinds(broker.middleware) == {"DebouncedTerm", "AppContext"}
    assert {"Retries", "TimeLimit", "AgeLimit"} <= kinds(one() for one in defaults), "what it would have otherwise"


def delays(source: str) -> list[str]:
    """What in it asks Dramatiq to hold a message back."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        name
        for call in calls
        if isinstance(call.func, ast.Attribute)
        for name in (call.func.attr, *(word.arg for word in call.keywords))
        if name == "send_with_options" or (name == "delay" and call.func.attr in ("enqueue", "send"))
    ]


def test_no_message_is_delayed(rabbit: None) -> None:
    """One that waits in Redis comes hours late after an outage: what is to wait waits in the database."""
    sources = [path for folder in ("domain", "workers", "web") for path in (ROOT / folder).rglob("*.py")]
    assert len(sources) > 100
    assert [(path.name, found) for path in sources if (found := delays(path.read_text()))] == []
    assert delays("work.send_with_options(args=())") and delays("broker.enqueue(message, delay=5)"), "it would be seen"
    sender: Any = make_sender(RABBIT_URL)
    announce_ready(sender, {EFFECT: 1}, 1)
    assert [(message.args, message.kwargs, message.options) for message in sender.sent] == [((), {}, {})]


def test_a_connection_that_was_lost_is_not_used_again(rabbit: None) -> None:
    sender: Any = make_sender(RABBIT_URL)
    sender.waiting = -1
    with pytest.raises(sending_errors()):
        waiting_messages(sender, EFFECT)
    assert not sender.is_open


def test_a_connection_that_was_closed_while_nobody_used_it_costs_no_round(
    rabbit: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thread has one, and RabbitMQ closes those of threads that say nothing for a while."""
    sender: Any = make_sender(RABBIT_URL)
    sender.waiting = 2
    asked = FakeRabbit.get_queue_message_counts

    def counts(self: FakeRabbit, lane: str) -> tuple[int, int, int]:
        if self.is_open:
            raise sending_errors()[-1]("closed")
        return asked(self, lane)

    monkeypatch.setattr(FakeRabbit, "get_queue_message_counts", counts)
    assert waiting_messages(sender, EFFECT) == 2


def test_a_name_that_cannot_be_found_says_that_the_broker_is_away(rabbit: None) -> None:
    assert issubclass(gaierror, sending_errors())
