"""A private RabbitMQ for tests, where the machine has one installed. It can be killed, emptied and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

# Debian's command on the path becomes another user; what it starts does not.
PROGRAMS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
START_SECONDS = 120


def rabbit_program() -> str | None:
    """Where the server is, or None."""
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


class RabbitServer:
    """One node with a name server (epmd) of its own, on ports of its own; `directory` holds all that it writes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port, node_port, names_port = _free_ports(3)
        home = directory / "home"
        home.mkdir(parents=True)
        (directory / "plugins").write_text("[].\n")
        own = {
            "HOME": home,
            "ERL_EPMD_PORT": names_port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"carillon{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": node_port,
            "RABBITMQ_MNESIA_BASE": directory / "data",
            "RABBITMQ_LOG_BASE": directory / "log",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": directory / "plugins",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": directory / "none",
        }
        self.env = os.environ | {name: str(value) for name, value in own.items()}
        self.running: list[subprocess.Popen[bytes]] = []

    @property
    def url(self) -> str:
        """Its guest may do everything, from this machine only."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/%2F"

    def __enter__(self) -> Self:
        self._run([shutil.which("epmd") or "epmd", "-port", self.env["ERL_EPMD_PORT"]])
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.running:
            _end(process)
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start it and return when it takes connections. Raises TimeoutError with what it said."""
        server = self._run([rabbit_program() or ""])
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if server.poll() is not None or time.monotonic() > until:
                raise TimeoutError((self.directory / "said").read_text(errors="replace")[-2_000:])
            time.sleep(0.2)

    def lose_everything(self) -> None:
        """`kill -9`, and nothing left of what it kept."""
        _end(self.running.pop())
        shutil.rmtree(self.directory / "data")

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self.directory / "said").open("ab") as said:
            process = subprocess.Popen(command, env=self.env, stdout=said, stderr=said, start_new_session=True)
        self.running.append(process)
        return process

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as asked:
                asked.sendall(b"AMQP\x00\x00\x09\x01")
                return bool(asked.recv(1))
        except OSError:
            return False


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(30)
