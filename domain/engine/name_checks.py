"""Checks of the names in a definition: workflows, events, schemas, secrets. A report without `known` judges their form only."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from domain.engine.known import Known
from domain.engine.problems import Report, nearest

SECRET_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
LATEST = "latest"


def check_workflow_call(key: Any, version: Any, report: Report) -> None:
    """Report a call of a workflow or version that is not there, or that would lead back to the calling workflow."""
    is_number = isinstance(version, int) and not isinstance(version, bool) and version >= 1
    if not isinstance(key, str) or not key:
        report.error("INVALID_CONFIG", "workflowKey is the key of a workflow.")
    elif version is not None and version != LATEST and not is_number:
        report.error("INVALID_CONFIG", 'workflowVersion is the number of a version, or "latest".')
    elif report.known is not None:
        _check_known_workflow(key, version if is_number else None, report.known, report)


def _check_known_workflow(key: str, version: int | None, known: Known, report: Report) -> None:
    found = known.workflows.get(key)
    if way := known.way_back(key):
        shown = " → ".join((known.own_key, *way))
        message = f"This call leads back to this workflow: {shown}."
        report.error("WORKFLOW_CALL_CYCLE", message, "Call a workflow that does not call this one.")
    elif found is None:
        report.error("UNKNOWN_WORKFLOW", f"There is no workflow with the key {key}.", _near(key, known.workflows))
    elif found.published is None:
        report.error("WORKFLOW_NOT_PUBLISHED", f"The workflow {key} has no published version.", "Publish it first.")
    elif version is not None and version not in found.versions:
        shown = ", ".join(map(str, sorted(found.versions)))
        report.error("UNKNOWN_WORKFLOW_VERSION", f"{key} has no version {version}.", f"Known versions: {shown}.")


def check_event_name(name: Any, report: Report) -> None:
    """Report a name that no event can have, and warn of one that is not in the catalogue."""
    if not isinstance(name, str) or not name.strip():
        report.error("INVALID_CONFIG", "eventName is the name of an event.")
    elif report.known is not None and name not in report.known.events:
        message = f"The event catalogue has no event {name}."
        report.warning("UNKNOWN_EVENT", message, _near(name, report.known.events) or "Add it to the catalogue.")


def check_schema_ref(ref: Any, where: str, report: Report) -> None:
    """Report what is no ref of a registered schema; `where` is its key, such as formSchemaRef."""
    if not isinstance(ref, str) or not ref:
        report.error("INVALID_CONFIG", f"{where} is the ref of a payload schema, such as payload.InvoiceSync.v1.")
    elif report.known is not None and ref not in report.known.schema_refs:
        message = f"{where}: no payload schema is registered as {ref}."
        report.error("UNKNOWN_PAYLOAD_SCHEMA_REF", message, _near(ref, report.known.schema_refs))


def check_secret_name(name: Any, where: str, report: Report) -> None:
    """Report what cannot be the name of a secret, and warn of a secret that is not there yet."""
    if not isinstance(name, str) or not SECRET_NAME.fullmatch(name):
        message = f"{where} does not name a secret: capital letters, digits and _, a letter first, at most 64."
        report.error("INVALID_SECRET_NAME", message, 'Write {"$secret": "API_TOKEN"}.')
    elif report.known is not None and name not in report.known.secrets:
        message = f"{where}: there is no secret {name}, so a run would fail here."
        report.warning("SECRET_NOT_FOUND", message, _near(name, report.known.secrets) or "Create it in the settings.")


def _near(name: str, known: Collection[str]) -> str | None:
    found = nearest(name, known)
    return f"Did you mean {found}?" if found else None
