"""What every answer says to the browser, and what every unsafe request has to prove."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

from flask import Flask, Response, current_app, request
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import BadRequest, HTTPException, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix

from domain.kernel.config import Config
from domain.kernel.db import end_reading
from web.access import current_access, is_by_session

BODY_MAX_BYTES = 1_000_000
# What is no larger is received before the database is asked anything: no connection has to be given back meanwhile.
SMALL_BODY_BYTES = 64_000
RECEIVED = "carillon.received"
SESSION_DAYS = 7
STATIC_MAX_AGE_SECONDS = 365 * 86400
UNSAFE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})

CONTENT_SECURITY_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
STRICT_TRANSPORT_SECURITY = "max-age=31536000; includeSubDomains"

csrf = CSRFProtect()


def settings(config: Config) -> dict[str, Any]:
    """The settings of Flask and Flask-WTF that have to do with safety."""
    return {
        "SECRET_KEY": config.secret_key,
        "SESSION_COOKIE_NAME": "__Host-carillon" if config.https else "carillon",
        "SESSION_COOKIE_SECURE": config.https,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SESSION_REFRESH_EACH_REQUEST": False,
        "PERMANENT_SESSION_LIFETIME": SESSION_DAYS * 86400,
        "PREFERRED_URL_SCHEME": "https" if config.https else "http",
        "TRUSTED_HOSTS": list(config.host_names) or None,
        "MAX_CONTENT_LENGTH": BODY_MAX_BYTES,
        "MAX_FORM_MEMORY_SIZE": BODY_MAX_BYTES,
        "SEND_FILE_MAX_AGE_DEFAULT": STATIC_MAX_AGE_SECONDS,
        # A page may stay open for days: the token lives as long as the session it belongs to.
        "WTF_CSRF_TIME_LIMIT": None,
        # `check_forgery` decides which requests are checked, and compares the origin itself.
        "WTF_CSRF_CHECK_DEFAULT": False,
        "WTF_CSRF_SSL_STRICT": False,
        "HTTPS": config.https,
    }


def register(app: Flask, config: Config) -> None:
    """Check unsafe requests and add the headers; trust exactly the proxies that the configuration names."""
    csrf.init_app(app)
    app.before_request(check_forgery)
    app.after_request(add_headers)
    if hops := config.proxy_hops:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]


def check_forgery() -> None:
    """An unsafe request by a session comes from a page of ours and carries the token of its session; raises CSRFError.

    A browser cannot be made to send the token of the API on someone's behalf: who carries one needs no other proof.
    """
    if request.method not in UNSAFE_METHODS or request.endpoint is None or not is_by_session():
        return
    if not _is_same_origin():
        raise CSRFError("This came from another site.")
    _allow_body()
    _check_text()
    csrf.protect()


def receive_small_body() -> None:
    """Before anything else about a request: what says that it is small. Raises as `sent_bytes` does."""
    if request.endpoint and 0 < (request.content_length or 0) <= SMALL_BODY_BYTES:
        sent_bytes()


def sent_bytes() -> bytes:
    """The body as it was sent. Raises RequestEntityTooLarge, and BadRequest when it breaks off or is framed wrongly."""
    if RECEIVED in request.environ:
        return request.get_data(cache=True)
    # Whoever sends slowly keeps no connection of the database meanwhile.
    end_reading()
    try:
        received = request.get_data(cache=True)
    except HTTPException:
        raise
    except Exception:
        # Each server has errors of its own for parts that are not as long as they say.
        raise BadRequest("The body is not framed as HTTP says. Send it again.") from None
    request.environ[RECEIVED] = True
    return received


def _allow_body() -> None:
    """What some views take is larger than any form: they are marked with `body_max_bytes`. Raises RequestEntityTooLarge."""
    most = _most_bytes()
    if most is None or current_access() is None:
        return
    if (request.content_length or 0) > most:
        raise RequestEntityTooLarge(f"A file may have at most {most // 1_000_000} MB. Export fewer at a time.")
    request.max_content_length = request.max_form_memory_size = most


def _most_bytes() -> int | None:
    """How large a body the view of this request takes, when it is one that takes files."""
    most: int | None = getattr(current_app.view_functions.get(request.endpoint or ""), "body_max_bytes", None)
    return most


def _check_text() -> None:
    """A form is UTF-8 text, because what is not would be replaced without a word; raises BadRequest.

    Files that are sent are manifests: text as well. Bundles are read as bytes, by views that say what is wrong with them.
    """
    if request.mimetype not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return
    # Kept before the form is taken apart: what has been read of the body is not there twice.
    said = sent_bytes()
    if _most_bytes() and any(file.filename for file in request.files.values()):
        return
    try:
        (unquote_to_bytes(said) if request.mimetype.startswith("application/") else said).decode()
    except UnicodeDecodeError:
        raise BadRequest("The form contains bytes that are no text in UTF-8. Remove them and send it again.") from None


def _is_same_origin() -> bool:
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    parts = urlsplit(origin)
    return parts.netloc == request.host and (parts.scheme == "https" or not current_app.config["HTTPS"])


def add_headers(response: Response) -> Response:
    """On every answer, errors included. Pages are never kept; static files change their address with their content."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    if current_app.config["HTTPS"]:
        response.headers["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
    if request.endpoint != "static" or response.status_code >= 400:
        response.headers["Cache-Control"] = "no-store"
        response.vary.add("HX-Request")
    return response
