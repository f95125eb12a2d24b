"""A Redis that is away, or does as it is asked and does not say so: decisions wait for nobody, and nothing is done twice."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import pytest
import redis

from domain.firing.tick import fire_due
from domain.runs.runs import EFFECT
from tests.faults.fleet import scalar
from tests.faults.guards import GUARDED, claim_without_looking
from tests.faults.inside import Inside
from tests.faults.invariants import check_invariants, counts, violations
from workers import scheduler as scheduling
from workers.broker import sending_errors
from workers.dispatcher import announce_ready
from workers.local_servers import ValkeyServer


@GUARDED
def test_what_is_due_is_decided_while_redis_is_away(
    inside_alone: Inside, valkey: ValkeyServer, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = inside_alone.scheduler()

    def fire_and_announce(now: datetime, batch: int) -> int:
        fired = fire_due(now, batch)
        announce_ready(scheduler.broker, {EFFECT: fired}, 1)
        return fired

    if not is_guarded:
        monkeypatch.setattr(scheduling, "fire_due", fire_and_announce)
    inside_alone.seed_due(5)
    valkey.prove()
    valkey.kill()
    try:
        with suppress(redis.RedisError):
            scheduler.tick()
        scheduler.dispatch()
        assert inside_alone.statuses() == ({"queued": 5} if is_guarded else {})
        assert violations(inside_alone.app).keys() == (set() if is_guarded else {"an instant that nobody decided"})
    finally:
        valkey.start()
    inside_alone.go_on()
    assert inside_alone.statuses() == {"succeeded": 5}


@GUARDED
def test_messages_that_were_sent_without_anybody_knowing_are_one_run_each(
    inside_alone: Inside, valkey: ValkeyServer, is_guarded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_guarded:
        claim_without_looking(inside_alone, monkeypatch)
    inside_alone.seed_ready(1)
    worker = inside_alone.worker()
    with inside_alone.proxied(valkey, b"enqueue") as (proxy, url):
        sender = inside_alone.sender(url)
        # The script is known from here on, so that the answer that is lost is that of the message.
        sender.do_qsize(EFFECT)
        proxy.drop_commits(1)
        with pytest.raises(sending_errors()):
            announce_ready(sender, {EFFECT: 1}, 1)
        assert proxy.dropped == 1
    consumer = inside_alone.sender().consume(EFFECT, timeout=1)
    assert next(consumer), "the message that the sender knows nothing of"
    # Somebody has taken it and not yet claimed what it is for, so it is announced once more.
    assert announce_ready(inside_alone.sender(), {EFFECT: 1}, 1) == 1
    inside_alone.act(lambda: worker.work(EFFECT))
    assert inside_alone.deliver(worker) == 1
    assert scalar(inside_alone.app, "SELECT claim_epoch FROM runs") == (1 if is_guarded else 2)
    assert counts(inside_alone.app) == [1, 1, 1]
    if is_guarded:
        check_invariants(inside_alone.app)
