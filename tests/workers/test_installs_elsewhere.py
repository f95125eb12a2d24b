"""`carillon extensions` and `carillon installs` over the API of a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.tenants import Tenant
from domain.extensions.installs import Install
from domain.kernel.db import db, transaction
from domain.schedules.schedules import Schedule
from tests.domain.upgrades.scene import HEALTH, REPORT, SYNC
from tests.domain.upgrades.scene import calling as a_schedule_calling
from tests.factories import a_manifest, a_tenant, a_token, an_extension, an_extension_version, an_install
from tests.servers import serving
from tests.workers.command_line import CommandLine
from tests.workers.test_commands import app, stored

__all__ = ["app"]

NAME, OTHER = "com.acme.rmm-sync", "com.acme.other"


@pytest.fixture
def acme(app: Flask) -> Tenant:
    """Its schedule Nightly calls POST /api/sync; 1.0.0 is installed, 2.0.0 does without that endpoint and wants more."""
    with transaction():
        tenant = a_tenant("acme")
        extension = an_extension(tenant, NAME)
        install = an_install(tenant, an_extension_version(extension, "1.0.0", [SYNC, HEALTH]))
        an_extension_version(extension, "2.0.0", [HEALTH, REPORT], capabilities=["cap:http.fetch"])
        a_schedule_calling(install, SYNC, "Nightly")
        an_extension_version(an_extension(None, OTHER), "0.1.0", [HEALTH], capabilities=["cap:secrets.get"])
    return tenant


@pytest.fixture
def line(acme: Tenant, fresh_env: dict[str, str], tmp_path: Path) -> Iterator[CommandLine]:
    with transaction():
        token = a_token(db.session.merge(acme))[1]
    with serving(fresh_env, tmp_path / "web.log") as url:
        yield CommandLine({"CARILLON_URL": url, "CARILLON_TOKEN": token})


def test_an_extension_is_found_installed_held_and_taken_out(line: CommandLine, acme: Tenant) -> None:
    assert [one["name"] for one in line.document("extensions", "list")] == [OTHER, NAME]
    assert [one["version"] for one in line.document("extensions", "show", NAME)["versions"]] == ["2.0.0", "1.0.0"]
    assert line.done("extensions", "show", NAME).splitlines()[-1].endswith("installed")
    said = line.done("extensions", "install", OTHER, "--config", "region=eu")
    assert said == f"{OTHER} 0.1.0 is installed. Not granted: cap:secrets.get.\n"
    assert "is installed already" in line.refused("extensions", "install", OTHER)
    line.done("installs", "disable", OTHER, "--reason", "costs too much")
    listed = line.done("installs", "list").splitlines()
    assert listed[1].endswith("costs too much") and NAME in listed[2]
    assert line.document("installs", "show", OTHER)["config"] == {"region": "eu"}
    assert line.done("installs", "enable", OTHER) == f"{OTHER} is enabled.\n"
    assert "1 schedule ended" in line.done("installs", "uninstall", NAME, "--yes")
    assert stored(select(Schedule.id).where(Schedule.deleted_at.is_(None))) == []
    assert "is not installed" in line.refused("installs", "disable", NAME)


def test_an_upgrade_is_planned_as_a_table_refused_and_done(line: CommandLine, acme: Tenant, tmp_path: Path) -> None:
    upgrade = ("extensions", "upgrade", NAME, "latest")
    plan = line.run(*upgrade, "--dry-run")
    assert plan.exit_code == 1 and "It would not happen so" in plan.stderr
    assert plan.stdout.splitlines()[2].split()[:4] == ["MISSING", "Nightly", "POST", "/api/sync"]
    assert "It asks for more: cap:http.fetch. Not granted yet: cap:http.fetch." in plan.stdout
    assert f"Nightly  calls {SYNC}; nearest: {REPORT}" in line.refused(*upgrade)
    answers = ("--remap", f"Nightly={REPORT}", "--grant", "cap:http.fetch")
    fingerprint = line.document(*upgrade, *answers, "--dry-run")["fingerprint"]
    assert "has no POST /api/nothing" in line.refused(*upgrade, "--remap", "Nightly=POST /api/nothing", code=2)
    said = line.done(*upgrade, *answers, "--fingerprint", fingerprint)
    assert said == "Version 2.0.0 is installed in the place of 1.0.0. Of its schedules: 1 redirected.\n"
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(a_manifest("3.0.0", [REPORT])))
    assert line.document("installs", "publish", str(file))["upgraded"]["remapped"] == 1
    assert len(stored(select(Install.id))) == 1
