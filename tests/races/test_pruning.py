"""What is forgotten by itself, while others hold rows: it waits for nobody, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from domain.accounts.notifications import notify, prune_notifications
from domain.accounts.request_keys import claim_request, prune_requests
from domain.accounts.sessions import prune_sessions, start_session
from domain.accounts.tenants import Tenant
from domain.accounts.users import User
from domain.events.retention import prune_events
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.runs.retention import prune_runs
from domain.runs.store_items import StoreItem, prune_store
from domain.workflows.workflows import Workflow
from tests import servers
from tests.factories import NOW, a_published_workflow, a_run, a_tenant, a_user, an_event

ROWS = 5


@pytest.fixture
def app(fresh_database: str, redis_url: str) -> Iterator[Flask]:
    app = servers.make_app(servers.config_for(fresh_database, redis_url))
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


class Past:
    """Five rows of each kind that are past their time."""

    def __init__(self, acme: Tenant, alice: User, sync: Workflow) -> None:
        self.acme, self.alice, self.sync = acme, alice, sync

    def requests(self, number: int) -> None:
        claim_request(self.acme.id, f"key {number}", "test")

    def notifications(self, number: int) -> None:
        notify(self.acme.id, [self.alice.id], f"Title {number}", "", "info", NOW)

    def runs(self, number: int) -> None:
        a_run(self.sync, finished_at=NOW)

    def events(self, number: int) -> None:
        an_event(self.acme)

    def sessions(self, number: int) -> None:
        start_session(self.alice, self.acme.id, NOW)

    def store_items(self, number: int) -> None:
        db.session.add(StoreItem(tenant_id=self.acme.id, namespace="n", key=str(number), value=1, expires_at=NOW))


WAYS: dict[str, tuple[Callable[[Past, int], None], Callable[[datetime], int]]] = {
    "request_keys": (Past.requests, prune_requests),
    "notifications": (Past.notifications, prune_notifications),
    "runs": (Past.runs, prune_runs),
    "events": (Past.events, prune_events),
    "sessions": (Past.sessions, prune_sessions),
    "store_items": (Past.store_items, prune_store),
}


@pytest.mark.parametrize("table", WAYS)
def test_what_somebody_holds_is_left_for_the_next_time(app: Flask, table: str) -> None:
    make, prune_some = WAYS[table]
    with transaction():
        acme = a_tenant()
        acme.retention_days = 30
        past = Past(acme, a_user(acme), a_published_workflow(acme))
        for number in range(ROWS):
            make(past, number)
    later = clock.database_now() + timedelta(days=365)
    with db.engine.connect() as other:
        held = other.execute(text(f"SELECT ctid FROM {table} LIMIT 2 FOR UPDATE")).all()
        assert len(held) == 2
        with transaction():
            # Waiting for a lock would end this.
            db.session.execute(text("SELECT set_config('lock_timeout', '1s', true)"))
            assert prune_some(later) == ROWS - 2
        other.rollback()
    with transaction():
        assert prune_some(later) == 2
        assert prune_some(later) == 0


def test_a_batch_that_goes_on_holds_nobody_up_who_writes(app: Flask) -> None:
    with transaction():
        acme = a_tenant()
        acme.retention_days = 30
        sync = a_published_workflow(acme)
        a_run(sync, finished_at=NOW)
        going: Any = a_run(sync, "running").id
    with transaction():
        assert prune_runs(clock.database_now() + timedelta(days=365)) == 1
        with db.engine.begin() as other:
            other.execute(text("SELECT set_config('lock_timeout', '1s', true)"))
            other.execute(text("UPDATE runs SET losses = 1 WHERE id = :id"), {"id": going})
            other.execute(text("UPDATE workflows SET name = 'Other'"))
