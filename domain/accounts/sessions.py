"""A signed-in browser. The row can be ended on the server, so a copied cookie dies with its sign-out."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Row, and_, bindparam, delete, func, select, update
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.audit import CHANGED, Actor, AuditEntry, record_change, record_stranger
from domain.accounts.passwords import check_password, hash_password, is_outdated, is_password
from domain.accounts.permissions import Access, permissions_of
from domain.accounts.tenants import TENANT_FACTS, Tenant, TenantFacts
from domain.accounts.users import PERSON_FACTS, Membership, PersonFacts, User, user_by_email
from domain.kernel import clock
from domain.kernel.db import PLANNED_ONCE, Base, Identified, db
from domain.kernel.errors import NotFound, Refused

ABSOLUTE_LIFE = timedelta(days=7)
IDLE_LIFE = timedelta(hours=12)
TOUCH_EVERY = timedelta(minutes=1)
TOKEN_BYTES = 32
SIGNED_IN, SWITCHED = "session.signed_in", "session.switched"
TENANTS_LISTED = 200
PRUNED_AT_ONCE = 5_000


class Session(Identified, Base):
    """`token_hash`: SHA-256 of the random token in the cookie. `tenant_id`: the tenant being looked at."""

    __tablename__ = "sessions"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    token_hash: Mapped[str] = mapped_column(unique=True)
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    # Not stored. Of a session that has just begun: nobody knows yet which of their tenants the person means.
    must_choose = False


@dataclass(frozen=True)
class Place:
    """A tenant that a person belongs to, and their role in it. `is_remembered`: where they signed in or went last."""

    tenant_id: UUID
    name: str
    timezone: str
    role: str
    is_remembered: bool


@dataclass(frozen=True)
class Elsewhere:
    """Another tenant of a person."""

    tenant_id: UUID
    name: str


def hash_of(token: str) -> str:
    """What is stored of a random token: its SHA-256 in hex. It has too many bits to need a slow hash."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def standing_behind(proof: Any, *columns: Any) -> Any:
    """The row of `proof`, sessions or tokens, whose `token_hash` is asked for: `columns` of it, the person and the tenant it
    stands for, their role there, and the time. Asked by every request, so it is put together once and reads no more."""
    users, tenants, memberships = User.__table__.c, Tenant.__table__.c, Membership.__table__.c
    return (
        select(*columns, *TENANT_FACTS, *PERSON_FACTS, memberships.role, clock.DATABASE_CLOCK)
        .select_from(proof)
        .join(User.__table__, users.id == proof.c.user_id)
        .join(Tenant.__table__, tenants.id == proof.c.tenant_id)
        .join(
            Membership.__table__,
            and_(memberships.tenant_id == proof.c.tenant_id, memberships.user_id == proof.c.user_id),
        )
        .where(proof.c.token_hash == bindparam("token_hash"), tenants.deleted_at.is_(None))
        .execution_options(**PLANNED_ONCE)
    )


def found_behind(row: Row[Any]) -> tuple[TenantFacts, PersonFacts, str, datetime]:
    """The last columns of such a row."""
    *facts, role, database_now = row[-len(TENANT_FACTS) - len(PERSON_FACTS) - 2 :]
    person_at = len(TENANT_FACTS)
    return TenantFacts(*facts[:person_at]), PersonFacts(*facts[person_at:]), role, clock.check_aware(database_now)


_SESSIONS = Session.__table__
_SIGNED_IN = standing_behind(_SESSIONS, _SESSIONS.c.seen_at, _SESSIONS.c.expires_at)


def load_access(token: str, now: datetime | None = None) -> Access | None:
    """Who the session's token belongs to and what their role allows at `now`, without one at this moment by the database's
    clock; None when it has ended. One statement.

    A session ends by sign-out, after `IDLE_LIFE` without a request, after `ABSOLUTE_LIFE`, and with the membership or the
    tenant.
    """
    found = db.session.execute(_SIGNED_IN, {"token_hash": hash_of(token)}).one_or_none()
    if found is None:
        return None
    tenant, person, role, database_now = found_behind(found)
    now, seen_at, expires_at = now or database_now, found.seen_at, found.expires_at
    if expires_at <= now or seen_at <= now - IDLE_LIFE:
        return None
    return Access(tenant, person, role, permissions_of(role), is_touch_due=seen_at <= now - TOUCH_EVERY, read_at=now)


def sign_in(email: str, password: str, now: datetime, request_id: str | None = None) -> tuple[Session, str]:
    """A new session in the tenant where the person was last, and the token that only the browser will know.

    Raises Refused with SIGN_IN_FAILED, the same and after the same time whichever of the two is wrong.
    """
    user = user_by_email(email)
    home = _home(user) if user else None
    if not is_password(user.password_hash if user else None, password) or user is None or home is None:
        raise Refused.at("", "E-mail address or password is wrong.", "SIGN_IN_FAILED")
    if is_outdated(user.password_hash):
        user.password_hash = hash_password(password)
    session, token = start_session(user, home.tenant_id, now)
    session.must_choose = not home.is_remembered and bool(other_tenants(user.id, home.tenant_id, 1))
    record_change(Actor(home.tenant_id, user.id, user.name, request_id), SIGNED_IN, user)
    return session, token


