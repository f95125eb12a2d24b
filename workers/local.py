"""script/server: the whole of Carillon on one machine, under one supervisor.

Starts PostgreSQL and Valkey unless DATABASE_URL and REDIS_URL are set, migrates, seeds the demo tenant, then runs every
process of the Procfile until Ctrl-C, and beside them a runner unless CARILLON_RUNNER_URL names another; whichever of all
these dies is started again. What is to be kept lies in CARILLON_DATA_DIR, `var` by default.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from workers.local_processes import procfile_commands, run_together
from workers.local_server import LocalServer
from workers.local_servers import PostgresServer, ServerFailed, ValkeyServer
from workers.local_watch import Watch

ROOT = Path(__file__).resolve().parent.parent
EVERY_INTERFACE = {"0.0.0.0", "::"}  # noqa: S104
# It executes what others wrote: it gets nothing that would open anything else.
RUNNER_COMMAND = (
    "env -u DATABASE_URL -u REDIS_URL -u CARILLON_SECRET_KEY -u CARILLON_PREVIOUS_SECRET_KEYS -u CARILLON_SMTP_URL "
    "python -m workers.local_runner"
)
HEALTHY_SECONDS = 20
"""How long the banner waits for all processes to be well after the web first answered."""


class CannotStart(RuntimeError):
    """Something outside Carillon is in the way. The message says what, and what to do."""


def main() -> int:
    """Run until asked to end. The exit code is 0 after Ctrl-C or SIGTERM, 1 when anything failed by itself."""
    signal.signal(signal.SIGTERM, _end)
    faults: list[str] = []
    try:
        with ExitStack() as servers:
            fault = _serve(servers, faults)
    except KeyboardInterrupt:
        fault = None
    except (CannotStart, ServerFailed, OSError) as error:
        fault = str(error)
    if fault := next(iter(faults), fault):
        print(f"Carillon has stopped: {fault}", file=sys.stderr, flush=True)
        return 1
    print("Carillon has stopped.", flush=True)
    return 0


def local_environment(environ: Mapping[str, str], directory: Path) -> dict[str, str]:
    """`environ` with everything the processes need but the addresses of the servers. Raises CannotStart on nonsense."""
    env = dict(environ)
    env.setdefault("PORT", "8000")
    if not env["PORT"].isascii() or not env["PORT"].isdigit() or not 0 < int(env["PORT"]) < 65536:
        raise CannotStart(f"PORT must be a whole number from 1 to 65535, not {env['PORT']!r}.")
    env.setdefault("CARILLON_BIND", "127.0.0.1")
    env.setdefault("CARILLON_HTTPS", "0")
    env.setdefault("CARILLON_LOG_FORMAT", "console")
    env["CARILLON_DATA_DIR"] = str(directory)
    env.setdefault("CARILLON_OUTBOX_DIR", str(directory / "outbox"))
    env["PYTHONUNBUFFERED"] = "1"
    if not sys.stdout.isatty():
        env.setdefault("NO_COLOR", "1")
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env.get('PATH', os.defpath)}"
    if not env.get("CARILLON_SECRET_KEY"):
        env["CARILLON_SECRET_KEY"] = kept_secret(directory / "secret-key")
    return env


def add_runner(env: dict[str, str], directory: Path) -> dict[str, str]:
    """The command by name that serves a runner on this machine, which `env` then leads to; empty when there is another."""
    if env.get("CARILLON_RUNNER_URL"):
        return {}
    with socket.create_server(("127.0.0.1", 0)) as trial:
        env["CARILLON_RUNNER_URL"] = f"http://127.0.0.1:{trial.getsockname()[1]}"
    for name, file in (("CARILLON_RUNNER_TOKEN", "runner-token"), ("CARILLON_RUNNER_KEY", "runner-key")):
        if not env.get(name):
            env[name] = kept_secret(directory / file)
    return {"runner": RUNNER_COMMAND}


def kept_secret(path: Path) -> str:
    """The secret in `path`, made on first use and readable by its owner alone."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48))
    return path.read_text()


