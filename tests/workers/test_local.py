"""script/server's own rules, and the supervisor with real processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.servers import ROOT
from workers.local import RUNNER_COMMAND, CannotStart, add_runner, check_port, kept_secret, local_environment
from workers.local_processes import procfile_commands

SUPERVISOR = """
import json, os, sys
from workers import restarts
from workers.local_processes import run_together
restarts.FIRST_DELAY_SECONDS = float(sys.argv[2])
print("ended:", run_together(json.loads(sys.argv[1]), os.environ, lambda: None), flush=True)
"""
FOREVER = f"{sys.executable} -c 'import os, time; print(\"pid\", os.getpid(), flush=True); time.sleep(600)'"
WITH_CHILD = f"""{sys.executable} -c '
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("pid", child.pid, flush=True)
print("master", os.getpid(), flush=True)
time.sleep(600)'"""
DEADLINE_SECONDS = 20


@contextmanager
def supervise(first_delay: float = 0.01, **commands: str) -> Iterator[subprocess.Popen[str]]:
    """A supervisor in a process of its own, which is killed when a test takes too long."""
    command = [sys.executable, "-c", SUPERVISOR, json.dumps(commands), str(first_delay)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as supervisor:
        deadline = threading.Timer(DEADLINE_SECONDS, supervisor.kill)
        deadline.start()
        try:
            yield supervisor
        finally:
            deadline.cancel()
            supervisor.kill()


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
        if is_zombie_or_gone(pid):
            return True
        time.sleep(0.02)
    return False


def is_zombie_or_gone(pid: int) -> bool:
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()[:1] in ("", "Z")


def pids_in(said: str, name: str = "") -> list[int]:
    return [int(line.rpartition(" ")[2]) for line in said.splitlines() if f"{name} | pid " in line]


def test_a_killed_process_is_started_again_and_the_others_go_on() -> None:
    with supervise(web=FOREVER, worker=FOREVER) as supervisor:
        said = read_until(supervisor, "web    | pid", "worker | pid")
        (web,), (first,) = pids_in(said, "web   "), pids_in(said, "worker")
        os.kill(first, signal.SIGKILL)
        said = read_until(supervisor, "worker | pid")
        (second,) = pids_in(said)
        supervisor.send_signal(signal.SIGTERM)
        rest = read_until(supervisor)
    assert "worker was ended by signal 9; starting it again" in said
    assert "web" not in said
    assert "ended: None" in rest
    assert first != second
    assert all(map(is_gone, (web, first, second)))


def test_children_of_a_killed_process_do_not_live_beside_its_successor() -> None:
    with supervise(worker=WITH_CHILD) as supervisor:
        said = read_until(supervisor, "master ")
        os.kill(int(said.rpartition("master ")[2]), signal.SIGKILL)
        again = read_until(supervisor, "master ")
        assert all(map(is_gone, pids_in(said)))
        assert not any(map(is_zombie_or_gone, pids_in(again)))


def test_a_process_that_keeps_failing_ends_the_others_and_is_named() -> None:
    with supervise(web=FOREVER, worker="sh -c 'sleep 0.1; exit 3'") as supervisor:
        said = read_until(supervisor)
        assert supervisor.wait(DEADLINE_SECONDS) == 0
    assert "ended: worker ended with exit code 3, 5 times within 30 s of running" in said
    assert said.count("worker ended with exit code 3; starting it again") == 4
    assert len(pids_in(said)) == 1
    assert all(map(is_gone, pids_in(said)))


def test_a_signal_while_a_process_waits_to_be_started_again_ends_all() -> None:
    with supervise(first_delay=600, web=FOREVER, worker="sh -c 'exit 3'") as supervisor:
        said = read_until(supervisor, "web    | pid", "starting it again in 600 s")
        supervisor.send_signal(signal.SIGINT)
        said += read_until(supervisor)
        assert supervisor.wait(DEADLINE_SECONDS) == 0
    assert "ended: None" in said
    assert all(map(is_gone, pids_in(said)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_and_is_no_fault(number: int) -> None:
    with supervise(web=FOREVER, worker=FOREVER) as supervisor:
        said = read_until(supervisor, "web    | pid", "worker | pid")
        supervisor.send_signal(number)
        assert "ended: None" in read_until(supervisor)
    assert len(pids_in(said)) == 2
    assert all(map(is_gone, pids_in(said)))


def test_processes_end_with_a_killed_supervisor_also_those_that_were_started_again() -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells a process that its starter has ended")
    with supervise(web=FOREVER, worker=FOREVER) as supervisor:
        pids = pids_in(read_until(supervisor, "web    | pid", "worker | pid"))
        os.kill(pids[0], signal.SIGKILL)
        pids += pids_in(read_until(supervisor, "| pid"))
        supervisor.kill()
    assert len(pids) == 3
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


def test_a_runner_of_our_own_is_led_to_and_its_secrets_are_kept(tmp_path: Path) -> None:
    env: dict[str, str] = {}
    assert add_runner(env, tmp_path) == {"runner": RUNNER_COMMAND}
    assert env["CARILLON_RUNNER_URL"].startswith("http://127.0.0.1:")
    assert env["CARILLON_RUNNER_TOKEN"] != env["CARILLON_RUNNER_KEY"]
    for file in ("runner-token", "runner-key"):
        assert stat.S_IMODE((tmp_path / file).stat().st_mode) == 0o600
    again: dict[str, str] = {}
    add_runner(again, tmp_path)
    assert again["CARILLON_RUNNER_TOKEN"] == env["CARILLON_RUNNER_TOKEN"]
    assert again["CARILLON_RUNNER_KEY"] == env["CARILLON_RUNNER_KEY"]


def test_where_another_runner_is_named_none_is_started(tmp_path: Path) -> None:
    env = {"CARILLON_RUNNER_URL": "https://runner.example"}
    assert add_runner(env, tmp_path) == {}
    assert env == {"CARILLON_RUNNER_URL": "https://runner.example"}
    assert list(tmp_path.iterdir()) == []


def test_the_runner_serves_and_gets_no_key_to_anything_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = local_environment(os.environ, tmp_path) | {"DATABASE_URL": "postgresql://nobody/nothing"}
    commands = add_runner(env, tmp_path)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    with supervise(**commands) as supervisor:
        said = read_until(supervisor, "The runner listens")
        pid = int(said.partition("started (pid=")[2].partition(")")[0])
        answer = httpx.get(f"{env['CARILLON_RUNNER_URL']}/healthz", trust_env=False)
        given = Path(f"/proc/{pid}/environ").read_text() if sys.platform == "linux" else "CARILLON_RUNNER_KEY"
        supervisor.send_signal(signal.SIGTERM)
        assert "ended: None" in read_until(supervisor)
    assert answer.json() == {"status": "ok"}
    assert "CARILLON_RUNNER_KEY" in given
    assert "DATABASE_URL" not in given and "CARILLON_SECRET_KEY" not in given


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
