"""`carillon bundle` and `carillon schedule-bundle` over the API of a server: as on the database, with what a token may."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.bundles.schedule_exporting import derived_key
from domain.kernel.db import db, transaction
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.domain.bundles import bundle_files, schedule_files
from tests.factories import NOW, a_published_workflow, a_run, a_schedule, a_tenant, a_token
from tests.servers import serving
from tests.workers.command_line import CommandLine
from tests.workers.test_commands import app, stored

__all__ = ["app"]


@pytest.fixture
def acme(app: Flask) -> Tenant:
    with transaction():
        tenant = a_tenant("acme")
        a_published_workflow(tenant, "Invoice sync")
        a_published_workflow(tenant, "Regions")
        a_token(tenant)
    return tenant


@pytest.fixture
def here(acme: Tenant, fresh_env: dict[str, str]) -> CommandLine:
    return CommandLine(fresh_env)


@pytest.fixture
def elsewhere(acme: Tenant, fresh_env: dict[str, str], tmp_path: Path) -> Iterator[CommandLine]:
    with transaction():
        token = a_token(db.session.merge(acme), name="Bundles")[1]
    with serving(fresh_env, tmp_path / "web.log") as url:
        yield CommandLine({"CARILLON_URL": url, "CARILLON_TOKEN": token})


def written(folder: Path, raw: bytes) -> str:
    (folder / "file.json").write_bytes(raw)
    return str(folder / "file.json")


def test_workflows_are_exported_planned_refused_and_imported(
    here: CommandLine, elsewhere: CommandLine, acme: Tenant, tmp_path: Path
) -> None:
    assert elsewhere.done("bundle", "export") == here.done("bundle", "export")
    some = ("bundle", "export", "--key", "regions", "--key", "invoice-sync")
    assert elsewhere.done(*some) == here.done(*some) != here.done("bundle", "export", "--key", "regions")
    unknown = ("bundle", "export", "--key", "nope")
    assert elsewhere.refused(*unknown) == here.refused(*unknown)

    with transaction():
        (workflow,) = db.session.scalars(select(Workflow).filter_by(key="regions"))
        a_schedule(workflow, "Nightly", next_fire_at=NOW.replace(year=2090))
        a_run(workflow, "queued")
    file = written(tmp_path, bundle_files.a_file(bundle_files.an_entry("regions", versions=(4,))))
    plans = [line.run("bundle", "import", file, "--dry-run") for line in (here, elsewhere)]
    assert [(one.exit_code, one.stdout) for one in plans] == [(1, plans[0].stdout)] * 2
    assert "conflict  regions" in plans[1].stdout and "Nothing was changed" in plans[1].stdout
    for options in ((), ("--force",)):
        assert elsewhere.refused("bundle", "import", file, *options) == here.refused("bundle", "import", file, *options)
    said = elsewhere.done("bundle", "import", file, "--force", "--cancel-runs")
    assert "replace  regions" in said and "schedule Nightly goes along, active" in said and "1 run canceled" in said
    assert stored(select(Run.status)) == ["canceled"]
    labels = stored(select(AuditEntry.actor_label).where(AuditEntry.action == "workflow.imported"))
    assert labels and "Command line" not in labels


def test_a_broken_file_is_told_in_the_same_words_and_documents(
    here: CommandLine, elsewhere: CommandLine, tmp_path: Path
) -> None:
    entries = bundle_files.an_entry("one") | {"id": 1}, bundle_files.an_entry("two", concurrencyLimit=0)
    file = written(tmp_path, bundle_files.a_file(*entries))
    words = elsewhere.refused("bundle", "import", file)
    assert "/workflows/0/id: id is not a known field" in words and "SCHEMA_VALIDATION_FAILED: " in words
    assert words == here.refused("bundle", "import", file)
    there, local = (json.loads(line.run("bundle", "import", file, "--json").stdout) for line in (elsewhere, here))
    assert {name: there[name] for name in local} == local
    assert (there["status"], there["code"]) == (400, "SCHEMA_VALIDATION_FAILED")


def test_schedules_are_exported_planned_and_imported(
    here: CommandLine, elsewhere: CommandLine, acme: Tenant, tmp_path: Path
) -> None:
    items = (
        schedule_files.an_item(),
        schedule_files.an_item("noon", timing={**schedule_files.HOURLY, "cron": "0 12 * * *"}),
    )
    file = written(tmp_path, schedule_files.a_file(*items))
    plan = elsewhere.document("schedule-bundle", "import", file, "--dry-run")
    assert plan == here.document("schedule-bundle", "import", file, "--dry-run")
    assert stored(select(Schedule)) == []
    assert "2 new schedules, paused." in elsewhere.done("schedule-bundle", "import", file)
    with transaction():
        (workflow,) = db.session.scalars(select(Workflow).filter_by(key="regions"))
        keyless = derived_key(a_schedule(workflow, "Keyless").id)
    for keys in ((), ("--key", "noon"), ("--key", keyless)):
        assert elsewhere.done("schedule-bundle", "export", *keys) == here.done("schedule-bundle", "export", *keys)
    assert "has the external key night" in elsewhere.refused("schedule-bundle", "export", "--key", "night")


def test_who_may_only_read_exports_and_imports_nothing(elsewhere: CommandLine, acme: Tenant, tmp_path: Path) -> None:
    with transaction():
        reader = a_token(db.session.merge(acme), name="Reader", scopes=["workflow:read"])[1]
    line = CommandLine(elsewhere.env | {"CARILLON_TOKEN": reader})
    assert json.loads(line.done("bundle", "export"))["workflows"]
    file = written(tmp_path, bundle_files.a_file(bundle_files.an_entry("new")))
    assert "needs the permission workflow:admin" in line.refused("bundle", "import", file)
    assert stored(select(Workflow).filter_by(key="new")) == []
