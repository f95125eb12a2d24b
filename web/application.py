"""Flask, without what it does for every request that nothing here needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from web.access import is_by_session


class CookieSessions(SecureCookieSessionInterface):
    """Who carries a token has an empty session that is not kept: whatever cookie comes along is not looked at."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return super().open_session(app, request) if is_by_session() else self.session_class()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if is_by_session():
            super().save_session(app, session, response)


class Application(Flask):
    """All views and hooks are plain functions, so none is searched for being a coroutine."""

    session_interface = CookieSessions()

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        return func
