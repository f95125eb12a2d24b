"""The inbox of tasks: what runs ask people, one question with its form, and the answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.kernel.db import transaction
from domain.kernel.errors import Refused
from domain.kernel.ids import new_id
from domain.runs.inbox import PAGE_SIZE, TaskFilters, TaskView, inbox_page, task_types, task_view
from domain.runs.tasks import ANSWER_PERMISSION, OPEN, STATUSES, TaskClosed, answer_task, closing_words
from domain.workflows.payload_secrets import shown
from web.access import actor, is_fragment, member_access, requires
from web.access import request_now as now
from web.answers import done
from web.asked import asked_text, request_key
from web.filters import Label
from web.forms.base import PageForm
from web.forms.payloads import PayloadEditor

blueprint = Blueprint("tasks", __name__, url_prefix="/tasks")

ANY = "any"
LABELS = {
    "open": Label("Open", "run", "hourglass"),
    "answered": Label("Answered", "ok", "check-circle"),
    "expired": Label("Expired", "held", "clock"),
    "canceled": Label("Canceled", "mute", "stop"),
}


@blueprint.app_template_filter()
def task_status(task: Any) -> Label:
    """`task` is a task, a line of the inbox, or the status of one."""
    return LABELS[task if isinstance(task, str) else task.status]


@blueprint.get("")
@requires("workflow:read")
def index() -> ResponseReturnValue:
    chosen = request.args.get("status", OPEN)
    chosen = chosen if chosen in (*STATUSES, ANY) else OPEN
    filters = TaskFilters("" if chosen == ANY else chosen, asked_text("type"))
    before = request.args.get("before", type=UUID)
    rows = inbox_page(_tenant(), filters, before, PAGE_SIZE + 1)
    values = {
        "rows": rows[:PAGE_SIZE],
        "chosen": chosen,
        "task_type": filters.task_type,
        "before": before,
        "next_before": rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
        "now": now(),
    }
    if is_fragment():
        return render_template("tasks/_list.html", **values)
    return render_template("tasks/index.html", **values, statuses=(*STATUSES, ANY), types=task_types(_tenant()))


# Where a refused answer leaves the browser: reloading it asks again.
@blueprint.get("/<uuid:task_id>/answer", endpoint="ask_again")
@blueprint.get("/<uuid:task_id>")
@requires("workflow:read")
def show(task_id: UUID) -> ResponseReturnValue:
    view = task_view(_tenant(), task_id)
    return _page(view, PageForm(), PayloadEditor(view.task.form_schema, prefix="answer", label="Answer"))


@blueprint.post("/<uuid:task_id>/answer")
@requires(ANSWER_PERMISSION)
def answer(task_id: UUID) -> ResponseReturnValue:
    view, form = task_view(_tenant(), task_id), PageForm()
    editor = _posted(view)
    if editor.is_rearranged:
        return _page(view, form, editor)
    try:
        editor.check()
        with transaction():
            answer_task(actor(), task_id, editor.value, f"task:{task_id}:{request_key()}", now())
    except Refused as refusal:
        form.attach(editor.attach(refusal.problems))
        return _page(view, form, editor, status=422)
    except TaskClosed as closed:
        return _page(task_view(_tenant(), task_id), form, editor, said=closed.message, status=409)
    run = url_for("runs.show", run_id=view.run.id)
    message = {"message": f"Answered. {view.workflow.name} goes on.", "href": run, "label": "Open run"}
    return done(url_for("tasks.index"), message)


@blueprint.post("/<uuid:task_id>/answer/form")
@requires(ANSWER_PERMISSION)
def draw_answer(task_id: UUID) -> ResponseReturnValue:
    editor = _posted(task_view(_tenant(), task_id))
    return render_template("payloads/_fragment.html", editor=editor, fragment_url=request.path)


def _tenant() -> UUID:
    return member_access().tenant.id


def _posted(view: TaskView) -> PayloadEditor:
    return PayloadEditor.from_form(view.task.form_schema, request.form, prefix="answer", label="Answer")


def _page(
    view: TaskView, form: PageForm, editor: PayloadEditor, said: str = "", status: int = 200
) -> ResponseReturnValue:
    """`said`: why the answer that was just given does not count; for a closed task else how it ended."""
    task = view.task
    if not said and not view.is_open:
        said = closing_words(task)
    context = shown(task.context)
    members = context if isinstance(context, dict) else {}
    return render_template(
        "tasks/show.html",
        view=view,
        task=task,
        form=form,
        editor=editor,
        said=said,
        context=context,
        facts=[(key, _words(value)) for key, value in members.items() if _is_flat(value)],
        nested=[(key, value) for key, value in members.items() if not _is_flat(value)],
        given=shown(task.answer),
        request_key=request.form.get("request_key") or str(new_id()),
    ), status


def _is_flat(value: Any) -> bool:
    return not isinstance(value, dict | list)


def _words(value: Any) -> str:
    """A value as people read it."""
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "Yes" if value else "No"
    return str(value)
