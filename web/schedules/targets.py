"""What the schedule in the dialog runs, as it was typed: a workflow, or an endpoint of an installed extension."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID

from flask import request, url_for
from wtforms.fields.choices import SelectChoice

from domain.accounts.tenants import load
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.installs import Install
from domain.kernel.errors import NotFound, Problem, Refused
from domain.kernel.ids import parse_id
from domain.schedules.choices import WorkflowChoice, chosen_workflow, workflow_choice
from domain.schedules.offers import Offer, endpoint_offer
from domain.schedules.schedules import Schedule
from domain.workflows.versions import WorkflowVersion, version_of
from web.forms.schedules import NOT_CHOSEN, ScheduleForm
from web.kinds import require_change
from web.schedules.frame import tenant_id


@dataclass(frozen=True)
class WorkflowTarget:
    """`version`: what the schedule would run; None while it cannot run any. `problems`: why nothing was chosen."""

    choice: WorkflowChoice | None
    version: WorkflowVersion | None
    problems: tuple[Problem, ...] = ()
    kind: ClassVar[str] = "workflow"
    takes_body: ClassVar[bool] = True
    payload_label: ClassVar[str] = "Payload"
    path: ClassVar[str] = "workflowId"

    @property
    def draft(self) -> dict[str, Any]:
        """The fields of a draft that name it."""
        return {"workflow_id": self.choice.id if self.choice else None}

    @property
    def fields(self) -> dict[str, str]:
        """What the fields of a form hold that name it."""
        return {"workflow": self.label}

    @property
    def origin(self) -> str:
        """Where one comes from who makes a schedule of it."""
        return url_for("schedules.index")

    @property
    def label(self) -> str:
        return self.choice.label if self.choice else ""

    @property
    def schema(self) -> Any:
        """Of the payload."""
        return self.version.payload_schema if self.version else {}

    @property
    def drawn_for(self) -> str:
        """What the payload's editor brings back, so that what was typed is read with the schema that drew it."""
        return f"{self.version.workflow_id}:{self.version.version}" if self.version else ""

    @property
    def payload_note(self) -> str:
        """What stands under the JSON text."""
        if self.version is None:
            return "A JSON object. Choose the workflow to see its schema."
        return f"Checked with {self.version.payload_schema_ref}, as version {self.version.version} has it"


@dataclass(frozen=True)
class EndpointTarget:
    """`endpoint`: of the installed version, or a stale one that the edited schedule keeps; None until one was chosen."""

    offer: Offer
    endpoint: ExtensionEndpoint | None
    problems: tuple[Problem, ...] = ()
    kind: ClassVar[str] = "endpoint"
    path: ClassVar[str] = "endpointId"
    payload_label: ClassVar[str] = "Body"

    @property
    def draft(self) -> dict[str, Any]:
        return {
            "install_id": self.offer.install.id if self.offer.install else NOT_CHOSEN,
            "endpoint_id": self.endpoint.id if self.endpoint else None,
        }

    @property
    def fields(self) -> dict[str, str]:
        return {"extension": str(self.offer.extension.id), "endpoint": self.drawn_for}

    @property
    def origin(self) -> str:
        return f"/settings/extensions/{self.offer.extension.id}"

    @property
    def label(self) -> str:
        return self.endpoint.called if self.endpoint else ""

    @property
    def is_stale(self) -> bool:
        """Whether the installed version does not have the endpoint."""
        return self.endpoint is not None and self.endpoint not in self.offer.endpoints

    @property
    def schema(self) -> Any:
        return (self.endpoint.request_schema if self.endpoint else None) or {}

    @property
    def drawn_for(self) -> str:
        return str(self.endpoint.id) if self.endpoint else ""

    @property
    def takes_body(self) -> bool:
        return self.endpoint is None or self.endpoint.method != "GET"

    @property
    def payload_note(self) -> str:
        checked = ", checked with the request schema of the endpoint" if self.schema else ""
        return f"A JSON object or array{checked}. Keep secrets out of it: they belong to the extension."


Target = WorkflowTarget | EndpointTarget


