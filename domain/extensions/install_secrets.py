"""Secrets of an install: written, sent to the runner in a closed envelope, and never shown again."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from domain.accounts.audit import Actor, record_change
from domain.accounts.secrets import secret_value_problems
from domain.accounts.tenants import load
from domain.extensions.installs import Install, InstallSecret
from domain.kernel.db import db
from domain.kernel.errors import NotFound, Problem, Refused
from domain.kernel.vault import seal, unseal

MAX_SECRETS = 100
NAME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}", re.ASCII)
NAME_RULE = "Begin the name with a letter; then letters, digits and _ . - may follow, 64 characters at most."


def install_secrets(install: Install) -> list[InstallSecret]:
    """The secrets of an install by name, for lists: what is in them stays sealed."""
    query = select(InstallSecret).where(
        InstallSecret.tenant_id == install.tenant_id, InstallSecret.install_id == install.id
    )
    return list(db.session.scalars(query.order_by(InstallSecret.name)))


def install_secret_values(install: Install) -> dict[str, str]:
    """The plain values by name, for a call. Raises Unsealable."""
    return {secret.name: unseal(secret.tenant_id, secret.sealed) for secret in install_secrets(install)}


def set_install_secret(actor: Actor, install_id: UUID, name: str, value: str, now: datetime) -> InstallSecret:
    """Keep a value under a name, in place of the one before if there was one. Raises NotFound, Refused."""
    install = load(actor.tenant_id, Install, install_id, lock="change")
    name = name.strip()
    problems = [] if NAME_PATTERN.fullmatch(name) else [Problem("name", NAME_RULE, "SECRET_NAME_INVALID")]
    if problems := problems + secret_value_problems(value):
        raise Refused(problems)
    before = _stored(install, name)
    if before is None:
        _check_room(install)
    values: dict[str, Any] = {"sealed": seal(install.tenant_id, value), "changed_at": now, "changed_by": actor.user_id}
    keys = {"tenant_id": install.tenant_id, "install_id": install.id, "name": name}
    written = insert(InstallSecret).values(keys | values)
    written = written.on_conflict_do_update(index_elements=["install_id", "name"], set_=values | {"updated_at": now})
    db.session.execute(written)
    action = "install.secret_replaced" if before else "install.secret_added"
    record_change(actor, action, install, after={"secret": name})
    stored = _stored(install, name)
    assert stored is not None, "it was written just now"  # noqa: S101
    return stored


def delete_install_secret(actor: Actor, install_id: UUID, name: str) -> None:
    """Forget a secret; what is called next does not carry it. Raises NotFound."""
    install = load(actor.tenant_id, Install, install_id, lock="change")
    stored = _stored(install, name) if NAME_PATTERN.fullmatch(name) else None
    if stored is None:
        raise NotFound("This install keeps no secret of that name. Reload to see which there are.")
    db.session.delete(stored)
    db.session.flush()
    record_change(actor, "install.secret_deleted", install, before={"secret": name})


def _stored(install: Install, name: str) -> InstallSecret | None:
    query = select(InstallSecret).where(InstallSecret.install_id == install.id, InstallSecret.name == name)
    return db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def _check_room(install: Install) -> None:
    if len(install_secrets(install)) >= MAX_SECRETS:
        message = f"An install keeps at most {MAX_SECRETS} secrets. Delete one that is not needed."
        raise Refused.at("name", message, "SECRETS_TOO_MANY")
