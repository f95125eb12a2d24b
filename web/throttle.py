"""How often someone may try. Counted in Redis for all web processes together, and in each by itself while it is away."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from flask import Flask, Response, current_app, request, session
from flask_limiter import Limiter
from limits.errors import StorageError
from redis import RedisError

from domain.accounts.sessions import hash_of
from domain.kernel import clock
from domain.kernel.config import Config
from web.access import SESSION_TOKEN, current_access, is_api, is_by_session
from web.counting import ONE_TRIP
from web.security import receive_small_body

PER_ADDRESS = "60 per 5 minutes"
PER_ACCOUNT = "8 per minute;20 per 10 minutes"
# A browser is waiting: better to count in memory than to wait for Redis.
SOCKET_SECONDS = 1
EXTENSION = "carillon.limiter"
API, API_LIMIT = "api", "CARILLON_API_LIMIT"
API_EXCEEDED = "Too many requests by this token. Wait for as long as Retry-After says, and send fewer at a time."

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


def bearer() -> str:
    """The token or the session that asks, each counted by itself; for what is open to all the address."""
    if current_access() is None:
        return address()
    given = request.authorization
    secret = session.get(SESSION_TOKEN) if is_by_session() else given and given.token
    return hash_of(str(secret))


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
    app.config["RATELIMIT_STORAGE_URI"] = ONE_TRIP + url.replace("unix://", "redis+unix://")
    app.config["RATELIMIT_STORAGE_OPTIONS"] = {
        "socket_timeout": SOCKET_SECONDS,
        "socket_connect_timeout": SOCKET_SECONDS,
    }
    limiter.init_app(app)
    # What is turned down counts as well. Who asks is found out before that: an error of the database is none of Redis.
    checks = app.before_request_funcs[None]
    checks[:0] = [receive_small_body, know_caller, checks.pop()]
    app.extensions[EXTENSION] = limiter
    app.config[API_LIMIT] = config.api_requests_per_minute
    blueprints: dict[str, Any] = app.blueprints
    limiter.shared_limit(_api_limit, API, key_func=bearer, error_message=API_EXCEEDED)(blueprints[API])
    app.after_request(tell_limit)
    views: dict[str, Any] = app.view_functions
    for endpoint, view in views.items():
        for limit in getattr(view, "limits", []):
            views[endpoint] = limiter.limit(**limit)(views[endpoint])


def know_caller() -> None:
    """Before the count: raises what stands in the way of knowing who asks."""
    if is_api() and request.endpoint:
        current_access()


def lift(app: Flask) -> None:
    """Count nothing in `app`: for one that no server serves."""
    app.extensions[EXTENSION].enabled = False


def tell_limit(response: Response) -> Response:
    """When to come back, for whoever has to; what is left of the API's limit (draft-ietf-httpapi-ratelimit-headers).
    Nothing is said when it was not counted."""
    counted = current_app.extensions[EXTENSION].current_limit
    if counted is None:
        return response
    with suppress(RedisError, StorageError):
        seconds = max(0, counted.reset_at - int(clock.now().timestamp()))
        if response.status_code == 429:
            response.headers.setdefault("Retry-After", str(max(1, seconds)))
        if not is_api():
            return response
        response.headers["RateLimit-Policy"] = f'"{API}";q={counted.limit.amount};w={counted.limit.get_expiry()}'
        response.headers["RateLimit"] = f'"{API}";r={max(0, counted.remaining)};t={seconds}'
    return response


def _api_limit() -> str:
    return f"{current_app.config[API_LIMIT]} per minute"


def is_redis_up() -> bool:
    """Whether Redis answers within `SOCKET_SECONDS`."""
    return bool(current_app.extensions[EXTENSION].storage.check())


def _is_refusal(response: Any) -> bool:
    return bool(response.status_code == 422)
