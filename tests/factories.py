"""Rows that tests begin with. Plain functions; call them inside an app context."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from domain.accounts.audit import Actor
from domain.accounts.passwords import hash_password
from domain.accounts.permissions import ADMIN, PERMISSIONS
from domain.accounts.sessions import hash_of
from domain.accounts.tenants import Tenant, create_tenant
from domain.accounts.tokens import ApiToken
from domain.accounts.users import Membership, User
from domain.events.events import Event, EventDelivery, EventType
from domain.extensions.endpoints import ExtensionEndpoint, materialise_endpoints
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.installs import Install
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.kernel.ids import new_id
from domain.runs.runs import BY_HAND, EFFECT, FINISHED, QUEUED, Run
from domain.runs.steps import RunStep
from domain.runs.tasks import HumanTask
from domain.runs.waits import Wait
from domain.schedules.cursors import ScheduleCursor
from domain.schedules.schedules import Schedule
from domain.workflows.built_in_schemas import BUILT_IN, EMPTY_REF
from domain.workflows.definitions import definition_hash, starter_definition
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
PASSWORD = "seven purple tortoises"


@cache
def password_hash() -> str:
    """One hash for everybody: making it is slow on purpose."""
    return hash_password(PASSWORD)


def a_tenant(slug: str = "acme", timezone: str = "UTC") -> Tenant:
    return create_tenant(slug, slug.capitalize(), timezone)


def a_user(tenant: Tenant, email: str = "alice@acme.test", role: str = ADMIN) -> User:
    """Someone with `PASSWORD` and a role in the tenant."""
    user = User(email=email, name=email.partition("@")[0].capitalize(), password_hash=password_hash())
    db.session.add(user)
    db.session.flush()
    db.session.add(Membership(tenant_id=tenant.id, user_id=user.id, role=role))
    db.session.flush()
    return user


def an_actor(tenant: Tenant, user: User | None = None) -> Actor:
    return Actor(tenant.id, user.id if user else None, user.name if user else "Carillon")


def a_workflow(tenant: Tenant, name: str = "Invoice sync", **values: Any) -> Workflow:
    """An unpublished draft that writes one line to its log."""
    values = {
        "key": name.lower().replace(" ", "-"),
        "draft_definition": starter_definition(name),
        "draft_schema_ref": EMPTY_REF,
        "content_changed_at": NOW,
    } | values
    workflow = Workflow(tenant_id=tenant.id, name=name, **values)
    db.session.add(workflow)
    db.session.flush()
    return workflow


def a_version(workflow: Workflow, number: int = 1, schema: Any = None, **values: Any) -> WorkflowVersion:
    """The draft as a published version that runs from now on; `schema` is the snapshot that payloads are checked with."""
    ref = values.setdefault("payload_schema_ref", workflow.draft_schema_ref)
    definition = values.setdefault("definition", workflow.draft_definition)
    values = {"payload_schema_mode": "pinned", "is_pure": True, "published_at": NOW} | values
    version = WorkflowVersion(
        tenant_id=workflow.tenant_id,
        workflow_id=workflow.id,
        version=number,
        definition_hash=definition_hash(definition),
        payload_schema=BUILT_IN.get(ref, {"type": "object"}) if schema is None else schema,
        **values,
    )
    db.session.add(version)
    db.session.flush()
    workflow.published_version, workflow.draft_version = number, number + 1
    db.session.flush()
    return version


def a_published_workflow(tenant: Tenant, name: str = "Invoice sync", schema: Any = None, **values: Any) -> Workflow:
    workflow = a_workflow(tenant, name, **values)
    a_version(workflow, schema=schema)
    return workflow


def a_schedule(workflow: Workflow, name: str = "Morning sync", **values: Any) -> Schedule:
    """Hourly in UTC, next at 11:00 of `NOW`'s day, unless told otherwise; `next_fire_at` goes to its cursor."""
    next_fire_at = values.pop("next_fire_at", NOW.replace(hour=11))
    values = {
        "workflow_version": workflow.published_version,
        "trigger_type": "recurring",
        "cron": "0 * * * *",
        "timezone": "UTC",
        "payload_json": {},
        "status": "active",
    } | values
    if values["status"] == "paused":
        values.setdefault("paused_at", NOW)
    if values["status"] == "invalid":
        values.setdefault("invalid_reason", "/region: region is required")
    wake_at = next_fire_at if values["status"] in ("active", "invalid") else None
    schedule = Schedule(tenant_id=workflow.tenant_id, workflow_id=workflow.id, name=name, **values)
    db.session.add(schedule)
    db.session.flush()
    cursor = ScheduleCursor(tenant_id=schedule.tenant_id, schedule_id=schedule.id)
    cursor.next_fire_at, cursor.wake_at = next_fire_at, wake_at
    db.session.add(cursor)
    db.session.flush()
    return schedule


