"""Schedules and runs of workflows and those of extension endpoints: each kind opens to its own permissions only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from domain.accounts.permissions import CHANGE, OPERATOR, READ
from domain.accounts.tenants import Tenant
from domain.schedules.schedules import Schedule
from tests.calls import a_call_run, a_call_schedule, an_invocation
from tests.factories import a_user, an_install
from tests.web.addresses import CANARY, IDS, address, ask, rules
from tests.web.cast import Browser, client_of
from web.schedules import bulk

NAMED = {"schedule_id", "run_id", "rehearsal_id"}
# Those of workflows only: an endpoint is called again as it was, and no schedule of the walk has a backfill.
ELSEWHERE = {"runs.ask_rerun", "runs.rerun_payload", "schedules.cancel"}


@pytest.fixture
def calls(app: Flask, acme: Tenant, db: Any) -> dict[str, Any]:
    """Ids of what calls an endpoint, by their names in addresses."""
    install = an_install(acme)
    schedule = a_call_schedule(install, CANARY)
    run, rehearsal = a_call_run(install, schedule_id=schedule.id), a_call_run(install, is_rehearsal=True)
    an_invocation(run, response_excerpt=CANARY)
    made = {"schedule_id": schedule.id, "run_id": run.id, "rehearsal_id": rehearsal.id}
    made |= {"backfill_id": IDS["backfill_id"](acme)}
    db.commit()
    return made


def named(app: Flask, ids: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Method, path and endpoint of everything that names a schedule or a run."""
    for rule, method in rules(app):
        if rule.arguments & NAMED and rule.arguments <= ids.keys():
            yield method, address(app, rule, ids), str(rule.endpoint)


def test_every_address_of_a_schedule_or_a_run_asks_for_what_its_kind_needs(app: Flask) -> None:
    found = {rule.endpoint for rule, _ in rules(app) if rule.arguments & NAMED}
    # Below an extension everything is about endpoints.
    found = {name for name in found if "/extensions/" not in str(next(app.url_map.iter_rules(name)))}
    marks = {name: getattr(app.view_functions[name], "by_kind", None) for name in found}
    assert len(found) > 30
    assert {name for name, mark in marks.items() if mark not in (READ, CHANGE)} == set()


def test_every_page_about_a_call_is_readable(app: Flask, calls: dict[str, Any], alice: Browser) -> None:
    read = [(path, ask(alice, path, method)) for method, path, name in named(app, calls) if method == "GET"]
    gone = [address(app, rule, calls) for rule, _ in rules(app) if rule.endpoint in ELSEWHERE]
    assert len(read) > 15
    assert [path for path, answer in read if answer.status_code != 200 and path not in gone] == []


def test_nothing_about_a_call_is_told_to_another_tenant(app: Flask, calls: dict[str, Any], charlie: Browser) -> None:
    for method, path, _ in named(app, calls):
        answer = ask(charlie, path, method)
        assert (answer.status_code, CANARY in answer.text) == (404, False), f"{method} {path}"


@pytest.mark.parametrize("role", ["viewer", OPERATOR])
def test_who_may_not_change_endpoint_schedules_changes_none_of_them(
    app: Flask, acme: Tenant, calls: dict[str, Any], db: Any, role: str
) -> None:
    person = client_of(app, a_user(acme, f"{role}@acme.test", role), acme)
    for method, path, name in named(app, calls):
        if getattr(app.view_functions[name], "by_kind", None) == CHANGE:
            assert ask(person, path, method).status_code == 403, f"{method} {path}"
        elif method == "GET":
            assert ask(person, path, method).status_code == 200, f"{method} {path}"


def test_an_empty_list_of_endpoint_schedules_says_where_they_are_made(alice: Browser) -> None:
    page = alice.get("/schedules?target=endpoint").text
    assert "No endpoint is scheduled yet" in page and 'href="/settings/extensions"' in page


def test_an_operator_does_not_go_on_with_what_an_admin_began(
    app: Flask, acme: Tenant, calls: dict[str, Any], alice: Browser, db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    omar = client_of(app, a_user(acme, "omar@acme.test", OPERATOR), acme)
    schedule = db.get(Schedule, calls["schedule_id"])
    monkeypatch.setattr(bulk, "AT_ONCE_SECONDS", -1)
    form = {"action": "pause", "ids": str(schedule.id), "request_key": "k", "ends": "open"}
    assert alice.post("/schedules/bulk", form).status_code == 303
    monkeypatch.setattr(bulk, "AT_ONCE_SECONDS", 60)
    tried = [omar.post("/schedules/bulk/continue", {"key": "k"}), omar.post("/schedules/bulk", form | {"ids": ""})]
    assert [answer.status_code for answer in tried] == [403, 403]
    db.refresh(schedule)
    assert schedule.status == "active"
    assert alice.post("/schedules/bulk/continue", {"key": "k"}).status_code == 303
    db.refresh(schedule)
    assert schedule.status == "paused"
