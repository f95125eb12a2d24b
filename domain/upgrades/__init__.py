"""Changing the version of an install, and holding or ending it: what changes an install together with its schedules."""

from domain.upgrades.closing import Closed, delete_tenant
from domain.upgrades.holding import disable_install, enable_install
from domain.upgrades.latest import Delivered, publish_and_upgrade
from domain.upgrades.remapping import Missing, Near, Plan, Remapped, upgrade_plan
from domain.upgrades.uninstalling import Uninstalled, uninstall
from domain.upgrades.upgrading import RemapFailed, Upgraded, upgrade_install

__all__ = [
    "Closed",
    "Delivered",
    "Missing",
    "Near",
    "Plan",
    "RemapFailed",
    "Remapped",
    "Uninstalled",
    "Upgraded",
    "delete_tenant",
    "disable_install",
    "enable_install",
    "publish_and_upgrade",
    "uninstall",
    "upgrade_install",
    "upgrade_plan",
]
