"""The page of one schedule: where it stands, its next and last instants, and a tab for each kind of record about it."""

from __future__ import annotations

from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import READ
from domain.firing.checklist import checklist
from domain.kernel.ids import new_id
from domain.schedules.entries import occurrences_page
from domain.schedules.pages import ScheduleRow, schedule_detail
from domain.schedules.previews import next_fires
from web.access import is_fragment, request_now, requires_by_kind
from web.asked import one_of
from web.schedules.backfilling import recent_backfills
from web.schedules.frame import blueprint, tenant_id
from web.schedules.rows import Fire, fire_lines, outcome_words, words_of
from web.schedules.tabs import CONTENTS, TABS
from web.schedules.words import settings_of

NEXT_SHOWN = LAST_SHOWN = 10


@blueprint.get("/<uuid:schedule_id>")
@requires_by_kind(READ)
def show(schedule_id: UUID) -> ResponseReturnValue:
    row = schedule_detail(tenant_id(), schedule_id)
    tab = one_of("tab", TABS) or TABS[0]
    checked = checklist(row, request_now())
    last, _ = occurrences_page(tenant_id(), schedule_id, limit=LAST_SHOWN)
    shown = {
        "row": row,
        "words": words_of(row, request_now()),
        "explanation": checked.explanation,
        "checklist": checked,
        "fires": _fires(row),
        "last": last,
        "backfills": recent_backfills(schedule_id),
        "settings": settings_of(row, request_now()),
        "outcome_words": outcome_words,
        "tab": tab,
        "here": request.full_path.rstrip("?"),
        "request_key": new_id,
        **CONTENTS[tab](row),
    }
    return render_template("schedules/_detail.html" if is_fragment() else "schedules/show.html", **shown)


def _fires(row: ScheduleRow) -> list[Fire]:
    """The next instants, also of one that is held; none of one that was deleted or cannot be computed."""
    if row.timing is None or row.deleted_at:
        return []
    after = max(request_now(), row.paused_until or request_now())
    return fire_lines(next_fires(row.timing, after, NEXT_SHOWN), row.timezone, request_now())
