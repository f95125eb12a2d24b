"""What workers listen to: one actor per lane. Start with `dramatiq workers.actors`."""

from __future__ import annotations

import dramatiq

from domain.runs.runs import CALL, EFFECT, PURE
from workers.broker import make_broker
from workers.process import configured, process_app
from workers.worker import WorkerLife, connections

config = configured()
app = process_app(config, "worker", connections(config))
life = WorkerLife(app, config)
broker = make_broker(config, app, life)
dramatiq.set_broker(broker)


@dramatiq.actor(queue_name=PURE, actor_name="work_pure")
def work_pure() -> None:
    life.work(PURE)


@dramatiq.actor(queue_name=EFFECT, actor_name="work_effect")
def work_effect() -> None:
    life.work(EFFECT)


@dramatiq.actor(queue_name=CALL, actor_name="work_call")
def work_call() -> None:
    life.wake_callers()
