"""Schedules and runs of workflows and those of extension endpoints need different permissions: which this request needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

from flask import Flask, current_app, request

from domain.accounts.permissions import CHANGE, READ
from domain.kernel.errors import NotFound
from domain.runs.kinds import run_kind
from domain.schedules.kinds import schedule_kind
from web.access import member_access

_KIND_OF: dict[str, Callable[[UUID, UUID], str | None]] = {
    "schedule_id": schedule_kind,
    "run_id": run_kind,
    "rehearsal_id": run_kind,
}
"""By the name of an id in an address: the kind of the row of a tenant; None when the tenant has no such row."""


def register(app: Flask) -> None:
    """Have the kind checked of every schedule and run that an address names."""
    app.before_request(check_kind)


def check_kind() -> None:
    """Before a view that is marked by kind and names a schedule or a run: raises Forbidden unless that kind is allowed,
    and NotFound when there is no such row."""
    by_kind: Mapping[str, str] = getattr(current_app.view_functions.get(request.endpoint or ""), "by_kind", {})
    access = member_access() if by_kind else None
    if access is None or all(access.can(permission) for permission in by_kind.values()):
        return
    for name, kind_of in _KIND_OF.items():
        if row_id := (request.view_args or {}).get(name):
            kind = kind_of(access.tenant.id, row_id)
            if kind is None:
                raise NotFound
            access.require(by_kind[kind])


def require_change(kind: str) -> None:
    """Raise Forbidden unless whoever asks may change schedules and runs of this kind."""
    member_access().require(CHANGE[kind])


def readable_target(asked: str) -> str:
    """The kind that a list is narrowed to, `asked` or, when that is empty, the one that somebody may see who may not
    see both. Raises Forbidden for a kind that they may not see."""
    access = member_access()
    if asked:
        access.require(READ[asked])
    return asked or ("" if len(access.readable_kinds) > 1 else access.readable_kinds[0])
