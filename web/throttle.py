"""How often someone may try. Counted in Redis for all web processes together, and in each by itself while it is away."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Flask, current_app, request
from flask_limiter import Limiter

from domain.kernel.config import Config
from web.access import current_access

PER_ADDRESS = "60 per 5 minutes"
PER_ACCOUNT = "8 per minute;20 per 10 minutes"
# A browser is waiting: better to count in memory than to wait for Redis.
SOCKET_SECONDS = 1
EXTENSION = "carillon.limiter"

View = TypeVar("View", bound=Callable[..., Any])


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


def throttled(limit: str, key: Callable[[], str], *, counts_refusals_only: bool = False) -> Callable[[View], View]:
    """At most `limit` requests for the same `key`, or only refused ones (422); more raise an HTTP error 429."""

    def mark(view: View) -> View:
        deduct_when = _is_refusal if counts_refusals_only else None
        vars(view).setdefault("limits", []).append({"limit_value": limit, "key_func": key, "deduct_when": deduct_when})
        return view

    return mark


def register(app: Flask, config: Config) -> None:
    """Have the marks of the views of `app` counted. Comes after its blueprints."""
    limiter = Limiter(address, strategy="sliding-window-counter", in_memory_fallback_enabled=True)
    url = re.sub(r"([?&])socket_timeout=[^&]*&?", r"\1", config.redis_url).rstrip("?&")
    app.config["RATELIMIT_STORAGE_URI"] = url.replace("unix://", "redis+unix://")
    app.config["RATELIMIT_STORAGE_OPTIONS"] = {
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": SOCKET_SECONDS,
    }
    app.config["RATELIMIT_HEADERS_ENABLED"] = True
    limiter.init_app(app)
    app.extensions[EXTENSION] = limiter
    views: dict[str, Any] = app.view_functions
    for endpoint, view in views.items():
        for limit in getattr(view, "limits", []):
            views[endpoint] = limiter.limit(**limit)(views[endpoint])


def lift(app: Flask) -> None:
    """Count nothing in `app`: for one that no server serves."""
    app.extensions[EXTENSION].enabled = False


def is_redis_up() -> bool:
    """Whether Redis answers within `SOCKET_SECONDS`."""
    return bool(current_app.extensions[EXTENSION].storage.check())


def _is_refusal(response: Any) -> bool:
    return bool(response.status_code == 422)
