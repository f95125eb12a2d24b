"""Alice's tenant with an install of an extension of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.extensions import settings
from domain.extensions.settings import configure_extensions
from tests import servers
from tests.domain.upgrades.scene import HEALTH, SYNC
from tests.factories import a_tenant, a_user, an_actor, an_extension, an_extension_version, an_install


@pytest.fixture
def acme(db: Any) -> Any:
    return a_tenant("acme")


@pytest.fixture
def alice(acme: Any) -> Any:
    return an_actor(acme, a_user(acme, "alice@acme.test", "admin"))


@pytest.fixture
def extension(acme: Any) -> Any:
    return an_extension(acme)


@pytest.fixture
def first(extension: Any) -> Any:
    """Version 1.0.0: POST /api/sync and GET /api/health."""
    return an_extension_version(extension, "1.0.0", [SYNC, HEALTH])


@pytest.fixture
def install(acme: Any, first: Any) -> Any:
    return an_install(acme, first)


@pytest.fixture
def with_runner(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a runner were configured: nothing is sent to it, but what is due fires."""
    known = settings._settings
    runner = {"runner_url": "http://127.0.0.1:9", "runner_token": "t" * 32, "runner_key": "k" * 32}
    configure_extensions(replace(servers.plain_config(), **runner))
    configured, settings._settings = settings._settings, known
    monkeypatch.setattr(settings, "_settings", configured)
