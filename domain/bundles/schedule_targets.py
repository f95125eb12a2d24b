"""What the names in a schedule bundle mean in this tenant: its workflows by key, and endpoints of what it has installed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from domain.accounts.tenants import owned
from domain.bundles.schedule_documents import Document
from domain.bundles.schedule_exporting import StoredSchedule
from domain.extensions.endpoints import ExtensionEndpoint, find_endpoint
from domain.extensions.extensions import Extension
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.kernel.errors import Problem, Refused
from domain.workflows.workflows import Workflow

WORKFLOW_UNKNOWN, NOT_INSTALLED, ENDPOINT_UNKNOWN = "WORKFLOW_UNKNOWN", "NOT_INSTALLED", "ENDPOINT_UNKNOWN"
MISSING = frozenset({WORKFLOW_UNKNOWN, NOT_INSTALLED, ENDPOINT_UNKNOWN})


class NamedTargets:
    """The targets that some documents name, as far as the tenant has them, held with FOR SHARE until the commit.

    Of two extensions with one name, the tenant's own goes before that of the installation.
    """

    def __init__(self, tenant_id: UUID, documents: Collection[Document]) -> None:
        targets = [one["target"] for one in documents]
        self._installs = _installs(tenant_id, targets)
        self._workflows = _workflows(tenant_id, targets)
        self._endpoints: dict[tuple[UUID, str, str], ExtensionEndpoint | None] = {}

    def ids(self, document: Document, stored: StoredSchedule | None) -> dict[str, UUID]:
        """The ids of what it runs, by the names of a draft's fields; raises Refused with a code of MISSING.

        `stored`: the schedule that the document is for. It may keep an endpoint that the installed version has not.
        """
        target = document["target"]
        if "workflow" in target:
            return {"workflow_id": self._workflow(target["workflow"])}
        install = self._installs.get((target["publisher"], target["extension"]))
        if install is None:
            message = f"{target['extension']} of {target['publisher']} is not installed. Install it first."
            raise Refused.at("target/extension", message, NOT_INSTALLED)
        return {"install_id": install.id, "endpoint_id": self._endpoint(install, target, stored)}

    def _workflow(self, key: str) -> UUID:
        if key not in self._workflows:
            message = f"There is no workflow with the key {key}. Import or create it first."
            raise Refused.at("target/workflow", message, WORKFLOW_UNKNOWN)
        return self._workflows[key]

    def _endpoint(self, install: Install, target: Mapping[str, str], stored: StoredSchedule | None) -> UUID:
        called = install.id, target["method"], target["path"]
        if called not in self._endpoints:
            self._endpoints[called] = find_endpoint(install.version_id, target["method"], target["path"])
        if endpoint := self._endpoints[called]:
            return endpoint.id
        if stored is not None and stored.endpoint_id is not None and stored.document["target"] == target:
            return stored.endpoint_id
        words = f"{target['method']} {target['path']}"
        message = (
            f"The installed version of {target['extension']} has no {words}. Upgrade it, or name another endpoint."
        )
        raise Refused.at("target/path", message, ENDPOINT_UNKNOWN)


def missing_details(problems: Iterable[tuple[Document, Problem]]) -> dict[str, Any]:
    """What a tenant lacks, by kind, each once: the details of MISSING_DEPENDENCIES."""
    found: dict[str, set[str]] = {"missingWorkflows": set(), "missingExtensions": set(), "missingEndpoints": set()}
    for document, problem in problems:
        target = document["target"]
        if problem.code == WORKFLOW_UNKNOWN:
            found["missingWorkflows"].add(target["workflow"])
        elif problem.code == NOT_INSTALLED:
            found["missingExtensions"].add(f"{target['publisher']}: {target['extension']}")
        elif problem.code == ENDPOINT_UNKNOWN:
            found["missingEndpoints"].add(f"{target['extension']}: {target['method']} {target['path']}")
    return {name: sorted(names) for name, names in found.items()}


def _installs(tenant_id: UUID, targets: list[Mapping[str, str]]) -> dict[tuple[str, str], Install]:
    names = {(one["publisher"], one["extension"]) for one in targets if "workflow" not in one}
    if not names:
        return {}
    query = (
        owned(tenant_id, Install)
        .join(Extension, Extension.id == Install.extension_id)
        .where(Extension.name.in_({name for _, name in names}))
        .add_columns(Extension.publisher, Extension.name, Extension.tenant_id)
        .order_by(Install.id)
        .with_for_update(read=True, of=Install)
    )
    rows = db.session.execute(query.execution_options(populate_existing=True)).all()
    # The last one stays: those of the installation come first.
    ranked = sorted(rows, key=lambda row: row[3] is not None)
    return {(publisher, name): install for install, publisher, name, _ in ranked if (publisher, name) in names}


def _workflows(tenant_id: UUID, targets: list[Mapping[str, str]]) -> dict[str, UUID]:
    keys = {one["workflow"] for one in targets if "workflow" in one}
    if not keys:
        return {}
    found = _living(tenant_id, keys)
    # One that was waited for may have been replaced meanwhile: its successor is seen by the next statement only.
    return found | _living(tenant_id, missing) if (missing := keys - set(found)) else found


def _living(tenant_id: UUID, keys: Collection[str]) -> dict[str, UUID]:
    living = select(Workflow.key, Workflow.id).where(
        Workflow.tenant_id == tenant_id, Workflow.deleted_at.is_(None), Workflow.key.in_(keys)
    )
    return {row.key: row.id for row in db.session.execute(living.order_by(Workflow.id).with_for_update(read=True))}
