"""The embedded servers: they end with their starter, come back after a crash, and belong to one launcher at a time."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import redis

from tests.servers import ROOT, make_directory
from workers.local_places import User, postgres_user
from workers.local_servers import AlreadyRunning, NotOurServer, PostgresServer, ServerFailed, ValkeyServer

LAUNCHER = """
import sys, time
from pathlib import Path
from workers.local_servers import PostgresServer, ValkeyServer
directory = Path(sys.argv[1])
postgres, valkey = PostgresServer(directory / "postgres", is_durable=False).start(), ValkeyServer(directory / "valkey").start()
print(postgres.pid, valkey.pid, postgres.url, valkey.url, sep="\\n", flush=True)
time.sleep(600)
"""

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a server to another user")


@pytest.fixture
def directory() -> Iterator[Path]:
    made = make_directory()
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def used_directory() -> Iterator[Path]:
    """A directory whose cluster exists already, for tests that need no new one."""
    made = make_directory()
    yield made
    shutil.rmtree(made)


def launch(directory: Path, **options: object) -> tuple[subprocess.Popen[str], list[str]]:
    """A launcher in a process of its own, and its servers' process ids and addresses."""
    command = [sys.executable, "-c", LAUNCHER, str(directory)]
    env = os.environ | {"TMPDIR": str(directory)}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, **options)
    assert process.stdout is not None
    said = [process.stdout.readline().strip() for _ in range(4)]
    process.stdout.close()
    assert all(said), "the launcher failed"
    return process, said


