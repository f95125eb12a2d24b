"""script/carillon on the data directory of script/server: it reaches the database that runs, or starts it for a moment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import ROOT, alembic, environment
from workers.local_servers import PostgresServer, ValkeyServer


@pytest.fixture
def directory() -> Iterator[Path]:
    # Not pytest's own directory, which PostgreSQL's user may not enter.
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def carillon(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    command = [sys.executable, "-m", "workers.local_commands", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=env | {"CARILLON_DATA_DIR": str(directory)}, capture_output=True, text=True, timeout=90,
        check=False,
    )  # fmt: skip


def test_the_database_is_reached_while_it_runs_and_started_while_it_does_not(directory: Path) -> None:
    with PostgresServer(directory / "postgres", is_durable=False) as server:
        env = environment(server.url, "redis://127.0.0.1:9/0")
        subprocess.run(alembic("upgrade", "head"), cwd=ROOT, env=env, check=True, capture_output=True, timeout=90)
        beside = carillon(directory, "tenants", "list")
        assert server.exit_code is None and server.is_ready()
    alone = carillon(directory, "tenants", "list", "--json")
    assert (beside.returncode, beside.stderr) == (0, "")
    assert beside.stdout.startswith("There is no tenant yet.")
    assert (alone.returncode, alone.stdout) == (0, "[]\n")


def finding(directory: Path, name: str) -> str:
    """What `doctor` finds of one thing."""
    found = json.loads(carillon(directory, "doctor", "--json").stdout)["checks"]
    return str(next(one["state"] for one in found if one["name"] == name))


def test_redis_is_reached_like_the_database(directory: Path) -> None:
    with PostgresServer(directory / "postgres", is_durable=False) as server:
        subprocess.run(
            alembic("upgrade", "head"), cwd=ROOT, env=environment(server.url, "redis://127.0.0.1:9/0"), check=True,
            capture_output=True, timeout=90,
        )  # fmt: skip
        assert finding(directory, "redis") == "warn"
        with ValkeyServer(directory / "valkey", is_durable=False) as redis:
            assert finding(directory, "redis") == "ok"
            assert redis.exit_code is None and redis.is_ready()
        assert finding(directory, "redis") == "ok"


def test_where_nothing_was_ever_started_that_is_said(directory: Path) -> None:
    ended = carillon(directory, "tenants", "list")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "run script/server once" in ended.stderr
    assert list(directory.iterdir()) == []


def test_how_a_command_ended_is_how_it_ends(directory: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "workers.local_commands", "tenants", "explode"], cwd=ROOT, capture_output=True, text=True,
        env=os.environ | {"CARILLON_DATA_DIR": str(directory), "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"},
        timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
