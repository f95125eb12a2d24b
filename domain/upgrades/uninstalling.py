"""Taking an extension out of a tenant. Nothing cascades: what goes and what stays readable is said here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, delete, select

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import load, owned
from domain.extensions.circuits import InstallCircuit
from domain.extensions.extensions import ExtensionVersion
from domain.extensions.installs import Install, InstallSecret
from domain.firing.lifecycle import end_schedule
from domain.firing.tick import settle
from domain.kernel.db import db
from domain.runs.canceling import request_cancel
from domain.runs.runs import UNFINISHED, Run
from domain.schedules.schedules import Schedule
from domain.upgrades.upgrading import schedule_ids


@dataclass(frozen=True)
class Uninstalled:
    """`schedules`: how many ended. `runs`: how many had not finished and were canceled."""

    extension: str
    schedules: int
    runs: int
    secrets: int


def uninstall(actor: Actor, install_id: UUID, now: datetime) -> Uninstalled:
    """End an install with its schedules, cancel its unfinished runs, and erase its secrets. Runs, calls and what the
    schedules did stay readable, and so does what was configured. What was due before `now` is still on record.

    Raises NotFound, also when it is uninstalled already.
    """
    install = load(actor.tenant_id, Install, install_id, lock="change")
    name, version = install.name, db.session.get_one(ExtensionVersion, install.version_id).version
    reason = f"{name} was uninstalled"
    # Runs of schedules that were deleted before belong to it too: all cursors are taken at once, in one order.
    settle(sorted({*schedule_ids(install), *_scheduled_by(install)}), now)
    # Asked now: whoever held a cursor may have deleted its schedule.
    living = db.session.scalars(owned(actor.tenant_id, Schedule).where(Schedule.install_id == install.id)).all()
    for schedule in living:
        end_schedule(actor, schedule, reason, now)
    runs = cancel_runs(actor, Run.install_id == install.id, reason, now)
    secrets = _erase(install)
    install.deleted_at = install.updated_at = now
    db.session.flush()
    after = {"extension": name, "schedulesEnded": len(living), "runsCanceled": runs, "secretsErased": secrets}
    record_change(actor, "install.deleted", install, before={"version": version}, after=after)
    return Uninstalled(name, len(living), runs, secrets)


def _scheduled_by(install: Install) -> list[UUID]:
    unfinished = select(Run.schedule_id).where(
        Run.install_id == install.id, Run.status.in_(UNFINISHED), Run.schedule_id.is_not(None)
    )
    return [found for found in db.session.scalars(unfinished.distinct()) if found is not None]


def cancel_runs(actor: Actor, which: ColumnElement[bool], reason: str, now: datetime) -> int:
    """End the unfinished runs among `which`; how many there were. The caller holds the cursors of their schedules."""
    unfinished = select(Run).where(Run.tenant_id == actor.tenant_id, which, Run.status.in_(UNFINISHED)).order_by(Run.id)
    canceled = [
        run for run in db.session.scalars(unfinished).all() if request_cancel(run.id, now, reason) != "finished"
    ]
    for run in canceled:
        record_change(actor, "run.canceled", run, reason=reason)
    return len(canceled)


def _erase(install: Install) -> int:
    """Remove what only calls needed; how many secrets there were."""
    db.session.execute(delete(InstallCircuit).where(InstallCircuit.install_id == install.id))
    gone = delete(InstallSecret).where(InstallSecret.install_id == install.id).returning(InstallSecret.id)
    return len(db.session.scalars(gone).all())
