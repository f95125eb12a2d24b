"""People, and the role each has in a tenant."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, fields
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column, relationship

from domain.accounts.passwords import check_password, hash_password
from domain.accounts.tenants import Owned
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import Refused
from domain.kernel.names import parse_name

EMAIL_MAX_CHARACTERS = 254
_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


class User(Identified, Base):
    """A person; belongs to no tenant but through memberships. `email` is stored in lower case."""

    __tablename__ = "users"
    __table_args__ = (CheckConstraint("email = lower(email)", name="email_lower"),)

    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str]


@dataclass(frozen=True)
class PersonFacts:
    """What a request knows of the person behind it."""

    id: UUID
    email: str
    name: str

    @classmethod
    def of(cls, user: User) -> PersonFacts:
        return cls(*(getattr(user, column.key) for column in PERSON_FACTS))


PERSON_FACTS = tuple(User.__table__.c[field.name] for field in fields(PersonFacts))


class Membership(Identified, Owned, Base):
    __tablename__ = "memberships"
    __table_args__ = (
        UniqueConstraint("tenant_id", "user_id"),
        # the tenants of a person: on every page, and at sign-in
        Index("ix_memberships_user", "user_id"),
        CheckConstraint("role IN ('viewer', 'operator', 'author', 'admin')", name="role"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    role: Mapped[str]

    user: Mapped[User] = relationship(lazy="raise")


def names_of(user_ids: Collection[UUID | None]) -> dict[UUID, str]:
    """The names of these people by id; nobody (None) has none."""
    ids = [user_id for user_id in user_ids if user_id is not None]
    if not ids:
        return {}
    found = db.session.execute(select(User.id, User.name).where(User.id.in_(ids))).all()
    return {row.id: row.name for row in found}


def parse_email(text: str, path: str = "email") -> str:
    """The address in lower case; raises Refused at `path` unless it looks like `name@host`, as browsers judge it (HTML)."""
    email = text.strip().lower()
    if len(email) > EMAIL_MAX_CHARACTERS or not _EMAIL.fullmatch(email):
        raise Refused.at(path, "Enter an e-mail address such as ada@example.com.", "EMAIL_INVALID")
    return email


def user_by_email(email: str) -> User | None:
    """The person with this address, however it is capitalised."""
    try:
        return db.session.scalars(select(User).where(User.email == parse_email(email))).one_or_none()
    except Refused:
        return None


def create_user(email: str, name: str, password: str) -> User:
    """A new person without a tenant; raises Refused when address, name or password cannot be used."""
    address, shown = parse_email(email), parse_name(name, "name")
    check_password(password, about=(address, shown))
    taken = Refused.at("email", "There is already an account with this address.", "EMAIL_TAKEN")
    if user_by_email(address) is not None:
        raise taken
    user = User(email=address, name=shown, password_hash=hash_password(password))
    add_unless_taken(user, "uq_users_email", taken)
    return user


def add_unless_taken(row: Base, constraint: str, taken: Refused) -> None:
    """Write a new row; raises `taken` when somebody else wrote one like it since this transaction looked."""
    try:
        with db.session.begin_nested():
            db.session.add(row)
            db.session.flush()
    except IntegrityError as error:
        if constraint in str(error.orig):
            raise taken from None
        raise
