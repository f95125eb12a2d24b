"""However a server behaves, a request ends in its time and takes no more than its memory."""

from __future__ import annotations

import gzip
import threading
import time

import pytest

from domain.kernel.outbound import TooSlow, exchange
from tests.domain.engine.http_calls import LOCAL, allow, failure, request
from tests.domain.engine.http_servers import answering, serving_site

SECONDS = 0.6
PATIENCE = 10  # of a slow machine; what does not end goes on for 20 s and more
HEAD = b"HTTP/1.1 200 OK\r\n"


def dripping(beginning, drop, pause=0.05):
    def answer(connection):
        connection.sendall(beginning)
        for _ in range(600):
            connection.sendall(drop)
            time.sleep(pause)

    return answer


def silent(connection):
    connection.recv(1)


@pytest.fixture
def site(monkeypatch):
    with serving_site(silent) as site:
        allow(monkeypatch, places=LOCAL, ports=str(site.port))
        yield site


@pytest.mark.parametrize(
    "answer",
    [
        silent,
        dripping(HEAD, b"X"),
        dripping(HEAD, b"X-A: 1\r\n"),
        dripping(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        dripping(HEAD + b"Content-Length: 1000\r\n\r\n", b"x"),
        dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        dripping(HEAD + b"\r\n", b"x"),
    ],
    ids=["silence", "header drip", "endless headers", "endless hints", "body drip", "chunk drip", "no end"],
)
def test_a_slow_server_holds_nobody_beyond_the_deadline(site, answer):
    site.answer = answer
    began = time.monotonic()
    failed = failure(site.url, timeout_seconds=SECONDS)
    assert (failed.code, failed.category) == ("TIMED_OUT", "TimeoutError")
    assert SECONDS <= time.monotonic() - began < SECONDS + PATIENCE


def test_a_server_that_does_not_read_holds_nobody_beyond_the_deadline(monkeypatch):
    reading = threading.Event()
    with serving_site(answering(200)) as site:
        monkeypatch.setattr("tests.domain.engine.http_servers._request", lambda _connection: reading.wait(20) and b"")
        allow(monkeypatch, places=LOCAL, ports=str(site.port))
        began = time.monotonic()
        with pytest.raises(TooSlow):
            exchange("POST", site.url, {}, b"x" * 50_000_000, seconds=SECONDS, max_bytes=10)
        reading.set()
    assert time.monotonic() - began < SECONDS + PATIENCE


def test_a_handshake_that_does_not_end_holds_nobody_beyond_the_deadline(site):
    site.answer = silent
    began = time.monotonic()
    assert failure(f"https://127.0.0.1:{site.port}", timeout_seconds=SECONDS).category in (
        "TimeoutError",
        "ActionError",
    )
    assert time.monotonic() - began < SECONDS + PATIENCE


def test_a_name_server_that_hangs_holds_nobody_beyond_the_deadline(monkeypatch):
    answered = threading.Event()
    monkeypatch.setattr(
        "domain.kernel.outbound.resolving.socket.getaddrinfo", lambda *_a, **_k: answered.wait(20) and []
    )
    began = time.monotonic()
    failed = failure("http://slow.example", timeout_seconds=SECONDS)
    answered.set()
    assert failed.code == "TIMED_OUT"
    assert time.monotonic() - began < SECONDS + PATIENCE


def test_an_answer_of_a_million_bytes_is_taken_and_not_one_more(site):
    site.answer = answering(200, b"x" * 1_000_000)
    assert len(request(site.url)["text"]) == 1_000_000
    site.answer = answering(200, b"x" * 1_000_001)
    failed = failure(site.url)
    assert (failed.code, failed.category) == ("RESPONSE_TOO_LARGE", "ActionError")


def test_an_answer_without_end_is_cut_off(site):
    written = []

    def pouring(connection):
        connection.sendall(HEAD + b"\r\n")
        while True:
            written.append(connection.send(b"x" * 65_536))

    site.answer = pouring
    assert failure(site.url).code == "RESPONSE_TOO_LARGE"
    assert sum(written) < 50_000_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_a_compressed_answer_is_not_unpacked(site, encoding):
    site.answer = answering(200, gzip.compress(b"0" * 10_000_000), Content_Encoding=encoding)
    failed = failure(site.url)
    assert (failed.code, failed.category) == ("BAD_RESPONSE", "ActionError")
    assert b"accept-encoding: identity" in site.requests[0].lower()


def test_an_answer_that_changes_the_protocol_is_refused(site):
    site.answer = lambda connection: connection.sendall(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n")
    assert failure(site.url).code in ("BAD_RESPONSE", "UNREACHABLE")


@pytest.mark.parametrize("seconds", [0, -1, 301])
def test_a_request_takes_five_minutes_at_most(site, seconds):
    assert failure(site.url, timeout_seconds=seconds).code == "INVALID_INPUT"
