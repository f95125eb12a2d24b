"""The Celery application of both beats, and its task. `celery -A bench.peers.celery_app …`."""

from __future__ import annotations

import os
import time
from typing import Any

import redis
from celery import Celery
from celery.signals import before_task_publish

from bench.work import do_work

app = Celery("bench", broker=os.environ["CELERY_BROKER_URL"])
app.conf.update(
    timezone="UTC",
    task_ignore_result=True,
    task_default_queue="bench",
    beat_max_loop_interval=5,
    redbeat_redis_url=os.environ["REDIS_URL"],
)
starts = redis.Redis.from_url(os.environ["STARTS_URL"])


@before_task_publish.connect
def note_sending(headers: dict[str, Any] | None = None, **_rest: Any) -> None:
    if headers is not None:
        headers["sent_at"] = time.time()


@app.task(name="bench.work", bind=True)
def work(self: Any, given: dict[str, Any]) -> None:
    do_work(starts, given, self.request.get("sent_at") or 0.0)