def a_token(
    tenant: Tenant,
    user: User | None = None,
    name: str = "Billing export",
    scopes: Collection[str] = PERMISSIONS,
    **values: Any,
) -> tuple[ApiToken, str]:
    """A token of `user` (default: a new admin), and its secret."""
    user = user or a_user(tenant, f"{name.lower().replace(' ', '-')}@{tenant.slug}.test")
    secret = f"carillon_{secrets.token_urlsafe(32)}"
    values = {"name": name, "hint": secret[:13], "token_hash": hash_of(secret), "scopes": sorted(scopes)} | values
    token = ApiToken(tenant_id=tenant.id, user_id=user.id, **values)
    db.session.add(token)
    db.session.flush()
    return token, secret


def a_run(workflow: Workflow, status: str = "succeeded", **values: Any) -> Run:
    """A run by hand of the published version; one that has begun began at `NOW`, one that ended took 1.2 seconds."""
    if status != QUEUED:
        values = {"ready_at": NOW, "started_at": NOW} | values
    if status == "running":
        values.setdefault("claimed_by", new_id())
    if status in FINISHED:
        values.setdefault("finished_at", NOW + timedelta(seconds=1.2))
    values = {"workflow_version": workflow.published_version, "started_by": BY_HAND, "input_json": {}} | values
    run = Run(tenant_id=workflow.tenant_id, workflow_id=workflow.id, status=status, lane=EFFECT, **values)
    db.session.add(run)
    db.session.flush()
    return run


def a_step(run: Run, path: str = "root.steps[0]", iteration: str = "", position: int = 0, **values: Any) -> RunStep:
    """A step that succeeded within 100 ms of `NOW`, unless told otherwise."""
    values = {"status": "succeeded", "step_id": path.rpartition(".")[2], "node_type": "action.call"} | values
    if values["status"] != "started":
        values.setdefault("finished_at", NOW + timedelta(milliseconds=100))
    values = {"claim_epoch": 1, "started_at": NOW, "attempt": 1} | values
    step = RunStep(run_id=run.id, step_path=path, iteration=iteration, position=position, **values)
    db.session.add(step)
    db.session.flush()
    return step


def a_task(run: Run, title: str = "Approve the invoice", **values: Any) -> HumanTask:
    """A question of a waiting run: its step, its wait and its task, open since `NOW` unless `status` says otherwise."""
    position = values.pop("position", 0)
    status, closed_at = values.setdefault("status", "open"), None
    if status != "open":
        closed_at = values.setdefault("closed_at", NOW + timedelta(minutes=5))
    if status == "answered":
        values.setdefault("answer", {"approved": True})
    path = f"root.steps[{position}]"
    a_step(run, path, position=position, node_type="human.task", status="waiting", finished_at=None)
    wait_status = {"open": "open", "answered": "resolved", "expired": "timed_out"}.get(status, status)
    wait = Wait(
        tenant_id=run.tenant_id, run_id=run.id, step_path=path, iteration="", attempt=1, kind="task", opened_at=NOW
    )
    wait.status, wait.closed_at, wait.due_at = wait_status, closed_at, values.get("due_at")
    db.session.add(wait)
    db.session.flush()
    schema = {
        "type": "object",
        "properties": {"approved": {"type": "boolean"}, "comment": {"type": "string"}},
        "required": ["approved"],
        "additionalProperties": False,
    }
    values = {"task_type": "task.Approval.v1", "form_schema": schema} | values
    task = HumanTask(tenant_id=run.tenant_id, run_id=run.id, wait_id=wait.id, title=title, **values)
    db.session.add(task)
    db.session.flush()
    return task


def an_event_type(tenant: Tenant, name: str = "invoice.paid", ref: str = EMPTY_REF, description: str = "") -> EventType:
    """An entry of the catalogue of events."""
    entry = EventType(tenant_id=tenant.id, name=name, description=description, payload_schema_ref=ref)
    db.session.add(entry)
    db.session.flush()
    return entry


