"""Installs: a tenant's extension at a version, with its configuration, its grants and its secrets."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint, select
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import Mapped, mapped_column

from domain.accounts.audit import Actor, record_change
from domain.accounts.tenants import Owned, load, owned
from domain.extensions.capabilities import parse_grant
from domain.extensions.configs import parse_config
from domain.extensions.extensions import Extension, ExtensionVersion, extension_of, version_of_extension
from domain.kernel.db import Base, Identified, db
from domain.kernel.errors import Conflict, Held, NotFound, Refused


class Install(Identified, Owned, Base):
    """`config`: an object of texts. `capabilities`: what an admin granted, a list of names such as `cap:http.fetch`.

    `disabled_at`: since when it is held, by whom and why. `deleted_at`: when it was uninstalled; the row stays.
    """

    __tablename__ = "installs"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(
            ["extension_id", "version_id"], ["extension_versions.extension_id", "extension_versions.id"]
        ),
        Index("uq_installs_extension", "tenant_id", "extension_id", unique=True, postgresql_where="deleted_at IS NULL"),
        # Which installs keep a version or an extension from being deleted.
        Index("ix_installs_version", "extension_id", "version_id"),
        CheckConstraint("disabled_at IS NOT NULL OR (disabled_by IS NULL AND disable_reason IS NULL)", name="disabled"),
        CheckConstraint("jsonb_typeof(config) = 'object' AND jsonb_typeof(capabilities) = 'array'", name="settings"),
    )

    extension_id: Mapped[UUID]
    version_id: Mapped[UUID]
    config: Mapped[Any] = mapped_column(JSONB)
    capabilities: Mapped[Any] = mapped_column(JSONB)
    revision: Mapped[int] = mapped_column(default=1, server_default="1")
    created_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    disabled_at: Mapped[datetime | None]
    disabled_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    disable_reason: Mapped[str | None]
    deleted_at: Mapped[datetime | None]

    @property
    def enabled(self) -> bool:
        return self.disabled_at is None

    @property
    def name(self) -> str:
        """What people call it: the name of its extension."""
        return db.session.get_one(Extension, self.extension_id).name


class InstallSecret(Identified, Owned, Base):
    """A secret that only calls of this install carry. `sealed`: the value, encrypted (`domain.kernel.vault`)."""

    __tablename__ = "install_secrets"
    __table_args__ = (
        UniqueConstraint("install_id", "name"),
        ForeignKeyConstraint(["tenant_id", "install_id"], ["installs.tenant_id", "installs.id"]),
    )

    install_id: Mapped[UUID]
    name: Mapped[str]
    sealed: Mapped[str]
    changed_at: Mapped[datetime]
    changed_by: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))


def living_install(tenant_id: UUID, extension_id: UUID, lock: str | None = None) -> Install:
    """The tenant's install of the extension, disabled ones included; raises NotFound when it has none now.

    `lock`: `share` (it stays as it is) or `change`; the row is read afresh under the lock.
    """
    found = current_install(tenant_id, extension_id, lock)
    if found is None:
        raise NotFound("This extension is not installed. Install it first.")
    return found


def current_install(tenant_id: UUID, extension_id: UUID, lock: str | None = None) -> Install | None:
    """The tenant's install of the extension, as in `living_install`; None when it has none now."""
    query = owned(tenant_id, Install).where(Install.extension_id == extension_id)
    if lock == "share":
        query = query.with_for_update(read=True)
    elif lock == "change":
        query = query.with_for_update(key_share=True)
    return db.session.scalars(query.execution_options(populate_existing=lock is not None)).one_or_none()


def install_of(tenant_id: UUID, install_id: UUID) -> Install:
    """An install of the tenant by id, uninstalled ones included: they stay readable. Raises NotFound."""
    found = db.session.scalars(select(Install).where(Install.tenant_id == tenant_id, Install.id == install_id)).first()
    if found is None:
        raise NotFound
    return found


def installed_version(install: Install) -> ExtensionVersion:
    """The version that calls of this install go to."""
    return db.session.get_one(ExtensionVersion, install.version_id)


def install_extension(
    actor: Actor, extension_id: UUID, version_id: UUID, capabilities: Any, config: Any, now: datetime
) -> Install:
    """Install an extension for the actor's tenant, with what an admin grants of what the version asks for.

    Raises NotFound, Refused at `capabilities` or `config`, Held with ALREADY_INSTALLED: another version of an installed
    extension is an upgrade.
    """
    extension = extension_of(actor.tenant_id, extension_id)
    version = version_of_extension(extension.id, version_id, lock="keep")
    config, granted = _parsed(config, capabilities, version)
    values = {"tenant_id": actor.tenant_id, "extension_id": extension.id, "version_id": version.id, "created_at": now}
    values |= {"config": config, "capabilities": granted, "created_by": actor.user_id, "updated_at": now}
    made = db.session.scalars(insert(Install).values(values).on_conflict_do_nothing().returning(Install)).one_or_none()
    if made is None:
        message = f"{extension.name} is installed already. Change its version there, or uninstall it first."
        raise Held(message, code="ALREADY_INSTALLED")
    after = {"extension": extension.name, "version": version.version, "capabilities": granted, "config": config}
    record_change(actor, "install.created", made, after=after)
    return made


def configure_install(
    actor: Actor, install_id: UUID, revision: int, config: Any = None, capabilities: Any = None
) -> Install:
    """Another configuration, other grants, or both; None leaves one as it is. What is called next uses them.

    Raises NotFound, Conflict when somebody changed the install since `revision`, Refused at `config` or `capabilities`.
    """
    install = load(actor.tenant_id, Install, install_id, lock="change")
    if install.revision != revision:
        raise Conflict
    before = {"config": install.config, "capabilities": install.capabilities}
    settings, granted = _parsed(
        {} if config is None else config, [] if capabilities is None else capabilities, installed_version(install)
    )
    # What is not named stays, also when it could not be set like that any more.
    after = {
        "config": before["config"] if config is None else settings,
        "capabilities": before["capabilities"] if capabilities is None else granted,
    }
    changed = [field for field in after if after[field] != before[field]]
    if changed:
        install.config, install.capabilities = after["config"], after["capabilities"]
        install.revision += 1
        db.session.flush()
        record_change(
            actor,
            "install.configured",
            install,
            before={field: before[field] for field in changed},
            after={field: after[field] for field in changed},
        )
    return install


def _parsed(config: Any, capabilities: Any, version: ExtensionVersion) -> tuple[dict[str, str], list[str]]:
    problems: list[Any] = []
    settings, granted = {}, []
    try:
        settings = parse_config(config)
    except Refused as refusal:
        problems.extend(refusal.problems)
    try:
        granted = parse_grant(capabilities, version.asked)
    except Refused as refusal:
        problems.extend(refusal.problems)
    if problems:
        raise Refused(problems)
    return settings, granted
