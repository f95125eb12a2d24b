"""`carillon schedule-bundle`: schedules out of a tenant into a file, and out of a file into a tenant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.bundles.schedule_exporting import derived_key
from domain.kernel.db import db, transaction
from domain.schedules.schedules import Schedule
from tests.domain.bundles.schedule_files import HOURLY, a_file, an_item
from tests.factories import a_published_workflow, a_schedule, a_tenant
from tests.workers.command_line import CommandLine
from tests.workers.test_commands import app, stored

__all__ = ["app"]


@pytest.fixture
def acme(app: Flask) -> Tenant:
    with transaction():
        tenant = a_tenant("acme")
        a_published_workflow(tenant)
        a_published_workflow(a_tenant("globex"))
    return tenant


@pytest.fixture
def line(acme: Tenant, fresh_env: dict[str, str]) -> CommandLine:
    return CommandLine(fresh_env)


def a_schedule_of(slug: str, name: str, **values: Any) -> Schedule:
    with transaction():
        tenant = db.session.scalars(select(Tenant).where(Tenant.slug == slug)).one()
        workflow = a_published_workflow(tenant, f"Sync {name}")
        return a_schedule(workflow, name, **values)


def written(folder: Path, raw: bytes) -> str:
    path = folder / "schedules.json"
    path.write_bytes(raw)
    return str(path)


def count(model: Any) -> int:
    return int(stored(select(func.count()).select_from(model))[0])


def test_a_file_goes_from_one_tenant_into_another_and_comes_out_the_same(line: CommandLine, tmp_path: Path) -> None:
    file = written(tmp_path, a_file(an_item(), an_item("noon", timing={**HOURLY, "cron": "0 12 * * *"})))
    said = line.done("schedule-bundle", "import", file, "--tenant", "acme")
    assert [row.split()[:2] for row in said.splitlines()[1:3]] == [["create", "morning"], ["create", "noon"]]
    assert said.splitlines()[-1].startswith("2 new schedules, paused.")
    out = tmp_path / "acme.json"
    assert line.done("schedule-bundle", "export", "--tenant", "acme", "-o", str(out)) == f"{out}: 2 schedules\n"
    line.done("schedule-bundle", "import", str(out), "--tenant", "globex")
    assert line.done("schedule-bundle", "export", "--tenant", "globex") == out.read_text()
    assert set(stored(select(Schedule.status))) == {"paused"}
    assert set(stored(select(AuditEntry.actor_label))) == {"Command line"}


def test_importing_again_is_told_to_change_nothing(line: CommandLine, tmp_path: Path) -> None:
    file = written(tmp_path, a_file(an_item()))
    first = line.document("schedule-bundle", "import", file, "--tenant", "acme")
    again = line.document("schedule-bundle", "import", file, "--tenant", "acme")
    assert [one["schedules"][0]["action"] for one in (first, again)] == ["create", "unchanged"]
    assert first["schedules"][0]["scheduleId"] == again["schedules"][0]["scheduleId"] is not None
    assert (count(Schedule), count(AuditEntry)) == (1, 1)


def test_a_dry_run_says_what_would_be_done_and_does_nothing(line: CommandLine) -> None:
    raw = a_file(an_item()).decode()
    said = line.done("schedule-bundle", "import", "-", "--tenant", "acme", "--dry-run", said=raw)
    assert "create" in said and "Nothing was changed" in said
    planned = line.document("schedule-bundle", "import", "-", "--tenant", "acme", "--dry-run", said=raw)
    assert planned.pop("fingerprint")
    assert planned == {
        "dryRun": True,
        "schedules": [
            {
                "externalKey": "morning", "name": "The morning sync", "targetKind": "workflow", "target": "invoice-sync",
                "action": "create", "scheduleId": None, "warnings": [], "errors": [],
            }
        ],
    }  # fmt: skip
    assert count(Schedule) == 0


def test_every_reason_against_a_file_is_told_and_nothing_is_taken(line: CommandLine, tmp_path: Path) -> None:
    bad = an_item("bad", timing={**HOURLY, "cron": "99 * * * *"}, target={"workflow": "none"})
    file = written(tmp_path, a_file(an_item(), bad))
    said = line.refused("schedule-bundle", "import", file, "--tenant", "acme")
    assert "/schedules/1/target/workflow: There is no workflow with the key none" in said
    answer = line.run("schedule-bundle", "import", file, "--tenant", "acme", "--json")
    assert answer.exit_code == 1
    told = json.loads(answer.stdout)
    assert (told["code"], told["missingWorkflows"]) == ("MISSING_DEPENDENCIES", ["none"])
    assert told["errors"][0]["path"] == "/schedules/1/target/workflow"
    tried = line.run("schedule-bundle", "import", file, "--tenant", "acme", "--dry-run")
    assert (tried.exit_code, "conflict" in tried.stdout) == (1, True)
    assert (count(Schedule), count(AuditEntry)) == (0, 0)


def test_some_schedules_are_chosen_by_their_keys(line: CommandLine) -> None:
    a_schedule_of("acme", "Morning", external_key="morning")
    keyless = a_schedule_of("acme", "Noon")
    a_schedule_of("globex", "Night", external_key="night")
    chosen = line.done("schedule-bundle", "export", "--tenant", "acme", "--key", derived_key(keyless.id))
    assert [one["name"] for one in json.loads(chosen)["schedules"]] == ["Noon"]
    said = line.refused("schedule-bundle", "export", "--tenant", "acme", "--key", "night")
    assert "No schedule of acme has the external key night" in said


def test_a_file_is_validated_without_a_database(tmp_path: Path) -> None:
    nowhere = CommandLine({"DATABASE_URL": "", "REDIS_URL": ""})
    good = written(tmp_path, a_file(an_item()))
    assert nowhere.done("schedule-bundle", "validate", good) == "This is a bundle of 1 schedule.\n"
    assert nowhere.document("schedule-bundle", "validate", good) == {"valid": True, "schedules": 1}
    said = nowhere.refused(
        "schedule-bundle", "validate", written(tmp_path, a_file(an_item(id=7), an_item("b", name="")))
    )
    assert "/schedules/0/id: id is not a known field" in said and "/schedules/1/name" in said
    assert "NaN" in nowhere.refused("schedule-bundle", "validate", written(tmp_path, b'{"format": NaN}'))


def test_a_file_that_is_not_there_and_one_that_cannot_be_written_are_named(line: CommandLine, tmp_path: Path) -> None:
    assert "No such file" in line.refused("schedule-bundle", "import", str(tmp_path / "none.json"), code=2)
    place = str(tmp_path / "none" / "out.json")
    said = line.refused("schedule-bundle", "export", "--tenant", "acme", "-o", place)
    assert "cannot be written" in said
    assert "Say with --tenant" in line.refused("schedule-bundle", "export")
