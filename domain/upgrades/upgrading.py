"""Changing the version of an install, forward and back: its schedules move to it in the same transaction, or nothing does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import load
from domain.extensions.circuits import close_circuit
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import ExtensionVersion, version_of_extension
from domain.extensions.installs import Install
from domain.firing.tick import settle
from domain.kernel.db import db
from domain.kernel.errors import Conflict, Held
from domain.schedules.schedules import Schedule
from domain.upgrades.choices import redirections, to_disable
from domain.upgrades.moving import call_instead, disable_schedule, move_schedule
from domain.upgrades.remapping import Missing, Plan, plan_of

CHANGED = "This changed since you looked at it. Below is what the upgrade would do now."


class RemapFailed(Held):
    """Schedules call endpoints that this version does not have. Say what each calls instead, or disable it."""

    code = "SCHEDULE_REMAP_FAILED"

    def __init__(self, missing: Collection[Missing]) -> None:
        self.missing = tuple(missing)
        super().__init__()


@dataclass(frozen=True)
class Upgraded:
    """What a change of version did. How many schedules found their endpoint (`remapped`), were given another one
    (`redirected`), were disabled, became invalid, and fit again. `is_changed`: False when it had this version already."""

    from_version: str
    to_version: str
    remapped: int = 0
    redirected: int = 0
    disabled: int = 0
    invalidated: int = 0
    recovered: int = 0

    @property
    def is_changed(self) -> bool:
        return self.from_version != self.to_version


def upgrade_install(
    actor: Actor,
    install_id: UUID,
    version_id: UUID,
    now: datetime,
    *,
    remap: Mapping[UUID, UUID] | None = None,
    disable_missing: bool | Collection[UUID] = False,
    grant: Collection[str] = (),
    fingerprint: str | None = None,
) -> Upgraded:
    """Change an install to another version of its extension, newer or older; the same one again changes nothing.

    `remap`: endpoints of that version, by the schedules that are to call them instead of what is missing there;
    `disable_missing`: which of the others are disabled, True for all. `grant`: capabilities, which have to hold all new
    ones. `fingerprint`: of the plan that was agreed to. What came due before `now` is decided under the old version.

    Raises NotFound, Conflict when the plan is another one now, RemapFailed with the schedules that nothing was said
    of, Held (CAPABILITIES_REQUIRED), Refused at `remap/<schedule>` or `disableMissing/<schedule>`.
    """
    install = load(actor.tenant_id, Install, install_id, lock="change")
    version = version_of_extension(install.extension_id, version_id, lock="keep")
    settle(schedule_ids(install), now)
    plan = plan_of(install, version)
    if fingerprint is not None and fingerprint != plan.fingerprint:
        raise Conflict(CHANGED)
    if plan.version_id == install.version_id:
        return Upgraded(plan.from_version, plan.to_version)
    redirected, disabled = _answers(install, version, plan, remap or {}, disable_missing)
    _check_grant(plan, grant)
    _change_version(actor, install, version, plan, now)
    _move(actor, plan, redirected, disabled, now)
    return _upgraded(plan, len(redirected), len(disabled))


def schedule_ids(install: Install) -> list[UUID]:
    """The living schedules of an install, in the order in which cursors are locked."""
    mine = select(Schedule.id).where(
        Schedule.tenant_id == install.tenant_id, Schedule.install_id == install.id, Schedule.deleted_at.is_(None)
    )
    return list(db.session.scalars(mine.order_by(Schedule.id)))


def _answers(
    install: Install,
    version: ExtensionVersion,
    plan: Plan,
    remap: Mapping[UUID, UUID],
    disable_missing: bool | Collection[UUID],
) -> tuple[dict[UUID, ExtensionEndpoint], set[UUID]]:
    """What becomes of each schedule that misses its endpoint: what it calls instead, or that it is disabled."""
    redirected = redirections(install, version, plan, remap)
    disabled = to_disable(plan, disable_missing, redirected)
    if left := [one for one in plan.missing if one.schedule_id not in redirected and one.schedule_id not in disabled]:
        raise RemapFailed(left)
    return redirected, disabled


def _check_grant(plan: Plan, grant: Collection[str]) -> None:
    if missing := [name for name in plan.new_capabilities if name not in grant]:
        message = (
            f"Version {plan.to_version} asks for more than was granted: {', '.join(missing)}. Grant it to upgrade."
        )
        raise Held(message, code="CAPABILITIES_REQUIRED")


def _change_version(actor: Actor, install: Install, version: ExtensionVersion, plan: Plan, now: datetime) -> None:
    # What the new version no longer asks for is given back, so that a later one has to ask for it again.
    granted = sorted({*plan.new_capabilities, *(name for name in install.capabilities if name in version.asked)})
    before = {"version": plan.from_version, "capabilities": sorted(install.capabilities)}
    after = {"version": plan.to_version, "capabilities": granted}
    install.version_id, install.capabilities = version.id, granted
    install.revision += 1
    install.updated_at = now
    # How the calls of another version went says nothing of this one.
    close_circuit(install.id)
    db.session.flush()
    record_change(actor, "install.upgraded", install, before=before, after={"extension": install.name, **after})


def _move(
    actor: Actor, plan: Plan, redirected: Mapping[UUID, ExtensionEndpoint], disabled: Collection[UUID], now: datetime
) -> None:
    found = select(Schedule).where(Schedule.id.in_(_touched(plan, redirected, disabled))).order_by(Schedule.id)
    schedules = {one.id: one for one in db.session.scalars(found.with_for_update(key_share=True))}
    for one in plan.remapped:
        move_schedule(actor, schedules[one.schedule_id], one, plan, now)
    for missing in (*plan.missing, *plan.stale):
        schedule_id = missing.schedule_id
        if schedule_id in redirected:
            call_instead(actor, schedules[schedule_id], missing, redirected[schedule_id], plan, now)
        elif schedule_id in disabled:
            disable_schedule(actor, schedules[schedule_id], missing, plan, now)
    db.session.flush()


def _touched(plan: Plan, *others: Collection[UUID]) -> set[UUID]:
    return {one.schedule_id for one in plan.remapped}.union(*others)


def _upgraded(plan: Plan, redirected: int, disabled: int) -> Upgraded:
    counts = len(plan.remapped), redirected, disabled, len(plan.newly_invalid), len(plan.recovering)
    return Upgraded(plan.from_version, plan.to_version, *counts)
