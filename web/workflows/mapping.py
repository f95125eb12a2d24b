"""The part of the editor that maps an event to a payload, and what is wrong with it while it is typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import render_template, request
from flask.typing import ResponseReturnValue

from domain.engine.trigger_checks import mapping_problems
from domain.kernel.errors import Problem, Refused
from domain.workflows.payload_schemas import schema_of, schema_refs
from domain.workflows.workflows import living_workflow
from web.access import requires
from web.forms.drafts import INFERRED, DraftForm
from web.forms.mappings import mapping_rows
from web.workflows.frame import blueprint, tenant_id


@blueprint.post("/<uuid:workflow_id>/mapping")
@requires("workflow:manage")
def show_mapping(workflow_id: UUID) -> ResponseReturnValue:
    """The mapping for the schemas and the mode that are chosen now; what was typed stays."""
    workflow = living_workflow(tenant_id(), workflow_id)
    form = DraftForm(request.form)
    try:
        form.show_mapping()
    except Refused as refusal:
        form.mapping_mode.data = form.mapping_shown.data
        form.attach(refusal.problems)
    return render_template(
        "workflows/_mapping.html", workflow=workflow, form=form, **mapping_part(form, schema_refs(tenant_id()))
    )


@blueprint.post("/<uuid:workflow_id>/mapping/check")
@requires("workflow:manage")
def check_mapping(workflow_id: UUID) -> ResponseReturnValue:
    """What is wrong with the mapping as it is typed, at its rows."""
    workflow = living_workflow(tenant_id(), workflow_id)
    form = DraftForm(request.form)
    return render_template(
        "workflows/_mapping_notes.html", workflow=workflow, **mapping_part(form, schema_refs(tenant_id())), is_live=True
    )


def mapping_part(form: DraftForm, refs: Sequence[str]) -> dict[str, Any]:
    """The rows with their errors, and what is wrong besides; `refs` are those of the registered schemas."""
    schema = _schema(form, refs)
    rows = mapping_rows(schema, form.mapping_pairs)
    problems = _problems(form, schema)
    targets = {row.target for row in rows}
    at: dict[str, list[str]] = {}
    notes = list(form.mapping.errors)
    for problem in problems:
        target = problem.path.removeprefix("mapping").removeprefix("/").replace("~1", "/").replace("~0", "~")
        if target in targets and target:
            at.setdefault(target, []).append(problem.message)
        else:
            notes.append(f"{target}: {problem.message}" if target else problem.message)
    rows = [replace(row, errors=tuple(at.get(row.target, ()))) for row in rows]
    return {"rows": rows, "mapping_notes": list(dict.fromkeys(notes))}


def _schema(form: DraftForm, refs: Sequence[str]) -> Any:
    """The schema that the payload is pinned to; None when it is not, or not known."""
    is_pinned = form.schema_mode.data != INFERRED and form.schema_ref.data in refs
    return schema_of(tenant_id(), form.schema_ref.data) if is_pinned else None


def _problems(form: DraftForm, schema: Any) -> Sequence[Problem]:
    if not form.is_on_event:
        return ()
    try:
        mapping = form.typed_mapping
    except Refused as refusal:
        return refusal.problems
    found = mapping_problems(mapping, schema) if mapping else []
    return [Problem(one.step_path, " ".join(filter(None, (one.message, one.suggestion))), one.code) for one in found]