def posted_form(stored: Schedule | None = None) -> ScheduleForm:
    """The form that was posted; without JavaScript a workflow that was found is a button of it. What is stored says what
    kind of target it is. Raises Forbidden when schedules of that kind are not theirs to change."""
    form = ScheduleForm(request.form)
    if stored is not None:
        form.extension.data = extension_of_schedule(stored)
    if "pick" in request.form:
        form.workflow.data = request.form["pick"]
    require_change(form.kind)
    return form


def typed_target(form: ScheduleForm) -> Target:
    """What the form names, or why that is nothing."""
    if form.is_of_endpoint:
        return _typed_endpoint(form)
    try:
        choice = chosen_workflow(tenant_id(), form.workflow.data or "")
    except Refused as refused:
        return WorkflowTarget(None, None, refused.problems)
    return WorkflowTarget(choice, bound_version(choice))


def workflow_target(workflow_id: UUID | None) -> WorkflowTarget:
    choice = workflow_choice(tenant_id(), workflow_id)
    return WorkflowTarget(choice, bound_version(choice))


def stored_target(stored: Schedule) -> Target:
    """What a schedule runs now."""
    extension = extension_of_schedule(stored)
    if not extension:
        return workflow_target(stored.workflow_id)
    offer = endpoint_offer(tenant_id(), UUID(extension))
    return EndpointTarget(offer, offer.known(stored.endpoint_id))


def asked_target() -> Target:
    """What the address names: an extension, with its endpoint if there is only one to choose, or a workflow."""
    if "extension" not in request.args:
        return workflow_target(parse_id(request.args.get("workflow", "")))
    offer = _offer(request.args["extension"])
    return EndpointTarget(offer, offer.endpoints[0] if len(offer.endpoints) == 1 else None)


def draw_target(form: ScheduleForm, target: Target) -> None:
    """Give the choice of endpoints what there is to choose from; what calls one may go without a name."""
    if isinstance(target, WorkflowTarget):
        return
    stale = [target.endpoint] if target.endpoint and target.is_stale else []
    choices = [SelectChoice(str(one.id), one.called) for one in target.offer.endpoints]
    choices += [SelectChoice(str(one.id), f"{one.called} (not in {target.offer.version})") for one in stale]
    form.endpoint.choices = choices if target.endpoint else [SelectChoice("", "Choose an endpoint"), *choices]
    form.endpoint.data, form.name.flags.required = target.drawn_for, False


def extension_of_schedule(stored: Schedule) -> str:
    """The id of the extension that the schedule calls, as text; empty for one that runs a workflow."""
    return str(load(tenant_id(), Install, stored.install_id).extension_id) if stored.install_id else ""


def bound_version(choice: WorkflowChoice | None) -> WorkflowVersion | None:
    """The version that the schedule would run; None while it cannot run any."""
    return _version(choice.id, choice.version) if choice and not choice.obstacle else None


def drawn_schema(drawn_for: str, target: Target) -> Any:
    """The schema whose form was posted with the payload; None when that was drawn for nothing."""
    if isinstance(target, EndpointTarget):
        drawn = target.offer.known(parse_id(drawn_for))
        return (drawn.request_schema or {}) if drawn else None
    workflow, _, number = drawn_for.partition(":")
    workflow_id = parse_id(workflow)
    if workflow_id is None or not (number.isascii() and number.isdigit() and len(number) <= 9):
        return None
    version = _version(workflow_id, int(number))
    return version.payload_schema if version else None


def _typed_endpoint(form: ScheduleForm) -> EndpointTarget:
    """Of an endpoint that an upgrade replaced meanwhile, the one that took its place."""
    offer = _offer(form.extension.data or "")
    chosen = offer.known(parse_id(form.endpoint.data or ""))
    endpoint = offer.same_as(chosen) or chosen
    problems = () if endpoint else (Problem("endpointId", "Choose the endpoint to call.", "ENDPOINT_REQUIRED"),)
    return EndpointTarget(offer, endpoint, problems)


def _offer(extension: str) -> Offer:
    """Raises NotFound."""
    extension_id = parse_id(extension)
    if extension_id is None:
        raise NotFound
    return endpoint_offer(tenant_id(), extension_id)


def _version(workflow_id: UUID, number: int | None) -> WorkflowVersion | None:
    try:
        return version_of(tenant_id(), workflow_id, number)
    except NotFound:
        return None
