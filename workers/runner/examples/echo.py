"""Echo: answers what it was asked, for whoever wants to see what a call carries."""

from __future__ import annotations

import time

from workers.runner.guests import Answer, Host, Request

LONGEST_SECONDS = 60


def answer(request: Request, host: Host) -> Answer:
    """`POST /slow` first waits as many seconds as its body says; `POST /fail` answers with the status it says."""
    asked = request.json if request.body else {}
    wanted = asked if isinstance(asked, dict) else {}
    if request.path == "/slow":
        time.sleep(min(float(wanted.get("seconds", 5)), LONGEST_SECONDS))
    status = int(wanted.get("status", 500)) if request.path == "/fail" else 200
    return status, {
        "method": request.method,
        "path": request.path,
        "body": asked,
        "context": request.context,
        "config": host.config,
        "secrets": sorted(host.secrets),
    }