def a_triggered_workflow(tenant: Tenant, name: str, event_name: str, schema: Any = None, **trigger: Any) -> Workflow:
    """A published workflow that the event starts; it takes any object unless told otherwise. `trigger` holds
    payloadMapping and sourcePayloadSchemaRef."""
    workflow = a_workflow(tenant, name)
    workflow.draft_trigger = {"type": "event", "eventName": event_name, **trigger}
    a_version(workflow, schema=schema or {"type": "object"}, trigger=workflow.draft_trigger)
    workflow.event_name = event_name
    db.session.flush()
    return workflow


def an_event(tenant: Tenant, name: str = "invoice.paid", **values: Any) -> Event:
    """An event that came over the API at `NOW` and did nothing."""
    values = {"payload": {}, "source": "api", "actor_label": "Alice", "received_at": NOW} | values
    event = Event(tenant_id=tenant.id, name=name, **values)
    db.session.add(event)
    db.session.flush()
    return event


def a_delivery(event: Event, workflow: Workflow, run: Run | None = None, reason: str | None = None) -> EventDelivery:
    """What the event did in a workflow: it started the run, or it was refused for the reason."""
    outcome = "started" if run else "refused"
    delivery = EventDelivery(
        event_id=event.id, workflow_id=workflow.id, outcome=outcome, reason=reason, run_id=run.id if run else None
    )
    db.session.add(delivery)
    db.session.flush()
    return delivery


def a_manifest(version: str = "1.0.0", endpoints: Any = None, **values: Any) -> dict[str, Any]:
    """Of com.acme.rmm-sync: POST /api/sync and GET /api/health can be scheduled, GET /api/devices/:id cannot.

    `endpoints`: texts such as "POST /api/sync", or the objects themselves.
    """
    listed = ["POST /api/sync", "GET /api/health", "GET /api/devices/:id"] if endpoints is None else endpoints
    values = {"name": "com.acme.rmm-sync", "publisher": "Acme", "runtime": "wasm-js@1"} | values
    declared = [_declared_endpoint(one) if isinstance(one, str) else one for one in listed]
    return values | {"version": version, "api": {"endpoints": declared}}


def _declared_endpoint(called: str) -> dict[str, Any]:
    method, _, path = called.partition(" ")
    return {"method": method, "path": path, "handler": "dist/main"}


def an_extension(tenant: Tenant | None = None, name: str = "com.acme.rmm-sync", publisher: str = "Acme") -> Extension:
    """Published by the tenant, or for everybody."""
    extension = Extension(tenant_id=tenant.id if tenant else None, publisher=publisher, name=name)
    db.session.add(extension)
    db.session.flush()
    return extension


def an_extension_version(
    extension: Extension, version: str = "1.0.0", endpoints: Any = None, **manifest: Any
) -> ExtensionVersion:
    """A version with the endpoints of `a_manifest`, or with those given; `manifest` holds its other members."""
    document = a_manifest(version, endpoints, name=extension.name, publisher=extension.publisher, **manifest)
    digest = hashlib.sha256(strict_json.dumps(document).encode()).hexdigest()
    made = ExtensionVersion(extension_id=extension.id, version=version, manifest=document, published_at=NOW)
    made.content_hash = f"sha256:{digest}"
    db.session.add(made)
    db.session.flush()
    materialise_endpoints(made)
    return made


def an_endpoint(version: ExtensionVersion, called: str = "POST /api/sync") -> ExtensionEndpoint:
    """The endpoint of the version that is called so; made when it declares none."""
    method, _, path = called.partition(" ")
    query = db.select(ExtensionEndpoint).filter_by(version_id=version.id, method=method, path=path)
    endpoint = db.session.scalars(query).one_or_none()
    if endpoint is None:
        endpoint = ExtensionEndpoint(version_id=version.id, method=method, path=path, handler="dist/main")
        db.session.add(endpoint)
        db.session.flush()
    return endpoint


def an_install(tenant: Tenant, version: ExtensionVersion | None = None, **values: Any) -> Install:
    """An enabled install of the version; without one, of a new extension of the tenant's own."""
    version = version or an_extension_version(an_extension(tenant))
    values = {"config": {}, "capabilities": []} | values
    install = Install(tenant_id=tenant.id, extension_id=version.extension_id, version_id=version.id, **values)
    db.session.add(install)
    db.session.flush()
    return install
