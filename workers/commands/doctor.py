"""`carillon doctor`: what is wrong with an installation, and how to mend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import redis
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import SQLAlchemyError

from domain.health import LATE_AFTER, alive_processes, lateness, processes_page
from domain.invariants import Finding as Breach
from domain.invariants import broken_now
from domain.kernel import clock
from domain.kernel.config import Config
from domain.kernel.db import db
from domain.kernel.log import first_line
from domain.runs.heartbeats import SCHEDULER, WORKER
from workers.commands.answers import say_json, shown
from workers.commands.api import Api, api_at
from workers.commands.failures import Failed
from workers.commands.frame import installation
from workers.commands.options import as_json
from workers.process import code_version

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
CLOCKS_MAY_DIFFER_SECONDS = 5
REDIS_SECONDS = 3
FORBIDDEN = 403
OK, WARN, FAIL = "ok", "warn", "fail"
MARKS = {OK: "ok", WARN: "WARN", FAIL: "FAIL"}
START = {SCHEDULER: "python -m workers.scheduler", WORKER: "dramatiq workers.actors, as in the Procfile"}


@dataclass(frozen=True)
class Finding:
    """What one look found. `state`: ok, warn (nothing is lost) or fail; `remedy`: what to do about it, empty when ok."""

    name: str
    state: str
    sentence: str
    remedy: str = ""


@click.command()
@click.option("--url", envvar="CARILLON_URL", help="Look from outside at what answers there, with a token.")
@click.option("--token", envvar="CARILLON_TOKEN", help="For --url.")
@as_json
@click.pass_obj
def doctor(local: Any, url: str | None, token: str | None, is_json: bool) -> None:
    """Look at everything that an installation needs, say what is wrong and how to mend it.

    Looks at the database, its migrations, Redis, clocks, processes, and whether what is stored fits together; with --url at
    the server and the token. Ends with 1 when something has to be mended; a warning alone ends with 0.
    """
    findings = _outside(local, url, token) if url else _inside()
    worst = max((one.state for one in findings), key=[OK, WARN, FAIL].index)
    if is_json:
        say_json({"status": worst, "checks": [asdict(one) for one in findings]})
    else:
        for one in findings:
            click.echo(f"{MARKS[one.state]:<4}  {one.name:<10}  {shown(one.sentence)}")
            if one.remedy:
                click.echo(f"{'':<18}{one.remedy}")
    if worst == FAIL:
        raise click.exceptions.Exit(1)


def _inside() -> list[Finding]:
    with installation() as config:
        try:
            clock.database_now()
        except SQLAlchemyError as error:
            remedy = "Start PostgreSQL, or mend DATABASE_URL."
            return [Finding("database", FAIL, f"It cannot be reached: {first_line(error)}", remedy), _redis(config)]
        found = [Finding("database", OK, "It answers."), _migrations(), _redis(config)]
        if found[1].state == FAIL:
            return found
        return [*found, _clocks(), *map(_processes, (SCHEDULER, WORKER)), _versions(), _lateness(), *_invariants()]


def _outside(local: Any, url: str, token: str | None) -> list[Finding]:
    with api_at(local, url, token, None) as api:
        try:
            health = api.health()
        except click.ClickException as error:
            return [
                Finding(
                    "server", FAIL, error.message, "Start it, or mend --url. On the server carillon doctor says more."
                )
            ]
        problems = [Finding("server", FAIL, one, "Run carillon doctor on the server.") for one in health["problems"]]
        found = problems or [Finding("server", OK, "It answers, and everything is alive.")]
        return [*found, _token(api)]


def _token(api: Api) -> Finding:
    try:
        api.get("/workflow-runs", limit=1)
    except click.ClickException as error:
        # What a token may not read says that it is known.
        if not isinstance(error, Failed) or error.document.get("status") != FORBIDDEN:
            return Finding("token", FAIL, error.message, "Make a token under Settings › API tokens.")
    return Finding("token", OK, "It is accepted.")


def _migrations() -> Finding:
    head = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    current = MigrationContext.configure(db.session.connection()).get_current_heads()
    if current == (head,):
        return Finding("migrations", OK, f"The schema is that of this version ({head}).")
    told = ", ".join(current) or "empty"
    return Finding("migrations", FAIL, f"The schema is {told}, this version needs {head}.", "Run alembic upgrade head.")


def _redis(config: Config) -> Finding:
    timeouts = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
    try:
        with redis.Redis.from_url(config.redis_url, **timeouts) as connection:
            connection.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        sentence = f"It cannot be reached; workers look for runs themselves, and start them a second or two late: {first_line(error)}"
        return Finding("redis", WARN, sentence, "Start Redis, or mend REDIS_URL.")
    return Finding("redis", OK, "It answers.")


def _clocks() -> Finding:
    apart = abs((clock.now() - clock.database_now()).total_seconds())
    if apart <= CLOCKS_MAY_DIFFER_SECONDS:
        return Finding("clocks", OK, "This machine and the database agree about the time.")
    remedy = "Set the clock of whichever is wrong, by NTP. The database's decides what is due."
    return Finding("clocks", WARN, f"This machine and the database are {apart:.0f} s apart.", remedy)


def _processes(kind: str) -> Finding:
    alive = alive_processes(clock.database_now())[kind]
    if alive:
        return Finding(kind, OK, f"{alive} alive.")
    meaning = "nothing fires" if kind == SCHEDULER else "runs wait"
    return Finding(kind, FAIL, f"None is alive: {meaning} until one starts.", f"Start one: {START[kind]}.")


def _versions() -> Finding:
    mine = code_version()
    others = {row.version for row, is_alive in processes_page(clock.database_now()) if is_alive} - {mine}
    if not others:
        return Finding("versions", OK, f"Every process runs {mine}.")
    return Finding("versions", WARN, f"Some run {', '.join(sorted(others))}; this is {mine}.", "Restart what is older.")


def _lateness() -> Finding:
    late = lateness(clock.database_now())
    if late <= LATE_AFTER:
        return Finding("schedules", OK, "None is overdue.")
    remedy = "Look into the log of the scheduler; start another one when it cannot keep up."
    return Finding("schedules", FAIL, f"The most overdue has waited for {late.total_seconds():.0f} s.", remedy)


def _invariants() -> list[Finding]:
    return [
        Finding("rows", FAIL, f"{one.words.capitalize()} ({len(found)}): {_ids(found)}", one.remedy)
        for one, found in broken_now().items()
    ] or [Finding("rows", OK, "What is stored fits together.")]


def _ids(found: Sequence[Breach]) -> str:
    return ", ".join(str(one.id) for one in found[:5])
