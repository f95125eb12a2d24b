"""How many schedules of endpoints an install and a tenant may have, whoever creates them at the same time."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select

from domain.accounts.tenants import owned
from domain.extensions.installs import Install
from domain.extensions.settings import limits
from domain.kernel.db import db
from domain.kernel.errors import Refused
from domain.schedules.schedules import Schedule


def hold_limits(tenant_id: UUID) -> None:
    """Until the commit nobody else counts what the tenant has of endpoints: taken before every other lock."""
    key = f"endpoint limits {tenant_id}"
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def check_room(install: Install) -> None:
    """Raise Refused at `endpointId` when the install, or its tenant, has as many schedules as it may; ended ones do not
    count. The caller holds the limits."""
    count = owned(install.tenant_id, Schedule).where(Schedule.install_id.is_not(None))
    of_tenant, of_install = db.session.execute(
        count.with_only_columns(func.count(), func.count().filter(Schedule.install_id == install.id))
    ).one()
    if of_install >= limits().schedules_per_install:
        message = f"This extension has {of_install} schedules, and no more are allowed. Delete one first."
        raise Refused.at("endpointId", message, "SCHEDULE_LIMIT")
    if of_tenant >= limits().schedules_per_tenant:
        message = f"Your extensions have {of_tenant} schedules, and no more are allowed. Delete one first."
        raise Refused.at("endpointId", message, "SCHEDULE_LIMIT")
