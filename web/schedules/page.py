"""The page of one schedule."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from flask import render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.audit import audit_page
from domain.firing.explain import explain
from domain.kernel.errors import Refused
from domain.kernel.ids import new_id
from domain.schedules.entries import OUTCOMES, occurrences_page
from domain.schedules.pages import schedule_detail
from domain.schedules.previews import next_fires
from domain.timing.zones import parse_instant
from web.access import is_fragment, request_now, requires
from web.asked import one_of
from web.schedules.frame import blueprint, tenant_id
from web.schedules.rows import fire_lines, outcome_words, words_of

NEXT_SHOWN = 10
OCCURRENCES_SHOWN = 10
CHANGES_SHOWN = 5


@blueprint.get("/<uuid:schedule_id>")
@requires("workflow:read")
def show(schedule_id: UUID) -> ResponseReturnValue:
    row = schedule_detail(tenant_id(), schedule_id)
    outcome = one_of("outcome", OUTCOMES)
    entries, has_more = occurrences_page(tenant_id(), schedule_id, outcome, _before(), OCCURRENCES_SHOWN)
    changes, _ = audit_page(tenant_id(), subject_id=schedule_id, limit=CHANGES_SHOWN)
    fires = next_fires(row.timing, request_now(), NEXT_SHOWN) if row.timing and not row.deleted_at else []
    shown = {
        "row": row,
        "words": words_of(row, request_now()),
        "explanation": explain(row, request_now()),
        "fires": fire_lines(fires, row.timezone, request_now()),
        "entries": entries,
        "outcome_words": outcome_words,
        "outcomes": OUTCOMES,
        "chosen": outcome,
        "older": _older(schedule_id, outcome, entries[-1].scheduled_for, entries[-1].origin_key) if has_more else None,
        "changes": changes,
        "request_key": new_id,
    }
    return render_template("schedules/_detail.html" if is_fragment() else "schedules/show.html", **shown)


def _before() -> tuple[datetime, str] | None:
    """The entry of the ledger that the page begins below; None for the top and for what makes no sense."""
    instant, _, origin = request.args.get("before", "").replace("\x00", "").partition("|")
    try:
        return (parse_instant(instant), origin) if origin else None
    except Refused:
        return None


def _older(schedule_id: UUID, outcome: str, instant: datetime, origin: str) -> str:
    before = f"{instant:%Y-%m-%dT%H:%M:%SZ}|{origin}"
    return url_for("schedules.show", schedule_id=schedule_id, outcome=outcome or None, before=before)