def switch_tenant(access: Access, token: str, tenant_id: UUID, now: datetime, request_id: str | None = None) -> str:
    """Go on in another tenant of the person; the token of the session that takes the place of this one.

    It ends when this one would have. Raises Forbidden for a request made with a token, NotFound for a tenant that the
    person does not belong to, Refused when the session has ended meanwhile.
    """
    access.require_person()
    if all(place.tenant_id != tenant_id for place in places_of(access.user.id)):
        raise NotFound
    ended = db.session.scalar(
        delete(Session)
        .where(Session.token_hash == hash_of(token), Session.user_id == access.user.id)
        .returning(Session.expires_at)
    )
    if ended is None:
        raise Refused.at("", "This session has ended. Sign in again.", "SESSION_ENDED")
    user = db.session.get_one(User, access.user.id)
    session, new_token = start_session(user, tenant_id, now)
    session.expires_at = ended
    record_change(Actor(tenant_id, user.id, user.name, request_id), SWITCHED, user)
    return new_token


def places_of(user_id: UUID) -> list[Place]:
    """The tenants that a person belongs to, by name. One statement."""
    came_at = (
        select(func.max(AuditEntry.created_at))
        .where(
            AuditEntry.tenant_id == Membership.tenant_id,
            AuditEntry.subject_id == Membership.user_id,
            AuditEntry.action.in_([SIGNED_IN, SWITCHED]),
            AuditEntry.result == CHANGED,
        )
        .correlate(Membership)
        .scalar_subquery()
    )
    mine = (
        select(Tenant.id, Tenant.name, Tenant.timezone, Membership.role, came_at.label("came_at"))
        .join(Tenant, Tenant.id == Membership.tenant_id)
        .where(Membership.user_id == user_id, Tenant.deleted_at.is_(None))
        .order_by(func.lower(Tenant.name), Tenant.id)
        .limit(TENANTS_LISTED)
    )
    found = db.session.execute(mine).all()
    last = max((row.came_at for row in found if row.came_at), default=None)
    return [Place(*row[:4], is_remembered=last is not None and row.came_at == last) for row in found]


def start_session(user: User, tenant_id: UUID, now: datetime) -> tuple[Session, str]:
    """A session for someone who has proven who they are."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session = Session(
        user_id=user.id, tenant_id=tenant_id, token_hash=hash_of(token), seen_at=now, expires_at=now + ABSOLUTE_LIFE
    )
    db.session.add(session)
    db.session.flush()
    return session, token


def record_failed_sign_in(email: str, origin: str, request_id: str | None) -> None:
    """Put a failed sign-in on record: with the tenant of the person when there is such a person, else with none."""
    user = user_by_email(email)
    home = _home(user) if user else None
    record_stranger(
        home.tenant_id if home else None,
        SIGNED_IN,
        user if home else None,
        f"Wrong e-mail address or password, from {origin}",
        request_id,
    )


def change_password(actor: Actor, access: Access, current: str, new: str, now: datetime) -> str:
    """Give `access`'s person another password; all their sessions end. The token of the one that takes their place.

    Raises Forbidden for a request made with a token, Refused when `current` is wrong or `new` cannot be used.
    """
    access.require_person()
    user = db.session.get_one(User, access.user.id, with_for_update={"key_share": True})
    if not is_password(user.password_hash, current):
        raise Refused.at("current", "This is not your password.", "PASSWORD_WRONG")
    check_password(new, path="new", about=(user.email, user.name))
    user.password_hash = hash_password(new)
    end_sessions(user.id)
    _, token = start_session(user, actor.tenant_id, now)
    record_change(actor, "user.password_changed", user)
    return token


def touch_session(token: str, now: datetime) -> None:
    """Remember that the session is in use."""
    db.session.execute(update(Session).where(Session.token_hash == hash_of(token)).values(seen_at=now))


def sign_out(token: str) -> None:
    """End the session of this token; nothing happens when it has ended already."""
    db.session.execute(delete(Session).where(Session.token_hash == hash_of(token)))


def end_sessions(user_id: UUID, tenant_id: UUID | None = None) -> None:
    """End all sessions of a person, or only those in one tenant."""
    ended = delete(Session).where(Session.user_id == user_id)
    db.session.execute(ended if tenant_id is None else ended.where(Session.tenant_id == tenant_id))


def prune_sessions(now: datetime, limit: int = PRUNED_AT_ONCE) -> int:
    """Remove at most `limit` sessions that nobody can use any more; how many it were."""
    past = select(Session.id).where((Session.expires_at < now) | (Session.seen_at < now - IDLE_LIFE)).limit(limit)
    ended = delete(Session).where(Session.id.in_(past.with_for_update(skip_locked=True)))
    return len(db.session.scalars(ended.returning(Session.id)).all())


def other_tenants(user_id: UUID, tenant_id: UUID, limit: int) -> list[Elsewhere]:
    """The tenants that a person belongs to besides this one, by name, at most `limit`. One statement."""
    others = (
        select(Tenant.id, Tenant.name)
        .join(Membership, Membership.tenant_id == Tenant.id)
        .where(Membership.user_id == user_id, Membership.tenant_id != tenant_id, Tenant.deleted_at.is_(None))
    )
    return [
        Elsewhere(*row) for row in db.session.execute(others.order_by(func.lower(Tenant.name), Tenant.id).limit(limit))
    ]


def _home(user: User) -> Place | None:
    """The tenant that a sign-in opens: where the person was last, else the first by name; None for a member of none."""
    places = places_of(user.id)
    return next((place for place in places if place.is_remembered), places[0] if places else None)
