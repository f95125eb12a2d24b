"""Announcing ready work: as many messages as there is work not announced yet. Each says only "claim from this lane".

There is no mark on a run that was announced and nothing to resend: what is ready is announced until it is claimed. So
losing the whole broker loses nothing, and a message too many finds nothing to claim.
"""

from __future__ import annotations

import math

from dramatiq import Broker, Message

from domain.execution import CHUNKS
from domain.kernel.clock import monotonic
from domain.kernel.failpoints import hit
from domain.runs.runs import CALL, LANES
from workers.broker import waiting_messages

# A worker goes on claiming while there is work, so more messages than threads is all it takes.
MESSAGES_LIMIT = 200
# A slow broker must not keep the dispatcher from its next round; what is not said now is said then.
SECONDS = 1.0


def announce_ready(broker: Broker, ready: dict[str, int], callers: int, seconds: float = SECONDS) -> int:
    """Send what is missing for `ready` runs per lane, for about `seconds` at most; how many messages were sent. One is
    for as many runs as a chunk holds; one about calls wakes the `callers` of a process, all of them."""
    covered = CHUNKS | {CALL: callers}
    sent = 0
    until = monotonic() + seconds
    for lane in LANES:
        wanted = min(math.ceil(ready.get(lane, 0) / covered[lane]), MESSAGES_LIMIT)
        if wanted == 0:
            continue
        missing = wanted - waiting_messages(broker, lane)
        for _ in range(missing):
            if monotonic() > until:
                return sent
            broker.enqueue(Message(queue_name=lane, actor_name=f"work_{lane}", args=(), kwargs={}, options={}))
            sent += 1
            hit("dispatch.mid_send")
    return sent
