"""The entry of the command line: its groups."""

from __future__ import annotations

import click

from workers.commands.extensions import extensions
from workers.commands.frame import Commands
from workers.commands.installs import installs
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


carillon.add_command(installs)
carillon.add_command(extensions)
carillon.add_command(tenants)
carillon.add_command(workflows)


def main() -> None:
    """Run the command that the arguments name."""
    carillon(prog_name="carillon")
