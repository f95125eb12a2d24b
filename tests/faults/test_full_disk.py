"""A disk that is full while schedules come due (C7): files of PostgreSQL that cannot grow any further."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import DBAPIError

from tests.faults.fleet import Fleet, execute, scalar
from tests.faults.invariants import check_invariants
from tests.faults.ticking import SCHEDULES, decide_due, seed_due
from tests.servers import Servers
from workers.local_servers import PostgresServer

# In blocks of 512 or 1,024 bytes, which depends on the shell: more than any file of a new cluster, and than one of its log.
LARGEST_FILE = 16_384
FILLING = """
    INSERT INTO occurrences (id, schedule_id, tenant_id, scheduled_for, origin_key, outcome, reason, detail, decided_at)
    SELECT gen_random_uuid(), s.id, s.tenant_id, date_trunc('second', clock_timestamp()) - interval '9 days',
        'run_now:' || gen_random_uuid(), 'skipped', 'overlap', repeat(md5(CAST(n AS text)), 3), clock_timestamp()
    FROM (SELECT * FROM schedules LIMIT 1) s, generate_series(1, 20000) n
"""
FIRED = "SELECT count(*) FROM occurrences WHERE outcome = 'fired'"


@contextmanager
def small_disk(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    command = PostgresServer.command
    within = ["/bin/sh", "-c", f'ulimit -f {LARGEST_FILE}; exec "$@"', "sh"]
    servers.postgres.stop()
    monkeypatch.setattr(PostgresServer, "command", lambda self: [*within, *command(self)])
    servers.postgres.start()
    yield
    servers.postgres.stop()
    monkeypatch.setattr(PostgresServer, "command", command)
    servers.postgres.start()


def fill(fleet: Fleet) -> None:
    """What did not fit any more was undone, and takes its place all the same."""
    for _ in range(20):
        execute(fleet.app, FILLING)


def test_a_full_disk_leaves_no_half_decision_and_everything_goes_on_when_there_is_room(
    private_servers: Servers, private_fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = private_fleet
    seed_due(fleet)
    with small_disk(private_servers, monkeypatch):
        with pytest.raises(DBAPIError, match="could not extend file"):
            fill(fleet)
        for _ in range(3):
            with pytest.raises(DBAPIError, match="could not extend file"):
                decide_due(fleet.app)
        assert scalar(fleet.app, FIRED) == scalar(fleet.app, "SELECT count(*) FROM runs") == 0
        assert scalar(fleet.app, "SELECT count(*) FROM schedule_cursors WHERE last_error IS NOT NULL") == 0
    assert decide_due(fleet.app) == SCHEDULES
    assert scalar(fleet.app, FIRED) == scalar(fleet.app, "SELECT count(*) FROM runs") == SCHEDULES
    check_invariants(fleet.app)
