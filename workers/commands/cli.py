"""The entry of the command line: its groups."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import click

from domain.kernel.log import configure_logs
from workers.commands import definitions, schedule_outlook  # noqa: F401  their commands belong to groups of others
from workers.commands.api import LocalApi
from workers.commands.bundles import bundle
from workers.commands.completion import completion
from workers.commands.doctor import doctor
from workers.commands.events import events
from workers.commands.extensions import extensions
from workers.commands.frame import Commands
from workers.commands.installs import install, installs, upgrade
from workers.commands.people import tokens, users
from workers.commands.runs import runs
from workers.commands.schedule_bundles import schedule_bundle
from workers.commands.schedules import schedules
from workers.commands.tenants import tenants
from workers.commands.workflows import migrate_triggers, workflows
from workers.process import code_version


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(code_version(), prog_name="carillon")
def carillon() -> None:
    """Everything that Carillon does, in a terminal and in scripts.

    On its server the environment says which installation is meant: DATABASE_URL, REDIS_URL and CARILLON_SECRET_KEY, as for
    its processes; nothing else has to run. Elsewhere --url (CARILLON_URL) says where it answers, and CARILLON_TOKEN who you
    are. Exit codes: 0 done, 1 not done, 2 wrongly called.
    """


for command in (
    schedules,
    schedule_bundle,
    workflows,
    bundle,
    runs,
    events,
    extensions,
    installs,
    tenants,
    users,
    tokens,
    doctor,
    completion,
):
    carillon.add_command(command)
carillon.add_command(migrate_triggers, "migrate-inline-triggers")
extensions.add_command(install)
extensions.add_command(upgrade)


def main(local: LocalApi) -> Any:
    """Run the command that the arguments name; `local` gives the API on the database of the environment."""
    _fit_terminal()
    # What goes wrong is said in words; what a log would add is for whoever asks for it.
    configure_logs(os.environ.get("CARILLON_LOG_LEVEL", "CRITICAL").upper(), "console", sys.stderr)
    return carillon(prog_name="carillon", obj=local)


def _fit_terminal() -> None:
    """A character that the terminal cannot show ends no command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
