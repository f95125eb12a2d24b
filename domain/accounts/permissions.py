"""Who may do what: four roles, each a superset of the one before, and the permissions that views ask for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from domain.kernel.errors import Forbidden

if TYPE_CHECKING:
    from domain.accounts.tenants import TenantFacts
    from domain.accounts.users import PersonFacts

VIEWER, OPERATOR, AUTHOR, ADMIN = "viewer", "operator", "author", "admin"

_VIEWER = frozenset({"workflow:read", "extension:read"})
_OPERATOR = _VIEWER | {"workflow:manage"}
_AUTHOR = _OPERATOR | {"workflow:publish"}
_ADMIN = _AUTHOR | {"workflow:admin", "extension:write"}
ROLES: dict[str, frozenset[str]] = {VIEWER: _VIEWER, OPERATOR: _OPERATOR, AUTHOR: _AUTHOR, ADMIN: _ADMIN}
PERMISSIONS = _ADMIN

# What a schedule or a run asks for, by the kind of its target.
READ = {"workflow": "workflow:read", "endpoint": "extension:read"}
CHANGE = {"workflow": "workflow:manage", "endpoint": "extension:write"}


@dataclass(frozen=True)
class Access:
    """What the person or token behind a request is, and may do, in one tenant.

    `is_touch_due`: the record of when they were last seen is older than it should be. `read_at`: when this was found out.
    """

    tenant: TenantFacts
    user: PersonFacts
    role: str
    permissions: frozenset[str]
    token_name: str | None = None
    is_touch_due: bool = False
    read_at: datetime | None = None

    def can(self, permission: str) -> bool:
        return permission in self.permissions

    def can_change(self, kind: str) -> bool:
        """Whether schedules and runs whose target is of this kind are theirs to change."""
        return self.can(CHANGE[kind])

    @property
    def readable_kinds(self) -> tuple[str, ...]:
        """The kinds of targets whose schedules and runs they may see."""
        return tuple(kind for kind, permission in READ.items() if self.can(permission))

    @property
    def changeable_kinds(self) -> tuple[str, ...]:
        return tuple(kind for kind, permission in CHANGE.items() if self.can(permission))

    def require(self, permission: str) -> None:
        """Raise Forbidden when the permission is missing."""
        if not self.can(permission):
            raise Forbidden(f"This needs the permission {permission}. Ask an admin of {self.tenant.name} for it.")

    def require_person(self) -> None:
        """Raise Forbidden for a token: some things are for someone who signed in."""
        if self.token_name is not None:
            raise Forbidden("An API token cannot do this. Sign in and do it in the settings.")


def permissions_of(role: str, scopes: list[str] | None = None) -> frozenset[str]:
    """What `role` allows, cut down to `scopes` when a token names them; never more than the role has."""
    allowed = ROLES[role]
    return allowed if scopes is None else allowed & frozenset(scopes)
