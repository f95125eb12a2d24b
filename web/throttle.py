"""How often strangers may try. Counted in Redis for all web processes together, and in each by itself while it is away."""

from __future__ import annotations

import re

from flask import Flask, request
from flask_limiter import Limiter

from domain.kernel.config import Config
from web.access import current_access

PER_ADDRESS = "60 per 5 minutes"
PER_ACCOUNT = "8 per minute;20 per 10 minutes"
# A browser is waiting: better to count in memory than to wait for Redis.
SOCKET_SECONDS = 1

limiter = Limiter(key_func=lambda: address(), strategy="sliding-window-counter", in_memory_fallback_enabled=True)


def address() -> str:
    """The peer's address, as the trusted proxies report it."""
    return request.remote_addr or "unknown"


def account_and_address() -> str:
    """Someone guessing passwords from elsewhere cannot lock a person out: both are counted together."""
    return f"{address()} {request.form.get('email', '').strip().lower()[:254]}"


def session_and_address() -> str:
    """One signed-in person, for what asks for a password again."""
    access = current_access()
    return f"{address()} {access.user.id if access else ''}"


def register(app: Flask, config: Config) -> None:
    url = re.sub(r"([?&])socket_timeout=[^&]*&?", r"\1", config.redis_url).rstrip("?&")
    app.config["RATELIMIT_STORAGE_URI"] = url.replace("unix://", "redis+unix://")
    app.config["RATELIMIT_STORAGE_OPTIONS"] = {
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": SOCKET_SECONDS,
    }
    app.config["RATELIMIT_HEADERS_ENABLED"] = True
    limiter.init_app(app)


def is_redis_up() -> bool:
    """Whether Redis answers within `SOCKET_SECONDS`."""
    return bool(limiter.storage.check())
