"""The whole product under test: web, scheduler and worker as processes of their own, and the tenants they serve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from flask import Flask

from domain.accounts.audit import Actor
from domain.accounts.permissions import ADMIN, VIEWER
from domain.accounts.tenants import Tenant
from domain.accounts.users import User
from domain.demo_workflows import INVOICE_REF, INVOICE_SYNC, SCHEMAS, DemoWorkflow
from domain.firing.lifecycle import create_schedule
from domain.kernel import clock, strict_json
from domain.kernel.db import transaction
from domain.publishing import publish_workflow
from domain.schedules.drafts import ScheduleDraft
from domain.workflows.drafts import create_workflow, fields_of, save_draft
from domain.workflows.payload_schemas import register_schema
from tests.factories import a_tenant, a_user
from tests.faults.fleet import Fleet, execute, rows, scalar
from tests.web.cast import client_of

WORKFLOW = INVOICE_SYNC.name
SCHEMA_REF = INVOICE_REF
PAYLOAD = {"region": "eu", "batchSize": 3}
NEVER_SOON = "0 0 1 1 *"

Json = dict[str, Any]
_numbers = count(1)


@dataclass(frozen=True)
class Site:
    """`worker` is the process that executes runs: it may be stopped for a while, and must be continued."""

    url: str
    app: Flask
    fleet: Fleet
    worker: Any

    def scalar(self, query: str, **values: Any) -> Any:
        return scalar(self.app, query, **values)

    def rows(self, query: str, **values: Any) -> list[Any]:
        return rows(self.app, query, **values)

    def execute(self, query: str, **values: Any) -> None:
        execute(self.app, query, **values)

    def cookies(self, user: User, tenant: Tenant) -> Json:
        """The storage state of a browser in which `user` is signed in."""
        cookie = client_of(self.app, user, tenant).client.get_cookie("carillon")
        assert cookie is not None
        return {
            "cookies": [
                {
                    "name": cookie.key,
                    "value": cookie.value,
                    "domain": "127.0.0.1",
                    "path": "/",
                    "expires": -1,
                    "httpOnly": True,
                    "secure": False,
                    "sameSite": "Lax",
                }
            ],
            "origins": [],
        }


@dataclass(frozen=True)
class Acme:
    """A tenant of one test's own, in UTC. `alice` and `bob` are the storage states of its admin and its viewer."""

    site: Site
    actor: Actor
    email: str
    alice: Json
    bob: Json
    workflow_id: UUID | None = None

    def schedule(self, name: str, **values: Any) -> UUID:
        """A schedule of its workflow that does not fire during the test, unless told otherwise."""
        draft = {"cron": NEVER_SOON, "timezone": "UTC", "payload": PAYLOAD} | values
        with self.site.app.app_context(), transaction():
            now = clock.database_now()
            return create_schedule(self.actor, ScheduleDraft(self.workflow_id, name, **draft), now).id

    def run_count(self, schedule_id: UUID) -> int:
        return self.site.scalar("SELECT count(*) FROM runs WHERE schedule_id = :id", id=schedule_id)

    def end_sessions(self) -> None:
        """Everyone of the tenant is signed out, as after a week."""
        self.site.execute("DELETE FROM sessions WHERE tenant_id = :id", id=self.actor.tenant_id)


def an_acme(site: Site, *, has_workflow: bool = True) -> Acme:
    """A new tenant whose schemas are registered, with the published workflow `WORKFLOW` unless told otherwise."""
    slug = f"acme-{next(_numbers)}"
    with site.app.app_context():
        with transaction():
            tenant = a_tenant(slug)
            alice = a_user(tenant, f"alice@{slug}.test", ADMIN)
            bob = a_user(tenant, f"bob@{slug}.test", VIEWER)
            actor = Actor(tenant.id, alice.id, alice.name)
            now = clock.database_now()
            register_schema(actor, SCHEMA_REF, SCHEMAS[SCHEMA_REF], now)
            workflow_id = publish(actor, INVOICE_SYNC, now) if has_workflow else None
        return Acme(site, actor, alice.email, site.cookies(alice, tenant), site.cookies(bob, tenant), workflow_id)


def soon(seconds: int) -> str:
    """A date and time in UTC, as a field for a local time takes it."""
    return (datetime.now(UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def publish(actor: Actor, what: DemoWorkflow, now: datetime, trigger: Any = None) -> UUID:
    """The workflow, made and published with the schema that is registered under its ref."""
    workflow = create_workflow(actor, what.name, now)
    definition = strict_json.dumps({"steps": what.steps})
    fields = replace(fields_of(workflow), definition_text=definition, schema_ref=what.schema_ref, trigger=trigger)
    saved = save_draft(actor, workflow.id, workflow.revision, fields, now)
    publish_workflow(actor, saved.id, saved.revision, now)
    return workflow.id
