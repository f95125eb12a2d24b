"""Schedules in a file: giving them out, and taking them in after a look at what that would do."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Response, redirect, request, url_for
from flask.typing import ResponseReturnValue

from domain.accounts.permissions import CHANGE, READ
from domain.bundles.schedule_documents import ScheduleBundle, read_schedule_bundle
from domain.bundles.schedule_exporting import export_schedules
from domain.bundles.schedule_importing import ScheduleEntry, ScheduleImport, import_schedules, plan_schedule_import
from domain.bundles.schedule_schema import MAX_SCHEDULES
from domain.kernel.errors import Refused
from domain.schedules.narrowing import ScheduleFilter, matching_ids
from web.access import actor, is_fragment, member_access, request_now, requires_by_kind
from web.bundles import Imports, Line, Option, Outcome, Page, asked_ids, download, import_page, takes_files
from web.kinds import require_change
from web.progress import Progress
from web.schedules.frame import blueprint, min_interval_seconds, tenant_id
from web.schedules.listing import asked_filter, parts_of

EXPORT = "export"

PAGE = Page(
    noun="schedule",
    file_name="schedule-bundle.json",
    endpoint="schedules",
    promise="New schedules arrive paused; those that are here keep their on or off, their history and their secrets. "
    "Nothing is deleted because the file does not have it.",
    guide="Schedules are found by their external key, workflows by their key, endpoints by extension, method and path.",
)


@blueprint.get("/export")
@requires_by_kind(READ)
def export() -> ResponseReturnValue:
    """These schedules, those that match, or all that have not completed, as far as they may be seen."""
    ids, narrowed = asked_ids(), asked_filter().narrowed
    if ids is None and narrowed:
        ids = matching_ids(tenant_id(), narrowed, None, MAX_SCHEDULES + 1)
    return download(export_schedules(tenant_id(), ids, member_access().readable_kinds), PAGE.file_name)


def go_to_export(narrowed: ScheduleFilter, chosen: Sequence[str]) -> ResponseReturnValue:
    """From the list to its file: of the chosen rows, or of all that match."""
    is_all = request.form.get("all") == "1"
    if not is_all and not chosen:
        raise Refused.at("", "Select at least one schedule first.", "NOTHING_SELECTED")
    address = url_for("schedules.export", **(parts_of(narrowed) if is_all else {"id": chosen}))
    if not is_fragment():
        return redirect(address, 303)
    answer = Response(status=204)
    answer.headers["HX-Redirect"] = address
    return answer


@blueprint.get("/import")
@requires_by_kind(CHANGE)
def show_import() -> ResponseReturnValue:
    return import_page(PAGE)


@blueprint.post("/import/plan")
@requires_by_kind(CHANGE)
@takes_files
def preview_import() -> ResponseReturnValue:
    return IMPORTS.preview()


@blueprint.post("/import")
@requires_by_kind(CHANGE)
@takes_files
def start_import() -> ResponseReturnValue:
    return IMPORTS.start()


def _planned(bundle: ScheduleBundle, progress: Progress) -> tuple[Outcome, list[tuple[Option, bool]]]:
    plan = plan_schedule_import(actor(), bundle, request_now(), min_interval_seconds(), progress)
    return Outcome(_lines(plan), plan.fingerprint), []


def _done(bundle: ScheduleBundle, fingerprint: str, progress: Progress) -> list[Line]:
    return _lines(import_schedules(actor(), bundle, request_now(), fingerprint, min_interval_seconds(), progress))


def _read(text: bytes) -> ScheduleBundle:
    """Raises Forbidden when one of its kinds is not theirs to change."""
    bundle = read_schedule_bundle(text)
    for kind in sorted(bundle.kinds):
        require_change(kind)
    return bundle


def _lines(found: ScheduleImport) -> list[Line]:
    return [_line(entry) for entry in found.entries]


def _line(entry: ScheduleEntry) -> Line:
    return Line(
        key=entry.key,
        name=entry.name,
        action=entry.action,
        about=entry.target,
        href=url_for("schedules.show", schedule_id=entry.schedule_id) if entry.schedule_id else None,
        notes=entry.warnings,
        problems=[f"{one.path}: {one.message}" for one in entry.problems],
    )


IMPORTS = Imports(PAGE, _read, _planned, _done)
