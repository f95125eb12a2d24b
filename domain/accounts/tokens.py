"""API tokens: shown once, stored as a hash, bound to one tenant, never allowed more than their owner."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, Text, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from domain.accounts.audit import Actor, record_change
from domain.accounts.permissions import PERMISSIONS, Access, permissions_of
from domain.accounts.sessions import TOKEN_BYTES, TOUCH_EVERY, found_behind, hash_of, standing_behind
from domain.accounts.tenants import Owned, load, owned
from domain.accounts.users import User
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import Problem, Refused, StaleTransition
from domain.kernel.names import parse_name

PREFIX = "carillon_"
SHORT_PREFIX = "car_"
"""What tokens may begin with as well: those that do are as good as any until they expire or are revoked."""
HINT_CHARACTERS = len(PREFIX) + 4


class ApiToken(Identified, Owned, Base):
    """`hint`: the first characters, so that people can tell tokens apart. `scopes`: permissions, at most the owner's."""

    __tablename__ = "api_tokens"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str]
    hint: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="raise")


_TOKENS = ApiToken.__table__
_BEARER = standing_behind(
    _TOKENS, _TOKENS.c.name.label("token_name"), _TOKENS.c.scopes, _TOKENS.c.expires_at, _TOKENS.c.last_used_at
).where(_TOKENS.c.revoked_at.is_(None))


def token_access(secret: str, now: datetime | None = None) -> Access | None:
    """What the bearer of `secret` may do at `now`, without one at this moment by the database's clock: its scopes, as far
    as its owner's role still has them; None when it has ended. One statement."""
    if not secret.startswith((PREFIX, SHORT_PREFIX)):
        return None
    found = db.session.execute(_BEARER, {"token_hash": hash_of(secret)}).one_or_none()
    if found is None:
        return None
    tenant, person, role, database_now = found_behind(found)
    now = now or database_now
    if found.expires_at is not None and found.expires_at <= now:
        return None
    is_touch_due = found.last_used_at is None or found.last_used_at <= now - TOUCH_EVERY
    return Access(tenant, person, role, permissions_of(role, found.scopes), found.token_name, is_touch_due, now)


def tokens_page(tenant_id: UUID) -> list[ApiToken]:
    """All tokens of the tenant with their owners, the usable ones first, then the newest."""
    tokens = owned(tenant_id, ApiToken).options(joinedload(ApiToken.user))
    return list(db.session.scalars(tokens.order_by(ApiToken.revoked_at.isnot(None), ApiToken.id.desc())))


def create_token(
    actor: Actor, access: Access, name: str, scopes: Collection[str], expires_at: datetime | None, now: datetime
) -> tuple[ApiToken, str]:
    """A token of `access`'s own person, and its secret, which is not kept.

    Raises Forbidden for a request made with a token, Refused for a name, scope or expiry that cannot be.
    """
    access.require_person()
    shown = parse_name(name, "name")
    _check_scopes(scopes, access)
    if expires_at is not None and expires_at <= now:
        raise Refused.at("expires_at", "This is in the past. Choose a later day, or none.", "EXPIRY_PAST")
    secret = PREFIX + secrets.token_urlsafe(TOKEN_BYTES)
    token = ApiToken(
        tenant_id=actor.tenant_id,
        user_id=access.user.id,
        name=shown,
        hint=secret[:HINT_CHARACTERS],
        token_hash=hash_of(secret),
        scopes=sorted(scopes),
        expires_at=expires_at,
    )
    db.session.add(token)
    db.session.flush()
    expiry = expires_at.isoformat() if expires_at else None
    record_change(actor, "token.created", token, after={"scopes": token.scopes, "expiresAt": expiry})
    return token, secret


def revoke_token(actor: Actor, token_id: UUID, now: datetime) -> ApiToken:
    """End a token at once. Raises NotFound, StaleTransition when it is revoked already."""
    token = load(actor.tenant_id, ApiToken, token_id, lock="change")
    if token.revoked_at is not None:
        raise StaleTransition("This token is revoked already.")
    token.revoked_at = now
    record_change(actor, "token.revoked", token)
    return token


def touch_token(secret: str, now: datetime) -> None:
    """Remember that the token is in use."""
    db.session.execute(update(ApiToken).where(ApiToken.token_hash == hash_of(secret)).values(last_used_at=now))


def _check_scopes(scopes: Collection[str], access: Access) -> None:
    if not scopes:
        raise Refused.at("scopes", "Choose what the token may do.", "SCOPES_REQUIRED")
    problems = []
    for scope in sorted(set(scopes)):
        if scope not in PERMISSIONS:
            problems.append(Problem("scopes", "There is no such permission.", "SCOPE_UNKNOWN"))
        elif not access.can(scope):
            problems.append(Problem("scopes", f"Your own role does not have {scope}.", "SCOPE_TOO_WIDE"))
    if problems:
        raise Refused(problems)
