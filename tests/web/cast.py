"""A signed-in browser for each person of the cast."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from domain.accounts.sessions import start_session
from domain.accounts.tenants import Tenant
from domain.accounts.users import User
from domain.kernel import clock
from domain.kernel.db import transaction
from web.access import SESSION_TOKEN

HTMX = {"HX-Request": "true"}


@dataclass
class Browser:
    """Sends the CSRF token of its session with every request; `htmx=True` asks for fragments."""

    client: FlaskClient
    csrf_token: str
    user: User
    tenant: Tenant

    def get(self, path: str, *, htmx: bool = False, **kwargs: Any) -> TestResponse:
        return self.open(path, method="GET", htmx=htmx, **kwargs)

    def post(self, path: str, data: dict[str, Any] | None = None, *, htmx: bool = False, **kwargs: Any) -> TestResponse:
        return self.open(path, method="POST", data=data or {}, htmx=htmx, **kwargs)

    def open(
        self, path: str, *, htmx: bool = False, headers: dict[str, str] | None = None, **kwargs: Any
    ) -> TestResponse:
        sent = {"X-CSRFToken": self.csrf_token} | (HTMX if htmx else {}) | (headers or {})
        return self.client.open(path, headers=sent, **kwargs)


def client_of(app: Flask, user: User, tenant: Tenant) -> Browser:
    """A browser in which `user` is signed in to `tenant`, without the cost of a password."""
    with transaction():
        _, token = start_session(user, tenant.id, clock.database_now())
    client = app.test_client()
    raw = secrets.token_hex(20)
    with client.session_transaction() as session:
        session[SESSION_TOKEN] = token
        session["csrf_token"] = raw
    signed = URLSafeTimedSerializer(str(app.secret_key), salt="wtf-csrf-token").dumps(raw)
    return Browser(client, str(signed), user, tenant)