def check_port(host: str, port: int) -> None:
    """Raise CannotStart when something listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"Carillon cannot listen on {host} port {port} ({error.strerror}). "
                f"Stop what uses it, or choose another with PORT=… script/server."
            ) from error


def _serve(servers: ExitStack, faults: list[str]) -> str | None:
    """Run until asked to end. Answers why not, or adds to `faults` the sentence of a server that was given up."""

    def give_up(fault: str) -> None:
        faults.append(fault)
        os.kill(os.getpid(), signal.SIGTERM)

    directory = Path(os.environ.get("CARILLON_DATA_DIR") or ROOT / "var").absolute()
    directory.mkdir(parents=True, exist_ok=True)
    env = local_environment(os.environ, directory)
    check_port(env["CARILLON_BIND"], int(env["PORT"]))
    if not env.get("DATABASE_URL"):
        env["DATABASE_URL"] = _start_server(PostgresServer(directory / "postgres"), servers, give_up)
    if not env.get("REDIS_URL"):
        env["REDIS_URL"] = _start_server(ValkeyServer(directory / "valkey"), servers, give_up)
    commands = procfile_commands(ROOT / "Procfile") | add_runner(env, directory)
    _run_once("Preparing the database", commands.pop("release"), env)
    credentials = directory / "credentials.json"
    if importlib.util.find_spec("workers.demo"):
        seed = 'python -m workers.demo --credentials "$0" --url "$1"'
        _run_once("Looking after the demo tenant", seed, env, str(credentials), _address(env))
    return run_together(commands, env, lambda: _announce(env, credentials))


def _start_server(server: LocalServer, servers: ExitStack, give_up: Callable[[str], None]) -> str:
    print(f"Starting {server.name} …", flush=True)
    servers.enter_context(server)
    servers.enter_context(Watch(server, _tell, give_up))
    return server.url


def _tell(sentence: str) -> None:
    """Print a line in one piece: the processes' lines come from another thread."""
    print(f"{sentence}\n", end="", flush=True)


def _run_once(what: str, command: str, env: Mapping[str, str], *arguments: str) -> None:
    print(f"{what} …", flush=True)
    ended = subprocess.run(["/bin/sh", "-c", command, *arguments], cwd=ROOT, env=env, check=False)
    if ended.returncode:
        raise CannotStart(f"`{command}` ended with exit code {ended.returncode}; what it printed above says why.")


def _address(env: Mapping[str, str]) -> str:
    host = "127.0.0.1" if env["CARILLON_BIND"] in EVERY_INTERFACE else env["CARILLON_BIND"]
    return f"http://{f'[{host}]' if ':' in host else host}:{env['PORT']}"


def _announce(env: Mapping[str, str], credentials: Path) -> None:
    """Print where to go, once all processes are well, or at least the web has answered for a while."""
    answered_at = None
    while answered_at is None or time.monotonic() - answered_at < HEALTHY_SECONDS:
        status = _health(env)
        if status == 200:
            break
        if status is not None and answered_at is None:
            answered_at = time.monotonic()
        time.sleep(0.3)
    lines = [f"Carillon runs at {_address(env)}"]
    if credentials.exists():
        lines += [f"Sign in as {json.loads(credentials.read_text())['email']}", f"The password is in {credentials}"]
    rule = "─" * max(map(len, lines))
    _tell("\n".join(["", rule, *lines, "Ctrl-C stops it; what it knows is kept.", rule, ""]))


def _health(env: Mapping[str, str]) -> int | None:
    """The status of /healthz, None when nobody answers. Without urllib, which would ask a proxy."""
    host = "127.0.0.1" if env["CARILLON_BIND"] in EVERY_INTERFACE else env["CARILLON_BIND"]
    connection = http.client.HTTPConnection(host, int(env["PORT"]), timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _end(*_: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
