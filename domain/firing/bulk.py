"""One action on many schedules: each by its own command in a savepoint of its own, in pieces, with the outcome of every
one on record under the key of the request.

The record is what makes it safe: the same form sent twice is one action, a piece that is lost with its process is done
again as a whole or not at all, and what it paused is known when it is to be undone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Row, select

from domain.accounts.audit import Actor, record_refusal
from domain.accounts.request_keys import RequestKey, answer_request, claim_request
from domain.accounts.tenants import owned
from domain.firing.lifecycle import REASON_MAX_CHARACTERS, delete_schedule, pause_schedule, resume_schedule
from domain.firing.run_now import run_schedule_now
from domain.kernel.db import db
from domain.kernel.errors import Conflict, DomainError, NotFound, Refused
from domain.kernel.names import parse_name
from domain.schedules.limits import hold_limits
from domain.schedules.schedules import ENDPOINT, Schedule

PAUSE, RESUME, RUN, DELETE, UNDO = "pause", "resume", "run", "delete", "undo"
ACTIONS = (PAUSE, RESUME, RUN, DELETE)
# How many one action may be about, and how many of them one transaction does: their cursors are held meanwhile.
BULK_LIMIT = 1_000
PIECE = 20
_KIND = "schedules.bulk"
_CHANGED_SINCE = "it was changed after it was paused"
_GONE = "there is no such schedule any more"


@dataclass(frozen=True)
class Bulk:
    """What became of an action so far. `done`: id, name and revision afterwards; `refused`: id, name and why not."""

    key: str
    action: str
    left: int
    done: tuple[tuple[str, str, int], ...]
    refused: tuple[tuple[str, str, str], ...]

    @property
    def refused_by_reason(self) -> dict[str, list[tuple[str, str]]]:
        """Id and name of what was refused, by the reason, the most frequent first."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for schedule_id, name, reason in self.refused:
            groups.setdefault(reason, []).append((schedule_id, name))
        return dict(sorted(groups.items(), key=lambda group: -len(group[1])))


