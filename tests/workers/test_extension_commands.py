"""`carillon extensions`, on the database of its environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import tenants_by_slug
from domain.extensions.endpoints import ExtensionEndpoint
from domain.extensions.extensions import ExtensionVersion
from domain.extensions.installs import Install
from domain.kernel.db import db, transaction
from tests.factories import a_manifest, an_extension, an_extension_version
from tests.workers.test_commands import acme, app, stored
from tests.workers.test_install_commands import carillon

__all__ = ["acme", "app"]

SHARED = "com.shared.sync"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    file = tmp_path / "manifest.json"
    values: Any = {"name": SHARED, "capabilities": ["cap:http.fetch", "cap:secrets.get"]}
    file.write_text(json.dumps(a_manifest("1.4.0", **values)))
    return file


def test_a_version_is_published_for_every_tenant_and_installed(
    fresh_env: dict[str, str], acme: str, manifest: Path
) -> None:
    answer = carillon(fresh_env, "extensions", "publish", str(manifest))
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "Version 1.4.0 is published for every tenant: 3 endpoints, sha256:" in answer.stdout
    assert carillon(fresh_env, "extensions", "publish", str(manifest)).returncode == 0

    install = carillon(
        fresh_env,
        "extensions",
        "install",
        SHARED,
        "--tenant",
        acme,
        "--grant",
        "cap:http.fetch",
        "--config",
        "region=eu=west",
    )

    assert "is installed. Not granted: cap:secrets.get." in install.stdout
    made = stored(select(Install))[0]
    assert (made.capabilities, made.config) == (["cap:http.fetch"], {"region": "eu=west"})
    labels = [(one.action, one.actor_label) for one in stored(select(AuditEntry).order_by(AuditEntry.id))]
    assert labels == [("extension.published", "Command line"), ("install.created", "Command line")]
    again = carillon(fresh_env, "extensions", "install", SHARED, "--tenant", acme)
    assert again.returncode == 1 and "is installed already" in again.stderr


def test_what_is_published_inside_a_tenant_is_listed_for_it_alone(
    fresh_env: dict[str, str], acme: str, manifest: Path
) -> None:
    assert "for acme" in carillon(fresh_env, "extensions", "publish", str(manifest), "--tenant", acme).stdout

    listed = json.loads(carillon(fresh_env, "extensions", "list", "--tenant", acme, "--json").stdout)
    assert [(one["name"], one["isOwn"], one["latestVersion"]) for one in listed] == [(SHARED, True, "1.4.0")]
    assert "Nothing is published" in carillon(fresh_env, "extensions", "list").stdout
    assert "Nothing is published" in carillon(fresh_env, "extensions", "list", "--tenant", "globex").stdout
    refused = carillon(fresh_env, "extensions", "install", SHARED, "--tenant", "globex")
    assert refused.returncode == 1 and "No extension is called com.shared.sync" in refused.stderr


def test_a_broken_manifest_is_refused_with_every_reason(fresh_env: dict[str, str], acme: str, tmp_path: Path) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(a_manifest("1.4", endpoints=["FETCH /a"])))

    answer = carillon(fresh_env, "extensions", "publish", str(file))

    assert answer.returncode == 1 and answer.stdout == ""
    assert "/version: Write the version as three numbers" in answer.stderr
    assert "/api/endpoints/0/method: The method is one of" in answer.stderr
    assert stored(select(ExtensionVersion)) == []


def test_endpoints_of_versions_without_rows_are_filled_once(fresh_env: dict[str, str], acme: str) -> None:
    with transaction():
        version = an_extension_version(an_extension())
        db.session.execute(ExtensionEndpoint.__table__.delete())
        db.session.execute(update(ExtensionVersion).values(endpoints_at=None))
        assert version.version == "1.0.0"

    assert carillon(fresh_env, "extensions", "fill-endpoints").stdout == "1 version filled.\n"
    ids = stored(select(ExtensionEndpoint.id).order_by(ExtensionEndpoint.id))
    assert carillon(fresh_env, "extensions", "fill-endpoints").stdout == "0 versions filled.\n"

    assert len(ids) == 3 and stored(select(ExtensionEndpoint.id).order_by(ExtensionEndpoint.id)) == ids


def test_a_version_is_taken_back_unless_something_refers_to_it(
    fresh_env: dict[str, str], acme: str, manifest: Path
) -> None:
    carillon(fresh_env, "extensions", "publish", str(manifest))
    carillon(fresh_env, "extensions", "install", SHARED, "--tenant", acme)

    kept = carillon(fresh_env, "extensions", "delete-version", SHARED, "1.4.0")
    assert kept.returncode == 1 and "cannot be deleted: it is installed" in kept.stderr
    assert (
        "has no version 9.9.9, but 1.4.0" in carillon(fresh_env, "extensions", "delete-version", SHARED, "9.9.9").stderr
    )
    other = carillon(fresh_env, "extensions", "delete-version", SHARED, "1.4.0", "--tenant", acme)
    assert other.returncode == 1 and "There is no extension" in other.stderr

    with transaction():
        db.session.execute(Install.__table__.delete())
    assert carillon(fresh_env, "extensions", "delete-version", SHARED, "1.4.0").returncode == 0
    assert stored(select(ExtensionVersion)) == [] and stored(select(ExtensionEndpoint)) == []
    assert [one.slug for one in tenants_by_slug()] == ["acme", "globex"]
