"""Changes of version as commands read and tell them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import click

from domain.extensions.endpoints import find_endpoint
from domain.extensions.extensions import ExtensionVersion
from domain.kernel.ids import parse_id
from domain.upgrades import Missing, Plan, Remapped, Upgraded


def chosen_endpoint(version: ExtensionVersion, written: str) -> tuple[UUID, UUID]:
    """The ids of schedule and endpoint in `<schedule id>=POST /api/sync`. Raises BadParameter."""
    schedule, _, called = written.partition("=")
    method, _, path = called.strip().partition(" ")
    schedule_id, endpoint = parse_id(schedule.strip()), find_endpoint(version.id, method, path)
    if schedule_id is None:
        raise click.BadParameter(f"{written}: write the id of a schedule before the =.", param_hint="--remap")
    if endpoint is None:
        raise click.BadParameter(f"Version {version.version} has no {called.strip()}.", param_hint="--remap")
    return schedule_id, endpoint.id


def missing_line(one: Missing) -> str:
    """A schedule that finds no endpoint, with what it could call instead."""
    nearest = ", ".join(near.called for near in one.nearest) or "nothing"
    return f"  {one.schedule_id}  {one.name}  calls {one.called}; nearest: {nearest}"


def plan_lines(plan: Plan) -> list[str]:
    """What a dry run says."""
    lines = [
        f"From {plan.from_version} to {plan.to_version}: schedules that find their endpoint: {len(plan.remapped)}."
    ]
    if plan.missing:
        lines += ["These do not find it:", *map(missing_line, plan.missing)]
    if misfits := (*plan.newly_invalid, *plan.still_invalid):
        lines += ["The payload of these does not fit:"]
        lines += [f"  {one.schedule_id}  {one.name}: {one.reason}" for one in misfits]
    if plan.new_capabilities:
        lines.append(f"It asks for more: {', '.join(plan.new_capabilities)}.")
    return [*lines, f"Nothing was changed: this was a dry run. Fingerprint: {plan.fingerprint}"]


def plan_document(plan: Plan) -> dict[str, Any]:
    return {
        "fromVersion": plan.from_version,
        "toVersion": plan.to_version,
        "remapped": [_remapped(one) for one in plan.remapped],
        "missing": [_missing(one) for one in plan.missing],
        "newCapabilities": list(plan.new_capabilities),
        "fingerprint": plan.fingerprint,
    }


def outcome_document(done: Upgraded) -> dict[str, Any]:
    versions = {"fromVersion": done.from_version, "toVersion": done.to_version}
    return versions | _counts(done)


def outcome_words(done: Upgraded) -> str:
    if not done.is_changed:
        return f"Version {done.to_version} is installed already."
    told = ", ".join(f"{count} {name}" for name, count in _counts(done).items() if count)
    schedules = f" Of its schedules: {told}." if told else ""
    return f"Version {done.to_version} is installed in the place of {done.from_version}.{schedules}"


def _counts(done: Upgraded) -> dict[str, int]:
    return {
        "remapped": done.remapped,
        "redirected": done.redirected,
        "disabled": done.disabled,
        "invalidated": done.invalidated,
        "recovered": done.recovered,
    }


def _remapped(one: Remapped) -> dict[str, Any]:
    where = {"method": one.method, "path": one.path, "endpointId": str(one.endpoint_id)}
    return {"scheduleId": str(one.schedule_id), "name": one.name, **where, "reason": one.reason}


def _missing(one: Missing) -> dict[str, Any]:
    where = {"enabled": one.enabled, "method": one.method, "path": one.path}
    nearest = [near.called for near in one.nearest]
    return {"scheduleId": str(one.schedule_id), "name": one.name, **where, "nearest": nearest}