def names_of(tenant_id: UUID, schedule_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Those of the ids that are schedules of the tenant, by name: nothing is told of anybody else's."""
    return {row.id: row.name for row in _named(tenant_id, schedule_ids)}


def start_bulk(
    actor: Actor,
    action: str,
    schedule_ids: Sequence[UUID],
    key: str,
    reason: str = "",
    until: datetime | None = None,
) -> Bulk:
    """Note what is to be done to the first BULK_LIMIT of these; nothing is done yet. With a key that was used before,
    what became of that action. Raises Refused at `reason`."""
    text = parse_name(reason, "reason", max_characters=REASON_MAX_CHARACTERS) if reason.strip() else ""
    return _start(actor, key, action, [[str(one)] for one in sorted(schedule_ids)[:BULK_LIMIT]], text, until)


def start_undo(actor: Actor, key: str) -> Bulk:
    """Resume exactly what the action `key` paused, unless it was changed since. Raises NotFound."""
    paused = _record(actor.tenant_id, key)
    if _answer(paused)["action"] != PAUSE:
        raise NotFound
    left = [[schedule_id, revision] for schedule_id, _, revision in _answer(paused)["done"]]
    return _start(actor, f"undo:{key}", UNDO, left, "", None)


def continue_bulk(actor: Actor, key: str, now: datetime) -> Bulk:
    """Do the next PIECE; whoever else continues the same action waits and does the one after. Raises NotFound."""
    record = _record(actor.tenant_id, key, is_locked=True)
    answer = _answer(record)
    piece, left = answer["left"][:PIECE], answer["left"][PIECE:]
    named = _named(actor.tenant_id, [UUID(one[0]) for one in piece])
    if answer["action"] == RUN and any(row.target_kind == ENDPOINT for row in named):
        # Before the first cursor: two pieces that took it in between could wait for each other.
        hold_limits(actor.tenant_id)
    names = {row.id: row.name for row in named}
    done, refused = list(answer["done"]), list(answer["refused"])
    for schedule_id, *revision in piece:
        name = names.get(UUID(schedule_id), "")
        try:
            if not name:
                raise NotFound
            with db.session.begin_nested():
                after = _act(actor, answer, UUID(schedule_id), key, now, *revision)
            done.append([schedule_id, name, after])
        except DomainError as error:
            reason = _why(error, name, answer["action"])
            refused.append([schedule_id, name, reason])
            record_refusal(actor, f"schedules.{answer['action']}", "schedule", UUID(schedule_id), reason)
    record.answer = answer | {"left": left, "done": done, "refused": refused}
    db.session.flush()
    return _bulk(key, _answer(record))


def bulk_so_far(tenant_id: UUID, key: str) -> Bulk:
    """What became of an action so far; raises NotFound."""
    return _bulk(key, _answer(_record(tenant_id, key)))


def ids_left(tenant_id: UUID, key: str) -> list[UUID]:
    """What an action has not been done to yet; raises NotFound."""
    return [UUID(one[0]) for one in _answer(_record(tenant_id, key))["left"]]


def _named(tenant_id: UUID, schedule_ids: Sequence[UUID]) -> Sequence[Row[UUID, str, str]]:
    rows = owned(tenant_id, Schedule).where(Schedule.id.in_(schedule_ids)).order_by(Schedule.id)
    columns = (Schedule.id, Schedule.name, Schedule.target_kind)
    return db.session.execute(rows.with_only_columns(*columns)).all()


def _start(actor: Actor, key: str, action: str, left: list[list[Any]], reason: str, until: datetime | None) -> Bulk:
    if earlier := claim_request(actor.tenant_id, _stored(key), _KIND):
        return _bulk(key, _answer(earlier))
    ends = until.isoformat() if until else None
    answer = {"action": action, "reason": reason, "until": ends, "left": left, "done": [], "refused": []}
    answer_request(actor.tenant_id, _stored(key), answer)
    db.session.flush()
    return _bulk(key, answer)


def _act(
    actor: Actor, answer: dict[str, Any], schedule_id: UUID, key: str, now: datetime, revision: int | None = None
) -> int:
    """Do it to one; its revision afterwards."""
    action = answer["action"]
    if action == RUN:
        run_schedule_now(actor, schedule_id, f"{schedule_id}:{key}", now)
        return 0
    if action == PAUSE:
        until = datetime.fromisoformat(answer["until"]) if answer["until"] else None
        return pause_schedule(actor, schedule_id, answer["reason"], now, until=until).revision
    commands: dict[str, Callable[..., Schedule]] = {
        RESUME: resume_schedule,
        UNDO: resume_schedule,
        DELETE: delete_schedule,
    }
    return commands[action](actor, schedule_id, now, revision).revision


def _why(error: DomainError, name: str, action: str) -> str:
    """A reason that may be the same for many: the schedule's name in it becomes `it`."""
    if isinstance(error, NotFound):
        return _GONE
    if action == UNDO and isinstance(error, Conflict):
        return _CHANGED_SINCE
    said = str(error) if isinstance(error, Refused) else error.message
    return re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "it", said).rstrip(".")


def _record(tenant_id: UUID, key: str, *, is_locked: bool = False) -> RequestKey:
    query = select(RequestKey).where(
        RequestKey.tenant_id == tenant_id, RequestKey.key == _stored(key), RequestKey.action == _KIND
    )
    if is_locked:
        query = query.with_for_update().execution_options(populate_existing=True)
    record = db.session.scalars(query).one_or_none()
    if record is None:
        raise NotFound
    return record


def _answer(record: RequestKey) -> dict[str, Any]:
    return cast(dict[str, Any], record.answer)


def _stored(key: str) -> str:
    return f"bulk:{key}"


def _bulk(key: str, answer: dict[str, Any]) -> Bulk:
    done = tuple((schedule_id, name, revision) for schedule_id, name, revision in answer["done"])
    refused = tuple((schedule_id, name, reason) for schedule_id, name, reason in answer["refused"])
    return Bulk(key, answer["action"], len(answer["left"]), done, refused)
