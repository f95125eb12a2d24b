"""Who belongs to a tenant, and in which role. A tenant never loses its last admin."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import joinedload

from domain.accounts.audit import Actor, record_change
from domain.accounts.passwords import generate_password, hash_password
from domain.accounts.permissions import ADMIN, ROLES
from domain.accounts.sessions import end_sessions
from domain.accounts.tenants import load, owned
from domain.accounts.tokens import ApiToken
from domain.accounts.users import Membership, User, add_unless_taken, create_user, user_by_email
from domain.kernel.db import db
from domain.kernel.errors import Refused


def members_page(tenant_id: UUID) -> list[Membership]:
    """All members of the tenant with their users, by name."""
    members = owned(tenant_id, Membership).join(Membership.user).options(joinedload(Membership.user))
    return list(db.session.scalars(members.order_by(func.lower(User.name), User.id)))


def add_member(
    actor: Actor, email: str, name: str, role: str, password: str | None = None
) -> tuple[Membership, str | None]:
    """A new member, and the first password to hand over when one was generated.

    Someone who has an account already (through another tenant) keeps their own name and password. Raises Refused when a
    value cannot be used or the person is a member already.
    """
    _check_role(role)
    user, first = user_by_email(email), None
    if user is None:
        first = None if password else generate_password()
        user = create_user(email, name, password or first or "")
    exists = Refused.at("email", f"{user.email} is a member already.", "MEMBER_EXISTS")
    if _membership(actor.tenant_id, user.id) is not None:
        raise exists
    membership = Membership(tenant_id=actor.tenant_id, user_id=user.id, role=role)
    membership.user = user
    add_unless_taken(membership, "uq_memberships_tenant_id", exists)
    record_change(actor, "member.added", user, after={"role": role})
    return membership, first


def change_role(actor: Actor, membership_id: UUID, role: str) -> Membership:
    """Give a member another role, from their next request on. Raises NotFound, Refused for the last admin."""
    membership, user = _locked_member(actor, membership_id)
    _check_role(role)
    before = membership.role
    if before == role:
        return membership
    if before == ADMIN:
        _check_other_admin(membership)
    membership.role = role
    record_change(actor, "member.role_changed", user, before={"role": before}, after={"role": role})
    return membership


def remove_member(actor: Actor, membership_id: UUID, now: datetime) -> User:
    """End a membership with its sessions and tokens; what the person did stays. Raises NotFound, Refused for the last admin."""
    membership, user = _locked_member(actor, membership_id)
    if membership.role == ADMIN:
        _check_other_admin(membership)
    db.session.execute(
        update(ApiToken)
        .where(ApiToken.tenant_id == actor.tenant_id, ApiToken.user_id == user.id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    end_sessions(user.id, actor.tenant_id)
    record_change(actor, "member.removed", user, before={"role": membership.role})
    db.session.delete(membership)
    db.session.flush()
    return user


def reset_password(actor: Actor, membership_id: UUID) -> tuple[User, str]:
    """A new first password for a member who forgot theirs; ends their sessions.

    Raises NotFound, Refused for someone who is a member of other tenants too: their password is not this tenant's.
    """
    _, user = _locked_member(actor, membership_id)
    elsewhere = select(func.count()).where(Membership.user_id == user.id, Membership.tenant_id != actor.tenant_id)
    if db.session.execute(elsewhere).scalar_one():
        raise Refused.at("", f"{user.email} belongs to other tenants too. Only they can change their password.")
    password = generate_password()
    user.password_hash = hash_password(password)
    end_sessions(user.id)
    record_change(actor, "member.password_reset", user)
    return user, password


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise Refused.at("role", f"Choose one of {', '.join(ROLES)}.", "ROLE_UNKNOWN")


def _membership(tenant_id: UUID, user_id: UUID) -> Membership | None:
    return db.session.scalars(owned(tenant_id, Membership).where(Membership.user_id == user_id)).one_or_none()


def _locked_member(actor: Actor, membership_id: UUID) -> tuple[Membership, User]:
    # All admins are locked in one order first, so that two who demote each other wait for one another.
    db.session.execute(_admins(actor.tenant_id).order_by(Membership.id).with_for_update(key_share=True))
    membership = load(actor.tenant_id, Membership, membership_id, lock="change")
    return membership, db.session.get_one(User, membership.user_id)


def _check_other_admin(membership: Membership) -> None:
    others = _admins(membership.tenant_id).where(Membership.id != membership.id)
    if db.session.execute(others.limit(1)).first() is None:
        message = "This is the last admin of the tenant. Make someone else an admin first."
        raise Refused.at("role", message, "LAST_ADMIN")


def _admins(tenant_id: UUID) -> Select[UUID]:
    return select(Membership.id).where(Membership.tenant_id == tenant_id, Membership.role == ADMIN)
