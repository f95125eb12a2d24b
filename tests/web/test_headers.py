"""What every answer carries, whatever it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask, request

from domain.kernel.config import Config
from tests.servers import make_app, plain_config
from tests.web.addresses import address, ask, rules
from tests.web.cast import Browser
from web.access import UnmarkedView, check_marks, requires
from web.security import CONTENT_SECURITY_POLICY, HEADERS


def check_headers(answer: Any) -> None:
    for name, value in HEADERS.items():
        assert answer.headers.getlist(name) == [value]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "HX-Request" in answer.headers["Vary"]
    assert answer.headers["X-Request-Id"]


def test_every_address_answers_with_the_headers(app: Flask, ids: dict[str, Any], alice: Browser, bob: Browser) -> None:
    for rule, method in rules(app):
        path = address(app, rule, ids)
        for browser in (bob, alice):
            check_headers(ask(browser, path, method))
        check_headers(app.test_client().open(path, method=method))


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nothing", "GET", 404),
        ("/sign-in", "PUT", 405),
        ("/sign-in", "TRACE", 405),
        ("/api/nothing", "GET", 404),
        ("/sign-out", "POST", 400),
        ("/static/nothing", "GET", 404),
    ],
)
def test_errors_answer_with_the_headers(app: Flask, db: Any, path: str, method: str, status: int) -> None:
    answer = app.test_client().open(path, method=method)
    assert answer.status_code == status
    check_headers(answer)


def test_static_files_may_be_kept_because_their_address_changes(app: Flask) -> None:
    answer = app.test_client().get("/static/app.css")
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    answer.close()


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites(app: Flask) -> None:
    cookie = app.test_client().get("/sign-in").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie


def https(**more: Any) -> Flask:
    config: Config = replace(plain_config(), https=True, **more)
    return make_app(config)


def test_under_https_the_cookie_is_bound_to_this_host() -> None:
    answer = https().test_client().get("/sign-in", base_url="https://localhost")
    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-carillon=") and "Secure" in cookie and "Domain" not in cookie
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]


def test_only_named_hosts_are_served() -> None:
    client = https(host_names=("carillon.test",)).test_client()
    assert client.get("/sign-in", base_url="https://carillon.test").status_code == 200
    spoofed = client.get("/sign-in", base_url="https://evil.test")
    assert spoofed.status_code == 400
    assert "evil.test" not in spoofed.text


@pytest.mark.parametrize(("hops", "seen"), [(0, "127.0.0.1"), (1, "192.0.2.1")])
def test_only_trusted_proxies_say_where_a_request_came_from(hops: int, seen: str) -> None:
    app = make_app(replace(plain_config(), proxy_hops=hops))
    addresses = []
    app.before_request(lambda: addresses.append(request.remote_addr))
    app.test_client().get("/sign-in", headers={"X-Forwarded-For": "198.51.100.9, 192.0.2.1"})
    assert addresses == [seen]


def test_a_view_that_does_not_say_who_may_see_it_stops_the_start() -> None:
    app = make_app(plain_config())
    app.view_functions["forgotten"] = lambda: "secrets"
    with pytest.raises(UnmarkedView, match="forgotten"):
        check_marks(app)


def test_a_view_cannot_ask_for_a_permission_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match="workflow:raed"):
        requires("workflow:raed")
