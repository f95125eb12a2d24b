"""APScheduler 3 with its SQLAlchemyJobStore on PostgreSQL, one Dramatiq message per fire: what most teams write.

`python -m bench.peers.apscheduler_jobs register` adds the jobs, `run` is the scheduler process.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.schedulers.base import BaseScheduler
from apscheduler.schedulers.blocking import BlockingScheduler
from apscheduler.triggers.cron import CronTrigger

from bench.peers.dramatiq_jobs import work
from bench.work import asked_tasks


def fire(given: dict[str, Any]) -> None:
    """What APScheduler calls when a job is due."""
    work.send(given, time.time())


def configured(kind: type[BaseScheduler]) -> BaseScheduler:
    """Nothing is dropped for being late: the library's own grace of one second loses most of a herd."""
    store = SQLAlchemyJobStore(url=os.environ["PEER_DATABASE_URL"])
    return kind(
        jobstores={"default": store}, job_defaults={"misfire_grace_time": None, "coalesce": True}, timezone="UTC"
    )


def register() -> None:
    scheduler = configured(BackgroundScheduler)
    scheduler.start(paused=True)
    for task in asked_tasks():
        trigger = CronTrigger(minute=task.minute, timezone=task.zone)
        # By name: the store keeps names, and here this module is called __main__.
        scheduler.add_job("bench.peers.apscheduler_jobs:fire", trigger, args=[task.payload], id=str(task.number))
    scheduler.shutdown()


if __name__ == "__main__":
    register() if sys.argv[1] == "register" else configured(BlockingScheduler).start()
