"""One action on many schedules: what it would be about is asked first, and what became of each is said afterwards."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE
from domain.firing import bulk
from domain.firing.bulk import ACTIONS, BULK_LIMIT, PAUSE, UNDO, Bulk
from domain.kernel.db import transacted, transaction
from domain.kernel.errors import NotFound, Refused
from domain.kernel.ids import new_id, parse_id
from domain.schedules.kinds import schedule_kinds
from domain.schedules.narrowing import ScheduleFilter, matching_ids
from domain.schedules.pages import COUNT_MAX
from web.access import actor, is_fragment, local_path, member_access, request_now, requires_by_kind
from web.answers import show_dialog
from web.asked import request_key
from web.forms.steering import PauseForm
from web.kinds import require_change
from web.schedules.bundles import EXPORT, go_to_export
from web.schedules.frame import CHANGED, blueprint, tenant_id
from web.schedules.listing import asked_filter, parts_of

# How long one request goes on before it shows how far it has come.
AT_ONCE_SECONDS = 2.0
NAMED = 10
LEFT_OUT = "What calls an extension's endpoint stays as it is: changing that needs the permission extension:write."
WORDS = {"pause": "paused", "resume": "resumed", "run": "started", "delete": "deleted", "undo": "resumed again"}


@blueprint.post("/bulk/ask")
@requires_by_kind(CHANGE)
def ask_bulk() -> ResponseReturnValue:
    """Before it is done: how many and which, and with what."""
    asked = asked_filter()
    if request.form.get("action") == EXPORT:
        return go_to_export(asked.narrowed, request.form.getlist("id"))
    back = url_for("schedules.index", **parts_of(asked.narrowed))
    if request.form.get("all") == "1" and not asked.problem:
        wanted = matching_ids(tenant_id(), _changeable(asked.narrowed), None, BULK_LIMIT + 1)
        return _dialog(
            wanted, PauseForm(), back, leaves="" if _changeable(asked.narrowed) == asked.narrowed else LEFT_OUT
        )
    kinds = schedule_kinds(tenant_id(), _ids(request.form.getlist("id")))
    wanted = [one for one, kind in kinds.items() if member_access().can_change(kind)]
    left = len(kinds) - len(wanted)
    if left and not wanted:
        require_change(next(iter(kinds.values())))
    return _dialog(wanted, PauseForm(), back, leaves=f"{counted(left)} left out. {LEFT_OUT}" if left else "")


@blueprint.post("/bulk")
@requires_by_kind(CHANGE)
def start_bulk() -> ResponseReturnValue:
    form, wanted, key = PauseForm(request.form), _ids(request.form.get("ids", "").split()), request_key()
    _require_changes(wanted)
    try:
        with transaction():
            is_pause = _action() == PAUSE
            until = form.end(member_access().tenant.timezone, request_now()) if is_pause else None
            bulk.start_bulk(actor(), _action(), wanted, key, (form.reason.data or "") if is_pause else "", until)
    except Refused as refusal:
        form.attach(refusal.problems)
        return _dialog(wanted, form, local_path(request.form.get("back")) or url_for("schedules.index"), 422)
    return _go_on(key)


@blueprint.post("/bulk/continue")
@requires_by_kind(CHANGE)
def continue_bulk() -> ResponseReturnValue:
    return _go_on(_key())


@blueprint.post("/bulk/undo")
@requires_by_kind(CHANGE)
def undo_bulk() -> ResponseReturnValue:
    """Resumes exactly what the action paused, unless it was changed since."""
    _require_changes([UUID(paused) for paused, _, _ in bulk.bulk_so_far(tenant_id(), _key()).done])
    with transaction():
        undone = bulk.start_undo(actor(), _key())
    return _go_on(undone.key)


@blueprint.get("/bulk")
@requires_by_kind(CHANGE)
def show_bulk() -> ResponseReturnValue:
    return _result(bulk.bulk_so_far(tenant_id(), _key()))


def _go_on(key: str) -> ResponseReturnValue:
    """Do as much as a person waits for, then say how far it has come."""
    begun = time.monotonic()
    # Whoever began it may be somebody else, or not be allowed to any more.
    _require_changes(bulk.ids_left(tenant_id(), key))
    so_far = bulk.bulk_so_far(tenant_id(), key)
    while so_far.left and time.monotonic() - begun < AT_ONCE_SECONDS:
        so_far = transacted(partial(bulk.continue_bulk, actor(), key, request_now()))
    if not is_fragment():
        return redirect(url_for("schedules.show_bulk", key=key), 303)
    events: dict[str, object] = {"selection:clear": {}}
    is_over = not so_far.left and not so_far.refused
    if is_over or so_far.action == UNDO:
        events |= {"toast": _toast(so_far), "drawer:close": {}}
    answer = Response(status=204) if "toast" in events else Response(render_template(_RESULT, **_shown(so_far)))
    answer.headers["HX-Trigger"] = json.dumps(events | {CHANGED: {}})
    return answer


_RESULT = "schedules/_bulk_result.html"


def _result(so_far: Bulk) -> ResponseReturnValue:
    return show_dialog(_RESULT, **_shown(so_far))


def _shown(so_far: Bulk) -> dict[str, Any]:
    title = f"{counted(len(so_far.done))} {WORDS[so_far.action]}"
    return {"title": title, "bulk": so_far, "counted": counted, "can_undo": so_far.action == PAUSE and so_far.done}


def _toast(so_far: Bulk) -> dict[str, object]:
    said: dict[str, object] = {"message": f"{counted(len(so_far.done))} {WORDS[so_far.action]}."}
    if so_far.left or so_far.refused:
        said["message"] = f"{said['message']} {counted(len(so_far.refused) + so_far.left)} not."
        said |= {"href": url_for("schedules.show_bulk", key=so_far.key), "label": "See why"}
    if so_far.action == PAUSE:
        said["undo"] = {"url": url_for("schedules.undo_bulk", key=so_far.key)}
    return said


def _changeable(narrowed: ScheduleFilter) -> ScheduleFilter:
    """What of it whoever asks may change. Raises Forbidden when that is nothing."""
    kinds = member_access().changeable_kinds
    if narrowed.target:
        require_change(narrowed.target)
    return narrowed if len(kinds) > 1 else replace(narrowed, target=kinds[0])


def _require_changes(schedule_ids: list[UUID]) -> None:
    for kind in sorted(set(schedule_kinds(tenant_id(), schedule_ids).values())):
        require_change(kind)


def _dialog(wanted: list[UUID], form: PauseForm, back: str, status: int = 200, leaves: str = "") -> ResponseReturnValue:
    names = bulk.names_of(tenant_id(), wanted)
    if not names:
        raise Refused.at("", "Select at least one schedule first.", "NOTHING_SELECTED")
    ids = list(names)[:BULK_LIMIT]
    shown = [names[one] for one in ids[:NAMED]]
    return show_dialog(
        "schedules/_bulk.html",
        f"{'Run' if _action() == 'run' else _action().capitalize()} {counted(len(ids))}",
        status,
        form=form,
        action=_action(),
        ids=ids,
        shown=shown,
        is_cut=len(names) > BULK_LIMIT,
        limit=BULK_LIMIT,
        counted=counted,
        timezone=member_access().tenant.timezone,
        key=request.form.get("request_key") or new_id(),
        back=back,
        leaves=leaves,
    )


def counted(number: int) -> str:
    more = " or more" if number >= COUNT_MAX else ""
    return f"{number:,}{more} schedule{'' if number == 1 else 's'}"


def _action() -> str:
    action = request.form.get("action", "")
    if action not in ACTIONS:
        raise Refused.at("action", "Choose what to do with them.", "ACTION_UNKNOWN")
    return action


def _ids(texts: list[str]) -> list[UUID]:
    return sorted({parsed for text in texts[: BULK_LIMIT + 1] if (parsed := parse_id(text))})


def _key() -> str:
    key = request.values.get("key", "")
    if not key or len(key) > 80 or "\x00" in key:
        raise NotFound
    return key
