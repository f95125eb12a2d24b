"""The cast at their browsers: alice (admin) and bob (viewer) of acme, charlie (admin) of another tenant."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from domain.accounts.permissions import ADMIN, VIEWER
from domain.accounts.tenants import Tenant
from domain.extensions import settings
from domain.extensions.settings import Runner
from tests.factories import a_tenant, a_user
from tests.web.addresses import ids_of
from tests.web.cast import Browser, client_of


@pytest.fixture
def acme(db: Any) -> Tenant:
    return a_tenant("acme")


@pytest.fixture
def alice(app: Flask, acme: Tenant) -> Browser:
    return client_of(app, a_user(acme, "alice@acme.test", ADMIN), acme)


@pytest.fixture
def bob(app: Flask, acme: Tenant) -> Browser:
    return client_of(app, a_user(acme, "bob@acme.test", VIEWER), acme)


@pytest.fixture
def charlie(app: Flask, db: Any) -> Browser:
    other = a_tenant("globex")
    return client_of(app, a_user(other, "charlie@globex.test", ADMIN), other)


@pytest.fixture
def ids(app: Flask, acme: Tenant, db: Any) -> dict[str, Any]:
    """Ids of acme by the name they have in addresses."""
    made = ids_of(app, acme)
    db.commit()
    return made


@pytest.fixture
def has_runner(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installation has the address of a runner, which nobody asks here."""
    runner = Runner("http://127.0.0.1:9", "t" * 32, "k" * 32, 20, 256, 262_144)
    monkeypatch.setattr(settings, "_settings", replace(settings._known(), runner=runner))
