"""script/carillon: the command line on the installation that script/server keeps on this machine.

It reaches the database of a script/server that runs, and otherwise starts PostgreSQL for as long as the command takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from workers.local import ROOT, CannotStart, local_environment
from workers.local_servers import AlreadyRunning, PostgresServer, ServerFailed

NO_REDIS = "redis://127.0.0.1:9/0"
"""Commands talk to the database alone, but the settings of a process name both."""


def main() -> int:
    """Run `carillon` with the arguments of this process; its exit code."""
    directory = Path(os.environ.get("CARILLON_DATA_DIR") or ROOT / "var").absolute()
    try:
        with ExitStack() as servers:
            if not os.environ.get("DATABASE_URL"):
                os.environ["DATABASE_URL"] = reached_database(directory, servers)
            env = {"REDIS_URL": NO_REDIS, **local_environment(os.environ, directory)}
            command = [sys.executable, "-m", "carillon", *sys.argv[1:]]
            return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode
    except (CannotStart, ServerFailed, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1


def reached_database(directory: Path, servers: ExitStack) -> str:
    """The address of the database in a data directory, whose server is started unless it runs.

    Raises CannotStart when there is none yet, ServerFailed.
    """
    if not directory.joinpath("postgres").exists():
        raise CannotStart(f"There is no database in {directory} yet: run script/server once.")
    try:
        return servers.enter_context(PostgresServer(directory / "postgres")).url
    except AlreadyRunning:
        return PostgresServer(directory / "postgres").join().url


if __name__ == "__main__":
    sys.exit(main())
