"""gunicorn reads this file by itself. Threads, because pages wait on PostgreSQL; the app is made in each worker, after the fork."""

import os

host = os.environ.get("CARILLON_BIND", "0.0.0.0")  # noqa: S104
bind = f"{f'[{host}]' if ':' in host else host}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
threads = int(os.environ.get("WEB_THREADS", "8"))
timeout = 30
graceful_timeout = 20
keepalive = 5
control_socket_disable = True
