"""An example that wants more than it may have."""

from __future__ import annotations

import os

from workers.runner.guests import Answer, Host, Request


def answer(request: Request, host: Host) -> Answer:
    if request.path == "/environment":
        return 200, dict(os.environ)
    return 200, len(bytearray(1 << 30))
