"""A tenant's named secrets: written, used by runs, and never shown again."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, joinedload, mapped_column, relationship

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import Owned, load, owned
from domain.accounts.users import User
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import Problem, Refused
from domain.kernel.names import parse_name
from domain.kernel.redaction import MIN_HIDDEN_CHARACTERS
from domain.kernel.vault import seal, unseal

NAME_PATTERN = re.compile(r"[A-Z][A-Z0-9_]{0,63}", re.ASCII)
VALUE_MAX_CHARACTERS = 10_000
DESCRIPTION_MAX_CHARACTERS = 500
PAGE_SIZE = 50
NAME_RULE = (
    "Write the name of a secret in capitals, digits and underscores, beginning with a letter, such as BILLING_TOKEN."
)


class Secret(Identified, Owned, Base):
    """`sealed`: the value, encrypted (`domain.kernel.vault`). `changed_at`: when somebody last wrote it."""

    __tablename__ = "secrets"
    __table_args__ = (Index("uq_secrets_name", "tenant_id", "name", unique=True),)

    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="", server_default="")
    sealed: Mapped[str]
    changed_at: Mapped[datetime]
    changed_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    used_at: Mapped[datetime | None]

    changer: Mapped[User | None] = relationship(lazy="raise")


@dataclass(frozen=True)
class _Row:
    name: str
    sealed: str
    is_touch_due: bool


# Whoever holds the row, another run or somebody editing, need not be waited for: an hour is all this is good for.
_TOUCH = text("""
    UPDATE secrets SET used_at = clock_timestamp() WHERE id IN (
        SELECT id FROM secrets WHERE tenant_id = :tenant_id AND name = ANY(:names)
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)
""")


def is_secret_name(name: object) -> bool:
    return isinstance(name, str) and NAME_PATTERN.fullmatch(name) is not None


def secrets_page(
    tenant_id: UUID, q: str = "", after: str | None = None, limit: int = PAGE_SIZE
) -> tuple[list[Secret], bool]:
    """The tenant's secrets by name from behind `after`, with who changed them, and whether there are more."""
    query = owned(tenant_id, Secret).options(joinedload(Secret.changer))
    if q:
        query = query.where(Secret.name.icontains(q, autoescape=True))
    if after:
        query = query.where(Secret.name > after)
    found = list(db.session.scalars(query.order_by(Secret.name).limit(limit + 1)))
    return found[:limit], len(found) > limit


def stored_secret(tenant_id: UUID, secret_id: UUID) -> Secret:
    """One secret by id; raises NotFound."""
    return load(tenant_id, Secret, secret_id)


def secret_names(tenant_id: UUID) -> list[str]:
    """All names, for whoever writes a reference."""
    return list(db.session.scalars(select(Secret.name).where(Secret.tenant_id == tenant_id).order_by(Secret.name)))


def unknown_secret_names(tenant_id: UUID, names: Collection[str]) -> set[str]:
    """Those of `names` under which the tenant keeps nothing."""
    if not names:
        return set()
    found = select(Secret.name).where(Secret.tenant_id == tenant_id, Secret.name.in_(names))
    return set(names) - set(db.session.scalars(found))


def secret_values(tenant_id: UUID, names: Collection[str]) -> dict[str, str]:
    """The plain values of those names that exist, and a note, at most hourly, that they were used.

    Raises Unsealable. One query, or two when the note is due.
    """
    is_touch_due = func.coalesce(Secret.used_at < func.clock_timestamp() - text("interval '1 hour'"), True)
    columns: Any = select(Secret.name, Secret.sealed, is_touch_due)
    found = [
        _Row(*row) for row in db.session.execute(columns.where(Secret.tenant_id == tenant_id, Secret.name.in_(names)))
    ]
    if due := [row.name for row in found if row.is_touch_due]:
        db.session.execute(_TOUCH, {"tenant_id": tenant_id, "names": due})
    return {row.name: unseal(tenant_id, row.sealed) for row in found}


def create_secret(actor: Actor, name: str, value: str, description: str, now: datetime) -> Secret:
    """A new secret; raises Refused at `name`, `value` or `description`."""
    name = name.strip()
    problems = _name_problems(name) + secret_value_problems(value) + _description_problems(description)
    if problems:
        raise Refused(problems)
    values = {"tenant_id": actor.tenant_id, "name": name, "description": description.strip(), "created_at": now}
    values |= {
        "updated_at": now,
        "changed_at": now,
        "changed_by": actor.user_id,
        "sealed": seal(actor.tenant_id, value),
    }
    made = db.session.scalars(insert(Secret).values(**values).on_conflict_do_nothing().returning(Secret)).one_or_none()
    if made is None:
        raise Refused.at("name", f"{name} exists already. Replace its value, or choose another name.", "NAME_TAKEN")
    record_change(actor, "secret.created", made, after={"name": name, "description": made.description})
    return made


def replace_secret(actor: Actor, secret_id: UUID, value: str, now: datetime) -> Secret:
    """Another value under the same name; what runs next uses it. Raises Refused at `value`."""
    secret = load(actor.tenant_id, Secret, secret_id, lock="change")
    if problems := secret_value_problems(value):
        raise Refused(problems)
    secret.sealed = seal(actor.tenant_id, value)
    secret.changed_at, secret.changed_by = now, actor.user_id
    record_change(actor, "secret.replaced", secret)
    return secret


def describe_secret(actor: Actor, secret_id: UUID, description: str) -> Secret:
    """Say what the secret is for. Raises Refused at `description`."""
    secret = load(actor.tenant_id, Secret, secret_id, lock="change")
    before, secret.description = secret.description, _parsed_description(description)
    if before != secret.description:
        after = {"description": secret.description}
        record_change(actor, "secret.described", secret, before={"description": before}, after=after)
    return secret


def delete_secret(actor: Actor, secret_id: UUID) -> Secret:
    """Forget a secret. Steps that still name it fail from now on."""
    secret = load(actor.tenant_id, Secret, secret_id, lock="change")
    record_change(actor, "secret.deleted", secret, before={"name": secret.name, "description": secret.description})
    db.session.delete(secret)
    db.session.flush()
    return secret


def _name_problems(name: str) -> list[Problem]:
    return [] if is_secret_name(name) else [Problem("name", NAME_RULE, "SECRET_NAME_INVALID")]


def secret_value_problems(value: str) -> list[Problem]:
    """What keeps a text from being a secret, at `value`; nothing when it can be one."""
    if len(value.strip()) < MIN_HIDDEN_CHARACTERS:
        message = (
            f"Enter at least {MIN_HIDDEN_CHARACTERS} characters. "
            "A shorter value cannot be told from other text, so it could not be kept out of logs and outputs."
        )
        return [Problem("value", message, "SECRET_TOO_SHORT")]
    if len(value) > VALUE_MAX_CHARACTERS:
        message = f"A secret has at most {VALUE_MAX_CHARACTERS:,} characters."
        return [Problem("value", message, "SECRET_TOO_LONG")]
    # Neither can be written as JSON that every reader takes.
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        return [Problem("value", "A secret is text without NUL and without halves of characters.", "SECRET_TEXT")]
    return []


def _parsed_description(description: str) -> str:
    if not description.strip():
        return ""
    return parse_name(description, "description", max_characters=DESCRIPTION_MAX_CHARACTERS)


def _description_problems(description: str) -> list[Problem]:
    try:
        _parsed_description(description)
    except Refused as refusal:
        return list(refusal.problems)
    return []
