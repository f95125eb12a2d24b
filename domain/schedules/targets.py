"""What a schedule runs: a version of a workflow, or an endpoint of an install. Found and held while it is bound.

Both are read under FOR SHARE of the workflow or the install, so that publishing, upgrading and removing wait for whoever
binds to it, and he for them: nothing is bound to what is gone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import select

from domain.accounts.tenants import load
from domain.extensions.endpoints import ExtensionEndpoint, endpoint_obstacle, find_endpoint
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install
from domain.extensions.settings import configured_runner
from domain.kernel.db import db
from domain.kernel.errors import Conflict, Held, NotFound, Refused
from domain.schedules.bindings import BoundVersion, held_version
from domain.schedules.schedules import ENDPOINT, WORKFLOW, Schedule
from domain.workflows.built_in_schemas import is_clock_ref

if TYPE_CHECKING:
    from domain.schedules.drafts import ScheduleDraft

# Of what an endpoint takes that declares no schema of its body.
_ANY_BODY = {"type": ["object", "array"]}
_NOT_INSTALLED = "Its extension is not installed any more. Install it again first."
GET = "GET"
NO_RUNNER = "No runner is configured, so no extension can be called. Whoever operates Carillon sets its address."


@dataclass(frozen=True)
class WorkflowTarget:
    """A workflow at one of its versions."""

    version: BoundVersion

    @property
    def tenant_id(self) -> UUID:
        return self.version.tenant_id

    @property
    def label(self) -> str:
        return self.version.workflow_name

    @property
    def takes_clock(self) -> bool:
        """Whether its payload is made when it starts."""
        return is_clock_ref(self.version.payload_schema_ref)

    @property
    def payload_schema(self) -> dict[str, Any] | None:
        """What a payload is checked with; None for one that is given the clock contract."""
        return None if self.takes_clock else self.version.payload_schema

    @property
    def columns(self) -> dict[str, Any]:
        """Those of a schedule that say what it runs."""
        bound = {"workflow_id": self.version.workflow_id, "workflow_version": self.version.version}
        return {"target_kind": WORKFLOW, **bound, "install_id": None, "endpoint_id": None}

    def check_bound(self, schedule: Schedule) -> None:
        """Raise Conflict when somebody has given the schedule another target since this one was found and held."""
        if schedule.workflow_id != self.version.workflow_id:
            raise Conflict


@dataclass(frozen=True)
class EndpointTarget:
    """An endpoint as an install calls it. `version`: the installed one, in its own words, such as 1.4.0."""

    install: Install
    endpoint: ExtensionEndpoint
    extension: str
    version: str

    @property
    def tenant_id(self) -> UUID:
        return self.install.tenant_id

    @property
    def label(self) -> str:
        """Such as `POST /api/sync`."""
        return self.endpoint.called

    @property
    def is_stale(self) -> bool:
        """Whether the installed version is another one than that whose endpoint this is."""
        return self.endpoint.version_id != self.install.version_id

    @property
    def takes_payload(self) -> bool:
        return self.endpoint.method != GET

    @property
    def payload_schema(self) -> dict[str, Any]:
        """What a body is checked with."""
        return self.endpoint.request_schema or _ANY_BODY

    @property
    def columns(self) -> dict[str, Any]:
        """Those of a schedule that say what it calls."""
        bound = {"install_id": self.install.id, "endpoint_id": self.endpoint.id}
        return {"target_kind": ENDPOINT, "workflow_id": None, "workflow_version": None, **bound}

    def check_bound(self, schedule: Schedule) -> None:
        """Raise Conflict when somebody has given the schedule another target since this one was found and held."""
        if schedule.endpoint_id != self.endpoint.id:
            raise Conflict


Target = WorkflowTarget | EndpointTarget


def bound_target(tenant_id: UUID, draft: ScheduleDraft, stored: Schedule | None = None) -> Target:
    """What saving the draft binds to, held with FOR SHARE. `stored`: the schedule that is edited; switched off it may keep
    an endpoint that the installed version does not have.

    Raises Refused at `workflowId` or `endpointId`, NotFound for a workflow that the tenant does not have.
    """
    _check_one_kind(draft, stored)
    if draft.is_endpoint:
        return _bindable_endpoint(tenant_id, draft, stored)
    if draft.workflow_id is None:
        raise Refused.at("workflowId", "Choose the workflow to run.", "WORKFLOW_REQUIRED")
    try:
        return WorkflowTarget(held_version(tenant_id, draft.workflow_id))
    except Held as held:
        raise Refused.at("workflowId", held.message, held.code) from held


def current_target(schedule: Schedule) -> Target:
    """What a stored schedule would run if it were resumed now, held with FOR SHARE: of a workflow its published version.

    Raises Held with the reason when it cannot: unpublished, stale, disabled.
    """
    if schedule.target_kind == ENDPOINT:
        target = endpoint_target(schedule)
        check_callable(target)
        return target
    return WorkflowTarget(held_version(schedule.tenant_id, schedule.workflow_id))


def endpoint_target(schedule: Schedule, *, is_locked: bool = True) -> EndpointTarget:
    """What a schedule of an endpoint calls; raises Held when its extension is not installed any more."""
    install = _installed(schedule.tenant_id, schedule.install_id, "share" if is_locked else None)
    if is_locked:
        # An upgrade that the lock waited for may have moved it.
        db.session.refresh(schedule, ["endpoint_id"])
    endpoint = db.session.get_one(ExtensionEndpoint, schedule.endpoint_id)
    return EndpointTarget(install, endpoint, *_names(install))


def target_called(tenant_id: UUID, install_id: UUID | None, method: str, path: str) -> EndpointTarget:
    """The endpoint with this method and path in the installed version, held with FOR SHARE and ready to be called.

    Raises Held with the reason when there is none, or when it cannot be called.
    """
    install = _installed(tenant_id, install_id, "share")
    extension, version = _names(install)
    endpoint = find_endpoint(install.version_id, method, path)
    if endpoint is None:
        raise Held(stale_words(f"{method} {path}", extension), code="ENDPOINT_STALE")
    target = EndpointTarget(install, endpoint, extension, version)
    check_runnable(target)
    return target


def check_callable(target: EndpointTarget) -> None:
    """Raise Held when the extension is disabled, or when its installed version does not have this endpoint."""
    if not target.install.enabled:
        message = f"{disabled_words(target.extension, target.install.disable_reason)} Enable it first."
        raise Held(message, code="INSTALL_DISABLED")
    if target.is_stale:
        message = f"{stale_words(target.label, target.extension)} Choose another endpoint first."
        raise Held(message, code="ENDPOINT_STALE")


def check_runnable(target: EndpointTarget) -> None:
    """Raise Held when a call that began now could not even be made: disabled, stale, no runner."""
    check_callable(target)
    if configured_runner() is None:
        raise Held(NO_RUNNER, code="RUNNER_NOT_CONFIGURED")


def disabled_words(extension: str, reason: str | None) -> str:
    """Why nothing of a disabled extension is called, as a sentence."""
    return f"{extension} is disabled{': ' + reason.rstrip('.') if reason else ''}."


def stale_words(endpoint: str, extension: str) -> str:
    """Why an endpoint of another version is not called, as a sentence."""
    return f"The installed version of {extension} has no {endpoint}."


def _check_one_kind(draft: ScheduleDraft, stored: Schedule | None) -> None:
    if draft.workflow_id is not None and draft.is_endpoint:
        message = "A schedule runs a workflow or calls an endpoint, not both. Choose one of them."
        raise Refused.at("endpointId", message, "TARGET_AMBIGUOUS")
    if stored is not None and draft.is_endpoint != (stored.target_kind == ENDPOINT):
        is_call = stored.target_kind == ENDPOINT
        path, kind = ("endpointId", "an extension's endpoint") if is_call else ("workflowId", "a workflow")
        raise Refused.at(path, f"This schedule is for {kind}. Make a new one for anything else.", "TARGET_KIND_FIXED")


def _bindable_endpoint(tenant_id: UUID, draft: ScheduleDraft, stored: Schedule | None) -> EndpointTarget:
    if draft.endpoint_id is None:
        raise Refused.at("endpointId", "Choose the endpoint to call.", "ENDPOINT_REQUIRED")
    target = _called(tenant_id, draft.endpoint_id)
    if target is None or draft.install_id not in (None, target.install.id):
        message = "No installed extension has this endpoint. Choose one of the list."
        raise Refused.at("endpointId", message, "ENDPOINT_UNKNOWN")
    if stored is not None:
        target = _followed(target, stored)
    is_kept = stored is not None and stored.endpoint_id == target.endpoint.id
    if target.is_stale and not (is_kept and not draft.enabled):
        message = f"{target.label} is not of version {target.version}, which is installed. Choose one of the list."
        raise Refused.at("endpointId", message, "ENDPOINT_STALE")
    if obstacle := endpoint_obstacle(target.endpoint):
        raise Refused.at("endpointId", f"{target.label}: {obstacle}", "ENDPOINT_NOT_SCHEDULABLE")
    is_switched_on = draft.enabled and (stored is None or not stored.enabled)
    if not target.install.enabled and (stored is None or is_switched_on):
        message = f"{disabled_words(target.extension, target.install.disable_reason)} Enable it first."
        raise Refused.at("endpointId" if stored is None else "enabled", message, "INSTALL_DISABLED")
    return target


def _followed(target: EndpointTarget, stored: Schedule) -> EndpointTarget:
    """What to bind an edited schedule to: where an upgrade has moved it since, if that is called the same."""
    if stored.install_id != target.install.id:
        message = "A schedule stays with its extension. Choose an endpoint of the same one."
        raise Refused.at("endpointId", message, "INSTALL_FIXED")
    # Read again under the lock of the install: the upgrade may have been ahead.
    db.session.refresh(stored, ["endpoint_id", "status"])
    bound = db.session.get_one(ExtensionEndpoint, stored.endpoint_id)
    return replace(target, endpoint=bound) if target.is_stale and bound.called == target.label else target


def _installed(tenant_id: UUID, install_id: UUID | None, lock: str | None) -> Install:
    try:
        return load(tenant_id, Install, install_id, lock=lock)
    except NotFound:
        raise Held(_NOT_INSTALLED, code="NOT_INSTALLED") from None


def _called(tenant_id: UUID, endpoint_id: UUID) -> EndpointTarget | None:
    """The endpoint as the tenant's living install of its extension calls it, the install held with FOR SHARE."""
    its_install = (
        select(Install)
        .join(ExtensionVersion, ExtensionVersion.extension_id == Install.extension_id)
        .join(ExtensionEndpoint, ExtensionEndpoint.version_id == ExtensionVersion.id)
        .where(Install.tenant_id == tenant_id, Install.deleted_at.is_(None), ExtensionEndpoint.id == endpoint_id)
    )
    its_install = its_install.with_for_update(read=True, of=Install).execution_options(populate_existing=True)
    install = db.session.scalars(its_install).one_or_none()
    if install is None:
        return None
    # Only now: an upgrade that the lock waited for has changed which version is installed.
    endpoint = db.session.get_one(ExtensionEndpoint, endpoint_id)
    return EndpointTarget(install, endpoint, *_names(install))


def _names(install: Install) -> tuple[str, str]:
    """Of its extension and of the installed version."""
    names = select(Extension.name, ExtensionVersion.version).join(
        ExtensionVersion, ExtensionVersion.extension_id == Extension.id
    )
    extension, version = db.session.execute(names.where(ExtensionVersion.id == install.version_id)).one()
    return extension, version
