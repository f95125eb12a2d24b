"""`carillon installs` and `carillon tenants delete`, on the database of their environment."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, text

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.extensions.extensions import ExtensionVersion
from domain.extensions.installs import Install
from domain.kernel.db import db, transaction
from tests.domain.upgrades.scene import HEALTH, REPORT, SYNC
from tests.domain.upgrades.scene import calling as a_schedule_calling
from tests.factories import a_manifest, a_tenant, a_user, an_extension, an_extension_version, an_install
from tests.servers import config_for
from tests.workers.command_line import CommandLine
from workers.process import process_app

NAME = "com.acme.rmm-sync"


def carillon(env: dict[str, str], *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    ended = CommandLine(env).run(*arguments, said=typed)
    return subprocess.CompletedProcess(arguments, ended.exit_code, ended.stdout, ended.stderr)


@pytest.fixture
def app(fresh_env: dict[str, str]) -> Iterator[Flask]:
    app = process_app(config_for(fresh_env["DATABASE_URL"], fresh_env["REDIS_URL"]), "command", 1)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def schedule_id(app: Flask) -> str:
    """Acme's schedule of POST /api/sync; 1.0.0 is installed, 2.0.0 does without that endpoint and wants more."""
    with transaction():
        acme = a_tenant("acme")
        extension = an_extension(acme, NAME)
        install = an_install(acme, an_extension_version(extension, "1.0.0", [SYNC, HEALTH]))
        an_extension_version(extension, "2.0.0", [HEALTH, REPORT], capabilities=["cap:http.fetch"])
        return str(a_schedule_calling(install, SYNC, "Nightly").id)


def installed() -> str:
    db.session.rollback()
    query = select(ExtensionVersion.version).join(Install, Install.version_id == ExtensionVersion.id)
    return db.session.scalars(query.where(Install.deleted_at.is_(None))).one()


def scalar(statement: str) -> Any:
    db.session.rollback()
    return db.session.scalar(text(statement))


def test_an_upgrade_names_what_is_missing_and_changes_nothing(fresh_env: dict[str, str], schedule_id: str) -> None:
    said = carillon(fresh_env, "installs", "upgrade", NAME, "latest", "--grant", "cap:http.fetch")

    assert said.returncode == 1
    assert f"{schedule_id}  Nightly  calls {SYNC}; nearest: {REPORT}" in said.stderr
    assert "Say what each calls instead" in said.stderr
    assert installed() == "1.0.0"


def test_more_capabilities_are_named_and_need_a_yes(fresh_env: dict[str, str], schedule_id: str) -> None:
    said = carillon(fresh_env, "installs", "upgrade", NAME, "2.0.0", "--disable-missing")

    assert (said.returncode, installed()) == (1, "1.0.0")
    assert "asks for more than was granted: cap:http.fetch" in said.stderr


def test_a_dry_run_says_what_would_happen_and_its_fingerprint_holds_the_upgrade_to_it(
    fresh_env: dict[str, str], schedule_id: str
) -> None:
    arguments = ["installs", "upgrade", NAME, "2.0.0"]
    answers = ["--disable-missing", "--grant", "cap:http.fetch", "--fingerprint"]

    told = json.loads(carillon(fresh_env, *arguments, "--dry-run", "--json").stdout)
    words = carillon(fresh_env, *arguments, "--dry-run").stdout
    other = carillon(fresh_env, *arguments, *answers, "0" * 64)
    before = installed()
    done = carillon(fresh_env, *arguments, *answers, told["fingerprint"])

    missing = {"scheduleId": schedule_id, "name": "Nightly", "enabled": True, "method": "POST", "path": "/api/sync"}
    (one,) = told["missing"]
    assert [f"{near['method']} {near['path']}" for near in one.pop("nearest")] == [REPORT, HEALTH]
    assert one == missing
    assert told["newCapabilities"] == ["cap:http.fetch"]
    assert "Nothing was changed: this was a dry run." in words
    assert (other.returncode, before) == (1, "1.0.0")
    assert (done.returncode, installed()) == (0, "2.0.0")
    assert "Version 2.0.0 is installed in the place of 1.0.0. Of its schedules: 1 disabled." in done.stdout


