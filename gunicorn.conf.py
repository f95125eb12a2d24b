"""gunicorn reads this file by itself. Threads, because pages wait on PostgreSQL; the app is made in each worker, after the fork."""

import gc
import os

from domain.kernel.config import Config
from domain.runs.heartbeats import WEB
from workers.process import Life

host = os.environ.get("CARILLON_BIND", "0.0.0.0")  # noqa: S104
bind = f"{f'[{host}]' if ':' in host else host}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
timeout = 30
graceful_timeout = 20
keepalive = 5
control_socket_disable = True


def post_worker_init(worker):
    """Each web process says that it is alive, and puts what it counts on record as it does so."""
    app = worker.wsgi
    # What was made until now stays: the collector need not look at it, which took 150 ms out of some request each time.
    gc.collect()
    gc.freeze()
    config: Config = app.config["CARILLON"]
    worker.life = Life(app, WEB, config.lease_seconds)
    worker.life.keep_beating(lambda: None)


def worker_exit(_server, worker):
    """The requests are over: nothing that was counted is lost."""
    if hasattr(worker, "life"):
        worker.life.end()
