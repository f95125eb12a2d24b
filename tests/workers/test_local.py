"""script/server's own rules, and the supervisor with real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.servers import ROOT
from workers.local import CannotStart, check_port, kept_secret, local_environment
from workers.local_processes import procfile_commands

SUPERVISOR = """
import json, os, sys
from workers.local_processes import run_together
print("ended:", run_together(json.loads(sys.argv[1]), os.environ, lambda: print("all started", flush=True)), flush=True)
"""
FOREVER = f"{sys.executable} -c 'import os, time; print(\"pid\", os.getpid(), flush=True); time.sleep(600)'"


def supervise(**commands: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SUPERVISOR, json.dumps(commands)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], *words: str) -> str:
    """What the process printed until all `words` were seen, or its end."""
    assert process.stdout is not None
    said = ""
    while not (words and all(word in said for word in words)) and (line := process.stdout.readline()):
        said += line
    return said


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
        if listed.stdout.strip()[:1] in ("", "Z"):
            return True
        time.sleep(0.02)
    return False


def pids_in(said: str) -> list[int]:
    return [int(line.rpartition(" ")[2]) for line in said.splitlines() if "| pid " in line]


def test_a_process_that_ends_by_itself_ends_the_others_and_is_named() -> None:
    with supervise(web=FOREVER, worker="sh -c 'sleep 0.3; exit 3'") as supervisor:
        said = read_until(supervisor)
    assert "ended: worker ended with exit code 3" in said
    assert all(map(is_gone, pids_in(said)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_and_is_no_fault(number: int) -> None:
    with supervise(web=FOREVER, worker=FOREVER) as supervisor:
        said = read_until(supervisor, "web    | pid", "worker | pid")
        supervisor.send_signal(number)
        assert "ended: None" in read_until(supervisor)
    assert len(pids_in(said)) == 2
    assert all(map(is_gone, pids_in(said)))


def test_processes_end_with_a_killed_supervisor() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process that its starter has ended")
    with supervise(web=FOREVER, worker=FOREVER) as supervisor:
        pids = pids_in(read_until(supervisor, "web    | pid", "worker | pid"))
        supervisor.kill()
    assert len(pids) == 2
    assert all(map(is_gone, pids))


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret-key"
    first = kept_secret(path)
    assert len(first) >= 32
    assert kept_secret(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_set_stays_and_the_rest_is_filled_in(tmp_path: Path) -> None:
    env = local_environment({"PORT": "9001", "CARILLON_SECRET_KEY": "chosen", "PATH": "/bin"}, tmp_path)
    assert (env["PORT"], env["CARILLON_SECRET_KEY"], env["CARILLON_HTTPS"]) == ("9001", "chosen", "0")
    assert env["PATH"].split(os.pathsep) == [str(Path(sys.executable).parent), "/bin"]
    assert not (tmp_path / "secret-key").exists()
    assert local_environment({}, tmp_path)["PORT"] == "8000"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "eighty", "８０００", ""])
def test_a_port_that_is_none_is_refused(port: str, tmp_path: Path) -> None:
    with pytest.raises(CannotStart, match="PORT must be a whole number"):
        local_environment({"PORT": port}, tmp_path)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotStart, match=f"port {port}"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_the_procfile_names_the_four_processes() -> None:
    assert list(procfile_commands(ROOT / "Procfile")) == ["release", "web", "scheduler", "worker"]