def test_another_endpoint_can_be_named_for_a_schedule(fresh_env: dict[str, str], schedule_id: str) -> None:
    arguments = ["installs", "upgrade", NAME, "2.0.0", "--grant", "cap:http.fetch", "--remap"]

    unknown = carillon(fresh_env, *arguments, f"{schedule_id}=POST /api/nothing")
    done = carillon(fresh_env, *arguments, f"{schedule_id}={REPORT}", "--json")

    assert (unknown.returncode, "has no POST /api/nothing" in unknown.stderr) == (2, True)
    assert json.loads(done.stdout)["redirected"] == 1
    assert scalar("SELECT status FROM schedules") == "active"


def test_publishing_inside_a_tenant_takes_its_install_along(
    fresh_env: dict[str, str], schedule_id: str, tmp_path: Path
) -> None:
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps(a_manifest("1.1.0", [SYNC])))

    said = carillon(fresh_env, "installs", "publish", str(manifest))

    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("Version 1.1.0 is published. Version 1.1.0 is installed in the place of 1.0.0.")
    assert installed() == "1.1.0"


def test_an_install_is_disabled_listed_enabled_and_taken_out(fresh_env: dict[str, str], schedule_id: str) -> None:
    disabled = carillon(fresh_env, "installs", "disable", NAME, "--reason", "costs too much")
    listed = carillon(fresh_env, "installs", "list")
    enabled = carillon(fresh_env, "installs", "enable", NAME)
    again = carillon(fresh_env, "installs", "enable", NAME)
    unsure = carillon(fresh_env, "installs", "uninstall", NAME, typed="n\n")
    document = json.loads(carillon(fresh_env, "installs", "list", "--json").stdout)
    removed = carillon(fresh_env, "installs", "uninstall", NAME, "--yes")

    assert [one.returncode for one in (disabled, enabled, again, unsure, removed)] == [0, 0, 1, 1, 0]
    assert listed.stdout.splitlines()[1].split()[2:5:2] == ["1.0.0", "no"]
    assert listed.stdout.splitlines()[1].endswith("costs too much")
    assert [(one["name"], one["enabled"]) for one in document] == [(NAME, True)]
    assert "1 schedule ended" in removed.stdout
    assert scalar("SELECT count(*) FROM schedules WHERE deleted_at IS NULL") == 0
    labels = db.session.scalars(select(AuditEntry.actor_label).where(AuditEntry.subject_kind == "install"))
    assert set(labels) == {"Command line"}


def test_what_is_not_installed_is_said_so(fresh_env: dict[str, str], schedule_id: str) -> None:
    said = carillon(fresh_env, "installs", "disable", "com.acme.other")

    assert (said.returncode, "No extension is called com.acme.other" in said.stderr) == (1, True)


def test_deleting_a_tenant_asks_for_its_slug_and_can_be_repeated(
    fresh_env: dict[str, str], app: Flask, schedule_id: str
) -> None:
    with transaction():
        a_user(db.session.scalars(select(Tenant)).one(), "alice@acme.test")

    wrong = carillon(fresh_env, "tenants", "delete", "acme", typed="globex\n")
    kept = scalar("SELECT deleted_at FROM tenants")
    done = carillon(fresh_env, "tenants", "delete", "acme", typed="acme\n")
    again = carillon(fresh_env, "tenants", "delete", "acme", "--yes")
    listed = carillon(fresh_env, "tenants", "list")
    steered = carillon(fresh_env, "tenants", "set-edition", "acme", "community")

    assert (wrong.returncode, kept) == (1, None)
    assert done.returncode == 0, done.stderr
    assert "1 installs, 1 schedules" in done.stdout
    assert (again.returncode, again.stdout) == (0, "acme was deleted already.\n")
    assert [line.split()[-1][:2] for line in listed.stdout.splitlines()] == ["DE", "20"]
    assert (steered.returncode, "There is no tenant acme" in steered.stderr) == (1, True)
    assert scalar("SELECT count(*) FROM memberships") == 0
    assert scalar("SELECT count(*) FROM audit_entries WHERE action = 'tenant.deleted'") == 1
