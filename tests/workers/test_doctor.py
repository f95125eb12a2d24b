"""What `carillon doctor` finds, and what it says to do about it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text, update

from domain.accounts.tenants import Tenant
from domain.kernel import clock
from domain.kernel.db import db, transaction
from domain.kernel.ids import new_id
from domain.runs.heartbeats import beat
from domain.schedules.cursors import ScheduleCursor
from tests.factories import a_published_workflow, a_run, a_schedule, a_tenant, a_token
from tests.servers import serving
from tests.workers.command_line import CommandLine
from tests.workers.test_commands import app
from workers.process import code_version

__all__ = ["app"]


@pytest.fixture
def acme(app: Flask) -> Tenant:
    with transaction():
        for kind in ("scheduler", "worker"):
            beat(new_id(), kind, "here", 1, code_version(), 600)
        return a_tenant("acme")


@pytest.fixture
def line(acme: Tenant, fresh_env: dict[str, str]) -> CommandLine:
    return CommandLine(fresh_env)


def found(line: CommandLine, *arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the checks that are not ok by name."""
    result = line.run("doctor", "--json", *arguments)
    said = json.loads(result.stdout)
    wrong = {one["name"]: one for one in said["checks"] if one["state"] != "ok"}
    assert all(one["remedy"] for one in wrong.values())
    assert said["status"] == ("fail" if result.exit_code else "warn" if wrong else "ok")
    return result.exit_code, wrong


def test_an_installation_in_order_is_told_in_a_line_for_each_look(line: CommandLine) -> None:
    names = [one.split()[:2] for one in line.done("doctor").splitlines()]
    looks = ["database", "migrations", "redis", "clocks", "scheduler", "worker", "versions", "schedules", "rows"]
    assert names == [["ok", look] for look in looks]


def test_who_is_gone_and_who_is_older_is_said(line: CommandLine) -> None:
    with transaction():
        db.session.execute(text("DELETE FROM heartbeats WHERE kind = 'scheduler'"))
        db.session.execute(text("UPDATE heartbeats SET version = '0.0.1'"))
    code, wrong = found(line)
    assert (code, set(wrong)) == (1, {"scheduler", "versions"})
    assert "nothing fires" in wrong["scheduler"]["sentence"] and "workers.scheduler" in wrong["scheduler"]["remedy"]
    assert wrong["versions"]["state"] == "warn"


def test_clocks_that_disagree_are_told_with_how_much(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    true_now = clock.now
    monkeypatch.setattr(clock, "now", lambda: true_now() - timedelta(seconds=600))
    code, wrong = found(line)
    assert (code, set(wrong), wrong["clocks"]["state"]) == (0, {"clocks"}, "warn")
    apart = int(wrong["clocks"]["sentence"].split()[-3])
    assert 580 <= apart <= 620 and "NTP" in wrong["clocks"]["remedy"]


def test_without_redis_nothing_is_lost_and_the_command_ends_well(line: CommandLine) -> None:
    code, wrong = found(CommandLine(line.env | {"REDIS_URL": "redis://127.0.0.1:9/0"}))
    assert (code, wrong["redis"]["state"]) == (0, "warn")


def test_without_a_database_everything_that_can_be_looked_at_is(line: CommandLine) -> None:
    away = CommandLine(line.env | {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"})
    code, wrong = found(away)
    assert (code, set(wrong)) == (1, {"database"})
    assert "Start PostgreSQL" in wrong["database"]["remedy"]


def test_a_schema_of_another_version_is_named_and_nothing_else_asked_of_it(line: CommandLine) -> None:
    with transaction():
        db.session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    code, wrong = found(line)
    assert (code, set(wrong)) == (1, {"migrations"})
    assert wrong["migrations"]["remedy"] == "Run alembic upgrade head."


def test_what_is_overdue_and_what_does_not_fit_together_is_found(line: CommandLine, acme: Tenant) -> None:
    with transaction():
        workflow = a_published_workflow(db.session.merge(acme))
        late, asleep = a_schedule(workflow, "Late"), a_schedule(workflow, "Asleep")
        db.session.flush()
        for schedule, at in ((late, clock.database_now().replace(year=2020, day=1)), (asleep, None)):
            cursor = update(ScheduleCursor).where(ScheduleCursor.schedule_id == schedule.id)
            db.session.execute(cursor.values(wake_at=at))
        waiting, held = a_run(workflow, "waiting"), a_run(workflow, "running")
        names = {"asleep": str(asleep.id), "waiting": str(waiting.id), "held": str(held.id)}
    result = line.run("doctor")
    assert result.exit_code == 1
    assert "The most overdue has waited for" in result.stdout
    assert f"An active schedule that nobody looks at (1): {names['asleep']}" in result.stdout
    assert f"A run that waits for nothing (1): {names['waiting']}" in result.stdout
    lines = [one.strip() for one in result.stdout.splitlines()]
    (remedy,) = [lines[at + 1] for at, one in enumerate(lines) if "has been due for two minutes" in one]
    assert "log" in remedy and "not be possible" not in remedy


def test_from_outside_the_server_and_the_token_are_looked_at(
    acme: Tenant, fresh_env: dict[str, str], tmp_path: Path
) -> None:
    with transaction():
        token = a_token(db.session.merge(acme))[1]
        narrow = a_token(db.session.merge(acme), name="Narrow", scopes=["extension:read"])[1]
    with serving(fresh_env, tmp_path / "web.log") as url:
        assert found(CommandLine({"CARILLON_URL": url, "CARILLON_TOKEN": token})) == (0, {})
        assert found(CommandLine({"CARILLON_URL": url, "CARILLON_TOKEN": narrow})) == (0, {})
        code, wrong = found(CommandLine({"CARILLON_URL": url, "CARILLON_TOKEN": "carillon_gone"}))
    assert (code, set(wrong)) == (1, {"token"})
    code, wrong = found(CommandLine({"CARILLON_URL": "http://127.0.0.1:9", "CARILLON_TOKEN": token}))
    assert (code, set(wrong)) == (1, {"server"}) and "cannot be reached" in wrong["server"]["sentence"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_learns_to_complete(shell: str) -> None:
    assert "_CARILLON_COMPLETE" in CommandLine({}).done("completion", shell)
