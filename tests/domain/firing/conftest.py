"""Extensions that may be called: nothing is sent anywhere, but what is due fires."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from domain.extensions import settings
from domain.extensions.settings import configure_extensions
from tests import servers
from tests.domain.firing.calls import Installed
from tests.factories import a_tenant

RUNNER = {"runner_url": "http://127.0.0.1:9", "runner_token": "t" * 32, "runner_key": "k" * 32}


@pytest.fixture
def configure(app: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets members of the configuration for this test; a runner is configured unless they say otherwise."""

    def set_members(**members: Any) -> None:
        known = settings._settings
        configure_extensions(replace(servers.plain_config(), **RUNNER | members))
        configured, settings._settings = settings._settings, known
        monkeypatch.setattr(settings, "_settings", configured)

    return set_members


@pytest.fixture
def acme(db: Any, configure: Callable[..., None]) -> Installed:
    configure()
    return Installed(a_tenant("acme"))
