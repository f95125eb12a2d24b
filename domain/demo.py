"""The demo tenant: workflows that do something one can see, and schedules in every state. Made by the usual commands."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text

from domain import demo_extensions, demo_orders
from domain import demo_workflows as demo
from domain.accounts.audit import Actor
from domain.accounts.members import add_member
from domain.accounts.passwords import generate_password, hash_password
from domain.accounts.permissions import ADMIN, VIEWER, Access, permissions_of
from domain.accounts.tenants import Tenant, TenantFacts, create_tenant
from domain.accounts.tokens import create_token
from domain.accounts.users import PersonFacts, User, user_by_email
from domain.events.event_types import register_event_type
from domain.extensions.endpoints import endpoints_of
from domain.extensions.extensions import ExtensionVersion
from domain.extensions.install_secrets import set_install_secret
from domain.extensions.installs import install_extension
from domain.extensions.registry import publish_version
from domain.firing.lifecycle import create_schedule, pause_schedule
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.kernel.errors import NotFound
from domain.publishing import publish_workflow
from domain.schedules.drafts import ScheduleDraft
from domain.timing.zones import zone
from domain.workflows.drafts import create_workflow, fields_of, save_draft
from domain.workflows.payload_schemas import register_schema
from domain.workflows.workflows import Workflow

SLUG, NAME, TIMEZONE = "acme", "Acme", "Europe/Paris"
EMAIL, VIEWER_EMAIL = "demo@carillon.localhost", "viewer@carillon.localhost"
TOKEN_NAME = "Demo"
SOON = timedelta(minutes=4)
PAUSE_REASON = "Nobody reads it before the holidays"

_LOCK = text("SELECT pg_advisory_xact_lock(hashtext('carillon demo tenant'))")


def has_demo_tenant() -> bool:
    """Whether the demo tenant exists. Until the transaction ends nobody else makes it."""
    db.session.execute(_LOCK)
    return bool(db.session.scalar(select(func.count()).where(Tenant.slug == SLUG)))


def publish_examples(now: datetime) -> list[ExtensionVersion]:
    """The example extensions, for every tenant of this installation; those that are published already as they are."""
    texts = [strict_json.dumps(manifest) for _, manifest in demo_extensions.MANIFESTS]
    return [publish_version(None, None, manifest, now) for manifest in texts]


def create_demo_tenant(now: datetime) -> dict[str, str]:
    """Make the tenant with everything in it; `email`, `password` and `apiToken` of its admin, which are not kept."""
    tenant = create_tenant(SLUG, NAME, TIMEZONE)
    actor = Actor(tenant.id)
    password = generate_password()
    member, _ = add_member(actor, EMAIL, "Demo", ADMIN, password)
    add_member(actor, VIEWER_EMAIL, "Visitor", VIEWER)
    admin = replace(actor, user_id=member.user_id, label="Demo")
    _fill(admin, now)
    return {
        "email": EMAIL,
        "password": password,
        "apiToken": _token(admin, tenant, db.session.get_one(User, admin.user_id), now),
    }


def renew_demo_access(now: datetime) -> dict[str, str]:
    """A new password and token for the admin of the demo tenant, for whoever has lost the first ones.

    Raises NotFound when that person has been removed.
    """
    tenant = db.session.scalars(select(Tenant).where(Tenant.slug == SLUG)).one()
    user = user_by_email(EMAIL)
    if user is None:
        raise NotFound
    password = generate_password()
    user.password_hash = hash_password(password)
    return {"email": EMAIL, "password": password, "apiToken": _token(Actor(tenant.id, user.id), tenant, user, now)}


def _token(actor: Actor, tenant: Tenant, user: User, now: datetime) -> str:
    access = Access(TenantFacts.of(tenant), PersonFacts.of(user), ADMIN, permissions_of(ADMIN))
    _, secret = create_token(actor, access, TOKEN_NAME, access.permissions, None, now)
    return secret


def _fill(actor: Actor, now: datetime) -> None:
    for ref, schema in {**demo.SCHEMAS, **demo_orders.SCHEMAS}.items():
        register_schema(actor, ref, schema, now)
    heartbeat = _publish(actor, demo.HEARTBEAT, now)
    _schedule(actor, now, heartbeat, "Every minute", cron="* * * * *")
    _schedule(actor, now, _publish(actor, demo.STOCK_CHECK, now), "Ask the supplier", cron="*/2 * * * *")
    _schedule(actor, now, _publish(actor, demo.WEATHER, now), "Look outside", cron="*/5 * * * *")
    _fill_invoices(actor, now)
    _fill_digest(actor, now)
    _fill_payroll(actor, now)
    _fill_orders(actor, now)
    _fill_warehouse(actor, now)


def _fill_invoices(actor: Actor, now: datetime) -> None:
    invoices = _publish(actor, demo.INVOICE_SYNC, now)
    small, large = {"region": "eu", "batchSize": 5}, {"region": "us", "batchSize": 20}
    _schedule(actor, now, invoices, "Europe, all day", cron="*/5 * * * *", payload=small)
    _schedule(actor, now, invoices, "America, working hours", cron="0 * * * 1-5", payload=large)
    _schedule_once(actor, now, invoices, "Catch up with Asia", now + SOON, {"region": "apac", "batchSize": 12})


def _fill_digest(actor: Actor, now: datetime) -> None:
    digest = _publish(actor, demo.DIGEST, now)
    payload = {"audience": "the team"}
    paused = _schedule(actor, now, digest, "Morning digest", cron="0 9 * * 1-5", payload=payload)
    pause_schedule(actor, paused, PAUSE_REASON, now)
    place = zone(TIMEZONE)
    tomorrow = now.astimezone(place).date() + timedelta(days=1)
    _schedule_once(actor, now, digest, "Board digest", datetime.combine(tomorrow, time(9), place), payload)


def _fill_payroll(actor: Actor, now: datetime) -> None:
    """The second version is published after the schedule was made, which is what makes the schedule invalid."""
    payroll = _publish(actor, demo.PAYROLL, now)
    _schedule(actor, now, payroll, "Month-end", cron="0 18 28-31 * *", payload={"format": "csv"})
    _save_and_publish(actor, payroll, replace(demo.PAYROLL, schema_ref=demo.STRICTER_PAYROLL_REF), now)


def _fill_orders(actor: Actor, now: datetime) -> None:
    for name, description in demo_orders.EVENT_TYPES.items():
        register_event_type(actor, name, description, demo_orders.ORDER_REF, now)
    made = demo_orders.WORKFLOWS
    _publish(actor, made["packing"], now)
    _publish(actor, made["fulfilment"], now, demo_orders.TRIGGER, limit=None)
    _schedule(actor, now, _publish(actor, made["shop"], now), "Customers", cron="*/3 * * * *")


def _fill_warehouse(actor: Actor, now: datetime) -> None:
    """An extension at its older version, so that there is an upgrade to look at."""
    version = publish_examples(now)[0]
    install = install_extension(actor, version.extension_id, version.id, ["cap:secrets.get"], {"region": "eu"}, now)
    set_install_secret(actor, install.id, "SUPPLIER_KEY", generate_password(), now)
    called = {endpoint.called: endpoint.id for endpoint in endpoints_of(version.id)}

    def schedule(endpoint: str, **fields: Any) -> None:
        draft = ScheduleDraft(install_id=install.id, endpoint_id=called[endpoint], timezone=TIMEZONE, **fields)
        create_schedule(actor, draft, now)

    schedule("GET /api/health", cron="*/5 * * * *")
    schedule("POST /api/reorder", name="Order what is low", cron="*/10 * * * *", payload={"urgent": False})
    schedule("POST /api/count", name="Count Lyon", cron="15 * * * *", payload={"warehouse": "Lyon"})
    once = {"trigger_type": "schedule", "run_at": (now + SOON / 2).replace(microsecond=0).isoformat()}
    schedule("POST /api/count", name="Stock-taking", payload={"warehouse": "Porto", "full": True}, **once)


def _publish(
    actor: Actor, what: demo.DemoWorkflow, now: datetime, trigger: Any = None, limit: int | None = 1
) -> Workflow:
    workflow = create_workflow(actor, what.name, now, description=what.description)
    _save_and_publish(actor, workflow, what, now, trigger, limit)
    return workflow


def _save_and_publish(
    actor: Actor,
    workflow: Workflow,
    what: demo.DemoWorkflow,
    now: datetime,
    trigger: Any = None,
    limit: int | None = 1,
) -> None:
    fields = replace(
        fields_of(workflow),
        name=what.name,
        description=what.description,
        definition_text=strict_json.dumps({"steps": what.steps}),
        schema_ref=what.schema_ref,
        trigger=trigger,
        concurrency_limit=limit,
    )
    saved = save_draft(actor, workflow.id, workflow.revision, fields, now)
    publish_workflow(actor, saved.id, saved.revision, now)


def _schedule(actor: Actor, now: datetime, workflow: Workflow, name: str, cron: str, payload: Any = None) -> UUID:
    draft = ScheduleDraft(workflow.id, name, "recurring", cron=cron, timezone=TIMEZONE, payload=payload or {})
    return create_schedule(actor, draft, now).id


def _schedule_once(
    actor: Actor, now: datetime, workflow: Workflow, name: str, run_at: datetime, payload: dict[str, Any]
) -> None:
    at = run_at.replace(microsecond=0).isoformat()
    create_schedule(actor, ScheduleDraft(workflow.id, name, "schedule", at, timezone=TIMEZONE, payload=payload), now)
