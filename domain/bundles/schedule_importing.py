"""Takes the schedules of a file into a tenant: all of them or none, and done again it changes nothing.

A schedule is found by its external key. New ones arrive paused; those that are there keep their on/off state, their
history and what was typed into them as secrets. Nothing is deleted because a file does not have it.
Locks: imports of one tenant take turns, then as everywhere: limits, install, workflow, cursor, schedule.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant, includes_schedules, load
from domain.bundles.canonical import digest
from domain.bundles.schedule_documents import Document, ScheduleBundle, draft_of, is_over, kind_of, target_words
from domain.bundles.schedule_exporting import StoredSchedule, schedules_by_key
from domain.bundles.schedule_making import Made, WorkflowSchedules, is_to_fire
from domain.bundles.schedule_refusals import problems_at, refusal
from domain.bundles.schedule_targets import NamedTargets
from domain.firing.holds import EDITION_REQUIRED
from domain.firing.lifecycle import create_schedule, edit_schedule
from domain.firing.tick import settle
from domain.kernel import strict_json
from domain.kernel.collecting import seldom_collecting
from domain.kernel.db import db, transaction
from domain.kernel.errors import Conflict, DomainError, Forbidden, Problem
from domain.schedules.limits import hold_limits
from domain.schedules.schedules import COMPLETED, ENDPOINT, INVALID, WORKFLOW, Schedule

CREATE, UPDATE, UNCHANGED, SKIP, CONFLICT = "create", "update", "unchanged", "skip", "conflict"
OVER = "Its time has passed, so nothing is made of it."
FITS = "It was invalid. It will be paused: resume it when you are ready."
# How many stored ones are changed by the same statements.
CHANGED_AT_ONCE = 500

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScheduleEntry:
    """What an import makes of one schedule of the file. `target`: what it runs, in words. `schedule_id`: of the stored one.

    `conflict`: it cannot be taken, for the reasons in `problems`, at JSON pointers into the file. `skip`: nothing is left
    of it to be due.
    """

    key: str
    name: str
    kind: str
    target: str
    action: str
    schedule_id: UUID | None = None
    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class ScheduleImport:
    """What an import would make, or made, of each schedule of a file, in its order. `fingerprint`: of the plan, so that
    what was confirmed is what is done."""

    entries: tuple[ScheduleEntry, ...]
    fingerprint: str

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for entry in self.entries for problem in entry.problems)

    def count(self, action: str) -> int:
        return sum(entry.action == action for entry in self.entries)


@dataclass(frozen=True)
class _Import:
    """One import at work."""

    actor: Actor
    now: datetime
    least_seconds: int
    stored: dict[str, StoredSchedule] = field(default_factory=dict)


def plan_schedule_import(
    actor: Actor,
    bundle: ScheduleBundle,
    now: datetime,
    min_interval_seconds: int = 60,
    on_progress: Progress | None = None,
) -> ScheduleImport:
    """What importing the bundle would do: it is done, and undone at once. `on_progress` is told how many of how many are
    done. Raises Forbidden in an edition without schedules."""
    # A unit of work, so that what is counted when it is committed is not counted for what is undone.
    with transaction():
        tried = db.session.begin_nested()
        try:
            done = _imported(_Import(actor, now, min_interval_seconds), bundle, on_progress)
        finally:
            tried.rollback()
    entries = (replace(one, schedule_id=None) if one.action == CREATE else one for one in done.entries)
    return replace(done, entries=tuple(entries))


def import_schedules(
    actor: Actor,
    bundle: ScheduleBundle,
    now: datetime,
    fingerprint: str | None = None,
    min_interval_seconds: int = 60,
    on_progress: Progress | None = None,
) -> ScheduleImport:
    """Take the schedules of a bundle in; the caller rolls back when it raises.

    `fingerprint`: of the plan that somebody has seen. `on_progress` is told how many of how many are done. Raises
    BundleRefused with MISSING_DEPENDENCIES or SCHEDULE_INVALID and every problem, Conflict with PLAN_CHANGED, Forbidden in
    an edition without schedules.
    """
    done = _imported(_Import(actor, now, min_interval_seconds), bundle, on_progress)
    if fingerprint is not None and fingerprint != done.fingerprint:
        message = "Something has changed since this plan was made. Look at the new plan, then import."
        raise Conflict(message, code="PLAN_CHANGED")
    if done.problems:
        raise refusal(zip(bundle.schedules, (one.problems for one in done.entries), strict=True))
    return done


@seldom_collecting()
def _imported(work: _Import, bundle: ScheduleBundle, on_progress: Progress | None) -> ScheduleImport:
    tenant = db.session.get_one(Tenant, work.actor.tenant_id)
    if not includes_schedules(tenant.edition):
        raise Forbidden(EDITION_REQUIRED, code="EDITION_REQUIRED")
    _take_turn(tenant.id)
    work = replace(work, stored=schedules_by_key(tenant.id, [one["externalKey"] for one in bundle.schedules]))
    documents = dict(enumerate(bundle.schedules))
    same = {index: _unchanged(work, one) for index, one in documents.items() if _is_unchanged(work, one)}
    targets = _held_targets(work, [one for index, one in documents.items() if index not in same])
    past = {index: _skipped(work, one) for index, one in documents.items() if index not in same and _is_past(work, one)}
    left = [index for index in documents if index not in same and index not in past]
    count = _Count(len(documents), on_progress)
    for _ in (*same, *past):
        count.up()
    found = same | past | _all_taken(work, bundle, left, targets, count)
    entries = [found[index] for index in documents]
    return ScheduleImport(tuple(entries), _fingerprint(bundle, entries, work.stored))


@dataclass
class _Count:
    """How many of how many are looked at."""

    of: int
    tell: Progress | None
    done: int = 0

    def up(self) -> None:
        self.done += 1
        if self.tell is not None:
            self.tell(min(self.done, self.of), self.of)


def _all_taken(
    work: _Import, bundle: ScheduleBundle, left: Sequence[int], targets: NamedTargets, count: _Count
) -> dict[int, ScheduleEntry]:
    """Those of workflows many at a time. Those of endpoints count against limits, one after the other."""
    many = WorkflowSchedules(work.actor, targets, work.now, work.least_seconds, count.up)
    found: dict[int, ScheduleEntry] = {}
    kept, fresh = [], []
    for index in left:
        document = bundle.schedules[index]
        stored = work.stored.get(document["externalKey"])
        if kind_of(document) == WORKFLOW and stored is None:
            fresh.append(index)
        elif kind_of(document) == WORKFLOW and stored and kind_of(stored.document) == WORKFLOW:
            kept.append(index)
        else:
            found[index] = _taken(work, document, targets, index)
            count.up()
    # What is there comes first: a name that it gives up is free for what is new.
    for start in range(0, len(kept), CHANGED_AT_ONCE):
        part = kept[start : start + CHANGED_AT_ONCE]
        found |= _together(work, bundle, part, targets, lambda those: many.change(_with_stored(work, those)))
    return found | _together(work, bundle, fresh, targets, many.make)


def _together(
    work: _Import,
    bundle: ScheduleBundle,
    indices: Sequence[int],
    targets: NamedTargets,
    write: Callable[[Sequence[Document]], list[Made]],
) -> dict[int, ScheduleEntry]:
    documents = [bundle.schedules[index] for index in indices]
    try:
        made = write(documents)
    except IntegrityError:
        # A name or a key is taken, perhaps at this moment: one by one it shows which.
        return {index: _taken(work, bundle.schedules[index], targets, index) for index in indices}
    return {
        index: _refused(_entry(work, document), index, one)
        if isinstance(one, DomainError)
        else _entry(work, document, one)
        for index, document, one in zip(indices, documents, made, strict=True)
    }


def _with_stored(work: _Import, documents: Sequence[Document]) -> list[tuple[Document, StoredSchedule]]:
    return [(one, work.stored[one["externalKey"]]) for one in documents]


def _take_turn(tenant_id: UUID) -> None:
    """Until the commit no other import of the tenant looks for keys, so that the second of two finds what the first made."""
    key = f"schedule import {tenant_id}"
    db.session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(key, 0))))


def _held_targets(work: _Import, changing: Sequence[Document]) -> NamedTargets:
    """Every lock in the order that holds everywhere, before the first schedule is changed."""
    if any(kind_of(one) == ENDPOINT for one in changing):
        hold_limits(work.actor.tenant_id)
    targets = NamedTargets(work.actor.tenant_id, changing)
    there = [work.stored[one["externalKey"]].id for one in changing if one["externalKey"] in work.stored]
    settle(there, work.now)
    return targets


def _unchanged(work: _Import, document: Document) -> ScheduleEntry:
    return replace(_entry(work, document), action=UNCHANGED, warnings=())


def _skipped(work: _Import, document: Document) -> ScheduleEntry:
    return replace(_entry(work, document), action=SKIP, warnings=(OVER,))


def _is_past(work: _Import, document: Document) -> bool:
    stored = work.stored.get(document["externalKey"])
    return is_over(document, work.now) and (stored is None or stored.status == COMPLETED)


def _taken(work: _Import, document: Document, targets: NamedTargets, index: int) -> ScheduleEntry:
    try:
        with db.session.begin_nested():
            return _entry(work, document, _write(work, document, targets))
    except DomainError as error:
        return _refused(_entry(work, document), index, error)


def _refused(entry: ScheduleEntry, index: int, error: DomainError) -> ScheduleEntry:
    """The entry of one that cannot be taken."""
    return replace(entry, action=CONFLICT, warnings=(), problems=problems_at(index, error))


def _write(work: _Import, document: Document, targets: NamedTargets) -> UUID:
    stored = work.stored.get(document["externalKey"])
    ids = targets.ids(document, stored)
    if stored is None:
        return create_schedule(work.actor, draft_of(document, ids, enabled=False), work.now, work.least_seconds).id
    # Read under the lock of its cursor: somebody may have paused it since it was looked for.
    schedule = load(work.actor.tenant_id, Schedule, stored.id)
    draft = draft_of(document, ids, enabled=is_to_fire(schedule))
    return edit_schedule(work.actor, stored.id, schedule.revision, draft, work.now, work.least_seconds).id


def _entry(work: _Import, document: Document, made_id: UUID | None = None) -> ScheduleEntry:
    stored, words = work.stored.get(document["externalKey"]), target_words(document)
    return ScheduleEntry(
        key=document["externalKey"],
        name=document["name"] or words,
        kind=kind_of(document),
        target=words,
        action=CREATE if stored is None else UPDATE,
        schedule_id=stored.id if stored else made_id,
        warnings=(FITS,) if stored is not None and stored.status == INVALID else (),
    )


def _is_unchanged(work: _Import, document: Document) -> bool:
    stored = work.stored.get(document["externalKey"])
    return stored is not None and digest(document) == digest(stored.document)


def _fingerprint(bundle: ScheduleBundle, entries: list[ScheduleEntry], stored: dict[str, StoredSchedule]) -> str:
    seen = {key: [str(one.id), one.revision, one.status] for key, one in stored.items()}
    told = [[one.key, one.action, *one.warnings, *(problem.message for problem in one.problems)] for one in entries]
    return hashlib.sha256(strict_json.dumps([bundle.schedules, told, seen]).encode()).hexdigest()
