"""Looking things up in the audit log: by words, who, what, about what, how it ended and when; newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, func, select, text
from sqlalchemy.orm import aliased

from domain.accounts.audit import PAGE_SIZE, AuditEntry
from domain.kernel.db import db
from domain.kernel.ids import first_id_at

# How many entries one look reads for words, which no index knows: about a quarter of a second's worth.
WORDS_WINDOW = 50_000
_WORDS_MAX = 8


@dataclass(frozen=True)
class AuditFilter:
    """What the log is narrowed to; what is empty does not narrow. Instants are half open: at or after `since`, before
    `until`. `q`: words that all occur somewhere in the entry. `who`: part of the actor's name."""

    q: str = ""
    who: str = ""
    action: str = ""
    kind: str = ""
    subject_id: UUID | None = None
    result: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def __bool__(self) -> bool:
        return self != AuditFilter()


@dataclass(frozen=True)
class AuditPage:
    """`next_before`: what the next page begins below, None when this is the last one. With words it may be set on a page
    that is not full: that is how far the look went."""

    entries: tuple[AuditEntry, ...]
    next_before: UUID | None


def search_audit(
    tenant_id: UUID, narrowed: AuditFilter, before: UUID | None = None, limit: int = PAGE_SIZE
) -> AuditPage:
    """The newest entries of the tenant below the entry `before`. At most two statements, whatever there is."""
    entries = select(AuditEntry).where(*_known_to_indexes(tenant_id, narrowed, before)).order_by(AuditEntry.id.desc())
    said = _words(narrowed)
    if not said:
        found = tuple(db.session.scalars(entries.limit(limit + 1)))
        return AuditPage(found[:limit], found[limit - 1].id if len(found) > limit else None)
    window = entries.limit(WORDS_WINDOW).subquery()
    entry = aliased(AuditEntry, window)
    matching = select(entry).where(*(_says(entry, word) for word in said)).order_by(entry.id.desc())
    found = tuple(db.session.scalars(matching.limit(limit + 1)))
    if len(found) > limit:
        return AuditPage(found[:limit], found[limit - 1].id)
    last = entries.with_only_columns(AuditEntry.id).offset(WORDS_WINDOW - 1).limit(1)
    return AuditPage(found, db.session.scalar(last))


def actions_on_record(tenant_id: UUID) -> list[str]:
    """What has ever been done or tried in the tenant, by name. One step through the index for each."""
    steps = text("""
        WITH RECURSIVE step AS (
            (SELECT action FROM audit_entries WHERE tenant_id = :tenant_id ORDER BY action LIMIT 1)
            UNION ALL
            SELECT (
                SELECT e.action FROM audit_entries e WHERE e.tenant_id = :tenant_id AND e.action > step.action
                ORDER BY e.action LIMIT 1
            ) FROM step WHERE step.action IS NOT NULL
        )
        SELECT action FROM step WHERE action IS NOT NULL
    """)
    return list(db.session.scalars(steps, {"tenant_id": tenant_id}))


def _known_to_indexes(tenant_id: UUID, narrowed: AuditFilter, before: UUID | None) -> list[ColumnElement[bool]]:
    rules = [AuditEntry.tenant_id == tenant_id]
    equal = (
        (AuditEntry.subject_id, narrowed.subject_id),
        (AuditEntry.subject_kind, narrowed.kind),
        (AuditEntry.action, narrowed.action),
        (AuditEntry.result, narrowed.result),
    )
    rules += [column == value for column, value in equal if value]
    # Ids are made when the entries are, so the index that sorts them knows when that was.
    if narrowed.since is not None:
        rules.append(AuditEntry.id >= first_id_at(narrowed.since))
    if narrowed.until is not None:
        rules.append(AuditEntry.id < first_id_at(narrowed.until))
    if before is not None:
        rules.append(AuditEntry.id < before)
    return rules


def _words(narrowed: AuditFilter) -> list[tuple[bool, str]]:
    """(whether it is about the actor, word), each to be found."""
    said = [(False, word) for word in narrowed.q.split()[:_WORDS_MAX]]
    return [*said, (True, narrowed.who)] if narrowed.who else said


def _says(entry: Any, word: tuple[bool, str]) -> ColumnElement[bool]:
    is_about_actor, said = word
    if is_about_actor:
        return entry.actor_label.icontains(said, autoescape=True)
    texts = (
        func.translate(entry.action, "._", "  "),
        *(entry.action, entry.actor_label, entry.subject_kind, entry.subject_label, entry.reason, entry.request_id),
        *(cast(side, String) for side in (entry.before, entry.after)),
    )
    said_in: ColumnElement[str] = func.concat_ws(" ", *texts)
    return said_in.icontains(said, autoescape=True)
