"""Holding an install: nothing of it is called until it is enabled again, and its schedules say why."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import load
from domain.extensions.circuits import close_circuit
from domain.extensions.installs import Install
from domain.firing.tick import settle
from domain.kernel.db import db
from domain.kernel.errors import StaleTransition
from domain.publishing.holding import parse_reason
from domain.upgrades.upgrading import schedule_ids


def disable_install(actor: Actor, install_id: UUID, reason: str, now: datetime) -> Install:
    """Call nothing of it from `now` on. What was due before is decided as it was; later instants are refused with this
    reason, and calls that had not been sent end with it too.

    Raises NotFound, Refused at `reason`, StaleTransition when it is disabled already.
    """
    reason = parse_reason(reason)
    install = load(actor.tenant_id, Install, install_id, lock="change")
    name = install.name
    if install.disabled_at is not None:
        raise StaleTransition(f"{name} is disabled already.")
    settle(schedule_ids(install), now)
    install.disabled_at, install.disabled_by, install.disable_reason = now, actor.user_id, reason or None
    install.updated_at = now
    db.session.flush()
    _record(actor, "install.disabled", install, name, reason)
    return install


def enable_install(actor: Actor, install_id: UUID, now: datetime) -> Install:
    """Let it be called again. Its schedules go on with their next instants: what came due meanwhile is on record as
    refused, and nothing of it is made up. A circuit that failures had opened is closed: somebody has seen to it.

    Raises NotFound, StaleTransition when it is not disabled.
    """
    install = load(actor.tenant_id, Install, install_id, lock="change")
    name = install.name
    if install.disabled_at is None:
        raise StaleTransition(f"{name} is not disabled.")
    settle(schedule_ids(install), now)
    install.disabled_at = install.disabled_by = install.disable_reason = None
    close_circuit(install.id)
    install.updated_at = now
    db.session.flush()
    _record(actor, "install.enabled", install, name, "")
    return install


def _record(actor: Actor, action: str, install: Install, name: str, reason: str) -> None:
    after = {"extension": name, "enabled": install.enabled}
    record_change(actor, action, install, before={"enabled": not install.enabled}, after=after, reason=reason or None)
