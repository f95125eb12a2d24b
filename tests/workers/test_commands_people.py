"""Tenants, their people and their tokens on the command line."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.accounts.tokens import token_access
from domain.kernel import clock
from tests.workers.command_line import CommandLine
from tests.workers.test_commands import app, stored

__all__ = ["app"]


@pytest.fixture
def line(app: Flask, fresh_env: dict[str, str]) -> CommandLine:
    made = CommandLine(fresh_env)
    said = made.done("tenants", "create", "Acme GmbH", "--admin", "alice@acme.test", "--timezone", "Europe/Berlin")
    assert re.search(r"acme-gmbh is ready. Sign in as alice@acme.test\nwith the password \S{12,}\n", said)
    return made


def members(line: CommandLine) -> list[tuple[Any, Any]]:
    return [(one["email"], one["role"]) for one in line.document("users", "list")]


def test_a_tenant_is_made_once_with_its_first_admin(line: CommandLine) -> None:
    assert [(one.slug, one.timezone) for one in stored(select(Tenant))] == [("acme-gmbh", "Europe/Berlin")]
    assert "There is a tenant acme-gmbh already" in line.refused(
        "tenants", "create", "Acme GmbH", "--admin", "bob@acme.test"
    )
    assert "timezone" in line.refused(
        "tenants", "create", "Globex", "--admin", "c@globex.test", "--timezone", "Nowhere"
    )
    assert len(stored(select(Tenant))) == 1


def test_people_come_change_and_go_and_the_last_admin_stays(line: CommandLine) -> None:
    added = line.done("users", "add", "bob@acme.test", "--role", "viewer")
    assert "bob@acme.test is viewer of acme-gmbh now. Sign in with the password " in added
    line.done("users", "set-role", "bob@acme.test", "operator")
    assert members(line) == [("alice@acme.test", "admin"), ("bob@acme.test", "operator")]
    assert "signs in with the password" in line.done("users", "reset-password", "bob@acme.test")
    line.done("users", "remove", "bob@acme.test", "--yes")
    assert members(line) == [("alice@acme.test", "admin")]
    assert "last admin" in line.refused("users", "set-role", "alice@acme.test", "viewer")
    assert "is no member of acme-gmbh" in line.refused("users", "remove", "bob@acme.test", "--yes")
    labels = {one.actor_label for one in stored(select(AuditEntry))}
    assert labels == {"Command line"}


def test_a_token_is_said_once_and_ends_when_revoked(line: CommandLine, app: Flask) -> None:
    line.done("users", "add", "bob@acme.test", "--role", "viewer")
    refused = line.refused("tokens", "create", "Export", "--user", "bob@acme.test", "--scope", "workflow:publish")
    assert "does not have workflow:publish" in refused
    made = line.document("tokens", "create", "Export", "--user", "bob@acme.test", "--days", "30")
    access = token_access(made["token"], clock.database_now())
    assert access and access.permissions == {"workflow:read", "extension:read"}
    assert made["token"] not in line.done("tokens", "list")
    assert line.done("tokens", "revoke", made["id"]) == "Export is revoked.\n"
    stored(select(Tenant))
    assert token_access(made["token"], clock.database_now()) is None
    plain = line.done("tokens", "create", "For a script", "--user", "alice@acme.test", "--scope", "workflow:read")
    assert re.fullmatch(r"carillon_\S{43,}\n", plain)
