"""What the top bar of every page counts and offers: open tasks, unread notifications, the other tenants of a person."""

from __future__ import annotations

from dataclasses import dataclass

from domain.accounts.permissions import Access
from domain.accounts.sessions import Elsewhere, other_tenants
from domain.runs.inbox import COUNTED, attention_of

TENANTS_OFFERED = 6


@dataclass(frozen=True)
class TopBar:
    """`tasks` and `unread`: a count as it is shown, empty for none. `has_more`: more tenants than `tenants` names."""

    tasks: str
    unread: str
    tenants: list[Elsewhere]
    has_more: bool


def top_bar(access: Access) -> TopBar:
    """Two statements, whatever there is."""
    attention = attention_of(access.tenant.id, access.user.id)
    tenants = other_tenants(access.user.id, access.tenant.id, TENANTS_OFFERED + 1)
    return TopBar(
        shown_count(attention.open_tasks),
        shown_count(attention.unread),
        tenants[:TENANTS_OFFERED],
        len(tenants) > TENANTS_OFFERED,
    )


def shown_count(count: int) -> str:
    """`3`, `99+`, or nothing."""
    if count >= COUNTED:
        return f"{COUNTED - 1}+"
    return str(count) if count else ""
