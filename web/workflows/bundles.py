"""Workflows in a file: giving them out, and taking them in after a look at what that would do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import current_app, request, url_for
from flask.typing import ResponseReturnValue

from domain.bundles.documents import Bundle, read_bundle
from domain.bundles.exporting import export_bundle
from domain.bundles.importing import ImportedWorkflow, ImportSummary, import_bundle
from domain.bundles.plans import KEY_CONFLICT, UNCHANGED, CarriedSchedule, ImportEntry, ImportPlan, plan_import
from domain.kernel.errors import Problem
from domain.publishing.inline_triggers import AdoptedTrigger
from domain.schedules.schedules import INVALID
from web.access import actor, request_now, requires
from web.bundles import Imports, Line, Option, Outcome, Page, asked_ids, download, import_page, takes_files
from web.progress import Progress
from web.workflows.frame import blueprint, tenant_id

PAGE = Page(
    noun="workflow",
    file_name="workflow-bundle.json",
    endpoint="workflows",
    promise="Workflows come with their draft, their published versions and their settings. All of the file is imported, or nothing.",
    guide="What they need, such as actions and payload schemas, has to be here already.",
)
FORCE = Option(
    "force",
    "Replace workflows that exist already",
    "The old workflow and its versions end, its runs stay readable, and its schedules go over to the new one. "
    "What is the same already stays as it is.",
)
CANCEL_RUNS = Option(
    "cancel_runs",
    "Cancel their unfinished runs",
    "Without this a workflow is not replaced while a run of it is queued, running or waiting.",
)
EXISTS = "A workflow with this key is here already."


@blueprint.get("/export")
@requires("workflow:read")
def export() -> ResponseReturnValue:
    """These workflows with all their versions, or without ids all that there are."""
    return download(export_bundle(tenant_id(), asked_ids()), PAGE.file_name)


@blueprint.get("/import")
@requires("workflow:admin")
def show_import() -> ResponseReturnValue:
    return import_page(PAGE)


@blueprint.post("/import/plan")
@requires("workflow:admin")
@takes_files
def preview_import() -> ResponseReturnValue:
    return IMPORTS.preview()


@blueprint.post("/import")
@requires("workflow:admin")
@takes_files
def start_import() -> ResponseReturnValue:
    return IMPORTS.start()


def _done(bundle: Bundle, fingerprint: str, progress: Progress) -> list[Line]:
    done = import_bundle(
        actor(),
        bundle,
        **_choices(),
        now=request_now(),
        fingerprint=fingerprint,
        on_progress=progress,
        min_interval_seconds=current_app.config["CARILLON"].min_interval_seconds,
    )
    return _done_lines(bundle, done)


def _planned(bundle: Bundle, progress: Progress) -> tuple[Outcome, list[tuple[Option, bool]]]:
    plan = plan_import(actor(), bundle, **_choices(), now=request_now(), on_progress=progress)
    return Outcome([_planned_line(entry) for entry in plan.entries], plan.fingerprint), _options(plan)


def _choices() -> dict[str, Any]:
    return {name: request.form.get(name) == "1" for name in (FORCE.name, CANCEL_RUNS.name)}


def _options(plan: ImportPlan) -> list[tuple[Option, bool]]:
    """What can be chosen about this plan: only what would make a difference."""
    chosen = _choices()
    exists = chosen["force"] or any(entry.conflict == KEY_CONFLICT for entry in plan.entries)
    runs = chosen["cancel_runs"] or any(entry.unfinished for entry in plan.entries)
    offered = [(FORCE, exists), (CANCEL_RUNS, exists and runs)]
    return [(option, chosen[option.name]) for option, is_offered in offered if is_offered]


def _planned_line(entry: ImportEntry) -> Line:
    is_conflict = entry.conflict is not None
    is_kept = entry.action == UNCHANGED
    triggers = [f"Its time trigger becomes a schedule: {_when(trigger)}." for trigger in entry.inline_triggers]
    return Line(
        key=entry.key,
        name=entry.name,
        action=entry.action,
        about=_versions(entry.versions),
        href=url_for("workflows.show", workflow_id=entry.existing_id) if entry.existing_id else None,
        facts=[*_going_over(entry.schedules), *triggers],
        notes=[] if is_kept else [*_warnings(entry.warnings[is_conflict:]), *_held(entry.schedules)],
        problems=[EXISTS] if entry.conflict == KEY_CONFLICT else _warnings(entry.warnings[:is_conflict]),
    )


def _done_lines(bundle: Bundle, done: ImportSummary) -> list[Line]:
    names = {workflow.key: workflow.name for workflow in bundle.workflows}
    return [_done_line(one) for one in done.imported] + [Line(key, names[key], "unchanged") for key in done.unchanged]


def _done_line(one: ImportedWorkflow) -> Line:
    return Line(
        key=one.key,
        name=one.name,
        action="replace" if one.replaced_id else "create",
        about=_versions(one.versions),
        href=url_for("workflows.show", workflow_id=one.workflow_id),
        facts=[*_going_over(one.schedules), *(_adopted(found) for found in one.adopted if not found.reason)],
        notes=[
            *_warnings(one.warnings),
            *_held(one.schedules),
            *(_adopted(found) for found in one.adopted if found.reason),
        ],
    )


def _versions(versions: Sequence[int]) -> str:
    if not versions:
        return "draft only"
    return f"version {versions[0]}" if len(versions) == 1 else f"{len(versions):,} versions, the last is {versions[-1]}"


def _warnings(problems: Sequence[Problem]) -> list[str]:
    # A pointer leads to the place; a single word says no more than the sentence does.
    return [f"{one.path}: {one.message}" if "/" in one.path else one.message for one in problems]


def _going_over(schedules: Sequence[CarriedSchedule]) -> list[str]:
    fitting = sum(one.becomes != INVALID for one in schedules)
    return [f"{fitting:,} schedule{' goes' if fitting == 1 else 's go'} over to it."] if fitting else []


def _held(schedules: Sequence[CarriedSchedule]) -> list[str]:
    """Those that no longer fit, by name, with the reason."""
    return [
        f"The schedule {one.name} no longer fits and is held: {one.reason}"
        for one in schedules
        if one.becomes == INVALID
    ]


def _adopted(adopted: AdoptedTrigger) -> str:
    if adopted.schedule is None:
        return f"Its time trigger could not become a schedule and stays in the draft: {adopted.reason}"
    held = f", which does not fire: {adopted.reason}" if adopted.reason else "."
    return f"Its time trigger is the schedule {adopted.schedule.name} now{held}"


def _when(trigger: dict[str, Any]) -> str:
    return " ".join(str(trigger[part]) for part in ("cron", "runAt", "timezone") if trigger.get(part))[:200]


IMPORTS = Imports(PAGE, read_bundle, _planned, _done)
