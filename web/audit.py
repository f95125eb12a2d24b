"""The audit log for people: looked up by words, who, what, about what, how it ended and when; all of it in the address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.audit import CHANGED, REFUSED, SUBJECTS, AuditEntry
from domain.accounts.audit_search import AuditFilter, actions_on_record, search_audit
from domain.kernel.ids import parse_id
from domain.schedules.stored import target_names
from domain.timing.zones import parse_local
from web.access import is_fragment, member_access, request_now, requires
from web.asked import asked_text, asked_wall_time, one_of
from web.schedules.changes import Change, change_of, told_targets

RESULTS = (CHANGED, REFUSED)

blueprint = Blueprint("audit", __name__, url_prefix="/system/audit")


@dataclass(frozen=True)
class Line:
    """One entry, and what it says in words."""

    entry: AuditEntry
    change: Change


@blueprint.app_template_filter()
def action_words(action: str) -> str:
    """What was done, as words: `schedule.run_now` is Schedule run now."""
    return action.replace(".", " ").replace("_", " ").capitalize()


@blueprint.get("")
@requires("workflow:admin")
def index() -> ResponseReturnValue:
    tenant = member_access().tenant
    narrowed, query = _asked(tenant.timezone)
    before = request.args.get("before", type=parse_id)
    page = search_audit(tenant.id, narrowed, before)
    shown = {
        "lines": _lines(page.entries),
        "narrowed": narrowed,
        "query": query,
        "before": before,
        "next_before": page.next_before,
    }
    if not is_fragment():
        choices = {"kinds": SUBJECTS, "results": RESULTS, "actions": actions_on_record(tenant.id)}
        return render_template("system/audit.html", **shown, **choices)
    answer = make_response(render_template("system/_audit.html", **shown, is_part=True))
    answer.headers["HX-Replace-Url"] = url_for("audit.index", before=before, **query)
    return answer


def _lines(entries: tuple[AuditEntry, ...]) -> list[Line]:
    tenant = member_access().tenant
    names = target_names(tenant.id, told_targets(entries))
    return [Line(entry, change_of(entry, tenant.timezone, request_now(), names)) for entry in entries]


def _asked(zone_name: str) -> tuple[AuditFilter, dict[str, Any]]:
    """The filter, and how it stands in the address: what is empty, and what makes no sense, is left out."""
    words = {name: asked_text(name) for name in ("q", "who", "action")}
    words |= {"about": one_of("about", SUBJECTS), "result": one_of("result", RESULTS)}
    words |= {name: asked_wall_time(name, zone_name) for name in ("from", "to")}
    subject_id = parse_id(request.args.get("subject", ""))
    since, until = (parse_local(words[name], zone_name) if words[name] else None for name in ("from", "to"))
    narrowed = AuditFilter(
        words["q"], words["who"], words["action"], words["about"], subject_id, words["result"], since, until
    )
    return narrowed, {name: word for name, word in words.items() if word} | (
        {"subject": subject_id} if subject_id else {}
    )
