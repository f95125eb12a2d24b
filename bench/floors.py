"""What the servers can do at best with the same work: the rows of a herd by one hand-made batch, its messages by one pipe."""

from __future__ import annotations

import time
from datetime import timedelta

import redis
from dramatiq import Message

from bench.servers import bench_servers
from bench.tick import floor, seed, settle_tables
from bench.work import payload
from domain.kernel import clock
from domain.kernel.config import Config
from domain.kernel.db import db
from workers.process import process_app

PIPELINE = 1_000


def batch_seconds(count: int) -> float:
    """Occurrences, runs and cursors of `count` schedules by one statement into Carillon's tables, to its commit."""
    with bench_servers() as servers:
        app = process_app(Config.from_env(servers.env), "command", 2)
        with app.app_context():
            due = clock.database_now().replace(second=0, microsecond=0)
            seed(app, count, due)
            settle_tables()
            begun = time.perf_counter()
            floor(app, due + timedelta(milliseconds=5))
            took = time.perf_counter() - begun
            db.engine.dispose()
    return took


def push_seconds(count: int) -> float:
    """One Dramatiq message per fire, with its payload, made and pushed a thousand at a time."""
    with bench_servers(is_migrated=False) as servers, redis.Redis.from_url(servers.redis.url) as client:
        begun = time.perf_counter()
        for first in range(0, count, PIPELINE):
            pipe = client.pipeline(transaction=False)
            for number in range(first, min(first + PIPELINE, count)):
                message = Message("bench", "work", (payload(number), time.time()), {}, {})
                pipe.hset("bench:bench.msgs", message.message_id, message.encode())
                pipe.rpush("bench:bench", message.message_id)
            pipe.execute()
        return time.perf_counter() - begun
