"""Resuming a schedule: at once when its pause let nothing pass, else after asking what becomes of what was missed."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from flask import request, url_for
from flask.typing import ResponseReturnValue
from wtforms.fields.choices import SelectChoice

from domain.accounts.permissions import CHANGE
from domain.firing.lifecycle import resume_schedule
from domain.firing.resuming import RESUME_LIMIT, PauseBacklog, pause_backlog
from domain.firing.what_if import Standing
from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.schedules.pages import ScheduleRow, schedule_detail
from domain.timing.words import absolute, duration_words
from web.access import actor, request_now, requires_by_kind
from web.answers import show_dialog
from web.forms.steering import ResumeForm
from web.schedules.frame import address_of, blueprint, changed, place, tenant_id


@blueprint.app_template_test("behind")
def is_behind(row: Any) -> bool:
    """Whether something came due while the schedule was paused, so that resuming asks about it."""
    return row.status == "paused" and row.next_fire_at is not None and row.next_fire_at <= request_now()


@blueprint.get("/<uuid:schedule_id>/resume")
@requires_by_kind(CHANGE)
def ask_resume(schedule_id: UUID) -> ResponseReturnValue:
    return _dialog(schedule_id, ResumeForm())


@blueprint.post("/<uuid:schedule_id>/resume")
@requires_by_kind(CHANGE)
def resume(schedule_id: UUID) -> ResponseReturnValue:
    form = ResumeForm(request.form)
    choice = form.catch_up.data or "skip"
    try:
        with transaction():
            backlog = pause_backlog(tenant_id(), schedule_id, request_now())
            schedule = resume_schedule(actor(), schedule_id, request_now(), catch_up=choice)
            name = schedule.name
            following = Standing(schedule.timing, None, schedule.skip_next_at).first(request_now())
            said = f"{name} goes on{_next_words(following, schedule.timezone)}. {_outcome_words(backlog, choice)}"
    except Refused as refusal:
        if "catch_up" not in request.form:
            raise
        form.attach(refusal.problems)
        return _dialog(schedule_id, form, 422)
    return changed(address_of(schedule_id), said.strip())


def _dialog(schedule_id: UUID, form: ResumeForm, status: int = 200) -> ResponseReturnValue:
    row = schedule_detail(tenant_id(), schedule_id)
    backlog = pause_backlog(tenant_id(), schedule_id, request_now())
    following = Standing(row.timing, None, row.skip_next_at).first(request_now())
    sentences = _sentences(row, backlog, following)
    form.catch_up.choices = [
        SelectChoice(value, label)
        for value, label in (("skip", "Skip them"), ("latest", "Run the latest"), ("all", _all_label(backlog)))
        if value in sentences
    ]
    values = {
        "row": row,
        "form": form,
        "backlog": backlog,
        "sentences": sentences,
        "missed": _missed_words(row, backlog),
        "following": following,
        "is_over": row.run_at is not None and row.run_at <= request_now(),
        "place": place(),
        "edit_url": url_for("schedules.edit", schedule_id=schedule_id),
    }
    return show_dialog("schedules/_resume.html", f"Resume {row.name}", status, **values)


def _missed_words(row: ScheduleRow, backlog: PauseBacklog | None) -> str:
    """`Paused 3 d by Alice: 72 occurrences were missed.`"""
    if backlog is None:
        return ""
    paused = duration_words(round((request_now() - backlog.since).total_seconds()))
    by = f" by {row.paused_by_name}" if row.paused_by_name else ""
    several = "1 occurrence was" if backlog.count == 1 else f"{_count(backlog)} occurrences were"
    return f"Paused {paused}{by}: {several} missed."


def _sentences(row: ScheduleRow, backlog: PauseBacklog | None, following: datetime | None) -> dict[str, str]:
    """What each choice does, by its value; a choice that can do nothing is not offered."""
    if backlog is None:
        return {}
    goes_on = f"It goes on{_next_words(following, row.timezone)}."
    sentences = {"skip": f"{goes_on} What was missed is put on record as skipped."}
    if backlog.runnable:
        latest = absolute(backlog.latest, row.timezone, request_now())
        sentences["latest"] = f"{latest} runs now. {_rest_words(backlog, 1)}"
    if backlog.runnable > 1:
        sentences["all"] = f"{backlog.runnable} run now, the oldest first. {_rest_words(backlog, backlog.runnable)}"
    return {value: sentence.strip() for value, sentence in sentences.items()}


def _rest_words(backlog: PauseBacklog, made_up: int) -> str:
    rest = backlog.count - made_up
    if rest <= 0:
        return ""
    return (
        "The other one is put on record as skipped." if rest == 1 else f"The other {rest} are put on record as skipped."
    )


def _all_label(backlog: PauseBacklog | None) -> str:
    is_all = backlog is not None and backlog.count <= RESUME_LIMIT
    return "Run all" if is_all else f"Run the newest {RESUME_LIMIT}"


def _outcome_words(backlog: PauseBacklog | None, choice: str) -> str:
    """What became of what was missed."""
    if backlog is None:
        return ""
    made_up = {"skip": 0, "latest": min(1, backlog.runnable)}.get(choice, backlog.runnable)
    runs = f"{made_up} missed {'time runs' if made_up == 1 else 'times run'} now." if made_up else ""
    skipped = backlog.count - made_up
    rest = f"{skipped} {'is' if skipped == 1 else 'are'} on record as skipped." if skipped > 0 else ""
    return f"{runs} {rest}".strip()


def _next_words(following: datetime | None, timezone: str) -> str:
    return f" with {absolute(following, timezone, request_now())}" if following else ", but nothing is due any more"


def _count(backlog: PauseBacklog) -> str:
    return f"{backlog.count:,}" if backlog.is_count_exact else f"more than {backlog.count:,}"
