"""What is forgotten by itself: leases of processes long gone, ended sessions, keys of requests nobody will repeat,
values of the store that expired, what people were told long ago, sums of hours gone by, runs and events that have been kept as long as their workflow or tenant wants."""

from __future__ import annotations

from datetime import datetime

from domain.accounts.notifications import prune_notifications
from domain.accounts.request_keys import prune_requests
from domain.accounts.sessions import prune_sessions
from domain.events.retention import prune_events
from domain.fire_minutes import prune_minutes
from domain.kernel.metric_counts import fold_counts
from domain.runs.heartbeats import prune_heartbeats
from domain.runs.retention import prune_runs
from domain.runs.store_items import prune_store


def prune(now: datetime) -> int:
    """Forget what is past its time, of what may be much only one batch; how many rows of that.

    Call it again, in a transaction of its own, until it answers 0. A batch leaves out what somebody holds, so that it
    waits for nobody, and is small enough that nobody waits long for it. The ledger of schedules is not touched.
    """
    ways = (prune_requests, prune_notifications, prune_runs, prune_events, prune_store, prune_sessions)
    forgotten = sum(prune_some(now) for prune_some in ways)
    if not forgotten:
        # Never many: once is enough.
        prune_heartbeats(now)
        prune_minutes(now)
        fold_counts(now)
    return forgotten
