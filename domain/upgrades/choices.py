"""What somebody wants done with the schedules that miss their endpoint, and whether it can be."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import select

from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import ExtensionVersion
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.kernel.errors import Problem, Refused
from domain.schedules.schedules import Schedule
from domain.schedules.targets import EndpointTarget
from domain.upgrades.remapping import Plan, payload_misfit


def redirections(
    install: Install, version: ExtensionVersion, plan: Plan, remap: Mapping[UUID, UUID]
) -> dict[UUID, ExtensionEndpoint]:
    """What each schedule is to call instead of what is missing; raises Refused at `remap/<schedule>` for all that cannot."""
    problems, found = [], {}
    called, payloads = _choosable(install, version, plan, remap), _payloads(install, remap)
    homeless = {one.schedule_id for one in (*plan.missing, *plan.stale)}
    for schedule_id, endpoint_id in remap.items():
        chosen = called.get(endpoint_id)
        if schedule_id not in homeless:
            problems.append(_nothing_missing("remap", schedule_id))
        elif chosen is None:
            message = f"Choose an endpoint of version {plan.to_version} that can be scheduled."
            problems.append(Problem(f"remap/{schedule_id}", message, "ENDPOINT_UNKNOWN"))
        elif reason := payload_misfit(chosen, payloads[schedule_id]):
            words = f"{chosen.endpoint.called} does not take its payload ({reason}). Choose another, or disable it."
            problems.append(Problem(f"remap/{schedule_id}", words, "PAYLOAD_INVALID"))
        else:
            found[schedule_id] = chosen.endpoint
    if problems:
        raise Refused(problems)
    return found


def to_disable(plan: Plan, wanted: bool | Collection[UUID], redirected: Collection[UUID]) -> set[UUID]:
    """Which of the schedules that miss their endpoint are disabled: True means all that are given no other.

    Raises Refused at `disableMissing/<schedule>` for those that miss nothing.
    """
    missing = {one.schedule_id for one in plan.missing}
    if isinstance(wanted, bool):
        return missing.difference(redirected) if wanted else set()
    if strangers := sorted(set(wanted) - missing - {one.schedule_id for one in plan.stale}):
        raise Refused(_nothing_missing("disableMissing", schedule_id) for schedule_id in strangers)
    return missing.intersection(wanted).difference(redirected)


def _choosable(
    install: Install, version: ExtensionVersion, plan: Plan, remap: Mapping[UUID, UUID]
) -> dict[UUID, EndpointTarget]:
    open_to_schedules = {choice.endpoint_id for choice in plan.choices}.intersection(remap.values())
    wanted = select(ExtensionEndpoint).where(ExtensionEndpoint.id.in_(open_to_schedules))
    return {one.id: EndpointTarget(install, one, install.name, version.version) for one in db.session.scalars(wanted)}


def _payloads(install: Install, remap: Mapping[UUID, UUID]) -> dict[UUID, object]:
    wanted = select(Schedule.id, Schedule.payload_json).where(Schedule.install_id == install.id, Schedule.id.in_(remap))
    return {row.id: row.payload_json for row in db.session.execute(wanted)}


def _nothing_missing(path: str, schedule_id: UUID) -> Problem:
    message = "No schedule under this id misses its endpoint. Leave it out."
    return Problem(f"{path}/{schedule_id}", message, "SCHEDULE_NOT_MISSING")
