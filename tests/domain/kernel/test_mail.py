"""Handing a message to a mail server: what arrives, and what is said when it does not."""

from __future__ import annotations

import socket
import time
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from domain.kernel import mail
from domain.kernel.config import BadConfig, Config
from domain.kernel.mail import MailDelayed, MailOutcomeUnknown, MailRefused, SmtpServer, parse_smtp_url, send_mail
from tests.domain.kernel.smtp_servers import PASSWORD, USER, Mailbox, certified, running, saying
from tests.servers import environment

SENDER, ADA, BOB = "carillon@example.test", "ada@example.test", "bob@example.test"
HELLO = [b"220 hello\r\n", b"250 hello\r\n"]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "STEP_SECONDS", 0.5)
    monkeypatch.setattr(mail, "TOTAL_SECONDS", 1.5)


def at(port: int, host: str = "127.0.0.1", **more: Any) -> SmtpServer:
    return SmtpServer(host, port, more.pop("has_tls", False), **more)


def a_mail(text: str = "Hello") -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["Subject"] = "Invoice"
    message.set_content(text)
    return message


def test_a_message_arrives_as_it_was_written() -> None:
    box = Mailbox()
    with running(box) as port:
        assert send_mail(at(port), SENDER, [ADA, BOB], a_mail("One\r\n.\r\n..two\r\nGrüße")) == []
    (envelope,) = box.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == (SENDER, [ADA, BOB])
    from email import message_from_bytes
    from email.policy import default

    read = message_from_bytes(envelope.content, policy=default).get_body()
    assert read is not None and read.get_content().splitlines() == ["One", ".", "..two", "Grüße"]


def test_some_refused_recipients_do_not_keep_the_others_from_getting_it() -> None:
    box = Mailbox()
    box.replies = {BOB: "550 No such person", "full@example.test": "452 Full"}
    with running(box) as port:
        refused = send_mail(at(port), SENDER, [ADA, BOB, "full@example.test"], a_mail())
    assert [(one.address, one.code, one.message) for one in refused] == [
        (BOB, 550, "No such person"),
        ("full@example.test", 452, "Full"),
    ]
    assert box.envelopes[0].rcpt_tos == [ADA]


@pytest.mark.parametrize(
    ("replies", "error"),
    [({ADA: "550 No"}, MailRefused), ({ADA: "450 Later"}, MailDelayed)],
)
def test_without_any_recipient_nothing_is_sent(replies: dict[str, str], error: type[Exception]) -> None:
    box = Mailbox()
    box.replies = replies
    with running(box) as port, pytest.raises(error, match="none of the recipients"):
        send_mail(at(port), SENDER, [ADA], a_mail())
    assert box.envelopes == []


@pytest.mark.parametrize(("reply", "error"), [("554 Looks like spam", MailRefused), ("451 Try again", MailDelayed)])
def test_the_class_of_the_answer_says_whether_trying_again_can_help(reply: str, error: type[Exception]) -> None:
    box = Mailbox()
    box.data_reply = reply
    with running(box) as port, pytest.raises(error, match=reply[4:]):
        send_mail(at(port), SENDER, [ADA], a_mail())


def test_nobody_there_is_a_delay() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(MailDelayed, match="connection failed"):
        send_mail(at(port), SENDER, [ADA], a_mail())


@pytest.mark.parametrize(
    ("lines", "then", "said"),
    [
        ([], "stall", "too long"),
        (HELLO, "stall", "too long"),
        ([], "drop", "connection failed"),
        (HELLO, "drop", "connection failed"),
        ([b"421 Too busy\r\n"], "stall", "421 Too busy"),
        ([*HELLO, b"250 OK\r\n", b"421 Going down\r\n"], "drop", "421 Going down"),
    ],
)
def test_what_ends_before_the_message_is_sent_is_a_delay(lines: list[bytes], then: str, said: str) -> None:
    began = time.monotonic()
    with saying(lines, then=then) as port, pytest.raises(MailDelayed, match=said):
        send_mail(at(port), SENDER, [ADA], a_mail())
    assert time.monotonic() - began < 20


def test_a_greeting_may_be_a_refusal() -> None:
    with saying([b"554 Not you\r\n"]) as port, pytest.raises(MailRefused, match="554 Not you"):
        send_mail(at(port), SENDER, [ADA], a_mail())


def test_a_server_that_drips_is_cut_off_at_the_deadline() -> None:
    began = time.monotonic()
    with saying(HELLO, then="drip") as port, pytest.raises(MailDelayed):
        send_mail(at(port), SENDER, [ADA], a_mail())
    assert 1 < time.monotonic() - began < 20


