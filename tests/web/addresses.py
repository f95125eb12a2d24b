"""Every address of the application, filled in with ids of acme.

Only a new kind of id in an address has to be added to IDS: a function that makes a row of the tenant and answers its id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from sqlalchemy import select
from werkzeug.routing import Rule

from domain.accounts.notifications import Notification, members_with, notify
from domain.accounts.secrets import create_secret
from domain.accounts.tenants import Tenant
from domain.accounts.users import Membership
from domain.extensions.extensions import Extension
from domain.extensions.installs import Install
from domain.kernel.db import db
from domain.kernel.ids import new_id
from domain.runs.runs import BY_HAND, PURE, Run
from domain.schedules.backfills import Backfill
from domain.workflows.payload_schemas import register_schema
from tests.calls import a_call_schedule
from tests.factories import (
    NOW,
    a_published_workflow,
    a_run,
    a_schedule,
    a_task,
    a_token,
    a_user,
    an_actor,
    an_event,
    an_event_type,
    an_extension,
    an_extension_version,
    an_install,
)
from tests.web.cast import Browser

CANARY = "canary-of-acme"


def _member_id(tenant: Tenant) -> Any:
    user = a_user(tenant, f"member-{CANARY}@acme.test", "viewer")
    return db.session.scalars(select(Membership.id).where(Membership.user_id == user.id)).one()


def _token_id(tenant: Tenant) -> Any:
    return a_token(tenant, name=CANARY)[0].id


def _schema_id(tenant: Tenant) -> Any:
    return register_schema(an_actor(tenant), "payload.Canary.v1", {"title": CANARY, "type": "object"}, NOW).id


def _schema_ref(tenant: Tenant) -> Any:
    return register_schema(an_actor(tenant), "payload.CanaryByRef.v1", {"title": CANARY, "type": "object"}, NOW).ref


def _secret_id(tenant: Tenant) -> Any:
    return create_secret(an_actor(tenant), "CANARY_OF_ACME", CANARY, CANARY, NOW).id


def _workflow_id(tenant: Tenant) -> Any:
    return a_published_workflow(tenant, CANARY).id


def _schedule_id(tenant: Tenant) -> Any:
    return a_schedule(a_published_workflow(tenant, f"{CANARY} on time"), CANARY).id


def _run_id(tenant: Tenant) -> Any:
    workflow = a_published_workflow(tenant, f"{CANARY} that ran")
    values = {"started_by": BY_HAND, "lane": PURE, "input_json": {"word": CANARY}}
    run = Run(tenant_id=tenant.id, workflow_id=workflow.id, workflow_version=1, **values)
    db.session.add(run)
    db.session.flush()
    return run.id


def _rehearsal_id(tenant: Tenant) -> Any:
    return a_run(a_published_workflow(tenant, f"{CANARY} rehearsed"), is_rehearsal=True, output={"word": CANARY}).id


def _event_id(tenant: Tenant) -> Any:
    return an_event(tenant, CANARY, payload={"word": CANARY}).id


def _task_id(tenant: Tenant) -> Any:
    run = a_run(a_published_workflow(tenant, f"{CANARY} that asks"), "waiting")
    return a_task(run, CANARY, context={"word": CANARY}).id


def _notification_id(tenant: Tenant) -> Any:
    """For every member: whoever walks is among them."""
    told = members_with(tenant.id, "workflow:read")
    notify(tenant.id, told, CANARY, CANARY, "info", NOW, f"/runs?q={CANARY}")
    own = select(Notification.id).where(Notification.tenant_id == tenant.id).order_by(Notification.id).limit(1)
    return db.session.scalars(own).first() or new_id()


def _backfill_id(tenant: Tenant) -> Any:
    schedule = a_schedule(a_published_workflow(tenant, f"{CANARY} made up"), CANARY)
    backfill = Backfill(tenant_id=tenant.id, schedule_id=schedule.id, from_at=NOW, until_at=NOW, count=1, concurrency=1)
    db.session.add(backfill)
    db.session.flush()
    return backfill.id


def _extension_id(tenant: Tenant) -> Any:
    extension = an_extension(tenant, f"com.{CANARY}.sync", CANARY)
    values = {"config": {"word": CANARY}, "capabilities": ["cap:http.fetch"]}
    return an_install(tenant, an_extension_version(extension, capabilities=["cap:http.fetch"]), **values).extension_id


def _extension_version_id(tenant: Tenant) -> Any:
    """Of the tenant's extension when the walk has one already: addresses name both."""
    found = db.session.scalars(select(Extension).where(Extension.tenant_id == tenant.id)).first()
    return an_extension_version(found or an_extension(tenant, f"com.{CANARY}.sync"), "2.0.0").id


def _extension_schedule_id(tenant: Tenant) -> Any:
    """Of what the walk has installed already: addresses name the extension too."""
    found = db.session.scalars(select(Install).where(Install.tenant_id == tenant.id)).first()
    return a_call_schedule(found or an_install(tenant), CANARY).id


IDS: dict[str, Callable[[Tenant], Any]] = {
    "member_id": _member_id,
    "token_id": _token_id,
    "schema_id": _schema_id,
    "schema_ref": _schema_ref,
    "secret_id": _secret_id,
    "workflow_id": _workflow_id,
    "schedule_id": _schedule_id,
    "backfill_id": _backfill_id,
    "run_id": _run_id,
    "rehearsal_id": _rehearsal_id,
    "event_id": _event_id,
    "event_type_id": lambda tenant: an_event_type(tenant, CANARY).id,
    "task_id": _task_id,
    "notification_id": _notification_id,
    "extension_id": _extension_id,
    "extension_schedule_id": _extension_schedule_id,
    "version_id": _extension_version_id,
    "secret_name": lambda _tenant: "CANARY_OF_ACME",
    "version": lambda _tenant: 1,
}
"""By the name of the converter: makes a row of the tenant, with CANARY in its name, and answers its id."""


def rules(app: Flask) -> Iterator[tuple[Rule, str]]:
    for rule in app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}):
            if rule.endpoint != "static":
                yield rule, method


def address(app: Flask, rule: Rule, ids: dict[str, Any]) -> str:
    unknown = rule.arguments - ids.keys()
    assert not unknown, f"{rule.rule}: add {', '.join(sorted(unknown))} to IDS in tests/web/addresses.py"
    with app.test_request_context():
        return app.url_map.bind("localhost").build(rule.endpoint, {name: ids[name] for name in rule.arguments})


def ids_of(app: Flask, tenant: Tenant) -> dict[str, Any]:
    """A row of the tenant for every kind of id that the addresses name and IDS knows."""
    names = set().union(*(rule.arguments for rule, _ in rules(app)))
    return {name: IDS[name](tenant) for name in sorted(names & IDS.keys())}


def is_file(answer: Any) -> bool:
    """Whether the answer is to be kept: JSON as an attachment, which no browser shows as a page."""
    kept = answer.headers.get("Content-Disposition", "").startswith("attachment;")
    return bool(
        kept and answer.mimetype == "application/json" and answer.headers["X-Content-Type-Options"] == "nosniff"
    )


def ask(browser: Browser, path: str, method: str, **kwargs: Any) -> Any:
    if path.startswith("/api/"):
        secret = a_token(browser.tenant, browser.user, name="walker")[1]
        return browser.open(path, method=method, headers={"Authorization": f"Bearer {secret}"}, json={}, **kwargs)
    return browser.open(path, method=method, **kwargs)
