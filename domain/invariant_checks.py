"""The invariants as a watch that never ends: each is checked every minute, and what is broken is told until it holds again.

A metric says it to machines, the page System to everybody, and a notice to those who may act: once for each breakage, and
it is taken back by itself when the invariant holds again. What was found is looked at again each time, so that nothing
seems mended because the window has moved on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.notifications import ERROR, members_with, notify, retract_notice
from domain.invariant_sources import DECIDED
from domain.invariants import INVARIANTS, Finding, Invariant, Scope, breaches, decided_until, page_end, use_indexes
from domain.kernel.db import Base, db
from domain.kernel.log import first_line, logger

log = logger(__name__)

# Longer than the time between two checks, so that each row is seen twice. When no check came for longer, the next one looks
# back to the one before it, by at most CATCHES_UP.
WINDOW = timedelta(minutes=3)
CATCHES_UP = timedelta(hours=1)
# Longer than a transaction that decides may last: what it writes is committed later than its time says.
SETTLES_AFTER = timedelta(minutes=1)
# A check that takes longer is given up, and the others are done.
CHECK_SECONDS = 10
CHECK_EVERY = timedelta(seconds=50)
# What cannot be mended, because history is not rewritten, is told for so long.
TOLD_FOR = timedelta(days=7)
ACTS = "workflow:admin"
IDS_TOLD = 5

Ends = dict[tuple[object, ...], tuple[datetime | None, list[str]]]


class InvariantCheck(Base):
    """`found`: what broke it at the last check; `broken_at`: since when it counts as broken, None while it holds.
    `walked_to`: where the last page of what is not finished ended; of what was decided, when there was more than a page."""

    __tablename__ = "invariant_checks"

    name: Mapped[str] = mapped_column(primary_key=True)
    checked_at: Mapped[datetime]
    broken_at: Mapped[datetime | None]
    found: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    walked_to: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))


@dataclass(frozen=True)
class Broken:
    """An invariant that does not hold: since when, and the rows that one tenant may see. `elsewhere`: other tenants' rows
    break it too."""

    invariant: Invariant
    since: datetime
    found: tuple[Finding, ...]
    elsewhere: bool

    @property
    def ids(self) -> tuple[UUID, ...]:
        return tuple(one.id for one in self.found)


@dataclass(frozen=True)
class Watch:
    """How the invariants stand, as one tenant may know it. `checked_at`: when all had been checked last; None: never."""

    checked_at: datetime | None
    broken: tuple[Broken, ...]


def check_invariants(now: datetime) -> list[str] | None:
    """Check all, tell what is newly broken and take back what holds again; the names of those that are broken.

    One that cannot be checked, or not within CHECK_SECONDS, stays as it was. None when somebody else is at it or was a
    moment ago.
    """
    if not db.session.scalar(text("SELECT pg_try_advisory_xact_lock(hashtext('invariants'))")):
        return None
    rows = {row.name: row for row in db.session.scalars(select(InvariantCheck))}
    if rows and max(row.checked_at for row in rows.values()) > now - CHECK_EVERY:
        return None
    use_indexes()
    db.session.execute(text(f"SET LOCAL statement_timeout = '{CHECK_SECONDS}s'"))
    ends: Ends = {}
    for invariant in INVARIANTS:
        try:
            with db.session.begin_nested():
                _check(invariant, rows.get(invariant.name), now, ends)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            log.error("An invariant could not be checked", invariant=invariant.name, error=first_line(error))
    checked = {row.name: row for row in db.session.scalars(select(InvariantCheck))}
    return [one.name for one in INVARIANTS if one.name in checked and checked[one.name].broken_at]


def watch_of(tenant_id: UUID) -> Watch:
    """How the invariants stand, with the ids of this tenant alone. One statement."""
    rows = {row.name: row for row in db.session.scalars(select(InvariantCheck))}
    known = [(one, rows[one.name]) for one in INVARIANTS if one.name in rows]
    broken = [_seen_by(tenant_id, invariant, row) for invariant, row in known if row.broken_at]
    is_whole = len(known) == len(INVARIANTS)
    return Watch(min(_checked_until(*each) for each in known) if is_whole else None, tuple(broken))


def standing(now: datetime) -> tuple[dict[str, bool], float | None]:
    """Whether each is broken, by name, and how many seconds ago they were checked; None: never. One statement."""
    rows = {row.name: row for row in db.session.scalars(select(InvariantCheck))}
    broken = {one.name: one.name in rows and rows[one.name].broken_at is not None for one in INVARIANTS}
    checked = [_checked_until(one, rows[one.name]) for one in INVARIANTS if one.name in rows]
    return broken, (now - min(checked)).total_seconds() if len(checked) == len(INVARIANTS) else None


def _checked_until(invariant: Invariant, row: InvariantCheck) -> datetime:
    """Up to when what was decided has been looked at, which may be less than until the last check."""
    if invariant.source == DECIDED and row.walked_to:
        return min(row.checked_at, datetime.fromisoformat(row.walked_to[0]))
    return row.checked_at


def _check(invariant: Invariant, row: InvariantCheck | None, now: datetime, ends: Ends) -> None:
    """`ends`: where the pages end that another invariant has asked for already."""
    if row is None:
        row = InvariantCheck(name=invariant.name, checked_at=now, found=[])
        db.session.add(row)
    before = [_finding(one, now) for one in row.found or []]
    aged = [one for one in before if one.found_at is not None and one.found_at < now - TOLD_FOR]
    window = min(max(WINDOW, now - row.checked_at + 2 * SETTLES_AFTER), CATCHES_UP)
    known = [one for one in before if one not in aged]
    scope = Scope(now, window, after=_behind(invariant, row, now), known=known, old=aged)
    place = (invariant.source, window, *scope.after)
    if place not in ends:
        ends[place] = _page(invariant, scope)
    until, end = ends[place]
    since = {one: one.found_at for one in before}
    found = [replace(one, found_at=since.get(one) or now) for one in breaches(invariant, replace(scope, until=until))]
    row.checked_at, row.walked_to, row.found = now, end or None, [_document(one) for one in found]
    # What may be so for a moment counts when it was so a minute ago as well.
    lasting = [one for one in found if one in before] if invariant.is_fleeting else found
    if row.broken_at is None and lasting:
        row.broken_at = now
        log.error("An invariant is broken", invariant=invariant.name, ids=[str(one.id) for one in found[:IDS_TOLD]])
    if row.broken_at is not None and found:
        _tell(invariant, row.broken_at, found, now)
    elif row.broken_at is not None:
        is_mended = not (aged and breaches(invariant, Scope(now, timedelta(0), page=0, known=aged)))
        log.info("An invariant holds again" if is_mended else "Told for long enough", invariant=invariant.name)
        _take_back(invariant, row.broken_at, is_mended, now)
        row.broken_at = None


def _behind(invariant: Invariant, row: InvariantCheck, now: datetime) -> Sequence[str]:
    if invariant.source != DECIDED or not row.walked_to:
        return row.walked_to or ()
    return [max(datetime.fromisoformat(row.walked_to[0]), now - CATCHES_UP).isoformat()]


def _page(invariant: Invariant, scope: Scope) -> tuple[datetime | None, list[str]]:
    """Of what was decided where the page ends, None: it is the last; and behind what the next check goes on."""
    if invariant.source != DECIDED:
        return None, page_end(invariant.source, scope)
    until = decided_until(scope)
    return until, [min(until, scope.now - SETTLES_AFTER).isoformat()] if until else []


def _tell(invariant: Invariant, since: datetime, found: Sequence[Finding], now: datetime) -> None:
    """Tell those who may act in the tenants concerned. Who was told of this breakage already is not told again."""
    for tenant_id in sorted({one.tenant_id for one in found}):
        ids = [str(one.id) for one in found if one.tenant_id == tenant_id]
        more = f" and {len(ids) - IDS_TOLD} more" if len(ids) > IDS_TOLD else ""
        body = f"{invariant.remedy}\n{', '.join(ids[:IDS_TOLD])}{more}"
        people = members_with(tenant_id, ACTS)
        notify(tenant_id, people, _title(invariant), body, ERROR, now, "/system", _key(invariant, since))


def _take_back(invariant: Invariant, since: datetime, is_mended: bool, now: datetime) -> None:
    said = (f"Mended: {invariant.words}", "It holds again. There is nothing to do.")
    if not is_mended:
        said = (
            f"No longer told: {invariant.words}",
            "What was found is history, which nobody mends. Nothing else was found.",
        )
    retract_notice(_key(invariant, since), *said, now)


def _title(invariant: Invariant) -> str:
    return f"Found: {invariant.words}"


def _key(invariant: Invariant, since: datetime) -> str:
    return f"invariant:{invariant.name}:{since.isoformat()}"


def _seen_by(tenant_id: UUID, invariant: Invariant, row: InvariantCheck) -> Broken:
    found = [_finding(one, row.checked_at) for one in row.found]
    mine = tuple(one for one in found if one.tenant_id == tenant_id)
    assert row.broken_at is not None  # noqa: S101
    return Broken(invariant, row.broken_at, mine, elsewhere=len(mine) < len(found))


def _document(one: Finding) -> dict[str, Any]:
    parts: Iterable[Any] = (one.id, one.tenant_id, one.schedule_id)
    named = [str(part) if part else None for part in parts]
    due, found = (at.isoformat() if at else None for at in (one.scheduled_for, one.found_at))
    return {"id": named[0], "tenantId": named[1], "scheduleId": named[2], "scheduledFor": due, "foundAt": found}


def _finding(document: dict[str, Any], now: datetime) -> Finding:
    """What an earlier release wrote does not say when it was found."""
    schedule_id, at, found_at = (document.get(name) for name in ("scheduleId", "scheduledFor", "foundAt"))
    return Finding(
        UUID(document["id"]),
        UUID(document["tenantId"]),
        UUID(schedule_id) if schedule_id else None,
        datetime.fromisoformat(at) if at else None,
        datetime.fromisoformat(found_at) if found_at else now,
    )
