"""The demo tenant with something to show on every page: orders in each of their states, a draft to review, a retried step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from domain.accounts.audit import Actor
from domain.accounts.secrets import create_secret
from domain.accounts.tenants import Tenant
from domain.accounts.users import user_by_email
from domain.demo import EMAIL, SLUG, VIEWER_EMAIL, create_demo_tenant
from domain.demo_orders import DELIVERED, LARGE, ORDER_REF, PLACED
from domain.demo_workflows import DemoWorkflow, call, expr
from domain.events.ingest import ingest_event
from domain.firing.run_now import run_schedule_now
from domain.kernel import clock, strict_json
from domain.kernel.db import db, transaction
from domain.kernel.ids import new_id
from domain.runs.launch import cancel_run, launch
from domain.runs.runs import BY_HAND
from domain.runs.tasks import answer_task
from domain.workflows.drafts import fields_of, save_draft
from domain.workflows.payload_schemas import EMPTY_REF
from domain.workflows.workflows import Workflow
from tests.browser.site import Json, Site, publish
from tests.faults.fleet import wait_until

FINISHED = {"Europe, all day": "succeeded", "Ask the supplier": "failed"}
"""Schedules of the demo tenant, and how their second run ends."""
MAPPING = {"orderId": expr("event.payload.orderId"), "customer": "Acme", "total": expr("event.payload.total")}
STUBBORN = DemoWorkflow(
    "Stubborn",
    "Tries twice to read what nobody can read.",
    EMPTY_REF,
    [
        call("read", "transform.parse_json", {"source": "{"}, "vars.read")
        | {"retry": {"maxAttempts": 2, "backoffMs": 10, "jitter": False, "retryOn": ["ValidationError"]}}
    ],
)


@dataclass(frozen=True)
class Shop:
    """`ids` names what the pages are about; `admin` and `viewer` are the storage states of their browsers."""

    admin: Json
    viewer: Json
    ids: dict[str, Any]


@dataclass(frozen=True)
class _Keeper:
    site: Site
    actor: Actor

    def one(self, query: str, **values: Any) -> Any:
        return self.site.scalar(query, tenant=self.actor.tenant_id, **values)

    def await_one(self, what: str, query: str, **values: Any) -> Any:
        return wait_until(lambda: self.one(query, **values), what)

    def order(self, order_id: str, total: int, name: str = PLACED) -> UUID:
        """Sends an event of the order; the run that the first one started, or the one it found."""
        payload = {"orderId": order_id, "customer": "Grace Hopper", "total": total}
        with self.site.app.app_context(), transaction():
            event = ingest_event(
                self.actor, name, payload, order_id, str(new_id()), clock.database_now(), source="manual"
            )
            event_id = event.id
        query = "SELECT run_id FROM event_deliveries WHERE event_id = :event"
        return UUID(str(self.await_one("a run of the order", query, event=event_id)))

    def state(self, run_id: UUID, status: str) -> UUID:
        self.await_one(f"a {status} run", "SELECT 1 FROM runs WHERE id = :id AND status = :s", id=run_id, s=status)
        return run_id

    def task_of(self, run_id: UUID) -> UUID:
        return UUID(str(self.await_one("a task", "SELECT id FROM tasks WHERE run_id = :run", run=run_id)))


def open_shop(site: Site) -> Shop:
    """The demo tenant, made and busy; returns when each of its orders is where the pages want it."""
    with site.app.app_context():
        with transaction():
            create_demo_tenant(clock.database_now())
        tenant_id = site.scalar("SELECT id FROM tenants WHERE slug = :slug", slug=SLUG)
        tenant = db.session.get_one(Tenant, tenant_id)
        users = {name: user_by_email(email) for name, email in (("admin", EMAIL), ("viewer", VIEWER_EMAIL))}
        states: Json = {name: site.cookies(user, tenant) for name, user in users.items() if user}
        actor = Actor(tenant_id, users["admin"].id if users["admin"] else None, "Demo")
    keeper = _Keeper(site, actor)
    ids = _stored_ids(keeper) | _scheduled_runs(keeper) | _orders(keeper) | _made(keeper)
    return Shop(states["admin"], states["viewer"], ids)


def _stored_ids(keeper: _Keeper) -> Json:
    query = "SELECT id FROM schedules WHERE tenant_id = :tenant AND status = :status ORDER BY id LIMIT 1"
    ids: Json = {status: keeper.one(query, status=status) for status in ("active", "paused", "invalid")}
    query = "SELECT id FROM workflows WHERE tenant_id = :tenant AND name = :name"
    names = {"workflow": "Invoice sync", "payroll": "Payroll export", "fulfilment": "Order fulfilment"}
    ids |= {key: keeper.one(query, name=name) for key, name in names.items()}
    return ids | {"event_type": keeper.one("SELECT id FROM event_types WHERE tenant_id = :tenant LIMIT 1")}


def _scheduled_runs(keeper: _Keeper) -> Json:
    """One run of each outcome, by status."""
    query = "SELECT id FROM schedules WHERE tenant_id = :tenant AND name = :name"
    for name in FINISHED:
        for number in range(2):
            with keeper.site.app.app_context(), transaction():
                schedule_id = keeper.one(query, name=name)
                run_schedule_now(keeper.actor, schedule_id, f"{name} {number}", clock.database_now())
    query = "SELECT id FROM runs WHERE tenant_id = :tenant AND status = :status LIMIT 1"
    return {status: keeper.await_one(f"a {status} run", query, status=status) for status in FINISHED.values()}


def _orders(keeper: _Keeper) -> Json:
    """A question that is open; one that was answered, whose order was packed and delivered; an order called off."""
    asking, sold = keeper.order("B-1", LARGE + 300), keeper.order("B-2", LARGE + 200)
    gone = keeper.state(keeper.order("B-3", 40), "waiting")
    with keeper.site.app.app_context():
        answered = keeper.task_of(sold)
        with transaction():
            cancel_run(keeper.actor, gone, clock.database_now(), "Ordered by mistake, says the customer")
            answer_task(keeper.actor, answered, {"approved": True}, str(new_id()), clock.database_now())
    waits = "SELECT 1 FROM waits WHERE run_id = :run AND kind = 'event' AND status = 'open'"
    keeper.await_one("a wait for the delivery", waits, run=sold)
    keeper.order("B-2", LARGE + 200, DELIVERED)
    event = keeper.one("SELECT event_id FROM event_deliveries WHERE run_id = :run LIMIT 1", run=asking)
    return {
        "asking": asking,
        "sold": keeper.state(sold, "succeeded"),
        "gone": gone,
        "task": keeper.task_of(asking),
        "answered": answered,
        "event": event,
    }


def _made(keeper: _Keeper) -> Json:
    """A secret, a failed run with several attempts, and a draft that differs from what runs."""
    now = clock.now()
    with keeper.site.app.app_context():
        with transaction():
            secret = create_secret(keeper.actor, "BILLING_TOKEN", "a long value", "Asks for invoices", now).id
            stubborn = db.session.get_one(Workflow, publish(keeper.actor, STUBBORN, now))
            tried = launch(keeper.actor, stubborn, {}, BY_HAND, now).id
            _draft_mapping(keeper, now)
        return {"secret": secret, "tried": keeper.state(tried, "failed")}


def _draft_mapping(keeper: _Keeper, now: Any) -> None:
    workflow_id = keeper.one("SELECT id FROM workflows WHERE tenant_id = :tenant AND name = 'Order fulfilment'")
    workflow = db.session.get_one(Workflow, workflow_id)
    trigger = {"type": "event", "eventName": PLACED, "sourcePayloadSchemaRef": ORDER_REF, "payloadMapping": MAPPING}
    steps = [step for step in workflow.draft_definition["steps"] if step["id"] != "receipt"]
    fields = replace(fields_of(workflow), definition_text=strict_json.dumps({"steps": steps}), trigger=trigger)
    save_draft(keeper.actor, workflow.id, workflow.revision, fields, now)
