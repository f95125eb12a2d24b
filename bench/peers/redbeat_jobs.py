"""Celery beat with RedBeat: `python -m bench.peers.redbeat_jobs` saves the entries. It knows one zone for all: UTC."""

from __future__ import annotations

import os
from datetime import datetime

from celery.schedules import crontab
from redbeat import RedBeatSchedulerEntry

from bench.peers.celery_app import app
from bench.work import asked_tasks


def register() -> None:
    minute = datetime.fromisoformat(os.environ["BENCH_INSTANT"]).minute
    for task in asked_tasks():
        schedule = crontab(minute=minute, app=app)
        RedBeatSchedulerEntry(f"task-{task.number}", "bench.work", schedule, args=[task.payload], app=app).save()


if __name__ == "__main__":
    register()
