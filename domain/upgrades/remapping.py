"""What another version of an extension means for the schedules of an install: which of them find their endpoint there.

An endpoint is found again by its method and path. A schedule whose payload the endpoint there no longer takes becomes
invalid, as publishing does with schedules of workflows; one that finds nothing keeps the install where it is, until
somebody says which endpoint to call instead, or to disable it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from heapq import nsmallest
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, select

from domain.accounts.tenants import load
from domain.extensions.endpoints import ExtensionEndpoint, endpoint_obstacle, endpoints_of
from domain.extensions.extensions import ExtensionVersion, version_of_extension
from domain.extensions.installs import Install, installed_version
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.publishing.rebinding import misfit_reason
from domain.schedules.payloads import payload_refusals
from domain.schedules.schedules import ACTIVE, INVALID, Schedule
from domain.schedules.targets import EndpointTarget

NEAREST = 3
COMPARED, COMPARED_CHARACTERS = 12, 100


class Near(NamedTuple):
    """An endpoint of the other version that can be scheduled."""

    endpoint_id: UUID
    method: str
    path: str

    @property
    def called(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Remapped:
    """A schedule whose endpoint is in the other version too. `reason`: why its payload does not fit there, without any
    value of it; None when it fits. `is_back`: it had been left without an endpoint, and stays paused."""

    schedule_id: UUID
    name: str
    status: str
    method: str
    path: str
    endpoint_id: UUID
    reason: str | None = None
    is_back: bool = False

    @property
    def called(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Missing:
    """A schedule whose endpoint the other version does not have. `nearest`: what it could call instead, best first."""

    schedule_id: UUID
    name: str
    status: str
    method: str
    path: str
    nearest: tuple[Near, ...]

    @property
    def enabled(self) -> bool:
        return self.status == ACTIVE

    @property
    def called(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Plan:
    """What a change of an install's version would do now.

    `missing` keeps the change from happening. `stale` were left behind by an earlier one and stay as they are.
    `choices`: the endpoints of the version that can be scheduled. `new_capabilities`: what it asks beyond the installed
    version and beyond what was granted. `fingerprint`: of all this; another one means that something has changed.
    """

    install_id: UUID
    version_id: UUID
    from_version: str
    to_version: str
    remapped: tuple[Remapped, ...] = ()
    missing: tuple[Missing, ...] = ()
    stale: tuple[Missing, ...] = ()
    choices: tuple[Near, ...] = ()
    new_capabilities: tuple[str, ...] = ()

    @property
    def going_on(self) -> tuple[Remapped, ...]:
        return tuple(one for one in self.remapped if one.reason is None and one.status != INVALID and not one.is_back)

    @property
    def back(self) -> tuple[Remapped, ...]:
        """Left behind by an earlier change; they have their endpoint again and wait, paused, for somebody to resume."""
        return tuple(one for one in self.remapped if one.reason is None and one.status != INVALID and one.is_back)

    @property
    def recovering(self) -> tuple[Remapped, ...]:
        """Invalid ones whose payload fits again: they become paused."""
        return tuple(one for one in self.remapped if one.reason is None and one.status == INVALID)

    @property
    def newly_invalid(self) -> tuple[Remapped, ...]:
        return tuple(one for one in self.remapped if one.reason is not None and one.status != INVALID)

    @property
    def still_invalid(self) -> tuple[Remapped, ...]:
        return tuple(one for one in self.remapped if one.reason is not None and one.status == INVALID)

    @property
    def fingerprint(self) -> str:
        told = [
            [str(self.install_id), self.from_version, str(self.version_id), sorted(self.new_capabilities)],
            [[str(one.schedule_id), one.status, str(one.endpoint_id), one.reason] for one in self.remapped],
            [[str(one.schedule_id), one.status, one.called] for one in self.missing],
            [[str(one.schedule_id), one.called] for one in self.stale],
        ]
        return hashlib.sha256(strict_json.dumps(told).encode()).hexdigest()


def upgrade_plan(tenant_id: UUID, install_id: UUID, version_id: UUID) -> Plan:
    """What changing the install to this version of its extension would do now. Changes nothing. Raises NotFound."""
    install = load(tenant_id, Install, install_id)
    return plan_of(install, version_of_extension(install.extension_id, version_id))


def plan_of(install: Install, version: ExtensionVersion) -> Plan:
    """The plan for an install as it is; a fixed number of queries."""
    current = installed_version(install)
    endpoints = {
        (one.method, one.path): EndpointTarget(install, one, install.name, version.version)
        for one in endpoints_of(version.id)
    }
    choices = tuple(_near(one.endpoint) for one in endpoints.values() if endpoint_obstacle(one.endpoint) is None)
    remapped: list[Remapped] = []
    missing: list[Missing] = []
    stale: list[Missing] = []
    for row in _bound(install):
        is_stale = row.version_id != install.version_id
        if (called := endpoints.get((row.method, row.path))) is not None:
            remapped.append(_remapped(row, called, is_stale))
        else:
            nearest = _nearest(row.method, row.path, choices)
            (stale if is_stale else missing).append(
                Missing(row.id, row.name, row.status, row.method, row.path, nearest)
            )
    return Plan(
        install.id,
        version.id,
        current.version,
        version.version,
        tuple(remapped),
        tuple(missing),
        tuple(stale),
        choices,
        _new_capabilities(install, current, version),
    )


def payload_misfit(called: EndpointTarget, payload: Any) -> str | None:
    """Why an endpoint does not take a stored payload, for the operator; None when it does."""
    problems = payload_refusals(called, payload)
    return misfit_reason(problems) if problems else None


def _bound(install: Install) -> Sequence[Row[Any]]:
    columns = (Schedule.id, Schedule.name, Schedule.status, Schedule.payload_json)
    endpoint = (ExtensionEndpoint.version_id, ExtensionEndpoint.method, ExtensionEndpoint.path)
    living = (
        select(*columns, *endpoint)
        .join(ExtensionEndpoint, ExtensionEndpoint.id == Schedule.endpoint_id)
        .where(Schedule.install_id == install.id, Schedule.tenant_id == install.tenant_id)
        .where(Schedule.deleted_at.is_(None))
    )
    return db.session.execute(living.order_by(Schedule.id)).all()


def _remapped(row: Row[Any], called: EndpointTarget, is_stale: bool) -> Remapped:
    reason = payload_misfit(called, row.payload_json)
    return Remapped(row.id, row.name, row.status, row.method, row.path, called.endpoint.id, reason, is_stale)


def _near(endpoint: ExtensionEndpoint) -> Near:
    return Near(endpoint.id, endpoint.method, endpoint.path)


def _nearest(method: str, path: str, choices: Sequence[Near]) -> tuple[Near, ...]:
    """Those whose path reads most alike; of equal ones first what has the same method.

    Comparing letter by letter takes long for what somebody made to take long, so only the likeliest are compared.
    """
    matcher = SequenceMatcher(None, b=path[:COMPARED_CHARACTERS])

    def likeness(one: Near, ratio: Callable[[], float]) -> tuple[float, bool, str]:
        matcher.set_seq1(one.path[:COMPARED_CHARACTERS])
        return (-ratio(), one.method != method, one.called)

    likeliest = nsmallest(COMPARED, choices, key=lambda one: likeness(one, matcher.quick_ratio))
    return tuple(nsmallest(NEAREST, likeliest, key=lambda one: likeness(one, matcher.ratio)))


def _new_capabilities(install: Install, current: ExtensionVersion, version: ExtensionVersion) -> tuple[str, ...]:
    known = {*current.asked, *install.capabilities}
    return tuple(name for name in version.asked if name not in known)
