"""What the pages of workflows share: their blueprint, their tenant, and the head of one workflow."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, request, url_for

from domain.accounts.permissions import Access
from domain.publishing import schedule_count
from domain.workflows.versions import versions_page
from domain.workflows.workflows import Workflow
from web.access import current_access

MAX_VERSION = 2**31 - 1

blueprint = Blueprint("workflows", __name__, url_prefix="/workflows")


def access_now() -> Access:
    access = current_access()
    assert access is not None  # noqa: S101  every view here requires a permission
    return access


def tenant_id() -> UUID:
    return access_now().tenant.id


def address_of(workflow_id: UUID) -> str:
    return url_for("workflows.show", workflow_id=workflow_id)


def head_of(workflow: Workflow) -> dict[str, Any]:
    return {
        "workflow": workflow,
        "schedules": schedule_count(tenant_id(), workflow.id),
        "versions": versions_page(tenant_id(), workflow.id, _before()),
    }


def _before() -> int | None:
    """The version below which the shown ones begin; None for the newest and for what is no version."""
    before = request.args.get("before", type=int)
    return before if before is not None and 1 <= before <= MAX_VERSION else None
