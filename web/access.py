"""Who is asking, and may they: every view is marked with what it needs, and nothing unmarked is served.

Pages are opened by the session in the cookie, `/api/` by a bearer token or, without one, by the session. A token opens no
page, and a session that changes something proves that it comes from one of ours (`web.security`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from flask import Flask, Response, current_app, g, redirect, request, session, url_for
from werkzeug.exceptions import Unauthorized

from domain.accounts.audit import Actor
from domain.accounts.permissions import PERMISSIONS, Access
from domain.accounts.sessions import load_access, touch_session
from domain.accounts.tokens import token_access, touch_token
from domain.kernel import clock
from domain.kernel.db import transaction
from domain.kernel.log import log_context

PUBLIC, SIGNED_IN = "public", "signed_in"
SESSION_TOKEN = "token"
LOG_STACK = "carillon.log_stack"
SPEAKER = "carillon.speaker"
_UNKNOWN: Any = object()

View = TypeVar("View", bound=Callable[..., Any])


class UnmarkedView(Exception):
    """A view says nothing about who may see it. Mark it with `requires`, `signed_in` or `public`."""


def requires(permission: str) -> Callable[[View], View]:
    """For who has `permission` in the tenant; raises ValueError when there is no such permission."""
    if permission not in PERMISSIONS:
        raise ValueError(f"there is no permission {permission!r}")
    return lambda view: _mark(view, permission)


def requires_by_kind(permissions: Mapping[str, str]) -> Callable[[View], View]:
    """For who has one of `permissions`, which are by the kind of a target. Which kind a request is about, and whether
    that one is allowed, is for `web.kinds` to say."""

    def mark(view: View) -> View:
        view.by_kind = permissions  # type: ignore[attr-defined]
        return _mark(view, permissions["workflow"])

    return mark


def signed_in(view: View) -> View:
    """For every member of the tenant."""
    return _mark(view, SIGNED_IN)


def public(view: View) -> View:
    """For anyone, without signing in."""
    return _mark(view, PUBLIC)


def _mark(view: View, permission: str) -> View:
    view.permission = permission  # type: ignore[attr-defined]
    return view


def register(app: Flask) -> None:
    """Have every request checked before its view, and tell the templates who is signed in."""
    app.before_request(check_access)
    app.context_processor(lambda: {"current_access": current_access()})


def speak_as(app: Flask, speaker: Callable[[], Access]) -> None:
    """Take every request to `app` as one of `speaker`, whatever it carries. For an application that no server serves."""
    app.extensions[SPEAKER] = speaker


def check_marks(app: Flask) -> None:
    """Raise UnmarkedView when any view of `app` does not say who may see it."""
    public(app.view_functions["static"])
    unmarked = sorted(name for name, view in app.view_functions.items() if not hasattr(view, "permission"))
    if unmarked:
        raise UnmarkedView(f"{UnmarkedView.__doc__} ({', '.join(unmarked)})")


def check_access() -> Response | None:
    """Before each view: raises Forbidden, or answers with the way to the sign-in page."""
    view = current_app.view_functions.get(request.endpoint or "")
    permission = getattr(view, "permission", PUBLIC)
    if permission == PUBLIC:
        return None
    access = current_access()
    if access is None:
        return _ask_to_sign_in()
    by_kind: Mapping[str, str] = getattr(view, "by_kind", {})
    if permission != SIGNED_IN and not any(access.can(one) for one in by_kind.values()):
        access.require(permission)
    return None


def current_access() -> Access | None:
    """Who is behind this request, read once; None for strangers."""
    known: Access | None = g.get("access", _UNKNOWN)
    if known is not _UNKNOWN:
        return known
    g.access = None
    g.access = access = _spoken_for() or (_api_access() if is_api() else _page_access())
    if access and access.read_at:
        g.setdefault("rendered_at", access.read_at)
    if access and (stack := request.environ.get(LOG_STACK)):
        _bind_tenant(stack, access.tenant.id)
    return access


def member_access() -> Access:
    """Who is behind this request, in views that need someone signed in."""
    access = current_access()
    if access is None:
        raise Unauthorized
    return access


def forget_access() -> None:
    """For error pages: do not ask the database, which may be the reason for the error."""
    g.access = None


def actor() -> Actor:
    """The author of the commands of this request. Only for views that need someone signed in."""
    access = member_access()
    label = f"{access.user.name} (token {access.token_name})" if access.token_name else access.user.name
    return Actor(access.tenant.id, access.user.id, label, request_id())


def request_now() -> datetime:
    """The database's clock, read once per request, with who is behind it; the filters of the templates use the same instant."""
    if "rendered_at" not in g:
        g.rendered_at = clock.database_now()
    instant: datetime = g.rendered_at
    return instant


def request_id() -> str | None:
    """What the access line in the log and the error page call this request."""
    return request.environ.get("carillon.request_id")


def is_api() -> bool:
    return f"{request.path}/".startswith("/api/")


def is_by_session() -> bool:
    """Whether it is the cookie that says who is asking, which a browser also sends for other sites."""
    if SPEAKER in current_app.extensions:
        return False
    return not is_api() or "Authorization" not in request.headers


def is_fragment() -> bool:
    """Whether htmx wants a part of the page: not when it follows a boosted link or restores history."""
    asks = request.headers
    return (
        asks.get("HX-Request") == "true"
        and asks.get("HX-Boosted") != "true"
        and asks.get("HX-History-Restore-Request") != "true"
    )


def local_path(address: str | None) -> str | None:
    """`address` when it is a path on this site, which no reading of it can turn into another site; else None."""
    if not address or not address.startswith("/") or address[1:2] in ("/", "\\"):
        return None
    if any(character <= " " or character == "\x7f" or character == "\\" for character in address):
        return None
    return address


def _spoken_for() -> Access | None:
    speaker = current_app.extensions.get(SPEAKER)
    return speaker() if speaker else None


def _page_access() -> Access | None:
    token = session.get(SESSION_TOKEN)
    if not isinstance(token, str):
        return None
    access = load_access(token)
    if access and access.read_at and access.is_touch_due:
        with transaction():
            touch_session(token, access.read_at)
    return access


def _api_access() -> Access | None:
    if is_by_session():
        return _page_access()
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        return None
    access = token_access(given.token)
    if access and access.read_at and access.is_touch_due:
        with transaction():
            touch_token(given.token, access.read_at)
    return access


def _ask_to_sign_in() -> Response:
    if is_api():
        raise Unauthorized("Send a valid API token in the header Authorization: Bearer …")
    if request.headers.get("HX-Request") != "true":
        is_read = request.method in ("GET", "HEAD")
        return redirect(_sign_in_url(request.full_path.rstrip("?") if is_read else _path_of(request.referrer)), 303)  # type: ignore[return-value]
    if request.method != "GET":
        # What was typed stays on the page: the script offers a link to sign in.
        raise Unauthorized
    answer = Response(status=401)
    answer.headers["HX-Redirect"] = _sign_in_url(_path_of(request.headers.get("HX-Current-URL")))
    return answer


def _sign_in_url(after: str | None) -> str:
    after = local_path(after)
    return url_for("accounts.show_sign_in", next=after if after != "/" else None)


def _path_of(address: str | None) -> str | None:
    parts = urlsplit(address or "")
    if parts.netloc != request.host:
        return None
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _bind_tenant(stack: ExitStack, tenant_id: UUID) -> None:
    stack.enter_context(log_context(tenant_id=tenant_id))
