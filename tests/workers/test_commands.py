"""The command line, through its real entry in a process of its own: what it does, what it says, how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.kernel.db import db, transaction
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.factories import a_published_workflow, a_tenant, a_workflow
from tests.servers import ROOT, config_for
from workers.process import process_app

MORNINGS = {"type": "recurring", "cron": "0 9 * * *", "timezone": "Europe/Paris"}


def carillon(env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """What an installed `carillon` does: its entry, as pyproject.toml names it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    module, _, entry = project["scripts"]["carillon"].partition(":")
    command = [sys.executable, "-c", f"import sys; from {module} import {entry}; sys.exit({entry}())", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def app(fresh_env: dict[str, str]) -> Iterator[Flask]:
    app = process_app(config_for(fresh_env["DATABASE_URL"], fresh_env["REDIS_URL"]), "command", 1)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def acme(app: Flask) -> str:
    with transaction():
        a_tenant("acme")
        a_tenant("globex", timezone="Europe/Berlin")
    return "acme"


def a_draft(slug: str, name: str, trigger: Any, *, is_published: bool = True) -> None:
    with transaction():
        tenant = db.session.scalars(select(Tenant).where(Tenant.slug == slug)).one()
        made = a_published_workflow(tenant, name) if is_published else a_workflow(tenant, name)
        made.draft_trigger = trigger


def stored(query: Any) -> list[Any]:
    db.session.rollback()
    return list(db.session.scalars(query))


def test_the_tenants_are_listed_with_their_editions(fresh_env: dict[str, str], acme: str) -> None:
    lines = carillon(fresh_env, "tenants", "list").stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["SLUG", "EDITION", "ZONE"], ["acme", "enterprise", "UTC"], ["globex", "enterprise", "Europe/Berlin"],
    ]  # fmt: skip
    answer = carillon(fresh_env, "tenants", "list", "--json")
    assert json.loads(answer.stdout)[1] == {
        "slug": "globex", "name": "Globex", "timezone": "Europe/Berlin", "edition": "enterprise", "deletedAt": None,
    }  # fmt: skip


def test_an_edition_is_set_for_one_tenant_and_is_on_record(fresh_env: dict[str, str], acme: str) -> None:
    ended = carillon(fresh_env, "tenants", "set-edition", "acme", "community")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "held, not lost" in ended.stdout
    assert stored(select(Tenant.edition).order_by(Tenant.slug)) == ["community", "enterprise"]
    entry = stored(select(AuditEntry))[0]
    assert (entry.action, entry.actor_label, entry.actor_id) == ("tenant.edited", "Command line", None)
    assert entry.request_id
    assert "already" in carillon(fresh_env, "tenants", "set-edition", "acme", "community").stdout
    assert len(stored(select(AuditEntry))) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("tenants", "set-edition", "nobody", "community"), 1, "There is no tenant nobody"),
        (("workflows", "migrate-triggers", "--tenant", "nobody"), 1, "There is no tenant nobody"),
        (("tenants", "set-edition", "acme", "platinum"), 2, "enterprise"),
        (("tenants", "set-edition"), 2, "SLUG"),
        (("schedules", "explode"), 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_said_in_words_with_its_exit_code(
    fresh_env: dict[str, str], acme: str, arguments: tuple[str, ...], code: int, words: str
) -> None:
    ended = carillon(fresh_env, *arguments)
    assert ended.returncode == code
    assert words in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("arguments", [(), ("tenants",), ("tenants", "set-edition"), ("workflows", "migrate-triggers")])
def test_each_command_explains_itself_without_an_installation(arguments: tuple[str, ...]) -> None:
    ended = carillon({"PATH": "/usr/bin"}, *arguments, "--help")
    assert ended.returncode == 0
    assert "Usage: carillon" in ended.stdout


def test_a_missing_setting_and_an_absent_database_are_named(fresh_env: dict[str, str]) -> None:
    without = {name: value for name, value in fresh_env.items() if name != "DATABASE_URL"}
    away = fresh_env | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}
    for env, words in ((without, "DATABASE_URL"), (away, "The database cannot be reached")):
        ended = carillon(env, "tenants", "list")
        assert ended.returncode == 1
        assert words in ended.stderr and "Traceback" not in ended.stderr


def test_time_triggers_become_schedules_once(fresh_env: dict[str, str], acme: str) -> None:
    a_draft("acme", "Sync", MORNINGS)
    a_draft("acme", "Draft only", MORNINGS, is_published=False)
    ended = carillon(fresh_env, "workflows", "migrate-triggers")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "schedule Sync, active, fires next at" in ended.stdout
    assert "schedule Draft only, invalid. Draft only has no published version" in ended.stdout
    assert stored(select(Schedule.name).order_by(Schedule.name)) == ["Draft only", "Sync"]
    assert carillon(fresh_env, "workflows", "migrate-triggers").stdout == "No draft has a time trigger.\n"
    assert len(stored(select(Schedule))) == 2


def test_a_dry_run_says_the_same_and_changes_nothing(fresh_env: dict[str, str], acme: str) -> None:
    a_draft("acme", "Sync", MORNINGS)
    a_draft("acme", "Later", MORNINGS)
    planned = json.loads(carillon(fresh_env, "workflows", "migrate-triggers", "--dry-run", "--json").stdout)
    assert planned["dryRun"] is True
    assert stored(select(Schedule)) == []
    assert stored(select(Workflow.draft_trigger)) == [MORNINGS, MORNINGS]
    done = json.loads(carillon(fresh_env, "workflows", "migrate-triggers", "--json").stdout)
    assert without_ids(done) == without_ids(planned) | {"dryRun": False}
    assert [one["triggers"][0]["scheduleId"] is None for one in planned["workflows"]] == [True, True]


def without_ids(report: dict[str, Any]) -> dict[str, Any]:
    for one in (trigger for workflow in report["workflows"] for trigger in workflow["triggers"]):
        one["scheduleId"] = None
    return report


def test_only_the_tenant_asked_for_is_touched(fresh_env: dict[str, str], acme: str) -> None:
    a_draft("acme", "Sync", MORNINGS)
    a_draft("globex", "Theirs", MORNINGS)
    assert carillon(fresh_env, "workflows", "migrate-triggers", "--tenant", "globex").returncode == 0
    assert stored(select(Schedule.name)) == ["Theirs"]


def test_a_trigger_that_has_to_stay_is_said_loudly_and_stops_no_other(fresh_env: dict[str, str], acme: str) -> None:
    a_draft("acme", "Broken", {"type": "schedule", "runAt": "soon"})
    a_draft("acme", "Sync", MORNINGS)
    ended = carillon(fresh_env, "workflows", "migrate-triggers")
    assert ended.returncode == 1
    assert "STAYS IN THE DRAFT" in ended.stdout
    assert "1 trigger had to stay in the draft" in ended.stderr
    assert stored(select(Schedule.name)) == ["Sync"]
    assert stored(text("SELECT draft_trigger->>'runAt' FROM workflows WHERE name = 'Broken'")) == ["soon"]
