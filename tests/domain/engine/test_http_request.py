"""http.request: what is sent, how an answer reads, and what its status means for the step."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import timedelta
from email.utils import format_datetime

import pytest

from domain.engine.actions.registry import find_action
from domain.kernel.outbound import exchanging
from tests.domain.engine.engine_runs import NOW
from tests.domain.engine.http_calls import LOCAL, allow, failure, request, resolve_to
from tests.domain.engine.http_servers import answering, certified, serving_site

# Header lines are read in small letters.
BASIC = f"basic {b64encode('ada:päss:1'.encode()).decode().lower()}"


@pytest.fixture
def site(monkeypatch):
    with serving_site(answering(200)) as site:
        allow(monkeypatch, places=LOCAL, ports=str(site.port))
        yield site


def sent(site, number=-1):
    """The first line, the headers by their small names, and the body of a request."""
    head, _, body = site.requests[number].partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return first, dict(line.lower().split(": ", 1) for line in lines), body.decode()


def test_what_the_author_says_is_sent_with_the_key_of_the_step(site):
    query = {"q": "a b&c", "n": [1, True, None], "none": None}
    request(f"{site.url}/v1/x?old=1", method="PUT", headers={"X-Trace": "t 1"}, query=query, body={"b": [1, "é"]})

    first, headers, body = sent(site)
    assert first == "PUT /v1/x?old=1&q=a+b%26c&n=1&n=true HTTP/1.1"
    assert headers["host"] == f"127.0.0.1:{site.port}"
    assert (headers["idempotency-key"], headers["x-trace"]) == ("key-1", "t 1")
    assert (headers["content-type"], json.loads(body)) == ("application/json", {"b": [1, "é"]})
    assert (headers["accept-encoding"], headers["connection"]) == ("identity", "close")


def test_every_attempt_carries_the_same_key(site):
    for attempt in (1, 2, 3):
        request(site.url, key="the-key", attempt=attempt)
    assert [sent(site, number)[1]["idempotency-key"] for number in range(3)] == ["the-key"] * 3


def test_text_is_sent_as_it_is_and_nothing_when_there_is_no_body(site):
    request(site.url, method="POST", body="a=1", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert sent(site)[1]["content-type"] == "application/x-www-form-urlencoded"
    assert sent(site)[2] == "a=1"
    request(site.url, method="POST", body="ä")
    assert (sent(site)[1]["content-type"], sent(site)[2]) == ("text/plain; charset=utf-8", "ä")
    request(site.url)
    assert "content-length" not in sent(site)[1] and "content-type" not in sent(site)[1]
    request(site.url, method="DELETE", body=None)
    assert sent(site)[2] == ""


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "Idempotency-Key", "Connection"])
def test_headers_that_are_not_the_authors_to_set_are_refused(site, name):
    failed = failure(site.url, headers={name: "x"})
    assert (failed.code, failed.category) == ("RESERVED_HEADER", "ValidationError")
    assert site.connections == 0


@pytest.mark.parametrize(
    "headers", [{"X": "a\r\nY: b"}, {"X: y\r\nZ": "a"}, {"X": "é"}, {"X Y": "a"}, {"": "a"}, {"X": 1}]
)
def test_nothing_can_be_slipped_into_the_headers(site, headers):
    assert failure(site.url, headers=headers).code == "INVALID_INPUT"
    assert site.connections == 0


def test_a_json_answer_is_a_value_and_any_other_is_text(site):
    site.answer = answering(200, b'{"id": [1]}', Content_Type="application/problem+json; charset=utf-8", ETag='"e"')
    answer = request(site.url)
    assert (answer["status"], answer["body"], answer["text"]) == (200, {"id": [1]}, None)
    assert answer["headers"] == {"content-type": "application/problem+json; charset=utf-8", "etag": '"e"'}
    assert answer["duration_ms"] >= 0
    site.answer = answering(200, "früh".encode("latin-1"), Content_Type="text/plain; charset=ISO-8859-1")
    assert request(site.url)["text"] == "früh"


@pytest.mark.parametrize(
    "body", [b"{", b"NaN", b'{"a":1,"a":2}', b'"\\u0000"', b'"\\ud800"', b"[" * 100 + b"]" * 100, b"1" * 50, b"\xff"]
)
def test_json_that_has_no_single_meaning_is_text(site, body):
    site.answer = answering(200, body, Content_Type="application/json")
    answer = request(site.url)
    assert answer["body"] is None and answer["text"] == body.decode("utf-8", "replace")


def test_no_answer_brings_text_that_cannot_be_stored(site):
    for body, charset in ((b"a\x00b", "utf-8"), (b"\xed\xa0\x80", "utf-8"), (b"+2AA-", "utf-7"), (b"x", "zlib")):
        site.answer = answering(200, body, Content_Type=f"text/plain; charset={charset}", Link="<a\x80>")
        text = json.dumps(request(site.url), ensure_ascii=False)
        assert "\\u0000" not in text
        text.encode()


def test_cookies_and_unknown_headers_stay_out_of_the_record(site):
    site.answer = answering(200, Set_Cookie="session=1", X_Internal="1", Retry_After="5")
    assert request(site.url)["headers"] == {"retry-after": "5"}


@pytest.mark.parametrize(
    ("status", "category"),
    [
        *((status, "TransientError") for status in (408, 425, 429, 500, 502, 503, 504)),
        *((status, "ActionError") for status in (400, 401, 403, 404, 409, 410, 422, 451)),
    ],
)
def test_a_status_says_whether_trying_again_could_help(site, status, category):
    site.answer = answering(status, b'{"reason": "so"}', Content_Type="application/json")
    failed = failure(site.url)
    assert (failed.code, failed.category) == (f"HTTP_{status}", category)
    assert failed.message.startswith(f"127.0.0.1 answered {status} ") and '{"reason": "so"}' in failed.message
    assert request(site.url, expect=[200, status])["status"] == status


def test_what_is_expected_replaces_what_is_usual(site):
    assert failure(site.url, expect=[201]).code == "HTTP_200"


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        ("120", 120),
        ("999999999999", 3_600),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0),
        ("soon", 0),
        ("-5", 0),
    ],
)
def test_a_busy_server_says_how_long_to_wait(site, asked, seconds):
    site.answer = answering(503, Retry_After=asked)
    assert failure(site.url).retry_after_seconds == seconds
    site.answer = answering(404, Retry_After=asked)
    assert failure(site.url).retry_after_seconds == 0


def test_a_long_error_page_is_not_quoted_in_part(site):
    site.answer = answering(500, b"secret " * 100)
    assert "secret" not in failure(site.url).message


def test_an_answer_of_a_head_request_has_no_body(site):
    site.answer = answering(200, Content_Type="application/json")
    assert request(site.url, method="HEAD") | {"duration_ms": 0} == {
        "status": 200,
        "headers": {"content-type": "application/json"},
        "body": None,
        "text": "",
        "duration_ms": 0,
    }


def test_a_connection_that_breaks_may_be_tried_again(site, monkeypatch):
    for broken in (
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",
        b"\x15\x03",
    ):
        site.answer = lambda connection, broken=broken: connection.sendall(broken)
        failed = failure(site.url)
        assert (failed.code, failed.category) == ("UNREACHABLE", "TransientError")
    port = site.port
    site.close()
    assert failure(f"http://127.0.0.1:{port}").code == "UNREACHABLE"


def test_a_name_that_nobody_knows_may_be_known_later(monkeypatch):
    def unknown(*_args, **_kwargs):
        raise OSError("Name or service not known")

    monkeypatch.setattr("domain.kernel.outbound.resolving.socket.getaddrinfo", unknown)
    failed = failure("http://nobody.example")
    assert (failed.code, failed.category) == ("UNREACHABLE", "TransientError")


def test_the_next_address_is_tried_when_one_takes_no_connection(site, monkeypatch):
    allow(monkeypatch, places=LOCAL)
    resolve_to(monkeypatch, [("127.0.0.2", 1), ("127.0.0.1", site.port)])
    assert request("http://two.example/")["status"] == 200


def test_a_secure_answer_comes_from_who_was_named(tmp_path, monkeypatch):
    server, client = certified(tmp_path, "api.example.com")
    example = find_action("http.request", 1).example
    body = json.dumps(example.output["body"]).encode()
    seen = []
    server.sni_callback = lambda _connection, name, _context: seen.append(name)
    answer = answering(201, body, Content_Type="application/json", Location="/v1/invoices/42")
    with serving_site(answer, server) as site:
        allow(monkeypatch, places="api.example.com")
        resolve_to(monkeypatch, [("127.0.0.1", site.port)])
        monkeypatch.setattr(exchanging, "_tls_context", lambda: client)

        assert request(**example.inputs) | {"duration_ms": 120} == example.output

        assert seen == ["api.example.com"]
        assert sent(site)[1]["host"] == "api.example.com"


def test_nobody_else_can_answer_securely(tmp_path, monkeypatch):
    server, client = certified(tmp_path, "other.example.com")
    with serving_site(answering(200), server) as site, serving_site(answering(200)) as plain:
        allow(monkeypatch, places="api.example.com")
        resolve_to(monkeypatch, [("127.0.0.1", site.port)])
        by_default = failure("https://api.example.com/")
        monkeypatch.setattr(exchanging, "_tls_context", lambda: client)
        by_name = failure("https://api.example.com/")
        resolve_to(monkeypatch, [("127.0.0.1", plain.port)])
        monkeypatch.setattr("tests.domain.engine.http_servers._request", lambda connection: connection.recv(9))
        by_protocol = failure("https://api.example.com/")

        for failed in (by_default, by_name, by_protocol):
            assert (failed.code, failed.category) == ("UNTRUSTED", "ActionError")
        assert site.requests == []
        assert "ostname" in by_name.message


def test_a_step_that_says_nothing_is_tried_three_times_when_that_could_help():
    hint = find_action("http.request", 1).retry_hint
    assert [hint.is_due_after(attempt, "TransientError") for attempt in (1, 2, 3)] == [True, True, False]
    assert hint.is_due_after(1, "TimeoutError")
    assert not hint.is_due_after(1, "ActionError") and not hint.is_due_after(1, "ValidationError")


@pytest.mark.parametrize(
    ("auth", "header"),
    [({"bearer": "t0ken"}, "bearer t0ken"), ({"username": "ada", "password": "päss:1"}, BASIC)],
)
def test_who_asks_is_said_in_the_usual_ways(site, auth, header):
    request(site.url, auth=auth)
    assert sent(site)[1]["authorization"] == header


def test_who_asks_is_said_once(site):
    assert failure(site.url, auth={"bearer": "a"}, headers={"Authorization": "Bearer b"}).code == "RESERVED_HEADER"
    assert site.requests == []
