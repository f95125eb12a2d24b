"""What a member was told inside Carillon: the list behind the bell."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.notifications import PAGE_SIZE, notifications_page, read_all_notifications, read_notification
from domain.kernel.db import transaction
from web.access import is_fragment, member_access, request_now, signed_in
from web.answers import done
from web.filters import Label

blueprint = Blueprint("notifications", __name__, url_prefix="/notifications")

LABELS = {
    "info": Label("Note", "mute", "info-circle"),
    "warning": Label("Warning", "held", "alert-triangle"),
    "error": Label("Error", "fail", "x-circle"),
}


@blueprint.app_template_filter()
def severity(word: str) -> Label:
    """How grave a notification is."""
    return LABELS[word]


@blueprint.get("")
@signed_in
def index() -> ResponseReturnValue:
    access = member_access()
    only_unread = request.args.get("show") == "unread"
    before = request.args.get("before", type=UUID)
    rows = notifications_page(
        access.tenant.id, access.user.id, only_unread=only_unread, before=before, limit=PAGE_SIZE + 1
    )
    return render_template(
        "notifications/_list.html" if is_fragment() else "notifications/index.html",
        rows=rows[:PAGE_SIZE],
        only_unread=only_unread,
        before=before,
        next_before=rows[PAGE_SIZE - 1].id if len(rows) > PAGE_SIZE else None,
    )


@blueprint.post("/<uuid:notification_id>/read")
@signed_in
def read(notification_id: UUID) -> ResponseReturnValue:
    """With `follow`, on to where it leads."""
    access = member_access()
    with transaction():
        told = read_notification(access.tenant.id, access.user.id, notification_id, request_now())
        after = told.link if told.link and "follow" in request.form else url_for("notifications.index")
    return _go(after)


@blueprint.post("/read")
@signed_in
def read_all() -> ResponseReturnValue:
    access = member_access()
    with transaction():
        count = read_all_notifications(access.tenant.id, access.user.id, request_now())
    said = "1 notification is marked as read." if count == 1 else f"{count} notifications are marked as read."
    return done(url_for("notifications.index"), said)


def _go(after: str) -> ResponseReturnValue:
    if is_fragment():
        return Response(status=204, headers={"HX-Redirect": after})
    return redirect(after, 303)
