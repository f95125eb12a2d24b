"""Workflows on the command line: the same on the database here and over the API elsewhere."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from domain.accounts.tenants import Tenant
from domain.kernel.db import db, transaction
from domain.runs.runs import Run
from domain.workflows.workflows import Workflow
from tests.factories import a_workflow
from tests.workers.command_line import CommandLine
from tests.workers.test_commands import app, stored
from tests.workers.test_commands_api import acme, elsewhere, here, line

__all__ = ["acme", "app", "elsewhere", "here", "line"]


@pytest.fixture
def draft(acme: Tenant) -> str:
    with transaction():
        return a_workflow(db.session.merge(acme), "Nightly report").key


def test_a_workflow_is_published_run_held_and_deleted(line: CommandLine, draft: str) -> None:
    assert line.done("workflows", "publish", draft).startswith(
        "Version 1 is published. It is what 0 schedules will run."
    )
    table = line.done("workflows", "list", "--search", "Nightly").splitlines()
    assert (
        table[0].split()[:4] == ["ID", "KEY", "NAME", "STATUS"] and f"{draft}  Nightly report  published  1" in table[1]
    )

    run = line.document("workflows", "run", "Nightly report", "--payload", "{}", "--key", "once")
    assert line.document("workflows", "run", draft, "--payload", "{}", "--key", "once") == run
    assert len(stored(select(Run))) == 1

    assert line.done("workflows", "pause", draft, "--reason", "Audit") == "Nightly report is paused.\n"
    assert "Audit" in line.done("workflows", "show", draft)
    assert "Audit" in line.refused("workflows", "run", draft)
    assert line.done("workflows", "resume", draft) == "Nightly report is published.\n"
    assert line.done("workflows", "delete", draft, "--yes").startswith("Nightly report was deleted.")
    assert len(stored(select(Workflow).where(Workflow.deleted_at.is_not(None)))) == 1


def test_a_workflow_is_not_deleted_without_a_yes(here: CommandLine, draft: str) -> None:
    asked = here.run("workflows", "delete", draft, said="n\n")
    assert asked.exit_code == 1 and "end its schedules?" in asked.stderr
    assert stored(select(Workflow).where(Workflow.deleted_at.is_not(None))) == []


def test_time_triggers_go_by_the_name_that_scripts_know(here: CommandLine) -> None:
    assert here.done("migrate-inline-triggers") == "No draft has a time trigger.\n"
