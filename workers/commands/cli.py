"""The entry of the command line: its groups."""

from __future__ import annotations

import sys
from typing import Any

import click

from domain.kernel.log import configure_logs
from workers.commands import schedule_outlook  # noqa: F401  its commands belong to schedules
from workers.commands.api import LocalApi
from workers.commands.events import events
from workers.commands.extensions import extensions
from workers.commands.frame import Commands
from workers.commands.installs import installs
from workers.commands.runs import runs
from workers.commands.schedules import schedules
from workers.commands.tenants import tenants
from workers.commands.workflows import workflows
from workers.process import code_version


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(code_version(), prog_name="carillon")
def carillon() -> None:
    """Look after an installation of Carillon.

    The environment says which one: DATABASE_URL, REDIS_URL and CARILLON_SECRET_KEY, as for its processes. Nothing else
    has to run. Exit codes: 0 done, 1 not done, 2 wrongly called.
    """


for group in (schedules, workflows, runs, events, extensions, installs, tenants):
    carillon.add_command(group)


def main(local: LocalApi) -> Any:
    """Run the command that the arguments name; `local` gives the API on the database of the environment."""
    configure_logs("WARNING", "console", sys.stderr)
    return carillon(prog_name="carillon", obj=local)
