"""A part of a page that refreshes by itself is sent again when it shows something else, and not before."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from domain.accounts.permissions import ADMIN
from domain.accounts.tenants import Tenant
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.calls import a_call_schedule
from tests.factories import a_published_workflow, a_run, a_task, a_user, an_event, an_install
from tests.web.cast import Browser, client_of
from tests.web.schedule_pages import a_quiet_schedule
from web.answers import SHOWN

KEY = re.compile('name="(?:csrf_token|request_key)" value="([^"]+)"')


@pytest.fixture
def sync(acme: Tenant) -> Workflow:
    return a_published_workflow(acme)


@pytest.fixture
def morning(sync: Workflow) -> Schedule:
    return a_quiet_schedule(sync)


@pytest.fixture
def anna(app: Flask, acme: Tenant) -> Browser:
    """Another admin: what she is shown differs from alice's in its keys alone."""
    return client_of(app, a_user(acme, "anna@acme.test", ADMIN), acme)


@pytest.fixture
def live(acme: Tenant, sync: Workflow, morning: Schedule) -> dict[str, str]:
    """The addresses of parts that refresh by themselves, by their names."""
    run = a_run(sync, "waiting", schedule_id=morning.id)
    a_task(run)
    install = an_install(acme)
    a_call_schedule(install, "Nightly")
    return {
        "schedules": "/schedules",
        "schedule": f"/schedules/{morning.id}",
        "schedules of an extension": f"/settings/extensions/{install.extension_id}/schedules",
        "runs": "/runs",
        "run": f"/runs/{run.id}",
        "tasks": "/tasks",
        "event": f"/events/{an_event(acme).id}",
        "events": "/events",
    }


def shown(browser: Browser, address: str, known: str = "") -> Any:
    return browser.get(address, htmx=True, headers={SHOWN: known})


def test_what_shows_the_same_is_not_sent_again(alice: Browser, anna: Browser, live: dict[str, str]) -> None:
    keys_seen = 0
    for name, address in live.items():
        first = shown(alice, address)
        assert first.status_code == 200 and len(first.headers[SHOWN]) == 16, name
        again = shown(anna, address, first.headers[SHOWN])
        assert (again.status_code, again.text, again.headers[SHOWN]) == (204, "", first.headers[SHOWN]), name
        keys = set(KEY.findall(first.text))
        assert not keys & set(KEY.findall(shown(anna, address).text)), name
        keys_seen += len(keys)
    assert keys_seen > 1, "nothing here differs by who asks"


def test_what_shows_something_else_is_sent(alice: Browser, morning: Schedule, live: dict[str, str], db: Any) -> None:
    known = {name: shown(alice, live[name]).headers[SHOWN] for name in ("schedules", "schedule")}
    morning.name = "Evening sync"
    db.commit()
    for name, tag in known.items():
        answer = shown(alice, live[name], tag)
        assert answer.status_code == 200 and "Evening sync" in answer.text and answer.headers[SHOWN] != tag


def test_what_somebody_may_not_do_any_more_is_sent(alice: Browser, bob: Browser, morning: Schedule) -> None:
    assert shown(bob, "/schedules", shown(alice, "/schedules").headers[SHOWN]).status_code == 200


def test_only_who_says_what_is_shown_is_told(alice: Browser, morning: Schedule) -> None:
    tag = shown(alice, "/schedules").headers[SHOWN]
    assert SHOWN not in alice.get("/schedules", htmx=True).headers
    assert alice.get("/schedules", headers={SHOWN: tag}).status_code == 200
    refused = shown(alice, "/schedules/nobody", tag)
    assert refused.status_code == 404 and SHOWN not in refused.headers