@pytest.mark.parametrize("then", ["drop after the body", "stall"])
def test_silence_after_the_message_was_sent_is_an_unknown_outcome(then: str) -> None:
    lines = [*HELLO, b"250 OK\r\n", b"250 OK\r\n", b"354 Go on\r\n"]
    with saying(lines, then=then) as port, pytest.raises(MailOutcomeUnknown):
        send_mail(at(port), SENDER, [ADA], a_mail())


# Encryption and signing in


def test_starttls_is_used_where_it_is_offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, certificate = certified(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    box = Mailbox()
    with running(box, tls_context=context, auth_require_tls=True) as port:
        server = at(port, "localhost", user=USER, password=PASSWORD)
        assert send_mail(server, SENDER, [ADA], a_mail()) == []
    assert box.envelopes[0].was_encrypted and box.logins == [(USER.encode(), PASSWORD.encode())]


def test_smtps_is_encrypted_from_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, certificate = certified(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    box = Mailbox()
    # The controller looks whether it is up with a client that takes any certificate.
    with running(box, ssl_context=context) as port:
        send_mail(at(port, "localhost", has_tls=True), SENDER, [ADA], a_mail())
    assert len(box.envelopes) == 1


@pytest.mark.parametrize("trusted", ["another name", "nothing"])
def test_a_certificate_that_proves_nothing_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: str
) -> None:
    context, certificate = certified(tmp_path, "elsewhere.test" if trusted == "another name" else "localhost")
    if trusted == "another name":
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    box = Mailbox()
    with running(box, tls_context=context) as port, pytest.raises(MailRefused, match="cannot be used"):
        send_mail(at(port, "localhost", user=USER, password=PASSWORD), SENDER, [ADA], a_mail())
    assert box.logins == [] and box.envelopes == []


def test_a_wrong_password_is_named_without_being_said(tmp_path: Path) -> None:
    box = Mailbox()
    with running(box, auth_require_tls=False) as port, pytest.raises(MailRefused, match="535") as refused:
        send_mail(at(port, user=USER, password="wrong horse"), SENDER, [ADA], a_mail())
    assert "wrong horse" not in str(refused.value) and refused.value.__suppress_context__
    assert "horse" not in repr(at(port, user=USER, password="wrong horse"))


def test_a_password_is_never_sent_in_the_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "LOOPBACK", frozenset())
    box = Mailbox()
    with running(box, auth_require_tls=False) as port, pytest.raises(MailRefused, match="no encryption"):
        send_mail(at(port, user=USER, password=PASSWORD), SENDER, [ADA], a_mail())
    assert box.logins == []


def test_a_server_without_sign_in_is_refused_when_one_is_configured() -> None:
    lines = [b"220 hello\r\n", b"250 hello\r\n"]
    with saying(lines) as port, pytest.raises(MailRefused, match="offers no sign-in"):
        send_mail(at(port, user=USER, password=PASSWORD), SENDER, [ADA], a_mail())


# Settings


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.test", SmtpServer("mail.test", 587, False)),
        ("smtps://mail.test", SmtpServer("mail.test", 465, True)),
        ("smtp://u%40x:p%2Fw@mail.test:25", SmtpServer("mail.test", 25, False, "u@x", "p/w")),
    ],
)
def test_the_address_of_a_server_is_read(url: str, server: SmtpServer) -> None:
    assert parse_smtp_url(url) == server


@pytest.mark.parametrize(
    "url",
    [
        "mail.test",
        "http://u:sesame@mail.test",
        "smtp://",
        "smtp://u:sesame@mail.test:port",
        "smtp://u:sesame@mail.test/path",
        "smtp://sesame@mail.test",
        "smtp://u:sésame@mail.test",
    ],
)
def test_a_bad_address_is_named_by_its_variable_and_not_repeated(url: str) -> None:
    env = environment("postgresql://x/y", "redis://x/0") | {"CARILLON_SMTP_URL": url, "CARILLON_MAIL_FROM": SENDER}
    with pytest.raises(BadConfig, match="CARILLON_SMTP_URL must") as bad:
        Config.from_env(env)
    assert "same" not in str(bad.value)


def test_a_server_needs_a_sender_and_the_settings_do_not_show_its_password() -> None:
    env = environment("postgresql://x/y", "redis://x/0") | {"CARILLON_SMTP_URL": "smtp://u:sesame@mail.test"}
    with pytest.raises(BadConfig, match="CARILLON_MAIL_FROM is not set"):
        Config.from_env(env)
    config = Config.from_env(env | {"CARILLON_MAIL_FROM": "Carillon <carillon@example.test>"})
    assert config.smtp_url and "sesame" not in repr(config)
    for wrong in ("carillon", "a@b <", "x <a@b> y", "@", "Carillon <>", "a\nb <a@b.test>", "<a b@c.test>"):
        with pytest.raises(BadConfig, match="CARILLON_MAIL_FROM must"):
            Config.from_env(env | {"CARILLON_MAIL_FROM": wrong})
