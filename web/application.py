"""Flask, without what it does for every request that nothing here needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface

from web.access import is_by_session


class CookieSessions(SecureCookieSessionInterface):
    """Opens no session for who carries a token: whatever cookie comes along is not looked at."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return super().open_session(app, request) if is_by_session() else None


class Application(Flask):
    """All views and hooks are plain functions, so none is searched for being a coroutine."""

    session_interface = CookieSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func
