"""Celery beat with django-celery-beat: `python -m bench.peers.django_jobs` makes the tables and saves the tasks."""

from __future__ import annotations

import json

import django
from django.core.management import call_command

from bench.work import asked_tasks


def register() -> None:
    from django_celery_beat.models import CrontabSchedule, PeriodicTask

    for task in asked_tasks():
        crontab, _ = CrontabSchedule.objects.get_or_create(minute=str(task.minute), hour="*", timezone=task.zone)
        PeriodicTask.objects.create(
            name=f"task-{task.number}", task="bench.work", crontab=crontab, args=json.dumps([task.payload])
        )


if __name__ == "__main__":
    django.setup()
    call_command("migrate", verbosity=0)
    register()
