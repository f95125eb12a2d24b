"""How many database connections each kind of process takes, as the guide adds them up."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from domain.kernel.db import engine_options
from tests.servers import plain_config
from workers import herds, scheduler
from workers.broker import make_sender
from workers.scheduler import Scheduler
from workers.worker import connections

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/operating.md").read_text()


def most(role: str, threads: int) -> int:
    options = engine_options(role, threads)
    return int(options["pool_size"] + options["max_overflow"])


def test_the_defaults_add_up_to_what_the_guide_says() -> None:
    config = plain_config()
    web, worker = most("web", config.web_threads), most("worker", connections(config))
    listening = most("scheduler", scheduler.CONNECTIONS) + 1
    assert (web, listening, worker) == (10, 13, 21)
    total = 2 * web + listening + worker + 10
    assert f"20 + 13 + 21 + 10 = {total}" in GUIDE


def test_a_scheduler_has_a_connection_for_each_of_its_jobs_and_lanes(app: Flask) -> None:
    jobs = Scheduler(app, plain_config(), make_sender("redis://127.0.0.1:9/0")).jobs()
    assert len(jobs) + herds.LANES - 1 == scheduler.CONNECTIONS
