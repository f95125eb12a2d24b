"""Schedules, runs and events on the command line: the same on the database here and over the API elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select

from domain.accounts.audit import AuditEntry
from domain.accounts.tenants import Tenant
from domain.extensions.extensions import Extension
from domain.kernel.db import db, transaction
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from tests.factories import (
    a_manifest,
    a_published_workflow,
    a_run,
    a_step,
    a_tenant,
    a_token,
    a_triggered_workflow,
    an_event_type,
)
from tests.servers import serving
from tests.workers.command_line import CommandLine
from tests.workers.test_commands import app, stored

__all__ = ["app"]

REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


@pytest.fixture
def acme(app: Flask) -> Tenant:
    with transaction():
        tenant = a_tenant("acme")
        a_published_workflow(tenant, "Invoice sync")
        a_published_workflow(tenant, "Regions", schema=REGION)
    return tenant


@pytest.fixture
def here(acme: Tenant, fresh_env: dict[str, str]) -> CommandLine:
    return CommandLine(fresh_env)


@pytest.fixture
def elsewhere(acme: Tenant, fresh_env: dict[str, str], tmp_path: Path) -> Iterator[CommandLine]:
    with transaction():
        token = a_token(acme)[1]
    with serving(fresh_env, tmp_path / "web.log") as url:
        yield CommandLine({"CARILLON_URL": url, "CARILLON_TOKEN": token})


@pytest.fixture(params=["here", "elsewhere"])
def line(request: pytest.FixtureRequest) -> CommandLine:
    found: CommandLine = request.getfixturevalue(request.param)
    return found


def test_a_schedule_lives_its_life_on_the_command_line(line: CommandLine) -> None:
    said = line.done("schedules", "create", "--workflow", "Invoice sync", "--cron", "0 9 * * *", "--name", "Mornings")
    assert said.startswith("Mornings was made: ") and "It fires next at " in said

    table = line.done("schedules", "list").splitlines()
    assert table[0].split() == ["ID", "NAME", "RUNS", "STATUS", "TIMING", "ZONE", "NEXT", "FIRE", "LAST", "RUN"]
    assert "Mornings  Invoice sync  active  0 9 * * *  UTC" in table[1]
    assert line.done("schedules", "explain", "Mornings").splitlines()[0].startswith("It will not fire as things stand")
    assert "T09:00:00Z" in line.done("schedules", "preview", "Mornings", "--limit", "2")

    until = "2099-01-01T00:00:00Z"
    paused = line.done("schedules", "pause", "Mornings", "--reason", "Audit", "--until", until)
    assert paused == f"Mornings is paused until {until}.\n"
    assert line.document("schedules", "show", "Mornings")["pauseReason"] == "Audit"
    assert line.done("schedules", "resume", "Mornings").startswith("Mornings is active. It fires next at ")

    run = line.document("schedules", "run-now", "Mornings", "--key", "once")
    assert line.document("schedules", "run-now", "Mornings", "--key", "once") == run
    assert stored(select(Run.status)) == ["queued"]
    assert run["id"] in line.done("runs", "list", "--schedule", "Mornings", "--status", "queued")
    assert line.done("runs", "cancel", run["id"], "--reason", "By mistake") == f"Run {run['id']} is canceled.\n"
    assert "By mistake" in line.done("runs", "show", run["id"])

    assert line.done("schedules", "delete", "Mornings", "--yes").startswith("Mornings was deleted.")
    assert line.done("schedules", "list") == "There is no such schedule. `carillon schedules create` makes one.\n"


def test_both_ways_answer_the_same(here: CommandLine, elsewhere: CommandLine) -> None:
    made = here.document("schedules", "create", "--workflow", "invoice-sync", "--cron", "@daily", "--external-key", "a")
    here.done("schedules", "run-now", made["id"])
    for asked in (
        ("schedules", "list"),
        ("schedules", "list", "--json"),
        ("schedules", "show", made["id"]),
        ("schedules", "preview", made["id"], "--json"),
        ("schedules", "preview", "--cron", "0 9 * * 1", "--timezone", "Europe/Paris"),
        ("runs", "list", "--workflow", "Invoice sync"),
    ):
        assert here.done(*asked) == elsewhere.done(*asked)
    wrong = ("schedules", "create", "--workflow", "Regions", "--cron", "* * *", "--payload", "{}")
    assert here.refused(*wrong) == elsewhere.refused(*wrong)


def test_here_nothing_but_the_database_is_needed(here: CommandLine) -> None:
    alone = CommandLine(
        here.env | {"REDIS_URL": "redis://127.0.0.1:9/0", "CARILLON_HOST_NAMES": "carillon.example.com"}
    )
    alone.done("schedules", "create", "--workflow", "Invoice sync", "--cron", "@daily", "--name", "Alone")
    for _ in range(3):
        assert "Alone" in alone.done("schedules", "list")


def test_what_is_done_here_is_on_record_as_done_on_the_command_line(here: CommandLine) -> None:
    here.done("schedules", "create", "--workflow", "Invoice sync", "--cron", "0 9 * * *")
    entry = stored(select(AuditEntry))[0]
    assert (entry.action, entry.actor_label, entry.actor_id) == ("schedule.created", "Command line", None)
    assert entry.request_id


def test_the_environment_asks_for_no_token_only_where_the_database_is(line: CommandLine) -> None:
    without = CommandLine(
        {name: value for name, value in line.env.items() if name not in ("CARILLON_TOKEN", "DATABASE_URL")}
    )
    words = without.refused("schedules", "list", code=2 if "CARILLON_URL" in line.env else 1)
    assert (
        ("set CARILLON_TOKEN" in words)
        if "CARILLON_URL" in line.env
        else ("DATABASE_URL" in words and "--url" in words)
    )


def test_a_payload_and_a_whole_body_come_from_a_file_or_standard_input(here: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "body.json"
    file.write_text(json.dumps({"cron": "0 5 * * *", "payload": {"region": "eu"}, "name": "From a file"}))
    made = here.document("schedules", "create", "--workflow", "Regions", "--from", f"@{file}", "--name", "Mine")
    assert (made["name"], made["cron"], made["payload"]) == ("Mine", "0 5 * * *", {"region": "eu"})
    typed = here.document(
        "schedules", "create", "--workflow", "Regions", "--cron", "@hourly", "--payload", "-", said='{"region": "us"}'
    )
    assert typed["payload"] == {"region": "us"}
    assert "This is not valid JSON" in here.refused("schedules", "create", "--cron", "@daily", "--payload", "{", code=2)
    assert "cannot be read" in here.refused("schedules", "create", "--payload", f"@{tmp_path}/none", code=2)


def test_every_problem_of_a_refusal_is_named_and_nothing_is_made(here: CommandLine) -> None:
    words = here.refused("schedules", "create", "--workflow", "Regions", "--cron", "* * *", "--timezone", "Nowhere")
    assert "cron: " in words and "timezone: " in words
    assert stored(select(func.count()).select_from(Schedule)) == [0]
    assert "No schedule is called Nightly" in here.refused("schedules", "show", "Nightly")
    assert "Name a SCHEDULE" in here.refused("schedules", "preview", code=2)


def test_what_two_are_called_is_said_by_its_id(here: CommandLine) -> None:
    for workflow in ("Invoice sync", "Regions"):
        here.done("schedules", "create", "--workflow", workflow, "--cron", "@daily", "--name", "Twin",
                  "--payload", '{"region": "eu"}' if workflow == "Regions" else "{}")  # fmt: skip
    ids = [one["id"] for one in here.document("schedules", "list")]
    words = here.refused("schedules", "pause", "Twin")
    assert "2 are called Twin" in words and all(one in words for one in ids)
    assert here.done("schedules", "pause", ids[0]) == "Twin is paused.\n"


def test_with_several_tenants_the_command_asks_which(here: CommandLine) -> None:
    with transaction():
        a_published_workflow(a_tenant("globex"), "Theirs")
    assert "which tenant is meant: acme, globex" in here.refused("schedules", "list")
    assert "There is no tenant nobody" in here.refused("schedules", "list", "--tenant", "nobody")
    named = CommandLine(here.env | {"CARILLON_TENANT": "globex"})
    assert "No workflow is called Invoice sync" in named.refused("runs", "list", "--workflow", "Invoice sync")
    assert named.done("runs", "list", "--workflow", "Theirs") == "There is no such run.\n"


def test_a_long_list_says_that_there_is_more(here: CommandLine) -> None:
    for number in range(3):
        here.done("schedules", "create", "--workflow", "Invoice sync", "--cron", "@daily", "--name", f"No. {number}")
    cut = here.run("schedules", "list", "--limit", "2", "--json")
    assert [one["name"] for one in json.loads(cut.stdout)] == ["No. 2", "No. 1"]
    assert "the first 2" in cut.stderr
    assert len(here.document("schedules", "list", "--all")) == 3


def test_a_run_is_followed_to_its_end_and_its_status_is_the_exit_code(line: CommandLine, acme: Tenant) -> None:
    with transaction():
        workflow = a_published_workflow(db.session.merge(acme), "Nightly")
        good, bad = a_run(workflow), a_run(workflow, "failed", error={"message": "No such host"})
        a_step(good)
    followed = line.done("runs", "tail", str(good.id)).splitlines()
    assert [one.split()[1] for one in followed] == ["succeeded", "succeeded"]
    assert "root.steps[0]" in followed[0] and str(good.id) in followed[1]
    ended = line.run("runs", "tail", str(bad.id))
    assert ended.exit_code == 1
    assert "failed: No such host" in ended.stderr


def test_an_event_is_sent_once_for_one_key(line: CommandLine, acme: Tenant) -> None:
    with transaction():
        an_event_type(acme)
        a_triggered_workflow(db.session.merge(acme), "Dunning", "invoice.paid")
    asked = ("events", "send", "invoice.paid", "--payload", "{}", "--key", "mail-7")
    said = line.done(*asked)
    assert "It went to 1 workflow." in said and "Dunning: started" in said
    assert line.done(*asked) == said
    assert len(stored(select(Run))) == 1


def test_a_version_is_published_from_elsewhere_inside_the_tenant_of_the_token(
    elsewhere: CommandLine, acme: Tenant, tmp_path: Path
) -> None:
    file = tmp_path / "manifest.json"
    file.write_text(json.dumps(a_manifest("1.4.0")))
    said = elsewhere.done("extensions", "publish", str(file))
    assert said.startswith("Version 1.4.0 is published for the tenant of the token: 3 endpoints, sha256:")
    assert stored(select(Extension.tenant_id)) == [db.session.merge(acme).id]
    file.write_text(json.dumps(a_manifest("1.4")))
    assert "Write the version as three numbers" in elsewhere.refused("extensions", "publish", str(file))


@pytest.mark.parametrize(
    ("url", "token", "code", "words"),
    [
        ("http://127.0.0.1:9", "carillon_x", 1, "http://127.0.0.1:9 cannot be reached"),
        ("carillon.example.com", "carillon_x", 2, "--url is an http:// or https:// address"),
        ("https://me:pw@carillon.example.com", "carillon_x", 2, "--url is an http:// or https:// address"),
        ("http://127.0.0.1:9", "ä", 2, "This cannot be a token"),
        ("http://127.0.0.1:9", "", 2, "set CARILLON_TOKEN"),
    ],
)
def test_an_address_or_a_token_that_cannot_be_is_said(url: str, token: str, code: int, words: str) -> None:
    line = CommandLine({"CARILLON_URL": url, "CARILLON_TOKEN": token})
    assert words in line.refused("schedules", "list", code=code)


def test_a_token_that_has_ended_and_one_that_may_too_little_are_told_apart(
    elsewhere: CommandLine, acme: Tenant
) -> None:
    with transaction():
        reader = a_token(db.session.merge(acme), name="Reader", scopes=["workflow:read"])[1]
    assert "needs the permission workflow:manage" in CommandLine(elsewhere.env | {"CARILLON_TOKEN": reader}).refused(
        "events", "send", "invoice.paid"
    )
    stranger = CommandLine(elsewhere.env | {"CARILLON_TOKEN": "carillon_gone"})
    assert "The token is not valid" in stranger.refused("schedules", "list")
    assert "the token says which tenant" in elsewhere.refused("schedules", "list", "--tenant", "acme", code=2)
