"""Where the embedded servers' files lie and who runs them, when root starts them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from tests.servers import make_directory
from workers import local_places
from workers.local_places import MYSELF, User, postgres_programs, postgres_user
from workers.local_servers import PostgresServer

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can give a server to another user")


@pytest.fixture
def directory() -> Iterator[Path]:
    made = make_directory()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def common_place(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """COMMON_PLACE, moved so that the test leaves nothing on the machine."""
    monkeypatch.setattr(local_places, "COMMON_PLACE", directory / "common")
    return directory / "common"


@as_root
def test_for_root_postgres_runs_as_nobody_and_changes_no_mode(directory: Path) -> None:
    before = stat.S_IMODE(directory.stat().st_mode)
    with PostgresServer(directory / "postgres", is_durable=False) as server:
        assert server.directory.stat().st_uid == postgres_user(directory / "absent").uid != 0
        assert (directory.stat().st_uid, stat.S_IMODE(directory.stat().st_mode)) == (0, before)


@as_root
def test_below_a_closed_directory_the_cluster_lives_in_the_common_place(directory: Path, common_place: Path) -> None:
    home = directory / "closed" / "var"
    home.mkdir(parents=True)
    home.parent.chmod(0o700)
    for _ in range(2):
        with PostgresServer(home / "postgres", is_durable=False) as server:
            assert server.directory.is_relative_to(common_place)
            with psycopg.connect(server.url) as connection:
                connection.execute("CREATE TABLE IF NOT EXISTS kept ()")
            assert (home / "postgres").resolve() == server.directory
    assert stat.S_IMODE(home.parent.stat().st_mode) == 0o700


@as_root
def test_programs_that_nobody_cannot_read_are_copied_once(
    directory: Path, common_place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = directory / "closed"
    closed.mkdir(mode=0o700)
    package = postgres_programs(MYSELF).parent.parent
    (closed / package.name).symlink_to(package)
    (closed / f"{package.name}.libs").symlink_to(package.with_name(f"{package.name}.libs"))
    monkeypatch.setattr(local_places, "_package", lambda name: closed / name)
    nobody = postgres_user(directory / "absent")
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(postgres_programs, [nobody, nobody])
    assert first == second
    assert first.is_relative_to(common_place)
    assert nobody.can_run(first / "initdb", "--version")
    assert len(list(common_place.iterdir())) == 1


@as_root
def test_root_goes_on_with_a_cluster_of_an_ordinary_user(directory: Path) -> None:
    stranger = User(12345, 12345)
    cluster = directory / "postgres"
    cluster.mkdir()
    stranger.take(cluster)
    assert postgres_user(cluster) == stranger
