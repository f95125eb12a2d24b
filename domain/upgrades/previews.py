"""What an upgrade would do with the answers that somebody has in mind, before anything of it is done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from domain.accounts.tenants import load
from domain.extensions.extensions import version_of_extension
from domain.extensions.installs import Install
from domain.upgrades.choices import redirections, to_disable
from domain.upgrades.remapping import Missing, Plan, plan_of


@dataclass(frozen=True)
class Preview:
    """`unanswered`: the schedules that miss their endpoint and of which nothing was said. `ungranted`: what the version
    asks for and was not granted."""

    plan: Plan
    unanswered: tuple[Missing, ...]
    ungranted: tuple[str, ...]

    @property
    def is_ready(self) -> bool:
        """Whether the upgrade would happen."""
        return not self.unanswered and not self.ungranted


def preview_upgrade(
    tenant_id: UUID,
    install_id: UUID,
    version_id: UUID,
    *,
    remap: Mapping[UUID, UUID] | None = None,
    disable_missing: bool | Collection[UUID] = False,
    grant: Collection[str] = (),
) -> Preview:
    """The plan of a change of version, and what is left of it with these answers (`upgrading.upgrade_install`). Changes
    nothing. Raises NotFound, Refused at `remap/<schedule>` or `disableMissing/<schedule>`."""
    install = load(tenant_id, Install, install_id)
    version = version_of_extension(install.extension_id, version_id)
    plan = plan_of(install, version)
    if plan.version_id == install.version_id:
        return Preview(plan, (), ())
    redirected = redirections(install, version, plan, remap or {})
    settled = {*redirected, *to_disable(plan, disable_missing, redirected)}
    unanswered = tuple(one for one in plan.missing if one.schedule_id not in settled)
    return Preview(plan, unanswered, tuple(name for name in plan.new_capabilities if name not in grant))
