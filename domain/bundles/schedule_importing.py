"""Takes the schedules of a file into a tenant: all of them or none, and done again it changes nothing.

A schedule is found by its external key. New ones arrive paused; those that are there keep their on/off state, their
history and what was typed into them as secrets. Nothing is deleted because a file does not have it.
Locks: imports of one tenant take turns, then as everywhere: limits, install, workflow, cursor, schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from domain.accounts.audit import Actor
from domain.accounts.tenants import Tenant, includes_schedules, load
from domain.bundles.canonical import digest
from domain.bundles.reading import BundleRefused
from domain.bundles.schedule_documents import Document, ScheduleBundle, draft_of, is_over, kind_of, target_words
from domain.bundles.schedule_exporting import StoredSchedule, schedules_by_key
from domain.bundles.schedule_making import NewSchedules
from domain.bundles.schedule_targets import MISSING, NamedTargets, missing_details
from domain.firing.holds import EDITION_REQUIRED
from domain.firing.lifecycle import create_schedule, edit_schedule
from domain.firing.tick import settle
from domain.kernel.collecting import seldom_collecting
from domain.kernel.db import db, transaction
from domain.kernel.errors import Conflict, DomainError, Forbidden, Problem, Refused
from domain.kernel.secret_values import SECRET
from domain.schedules.limits import hold_limits
from domain.schedules.schedules import ACTIVE, COMPLETED, ENDPOINT, INVALID, WORKFLOW, Schedule

CREATE, UPDATE, UNCHANGED, SKIP, CONFLICT = "create", "update", "unchanged", "skip", "conflict"
OVER = "Its time has passed, so nothing is made of it."
FITS = "It was invalid. It will be paused: resume it when you are ready."
_NOT_KEPT = (
    "A secret was typed in here, and no file holds it. "
    f'Write {{"{SECRET}": "NAME"}} in its place, and make a secret of that name in the settings.'
)
# Where the problems of a draft are in a document.
_TIMING = ("triggerType", "timezone", "runAt", "cron", "startsAt", "endsAt", "dstGap", "dstRepeat")
_POLICIES = ("overlap", "catchUp", "maxLatenessSeconds", "spreadSeconds", "maxAttempts")
_PLACES = {name: f"timing/{name}" for name in _TIMING} | {name: f"policies/{name}" for name in _POLICIES}
_PLACES |= {"workflowId": "target/workflow", "endpointId": "target/path", "enabled": "target"}

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
        raise _refusal(bundle, done)
    return done


@seldom_collecting()
def _imported(work: _Import, bundle: ScheduleBundle, on_progress: Progress | None) -> ScheduleImport:
    tenant = db.session.get_one(Tenant, work.actor.tenant_id)
    if not includes_schedules(tenant.edition):
        raise Forbidden(EDITION_REQUIRED, code="EDITION_REQUIRED")
    _take_turn(tenant.id)
    work = replace(work, stored=schedules_by_key(tenant.id, [one["externalKey"] for one in bundle.schedules]))
    changing = [one for one in bundle.schedules if not _is_unchanged(one, work.stored.get(one["externalKey"]))]
    targets = _held_targets(work, changing)
    count = _Count(len(bundle.schedules), on_progress)
    fresh = [index for index, one in enumerate(bundle.schedules) if _is_fresh(work, one)]
    found: dict[int, ScheduleEntry] = {}
    # What is there comes first: a name that it gives up is free for what is new.
    for index in sorted(set(range(len(bundle.schedules))) - set(fresh)):
        found[index] = _taken(work, bundle.schedules[index], targets, index)
        count.up()
    found |= _made(work, bundle, fresh, targets, count)
    entries = [found[index] for index in range(len(bundle.schedules))]
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


def _is_fresh(work: _Import, document: Document) -> bool:
    """Whether it is to be a new schedule of a workflow: those of endpoints count against limits, one after the other."""
    is_there = document["externalKey"] in work.stored
    return not is_there and kind_of(document) == WORKFLOW and not is_over(document, work.now)


def _made(
    work: _Import, bundle: ScheduleBundle, fresh: Sequence[int], targets: NamedTargets, count: _Count
) -> dict[int, ScheduleEntry]:
    documents = [bundle.schedules[index] for index in fresh]
    new = NewSchedules(work.actor, targets, work.now, work.least_seconds)
    try:
        made = new.make(documents, count.up)
    except IntegrityError:
        # Somebody took a name or a key at this moment: one by one it shows which.
        return {index: _taken(work, bundle.schedules[index], targets, index) for index in fresh}
    return {
        index: _refused(_entry(document, None), index, one)
        if isinstance(one, DomainError)
        else replace(_entry(document, None), schedule_id=one)
        for index, document, one in zip(fresh, documents, made, strict=True)
    }


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


def _taken(work: _Import, document: Document, targets: NamedTargets, index: int) -> ScheduleEntry:
    stored = work.stored.get(document["externalKey"])
    entry = _entry(document, stored)
    if _is_unchanged(document, stored):
        return replace(entry, action=UNCHANGED, warnings=())
    if is_over(document, work.now) and (stored is None or stored.status == COMPLETED):
        return replace(entry, action=SKIP, warnings=(OVER,))
    try:
        with db.session.begin_nested():
            return replace(entry, schedule_id=_write(work, document, targets, stored))
    except DomainError as error:
        return _refused(entry, index, error)


def _refused(entry: ScheduleEntry, index: int, error: DomainError) -> ScheduleEntry:
    """The entry of one that cannot be taken. A refusal says what is wrong where, anything else is about it as a whole."""
    found = error.problems if isinstance(error, Refused) else [Problem("", error.message, error.code)]
    problems = tuple(_problem_at(index, one) for one in found)
    return replace(entry, action=CONFLICT, warnings=(), problems=problems)


def _write(work: _Import, document: Document, targets: NamedTargets, stored: StoredSchedule | None) -> UUID:
    ids = targets.ids(document, stored)
    if stored is None:
        return create_schedule(work.actor, draft_of(document, ids, enabled=False), work.now, work.least_seconds).id
    # Read under the lock of its cursor: somebody may have paused it since it was looked for.
    schedule = load(work.actor.tenant_id, Schedule, stored.id)
    # One that has completed is due again with whatever is new about it, as after every edit.
    draft = draft_of(document, ids, enabled=schedule.status in (ACTIVE, COMPLETED))
    return edit_schedule(work.actor, stored.id, schedule.revision, draft, work.now, work.least_seconds).id


def _entry(document: Document, stored: StoredSchedule | None) -> ScheduleEntry:
    words = target_words(document)
    return ScheduleEntry(
        key=document["externalKey"],
        name=document["name"] or words,
        kind=kind_of(document),
        target=words,
        action=CREATE if stored is None else UPDATE,
        schedule_id=stored.id if stored else None,
        warnings=(FITS,) if stored is not None and stored.status == INVALID else (),
    )


def _is_unchanged(document: Document, stored: StoredSchedule | None) -> bool:
    return stored is not None and digest(document) == digest(stored.document)


def _problem_at(index: int, problem: Problem) -> Problem:
    """The problem of a draft, at its place in the file."""
    place = _PLACES.get(problem.path, problem.path)
    message = _NOT_KEPT if problem.code == "SECRET_NOT_KEPT" else problem.message
    return Problem(f"/schedules/{index}" + (f"/{place}" if place else ""), message, problem.code)


def _fingerprint(bundle: ScheduleBundle, entries: list[ScheduleEntry], stored: dict[str, StoredSchedule]) -> str:
    seen = {key: [str(one.id), one.revision, one.status] for key, one in stored.items()}
    told = [[one.key, one.action, *one.warnings, *(problem.message for problem in one.problems)] for one in entries]
    return digest([bundle.digest, told, seen])


def _refusal(bundle: ScheduleBundle, done: ScheduleImport) -> BundleRefused:
    pairs = [(one, p) for one, entry in zip(bundle.schedules, done.entries, strict=True) for p in entry.problems]
    count = done.count(CONFLICT)
    noun = "schedule" if count == 1 else "schedules"
    first = pairs[0][1]
    message = f"{count} {noun} of the file cannot be taken, so none was. {first.path}: {first.message}"
    if any(problem.code in MISSING for _, problem in pairs):
        return BundleRefused("MISSING_DEPENDENCIES", message, missing_details(pairs), done.problems)
    return BundleRefused("SCHEDULE_INVALID", message, None, done.problems)
