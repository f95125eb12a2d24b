"""A notification: a line for one member of a tenant, inside Carillon."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.permissions import ROLES
from domain.accounts.tenants import Owned, load
from domain.accounts.users import Membership, User
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import NotFound
from domain.kernel.ids import first_id_at, new_id

INFO, WARNING, ERROR = "info", "warning", "error"
SEVERITIES = (INFO, WARNING, ERROR)
TITLE_MAX_CHARACTERS = 200
BODY_MAX_CHARACTERS = 2_000
LINK_MAX_CHARACTERS = 500
DEDUPE_KEY_MAX_CHARACTERS = 200
PAGE_SIZE = 50
KEPT = timedelta(days=90)
PRUNED_AT_ONCE = 5_000
# A path on this site that no browser can read as another site: no second slash or backslash, nothing to strip.
LINK_PATTERN = r"^/(?:[!-.0-\[\]-~][!-\[\]-~]*)?$"

_LINK = re.compile(LINK_PATTERN.removesuffix("$"))


class Notification(Identified, Owned, Base):
    """`link`: a path on this site, or None. `dedupe_key`: a second one with the same key for the same person is none."""

    __tablename__ = "notifications"
    __table_args__ = (
        # notifications_page, newest first; the count of unread ones
        Index("ix_notifications_page", "tenant_id", "user_id", "id"),
        Index("ix_notifications_unread", "tenant_id", "user_id", postgresql_where="read_at IS NULL"),
        Index("uq_notifications_dedupe", "tenant_id", "user_id", "dedupe_key", unique=True,
              postgresql_where="dedupe_key IS NOT NULL"),
        CheckConstraint("severity IN ('info', 'warning', 'error')", name="severity"),
    )  # fmt: skip

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    severity: Mapped[str]
    title: Mapped[str]
    body: Mapped[str] = mapped_column(default="", server_default="")
    link: Mapped[str | None]
    dedupe_key: Mapped[str | None]
    read_at: Mapped[datetime | None]


def notify(
    tenant_id: UUID,
    user_ids: Iterable[UUID],
    title: str,
    body: str,
    severity: str,
    now: datetime,
    link: str | None = None,
    dedupe_key: str | None = None,
) -> list[UUID]:
    """Tell these people, as far as they are members of the tenant; the ids of what was written, none for repetitions.

    `severity` is one of SEVERITIES; `link` is a path on this site, raises ValueError for anything else. A title or body
    that is too long is cut.
    """
    if link is not None and not is_local_link(link):
        raise ValueError(f"a notification links to a path of this site, not to {link!r}")
    told = sorted(members_among(tenant_id, user_ids))
    if not told:
        return []
    said = {
        "tenant_id": tenant_id,
        "title": _cut(title, TITLE_MAX_CHARACTERS),
        "body": _cut(body, BODY_MAX_CHARACTERS),
        "severity": severity,
        "link": link,
        "dedupe_key": dedupe_key,
        "created_at": now,
    }
    rows = [{"id": new_id(), "user_id": user_id, **said} for user_id in told]
    written = insert(Notification).values(rows).on_conflict_do_nothing().returning(Notification.id)
    return list(db.session.scalars(written))


def notifications_page(
    tenant_id: UUID, user_id: UUID, *, only_unread: bool = False, before: UUID | None = None, limit: int = PAGE_SIZE
) -> list[Notification]:
    """What the person was told in the tenant, the newest first, at most `limit`, older than the notification `before`."""
    mine = select(Notification).where(Notification.tenant_id == tenant_id, Notification.user_id == user_id)
    if only_unread:
        mine = mine.where(Notification.read_at.is_(None))
    if before is not None:
        mine = mine.where(Notification.id < before)
    return list(db.session.scalars(mine.order_by(Notification.id.desc()).limit(limit)))


def read_notification(tenant_id: UUID, user_id: UUID, notification_id: UUID, now: datetime) -> Notification:
    """Remember that the person has read it. Raises NotFound, also for what was told to somebody else."""
    found = load(tenant_id, Notification, notification_id)
    if found.user_id != user_id:
        raise NotFound
    if found.read_at is None:
        found.read_at = now
    return found


def read_all_notifications(tenant_id: UUID, user_id: UUID, now: datetime) -> int:
    """Remember that the person has read everything so far; how much of it was unread."""
    unread = update(Notification).where(
        Notification.tenant_id == tenant_id, Notification.user_id == user_id, Notification.read_at.is_(None)
    )
    return len(db.session.scalars(unread.values(read_at=now).returning(Notification.id)).all())


def retract_notice(dedupe_key: str, title: str, body: str, now: datetime) -> int:
    """Everybody's notice with this key is done with: it counts as read and says instead what has become of it; how many
    it were."""
    told = update(Notification).where(Notification.dedupe_key == dedupe_key)
    said = {"title": _cut(title, TITLE_MAX_CHARACTERS), "body": _cut(body, BODY_MAX_CHARACTERS), "severity": INFO}
    read_at = func.coalesce(Notification.read_at, now)
    return len(db.session.scalars(told.values(**said, read_at=read_at).returning(Notification.id)).all())


def prune_notifications(now: datetime, limit: int = PRUNED_AT_ONCE) -> int:
    """Forget at most `limit` of what people were told long ago; how many it were."""
    past = select(Notification.id).where(Notification.id < first_id_at(now - KEPT)).order_by(Notification.id)
    free = past.limit(limit).with_for_update(skip_locked=True)
    forgotten = delete(Notification).where(Notification.id.in_(free)).returning(Notification.id)
    return len(db.session.scalars(forgotten).all())


def members_with(tenant_id: UUID, permission: str) -> list[UUID]:
    """The ids of the tenant's members whose role has the permission."""
    roles = [role for role, permissions in ROLES.items() if permission in permissions]
    return members_in(tenant_id, roles)


def members_in(tenant_id: UUID, roles: Iterable[str]) -> list[UUID]:
    """The ids of the tenant's members with one of these roles."""
    members = select(Membership.user_id).where(Membership.tenant_id == tenant_id, Membership.role.in_(list(roles)))
    return list(db.session.scalars(members.order_by(Membership.user_id)))


def members_among(tenant_id: UUID, user_ids: Iterable[UUID]) -> list[UUID]:
    """Those of the people who are members of the tenant."""
    members = select(Membership.user_id).where(Membership.tenant_id == tenant_id)
    return list(db.session.scalars(members.where(Membership.user_id.in_(list(user_ids)))))


def members_by_email(tenant_id: UUID, emails: Iterable[str]) -> dict[str, UUID]:
    """The members among the people with these addresses, by address in lower case."""
    asked = [email.strip().lower() for email in emails]
    members = select(User.email, User.id).join(Membership, Membership.user_id == User.id)
    found = db.session.execute(members.where(Membership.tenant_id == tenant_id, User.email.in_(asked)))
    return {row.email: row.id for row in found}


def is_local_link(link: str) -> bool:
    """Whether `link` is a path on this site that no reading of it can turn into another site."""
    return len(link) <= LINK_MAX_CHARACTERS and _LINK.fullmatch(link) is not None


def _cut(text: str, most: int) -> str:
    text = text.replace("\x00", "")
    return text if len(text) <= most else f"{text[: most - 1]}…"
