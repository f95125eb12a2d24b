"""How many database connections each kind of process takes, as the guide adds them up."""

from __future__ import annotations

import ast
from pathlib import Path

from domain.kernel.db import engine_options
from tests.servers import plain_config
from workers import herds, scheduler
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


def test_a_scheduler_has_a_connection_for_each_of_its_jobs_and_lanes() -> None:
    tree = ast.parse(Path(scheduler.__file__).read_text())
    jobs = next(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id == "jobs"
    )
    assert isinstance(jobs, ast.List) and hasattr(Scheduler, "run")
    assert len(jobs.elts) + herds.LANES - 1 == scheduler.CONNECTIONS
