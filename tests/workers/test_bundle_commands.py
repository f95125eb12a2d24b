"""`carillon bundle`: workflows out of a tenant into a file, and out of a file into a tenant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.bundles.exporting import export_bundle
from domain.kernel.db import db, transaction
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from tests.domain.bundles.bundle_files import a_file, an_entry
from tests.factories import NOW, a_published_workflow, a_run, a_schedule, a_tenant
from tests.workers.command_line import CommandLine
from tests.workers.test_commands import app, stored

__all__ = ["app"]


@pytest.fixture
def acme(app: Flask) -> Tenant:
    with transaction():
        tenant = a_tenant("acme")
        a_published_workflow(tenant, "Invoice sync")
        a_published_workflow(tenant, "Regions")
        a_tenant("globex")
    return tenant


@pytest.fixture
def line(acme: Tenant, fresh_env: dict[str, str]) -> CommandLine:
    return CommandLine(fresh_env)


def a_bundle(tmp_path: Path, *entries: dict[str, Any]) -> str:
    file = tmp_path / "bundle.json"
    file.write_bytes(a_file(*entries))
    return str(file)


def test_what_is_exported_from_one_tenant_is_imported_into_another_and_exported_the_same(
    line: CommandLine, acme: Tenant, tmp_path: Path
) -> None:
    file, again = tmp_path / "acme.json", tmp_path / "globex.json"
    assert line.done("bundle", "export", "--tenant", "acme", "-o", str(file)) == f"{file}: 2 workflows\n"
    said = line.done("bundle", "import", str(file), "--tenant", "globex").splitlines()
    assert said[0].split() == ["WHAT", "KEY", "NAME", "VERSIONS"]
    assert said[1].split() == ["create", "invoice-sync", "Invoice", "sync", "1"]
    line.done("bundle", "export", "--tenant", "globex", "--output", str(again))
    assert again.read_bytes() == file.read_bytes()
    labels = stored(select(AuditEntry.actor_label).where(AuditEntry.action == "workflow.imported"))
    assert labels == ["Command line", "Command line"]


def test_one_workflow_is_exported_by_its_key_to_the_terminal(line: CommandLine, acme: Tenant) -> None:
    text = line.done("bundle", "export", "--tenant", "acme", "--key", "regions")
    with transaction():
        (regions,) = db.session.scalars(select(Workflow.id).filter_by(key="regions"))
        assert text.encode() == export_bundle(acme.id, [regions])
    assert "There is no workflow with the key nope" in line.refused(
        "bundle", "export", "--tenant", "acme", "--key", "nope"
    )


def test_a_file_is_validated_without_a_database(tmp_path: Path) -> None:
    nowhere = CommandLine({"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none"})
    file = a_bundle(tmp_path, an_entry("one"), an_entry("two"))
    assert nowhere.done("bundle", "validate", file) == "This is a bundle of 2 workflows: one, two\n"
    assert nowhere.document("bundle", "validate", file) == {"valid": True, "workflows": ["one", "two"]}
    broken = a_bundle(tmp_path, an_entry("one") | {"id": 1}, an_entry("two", concurrencyLimit=0))
    said = nowhere.refused("bundle", "validate", broken)
    assert "/workflows/0/id: id is not a known field" in said
    assert "/workflows/1/metadata/concurrencyLimit" in said and "SCHEMA_VALIDATION_FAILED" in said


def test_a_dry_run_says_what_would_be_done_and_does_nothing(line: CommandLine, tmp_path: Path) -> None:
    trigger = {"type": "recurring", "cron": "0 9 * * *", "timezone": "UTC"}
    file = a_bundle(tmp_path, an_entry("daily", trigger=trigger, concurrencyLimit=None))
    said = line.done("bundle", "import", file, "--tenant", "acme", "--dry-run")
    assert "create  daily" in said and "0 9 * * *: becomes a schedule" in said
    assert "Any number of its runs" in said and "Nothing was changed" in said
    assert stored(select(Workflow).filter_by(key="daily")) == []
    done = line.document("bundle", "import", file, "--tenant", "acme")
    assert done["createdWorkflows"][0]["key"] == "daily"
    (schedule,) = stored(select(Schedule))
    assert done["workflows"][0]["inlineTriggers"][0]["scheduleId"] == str(schedule.id)


def test_a_key_that_is_taken_needs_force(line: CommandLine, acme: Tenant, tmp_path: Path) -> None:
    with transaction():
        (workflow,) = db.session.scalars(select(Workflow).filter_by(key="regions"))
        a_schedule(workflow, "Nightly", next_fire_at=NOW.replace(year=2090))
        a_run(workflow, "queued")
    file = a_bundle(tmp_path, an_entry("regions", versions=(4,)))
    assert "WORKFLOW_KEY_CONFLICT" in line.refused("bundle", "import", file, "--tenant", "acme")
    dry = line.run("bundle", "import", file, "--tenant", "acme", "--dry-run")
    assert (dry.exit_code, "conflict  regions" in dry.stdout) == (1, True)
    held = line.refused("bundle", "import", file, "--tenant", "acme", "--force")
    assert "WORKFLOW_RUNS_UNFINISHED" in held and "1 run has not ended" in held
    said = line.done("bundle", "import", file, "--tenant", "acme", "--force", "--cancel-runs")
    assert "replace  regions" in said and "schedule Nightly goes along, active" in said and "1 run canceled" in said


def test_what_is_wrong_is_a_document_for_scripts(line: CommandLine, tmp_path: Path) -> None:
    steps = [{"id": "x", "type": "action.call", "config": {"actionId": "no.such", "version": 1}}]
    result = line.run("bundle", "import", a_bundle(tmp_path, an_entry("a", steps)), "--tenant", "acme", "--json")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["code"] == "MISSING_DEPENDENCIES"
    assert document["missingActions"] == [{"actionId": "no.such", "version": 1}]


def test_a_file_may_come_from_standard_input(line: CommandLine) -> None:
    said = line.done("bundle", "import", "-", "--tenant", "acme", said=a_file(an_entry("piped")).decode())
    assert "create  piped" in said
