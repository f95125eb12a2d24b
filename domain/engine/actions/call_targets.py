"""What a call of an extension reaches, looked up when it is made: the install's version of that moment, or why nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, or_, select, text
from sqlalchemy.orm import defer

from domain.engine.failures import TRANSIENT, VALIDATION, StepFailed
from domain.extensions.circuits import Passage, pass_circuit
from domain.extensions.endpoints import find_endpoint
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install
from domain.extensions.settings import Runner, limits
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.kernel.ids import parse_id
from domain.runs.call_admission import GOING, oldest_going

# A probe that is not heard of again for its deadline and this much longer makes room for the next.
PROBE_GRACE_SECONDS = 10
BUSY_SECONDS = 5


@dataclass(frozen=True)
class Target:
    """The install that is called, with what its version is and what it belongs to."""

    install: Install
    version: ExtensionVersion
    extension: Extension


_GOING = text(f"""
    SELECT count(*) AS tenant, count(*) FILTER (WHERE install_id = :install_id) AS install FROM ({GOING}) going
""")  # noqa: S608


# What a version's manifest says is with its endpoints and in `asked_by`.
_TARGETS = (
    select(Install, ExtensionVersion, Extension)
    .join(ExtensionVersion, ExtensionVersion.id == Install.version_id)
    .join(Extension, Extension.id == Install.extension_id)
    .where(Install.tenant_id == bindparam("tenant_id"))
    .options(defer(ExtensionVersion.manifest))
    .execution_options(populate_existing=True)
)
_INSTALLED = _TARGETS.where(Install.id == bindparam("install_id"))


def install_target(tenant_id: UUID, install_id: UUID) -> Target:
    """The target of an install of the tenant, uninstalled or not."""
    return Target(*db.session.execute(_INSTALLED, {"tenant_id": tenant_id, "install_id": install_id}).one())


def named_target(tenant_id: UUID, extension: str) -> Target:
    """The living install of an extension, given its name or its id. Raises StepFailed when there is none, or several."""
    extension_id = parse_id(extension)
    named = Extension.name == extension
    called = _TARGETS.where(
        Install.deleted_at.is_(None), or_(named, Extension.id == extension_id) if extension_id else named
    )
    found = [Target(*row) for row in db.session.execute(called, {"tenant_id": tenant_id})]
    if not found:
        message = f"No extension {extension} is installed. Install it in the settings, or name another."
        raise StepFailed(message, "NOT_INSTALLED", VALIDATION)
    if len(found) > 1:
        publishers = ", ".join(sorted(target.extension.publisher for target in found))
        message = f"Extensions of {publishers} are named {extension}. Name one by its id, which its address shows."
        raise StepFailed(message, "EXTENSION_AMBIGUOUS", VALIDATION)
    return found[0]


def check_target(target: Target, runner: Runner | None, method: str, path: str) -> None:
    """Raises StepFailed, with a code that says so, when the call cannot be made as things are."""
    install, name = target.install, target.extension.name
    if install.deleted_at is not None:
        raise StepFailed(f"{name} was uninstalled. Install it again to call it.", "NOT_INSTALLED", VALIDATION)
    if not install.enabled:
        because = f": {install.disable_reason}" if install.disable_reason else ""
        raise StepFailed(f"{name} is disabled{because}. Enable it first.", "INSTALL_DISABLED", VALIDATION)
    if runner is None:
        message = "This installation has no runner, so nothing of an extension can be called. Set CARILLON_RUNNER_URL."
        raise StepFailed(message, "RUNNER_NOT_CONFIGURED", VALIDATION)
    if find_endpoint(install.version_id, method, path) is None:
        message = f"Version {target.version.version} of {name} has no {method} {path}. Choose one of its endpoints."
        raise StepFailed(message, "ENDPOINT_STALE", VALIDATION)


def check_payload(payload: Any) -> None:
    """Raises StepFailed when it is larger than a call may carry."""
    most = limits().payload_max_bytes
    if payload is not None and len(strict_json.dumps(payload).encode()) > most:
        raise StepFailed(f"A call carries at most {most:,} bytes. Send less.", "PAYLOAD_TOO_LARGE", VALIDATION)


def hold_room(tenant_id: UUID) -> None:
    """Until the commit nobody else counts the calls of the tenant. Taken before the run: whoever ends a tenant does so."""
    db.session.execute(text("SELECT id FROM tenants WHERE id = :id FOR NO KEY UPDATE"), {"id": tenant_id})


def check_room(target: Target, now: datetime) -> None:
    """Raises StepFailed when as many calls of the install or the tenant are going as may. The caller holds the room."""
    tenant_id, most = target.install.tenant_id, limits()
    values = {"ids": [tenant_id], "install_id": target.install.id, "oldest": oldest_going(now)}
    going = db.session.execute(_GOING, values).one()
    if going.install >= most.calls_per_install or going.tenant >= most.calls_per_tenant:
        message = f"As many calls are going as may at a time, {going.install} of them of {target.extension.name}."
        raise StepFailed(message, "CALLS_BUSY", TRANSIENT, retry_after_seconds=BUSY_SECONDS)


def passage(target: Target, runner: Runner, now: datetime) -> Passage:
    """The way through the install's circuit. Raises StepFailed while it is open, to be tried again when it may close."""
    found = pass_circuit(target.install.id, now, runner.timeout_seconds + PROBE_GRACE_SECONDS)
    if found.closed_until:
        seconds = (found.closed_until - now).total_seconds()
        message = f"{target.extension.name} has failed too often and is left alone for {seconds:.0f} seconds."
        raise StepFailed(message, "CIRCUIT_OPEN", TRANSIENT, retry_after_seconds=seconds)
    return found
