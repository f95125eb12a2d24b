"""The runner that `script/server` starts: executes the example extensions, on this machine alone.

`python -m workers.local_runner` listens where CARILLON_RUNNER_URL says, and knows CARILLON_RUNNER_TOKEN and
CARILLON_RUNNER_KEY as everybody else does. It needs no database. `--scripted` is for tests: it answers for every extension
and misbehaves when told to.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Mapping
from types import FrameType
from urllib.parse import urlsplit

from domain.kernel.log import configure_logs, logger
from workers.runner.executing import Executor
from workers.runner.programs import shipped_programs
from workers.runner.scripts import Script, echo
from workers.runner.serving import RunnerServer

log = logger(__name__)

# How long calls under way may last when the process is to end.
DRAIN_SECONDS = 20.0


class CannotServe(ValueError):
    """The environment does not say where to listen or what to know. The message names the variable."""


def server_from(environ: Mapping[str, str], is_scripted: bool) -> RunnerServer:
    """A server that listens already. Raises CannotServe, or OSError when the port is taken."""
    url = urlsplit(_required(environ, "CARILLON_RUNNER_URL"))
    if not url.hostname:
        raise CannotServe("CARILLON_RUNNER_URL must be an http:// address.")
    token, key = _required(environ, "CARILLON_RUNNER_TOKEN"), _required(environ, "CARILLON_RUNNER_KEY")
    executor = Executor(key, shipped_programs(), echo if is_scripted else None)
    return RunnerServer((url.hostname, url.port or 80), token, executor, Script() if is_scripted else None)


def _required(environ: Mapping[str, str], name: str) -> str:
    if not environ.get(name):
        raise CannotServe(f"{name} is not set. script/server sets it locally.")
    return environ[name]


def main() -> int:
    """Serve until asked to end, and answer what was asked before that."""
    parser = argparse.ArgumentParser(description="Execute the example extensions, on this machine alone.")
    parser.add_argument("--scripted", action="store_true", help="for tests: answer for all, misbehave when told to")
    asked = parser.parse_args()
    configure_logs(os.environ.get("CARILLON_LOG_LEVEL", "INFO").upper(), os.environ.get("CARILLON_LOG_FORMAT", "json"))
    try:
        server = server_from(os.environ, asked.scripted)
    except (CannotServe, OSError) as error:
        sys.exit(f"The runner cannot start: {error}")

    def end(_number: int, _frame: FrameType | None) -> None:
        # From another thread: it waits for the loop that this signal has interrupted.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    log.info("The runner listens", port=server.server_address[1])
    with server:
        server.serve_forever(poll_interval=0.1)
        # Nobody is waited for who may ask: what listens is closed first.
        server.socket.close()
        if left := server.drain(DRAIN_SECONDS):
            log.warning("Calls are still under way; whoever asked asks again with the same key", calls=left)
    return 0


if __name__ == "__main__":
    sys.exit(main())
