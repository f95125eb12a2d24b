"""script/carillon: the command line on the installation that script/server keeps on this machine.

It reaches the servers of a script/server that runs, and otherwise starts them for as long as the command takes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from workers.local import ROOT, CannotStart, local_environment
from workers.local_server import AlreadyRunning, LocalServer
from workers.local_servers import PostgresServer, ServerFailed, ValkeyServer

NO_REDIS = "redis://127.0.0.1:9/0"
"""Nobody listens there: commands work without Redis, but the settings of a process name one."""


def main() -> int:
    """Run `carillon` with the arguments of this process; its exit code."""
    directory = Path(os.environ.get("CARILLON_DATA_DIR") or ROOT / "var").absolute()
    try:
        with ExitStack() as servers:
            if not os.environ.get("DATABASE_URL"):
                os.environ["DATABASE_URL"] = reached_database(directory, servers)
            if not os.environ.get("REDIS_URL"):
                os.environ["REDIS_URL"] = reached_redis(directory, servers)
            env = local_environment(os.environ, directory)
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
    return reached(PostgresServer(directory / "postgres"), servers)


def reached_redis(directory: Path, servers: ExitStack) -> str:
    """The address of the Redis in a data directory, whose server is started unless it runs; NO_REDIS without one."""
    server = ValkeyServer(directory / "valkey")
    return reached(server, servers) if server.directory.exists() else NO_REDIS


def reached(server: LocalServer, servers: ExitStack) -> str:
    """The address of a server, which is started unless another process runs it. Raises ServerFailed."""
    try:
        return servers.enter_context(server).url
    except AlreadyRunning:
        return server.join().url


if __name__ == "__main__":
    sys.exit(main())
