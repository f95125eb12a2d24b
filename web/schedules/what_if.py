"""What saving an edit would change, told while it is being typed: fires of the next 30 days, and the rest in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import render_template
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.accounts.tenants import load
from domain.firing.what_if import Difference, WhatIf, standing_after, standing_of, what_if
from domain.kernel import strict_json
from domain.kernel.secret_values import shown
from domain.schedules.choices import workflow_choice
from domain.schedules.drafts import typed_timing
from domain.schedules.schedules import Schedule
from web.access import request_now, requires_by_kind
from web.forms.schedules import ScheduleForm, typed_values
from web.schedules.frame import blueprint, min_interval_seconds, tenant_id
from web.schedules.payloads import take_payload
from web.schedules.rows import Fire, fire_lines
from web.schedules.targets import EndpointTarget, Target, WorkflowTarget, posted_form, typed_target

_FROM_NOW_ON = {
    "catch_up": "What is made up after an outage",
    "max_lateness_seconds": "How late a start may be",
    "spread_seconds": "How much later each fire starts",
    "max_attempts": "How often a call is tried",
}


@dataclass(frozen=True)
class Lines:
    """One kind of change: `tone` and `icon` of its sign, `words` such as "22 fires move", its first fires, and what more
    there is. A moved fire has `was` beside `fire`."""

    icon: str
    words: str
    fires: list[tuple[Fire | None, Fire]]
    more: str


@dataclass(frozen=True)
class Consequences:
    """`total`: how the number of fires changes. `nothing`: the timing stays as it is. `first`: under the typed timing."""

    total: str
    kinds: list[Lines]
    first: Fire | None
    notes: list[str]
    is_timed: bool


@blueprint.post("/<uuid:schedule_id>/what-if")
@requires_by_kind(CHANGE)
def consequences(schedule_id: UUID) -> ResponseReturnValue:
    stored = load(tenant_id(), Schedule, schedule_id)
    form = posted_form(stored)
    target = typed_target(form)
    take_payload(form, target)
    return render_template("schedules/_what_if.html", what_if=consequences_of(form, stored, target))


def consequences_of(form: ScheduleForm, stored: Schedule, target: Target) -> Consequences | None:
    """None while nothing that was typed changes anything, or while the timing is refused."""
    now = request_now()
    timing = typed_timing(form.draft(None, stored), now, min_interval_seconds())
    if timing is None:
        return None
    old, new = standing_of(stored), standing_after(stored, timing, bool(form.enabled.data))
    notes = list(_notes(form, stored, target))
    if old == new:
        return Consequences("", [], None, notes, is_timed=False) if notes else None
    found = what_if(old, new, now)
    zones = stored.timezone, timing.timezone
    first = fire_lines([found.first], zones[1], now)[0] if found.first else None
    return Consequences(_total(found), list(_kinds(found, zones, now)), first, notes, is_timed=True)


def _total(found: WhatIf) -> str:
    if found.before == found.after:
        return f"{found.after:,} {_fires(found.after)}, as many as before"
    return f"{found.before:,} {_fires(found.before)} become {found.after:,}"


def _kinds(found: WhatIf, zones: tuple[str, str], now: datetime) -> Iterator[Lines]:
    was_zone, zone = zones
    if not found.moved.is_empty:
        pairs = zip(
            fire_lines([was for was, _ in found.moved.first], was_zone, now),
            fire_lines([will_be for _, will_be in found.moved.first], zone, now),
            strict=True,
        )
        yield Lines("refresh", _said(found.moved, "moved on the same day"), list(pairs), _more(found.moved))
    for difference, icon, words, place in (
        (found.removed, "x", "removed", was_zone),
        (found.added, "plus", "added", zone),
    ):
        if not difference.is_empty:
            lines = [(None, fire) for fire in fire_lines(difference.first, place, now)]
            yield Lines(icon, _said(difference, words), list(lines), _more(difference))


def _said(difference: Difference, words: str) -> str:
    return f"The first that are {words}" if difference.count is None else f"{difference.count:,} {words}"


def _more(difference: Difference) -> str:
    if difference.count is None:
        return "and so on"
    rest = difference.count - len(difference.first)
    return f"and {rest:,} more" if rest else ""


def _notes(form: ScheduleForm, stored: Schedule, target: Target) -> Iterator[str]:
    """What the rest of the edit does, a sentence each."""
    yield from _call_notes(stored, target) if isinstance(target, EndpointTarget) else _workflow_notes(stored, target)
    if _is_payload_new(form, stored):
        yield "The new payload goes into every run that is asked for from now on. Runs that are queued keep theirs."
    was_on, is_on = stored.status == "active", bool(form.enabled.data)
    if was_on and not is_on:
        yield "It stops firing until someone resumes it. Runs that are queued or going go on."
    elif is_on and stored.status in ("paused", "invalid"):
        yield f"It is {stored.status} and fires again from its next time on. What passed meanwhile is not made up."
    yield from _policy_notes(form, stored)


def _is_payload_new(form: ScheduleForm, stored: Schedule) -> bool:
    had = stored.payload_json is not None
    if not (had and form.sends_payload):
        return had != form.sends_payload
    return form.editor is not None and not form.editor.is_still(strict_json.pretty(shown(stored.payload_json)))


def _call_notes(stored: Schedule, target: EndpointTarget) -> Iterator[str]:
    if target.endpoint is not None and target.endpoint.id != stored.endpoint_id:
        before = target.offer.known(stored.endpoint_id)
        instead = f", instead of {before.called}" if before else ""
        yield f"It calls {target.label} from now on{instead}."


def _workflow_notes(stored: Schedule, target: WorkflowTarget) -> Iterator[str]:
    choice = target.choice
    if choice is None or choice.obstacle:
        return
    if choice.id != stored.workflow_id:
        before = workflow_choice(stored.tenant_id, stored.workflow_id)
        origin = f" from {before.label}" if before else ""
        yield f"It moves{origin} to {choice.label}; its payload is checked with version {choice.version} of that."
        yield "Runs of the workflow it leaves go on, and stay on record with it."
    elif choice.version != stored.workflow_version:
        before_it = f", instead of version {stored.workflow_version}" if stored.workflow_version else ""
        yield f"It runs version {choice.version} from now on{before_it}."


def _policy_notes(form: ScheduleForm, stored: Schedule) -> Iterator[str]:
    overlap = form.overlap.data
    if overlap == "allow" and stored.overlap != "allow":
        yield "Runs that wait for an earlier run of this schedule may start as soon as this is saved."
    elif overlap != stored.overlap:
        yield "The new overlap rule counts from the next fire on. Runs that wait already keep their turn."
    before = typed_values(stored)
    for name, words in _FROM_NOW_ON.items():
        if name in before and (form[name].data or "").strip() != before[name]:
            yield f"{words} changes for what comes due from now on."


def _fires(count: int) -> str:
    return "fire" if count == 1 else "fires"
