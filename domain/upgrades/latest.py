"""Publishing a version and installing it at once, as whoever develops an extension wants: both happen, or neither."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.accounts.audit import Actor
from domain.extensions.extensions import ExtensionVersion
from domain.extensions.installs import current_install, installed_version
from domain.extensions.manifests import precedence
from domain.extensions.registry import publish_version
from domain.upgrades.upgrading import Upgraded, upgrade_install


@dataclass(frozen=True)
class Delivered:
    """`upgraded`: what became of the tenant's install; None without one, or when it has a later version."""

    version: ExtensionVersion
    upgraded: Upgraded | None


def publish_and_upgrade(
    actor: Actor,
    manifest_text: str | bytes,
    now: datetime,
    *,
    disable_missing: bool | Collection[UUID] = False,
    grant: Collection[str] = (),
) -> Delivered:
    """Publish a version inside the actor's tenant and move its install to it, unless that is at a later one.

    Raises what `publish_version` and `upgrade_install` raise; then nothing was published either.
    """
    version = publish_version(actor, actor.tenant_id, manifest_text, now)
    install = current_install(actor.tenant_id, version.extension_id)
    if install is None or precedence(installed_version(install).version) > precedence(version.version):
        return Delivered(version, None)
    upgraded = upgrade_install(actor, install.id, version.id, now, disable_missing=disable_missing, grant=grant)
    return Delivered(version, upgraded)