def wait_until(is_true: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """A zombie, which nobody reaps in some containers, is not alive."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()[:1] not in ("", "Z")


def end(launcher: subprocess.Popen[str], *pids: str) -> None:
    """Kill a launcher and wait for what it started."""
    launcher.kill()
    launcher.wait()
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids))


def rows(url: str, statement: str) -> list[tuple]:
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_postgres_keeps_its_rows_over_a_stop_and_a_kill(used_directory: Path) -> None:
    with PostgresServer(used_directory / "postgres", is_durable=False) as server:
        address = server.url
        rows(address, "CREATE TABLE kept (word text)")
        rows(address, "INSERT INTO kept VALUES ('É')")
        server.stop()
        server.start()
        server.kill()
        server.start()
        assert server.url == address
        assert rows(address, "SELECT lower(word) FROM kept") == [("é",)]


def test_valkey_keeps_its_keys_over_a_stop_only_when_it_is_durable(used_directory: Path) -> None:
    kept = []
    for is_durable in (True, False):
        with ValkeyServer(used_directory / f"valkey-{is_durable}", is_durable=is_durable) as server:
            redis.Redis.from_url(server.url).set("key", "kept")
            server.stop()
            server.start()
            kept.append(redis.Redis.from_url(server.url).get("key"))
    assert kept == [b"kept", None]


def test_nothing_listens_on_the_network(used_directory: Path) -> None:
    with (
        PostgresServer(used_directory / "postgres", is_durable=False) as postgres,
        ValkeyServer(used_directory / "valkey") as valkey,
    ):
        assert rows(postgres.url, "SHOW listen_addresses") == [("",)]
        assert redis.Redis.from_url(valkey.url).config_get("port") == {"port": "0"}
        for server in (postgres, valkey):
            assert stat.S_IMODE(server.socket_directory.stat().st_mode) == 0o700


def test_paths_may_hold_any_character_and_be_long(directory: Path) -> None:
    odd = directory / "a b%41?#&'\"" / ("long" * 40)
    odd.mkdir(parents=True)
    with PostgresServer(odd / "postgres", is_durable=False) as postgres, ValkeyServer(odd / "valkey") as valkey:
        assert rows(postgres.url, "SHOW data_directory") == [(str(odd / "postgres"),)]
        assert redis.Redis.from_url(valkey.url).config_get("dir") == {"dir": str(odd / "valkey")}


def test_servers_end_with_a_killed_launcher_and_start_again(used_directory: Path) -> None:
    launcher, (postgres_pid, valkey_pid, database_url, redis_url) = launch(used_directory)
    rows(database_url, "CREATE TABLE kept_by_leash ()")
    redis.Redis.from_url(redis_url).set("key", "kept")
    end(launcher, postgres_pid, valkey_pid)
    with (
        PostgresServer(used_directory / "postgres", is_durable=False) as postgres,
        ValkeyServer(used_directory / "valkey") as valkey,
    ):
        assert rows(postgres.url, "SELECT * FROM kept_by_leash") == []
        assert redis.Redis.from_url(valkey.url).get("key") == b"kept"
        assert not Path(database_url.partition("host=")[2].replace("%2F", "/")).exists(), "sockets were left behind"


def test_everything_killed_at_once_starts_again(used_directory: Path) -> None:
    launcher, (postgres_pid, valkey_pid, database_url, _) = launch(used_directory)
    rows(database_url, "CREATE TABLE kept_by_log ()")
    for pid in (launcher.pid, int(postgres_pid), int(valkey_pid)):
        os.kill(pid, signal.SIGKILL)
    launcher.wait()
    with (
        PostgresServer(used_directory / "postgres", is_durable=False) as postgres,
        ValkeyServer(used_directory / "valkey"),
    ):
        assert rows(postgres.url, "SELECT * FROM kept_by_log") == []


def test_a_pid_file_that_names_a_stranger_does_not_stop_a_start(used_directory: Path) -> None:
    with PostgresServer(used_directory / "postgres", is_durable=False) as server:
        server.kill()
        _, _, rest = server.pid_file.read_text().partition("\n")
        server.pid_file.write_text(f"{os.getpid()}\n{rest}")
        server.start()


def test_a_server_whose_launcher_vanished_is_ended_and_replaced(used_directory: Path) -> None:
    with PostgresServer(used_directory / "postgres", is_durable=False) as first:
        left_over = first.pid
        first._lock.close()  # type: ignore[union-attr]
        with PostgresServer(used_directory / "postgres", is_durable=False) as second:
            assert not is_alive(left_over)
            assert rows(second.url, "SELECT 1") == [(1,)]


def test_a_second_launcher_on_the_same_directory_is_refused_and_disturbs_nothing(used_directory: Path) -> None:
    launcher, (postgres_pid, valkey_pid, database_url, redis_url) = launch(used_directory)
    try:
        for server in (
            PostgresServer(used_directory / "postgres", is_durable=False),
            ValkeyServer(used_directory / "valkey"),
        ):
            with pytest.raises(
                AlreadyRunning, match=rf"{server.name} on .* is already run by process {launcher.pid}\."
            ):
                server.start()
        assert rows(database_url, "SELECT 1") == [(1,)]
        assert redis.Redis.from_url(redis_url).ping()
    finally:
        end(launcher, postgres_pid, valkey_pid)


def test_a_killed_initdb_leaves_nothing_in_the_way(directory: Path) -> None:
    half_made = directory / "postgres.new"
    half_made.mkdir()
    (half_made / "PG_VERSION").write_text("18\n")
    with PostgresServer(directory / "postgres", is_durable=False) as server:
        assert rows(server.url, "SELECT 1") == [(1,)]
    assert not half_made.exists()


def test_four_pairs_start_side_by_side(directory: Path) -> None:
    # Servers end with the thread that started them: each thread proves and closes its own.
    def start_and_prove(number: int) -> tuple[int, int]:
        own = directory / str(number)
        with PostgresServer(own / "postgres", is_durable=False) as postgres, ValkeyServer(own / "valkey") as valkey:
            postgres.prove()
            valkey.prove()
            return postgres.pid, valkey.pid

    with ThreadPoolExecutor(4) as pool:
        pids = [pid for pair in pool.map(start_and_prove, range(4)) for pid in pair]
    assert len(set(pids)) == 8
    assert not any(map(is_alive, pids))


def test_a_server_that_is_not_ours_is_told_apart(directory: Path) -> None:
    with ValkeyServer(directory / "one") as ours, ValkeyServer(directory / "two") as other:
        ours.socket_directory, own = other.socket_directory, ours.socket_directory
        with pytest.raises(NotOurServer):
            ours.prove()
        ours.socket_directory = own
        ours.prove()


def test_a_failed_start_says_what_the_log_says_and_lets_go(used_directory: Path) -> None:
    with PostgresServer(used_directory / "postgres", is_durable=False) as server:
        server.stop()
        settings = server.directory / "postgresql.conf"
        before = settings.read_text()
        settings.write_text("nonsense = 1")
        with pytest.raises(ServerFailed, match="unrecognized configuration parameter"):
            server.start()
        settings.write_text(before)
        server.start()


@as_root
def test_an_ordinary_user_runs_the_servers_as_themselves(directory: Path) -> None:
    uid, gid = postgres_user(directory / "absent").uid, postgres_user(directory / "absent").gid
    own = directory / "own"
    own.mkdir()
    os.chown(own, uid or 0, gid or 0)
    if not User(uid, gid).can_run(sys.executable, "-c", f"import os; os.chdir({str(ROOT)!r}); import psycopg"):
        pytest.skip("that user cannot read this checkout")
    launcher, (postgres_pid, valkey_pid, *_) = launch(own, user=uid, group=gid, extra_groups=[])
    try:
        assert Path(f"/proc/{postgres_pid}").stat().st_uid == uid == (own / "postgres").stat().st_uid
    finally:
        end(launcher, postgres_pid, valkey_pid)
