"""What the tests of an extension's schedules share: an install to call, and what the dialog sends for one of its endpoints."""

from __future__ import annotations

import html
import re
from typing import Any

from domain.accounts.tenants import Tenant
from domain.extensions.endpoints import endpoints_of
from domain.extensions.extensions import ExtensionVersion, extension_of
from domain.extensions.installs import Install
from tests.factories import an_extension, an_extension_version, an_install
from tests.web.schedule_pages import REGION, typed

SYNC = {"method": "POST", "path": "/api/sync", "handler": "dist/main", "requestSchema": REGION}
ENDPOINTS = [SYNC, "POST /api/push", "GET /api/health", "GET /api/devices/:id"]


def a_sync_install(tenant: Tenant, endpoints: Any = None, **values: Any) -> Install:
    """POST /api/sync takes a region, POST /api/push anything; GET /api/health; one more cannot be scheduled."""
    version = an_extension_version(an_extension(tenant), endpoints=ENDPOINTS if endpoints is None else endpoints)
    return an_install(tenant, version, **values)


def a_newer_version(install: Install, *endpoints: Any) -> ExtensionVersion:
    """Installed by hand, as if an upgrade had left behind whatever does not fit."""
    version = an_extension_version(extension_of(install.tenant_id, install.extension_id), "2.0.0", list(endpoints))
    install.version_id = version.id
    return version


def endpoint_id(install: Install, called: str) -> str:
    """Of the installed version."""
    return next(str(one.id) for one in endpoints_of(install.version_id) if one.called == called)


def typed_call(install: Install, called: str = "POST /api/push", **changes: Any) -> dict[str, Any]:
    """A complete form for a new schedule that calls an endpoint; None takes a field away."""
    fields = {
        "workflow": None,
        "extension": str(install.extension_id),
        "endpoint": endpoint_id(install, called) if called else "",
        "name": "",
        "payload": None,
        "overlap": "skip",
        "max_attempts": "3",
    }
    return typed(**fields | changes)


def words_of(page: str) -> str:
    """What a page says, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())
