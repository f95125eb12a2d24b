"""The worker behind APScheduler: `dramatiq bench.peers.dramatiq_jobs`, with Dramatiq's own settings."""

from __future__ import annotations

import os
from typing import Any

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker

from bench.work import do_work

dramatiq.set_broker(RedisBroker(url=os.environ["REDIS_URL"]))
starts = redis.Redis.from_url(os.environ["STARTS_URL"])


@dramatiq.actor
def work(given: dict[str, Any], sent_at: float) -> None:
    do_work(starts, given, sent_at)
