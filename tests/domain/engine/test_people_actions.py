"""The actions that reach people: mails and notifications."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.notifications import Notification
from domain.engine.actions.action import ActionContext
from domain.engine.actions.registry import find_action
from domain.engine.failures import TRANSIENT, UNKNOWN, StepFailed
from domain.kernel import mail, outbox
from domain.kernel.ids import new_id
from tests.domain.kernel.smtp_servers import Mailbox, running, saying
from tests.factories import a_tenant, a_user
from tests.servers import plain_config

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
LETTER = {"to": "ada@example.test", "subject": "Invoice 42", "text": "It was paid."}


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    outbox.configure_mail(plain_config())


@pytest.fixture
def tray(tmp_path: Path) -> Path:
    outbox.configure_mail(replace(plain_config(), outbox_dir=str(tmp_path), mail_from="Bell <bell@acme.test>"))
    return tmp_path


def configure_smtp(port: int) -> None:
    url = f"smtp://127.0.0.1:{port}"
    outbox.configure_mail(replace(plain_config(), smtp_url=url, mail_from="Bell <bell@acme.test>"))


def context(key: str | None = "key", tenant_id: Any = None) -> ActionContext:
    return ActionContext(new_id(), tenant_id or new_id(), new_id(), "root.steps[0]", "", 1, key, AT)


def call(name: str, inputs: dict[str, Any], on: ActionContext | None = None) -> dict[str, Any]:
    action = find_action(name, 1)
    action.check_inputs(inputs)
    return action.call(inputs, on or context())


def sent(inputs: dict[str, Any]) -> outbox.MailView:
    on = context()
    call("email.send", inputs, on)
    return outbox.kept_mail(on.tenant_id, outbox.mail_id("key"))


# email.send


def test_a_mail_carries_what_it_was_given(tray: Path) -> None:
    more = {
        "cc": ["Bob <bob@example.test>"],
        "bcc": "eve@example.test",
        "reply_to": "desk@acme.test",
        "html": "<b>Hi</b>",
    }
    kept = sent(LETTER | more | {"to": ["ada@example.test", "Zoë <zoe@example.test>"], "subject": "Fällig 👩‍💻"})
    headers = dict(kept.headers)
    assert headers["From"] == "Bell <bell@acme.test>" and headers["To"] == "ada@example.test, Zoë <zoe@example.test>"
    assert (headers["Cc"], headers["Reply-To"], headers["Subject"]) == (
        "Bob <bob@example.test>",
        "desk@acme.test",
        "Fällig 👩‍💻",
    )
    assert headers["Auto-Submitted"] == "auto-generated" and "02 Mar 2026" in headers["Date"]
    assert "Bcc" not in headers and headers["X-Envelope-To"].endswith("eve@example.test")
    assert (kept.text.strip(), kept.html.strip()) == ("It was paid.", "<b>Hi</b>")


def test_values_are_attached_as_json_and_texts_as_they_are(tray: Path) -> None:
    kept = sent(
        LETTER
        | {
            "attachments": [
                {"filename": "rows.csv", "content": "a,b", "content_type": "text/csv"},
                {"filename": "all.json", "content": {"total": 705}},
            ]
        }
    )
    assert [name for name, _ in kept.attachments] == ["rows.csv", "all.json"]
    raw = next(tray.glob("*/*.eml")).read_text()
    assert "text/csv" in raw and "application/json" in raw


@pytest.mark.parametrize("breaking", ["\n", "\r\n", "\r", "\x0b", "\x85", "\u2028", "\x00", "\t"])
@pytest.mark.parametrize("place", ["to", "cc", "bcc", "reply_to", "subject", "filename"])
def test_no_input_can_begin_a_header_of_its_own(tray: Path, place: str, breaking: str) -> None:
    bad = f"ada{breaking}Bcc: eve@example.test"
    inputs = LETTER | ({"attachments": [{"filename": bad, "content": ""}]} if place == "filename" else {place: bad})
    with pytest.raises(StepFailed) as failed:
        call("email.send", inputs)
    assert (failed.value.code, failed.value.category) == ("INVALID_INPUT", "ValidationError")
    assert list(tray.glob("*/*")) == []


@pytest.mark.parametrize(
    "inputs",
    [
        {"to": "ada"},
        {"to": "ada@example.test, eve@example.test"},
        {"to": "Ada <ada@example.test> <eve@example.test>"},
        {"to": "<ada@example.test"},
        {"to": []},
        {"to": [f"a{n}@example.test" for n in range(30)], "bcc": [f"b{n}@example.test" for n in range(30)]},
        {"attachments": [{"filename": "../x", "content": ""}]},
        {"attachments": [{"filename": "x", "content": "a" * 200_001}]},
        {"attachments": [{"filename": "x", "content": "", "content_type": "text/html"}]},
    ],
)
def test_what_is_no_mail_is_refused(tray: Path, inputs: dict[str, Any]) -> None:
    with pytest.raises(StepFailed) as failed:
        call("email.send", LETTER | inputs)
    assert failed.value.code == "INVALID_INPUT" and list(tray.glob("*/*")) == []


def test_the_message_id_follows_from_the_idempotency_key(tray: Path) -> None:
    first = call("email.send", LETTER, context("one"))["message_id"]
    assert first == call("email.send", LETTER, context("one"))["message_id"]
    assert first != call("email.send", LETTER, context("two"))["message_id"] and first.endswith("@acme.test>")


def test_a_server_gets_the_mail_and_the_output_says_who_did_not() -> None:
    box = Mailbox()
    box.replies = {"gone@example.test": "550 Gone"}
    with running(box) as port:
        configure_smtp(port)
        output = call(
            "email.send", LETTER | {"to": ["ada@example.test"], "bcc": ["gone@example.test", "eve@example.test"]}
        )
    assert output["via"] == "smtp" and output["accepted"] == ["ada@example.test", "eve@example.test"]
    assert output["refused"] == [{"address": "gone@example.test", "code": 550, "message": "Gone"}]
    (envelope,) = box.envelopes
    assert envelope.rcpt_tos == ["ada@example.test", "eve@example.test"] and b"eve@" not in envelope.content
    assert output["message_id"].encode() in envelope.content


@pytest.mark.parametrize(
    ("lines", "category", "code"),
    [
        ([b"421 Busy\r\n"], TRANSIENT, "MAIL_DELAYED"),
        ([b"554 Never\r\n"], "ActionError", "MAIL_REFUSED"),
        (
            [b"220 a\r\n", b"250 a\r\n", b"250 a\r\n", b"250 a\r\n", b"354 a\r\n"],
            UNKNOWN,
            "MAIL_OUTCOME_UNKNOWN",
        ),
    ],
)
def test_a_failure_says_whether_trying_again_is_safe(
    monkeypatch: pytest.MonkeyPatch, lines: list[bytes], category: str, code: str
) -> None:
    monkeypatch.setattr(mail, "STEP_SECONDS", 0.5)
    with saying(lines, then="drop after the body" if len(lines) > 1 else "drop") as port:
        configure_smtp(port)
        with pytest.raises(StepFailed) as failed:
            call("email.send", LETTER)
    assert (failed.value.category, failed.value.code) == (category, code)
    hint = find_action("email.send", 1).retry_hint
    assert hint and hint.is_due_after(1, category) is (category == TRANSIENT)


def test_an_installation_without_mail_says_what_to_set() -> None:
    with pytest.raises(StepFailed, match="CARILLON_SMTP_URL") as failed:
        call("email.send", LETTER)
    assert failed.value.code == "MAIL_NOT_CONFIGURED"


# notifications.send


def told(db: Any) -> dict[str, str | None]:
    return {row.title: row.link for row in db.scalars(select(Notification))}


def test_members_are_told_by_id_address_and_role_and_each_once(db: Any) -> None:
    acme = a_tenant("acme")
    alice, bob = a_user(acme, "alice@acme.test"), a_user(acme, "bob@acme.test", "viewer")
    charlie = a_user(a_tenant("globex"), "charlie@globex.test")
    recipients = {
        "user_ids": [str(alice.id), str(charlie.id), "nonsense"],
        "emails": ["ALICE@acme.test", "charlie@globex.test"],
        "roles": ["viewer"],
    }
    output = call(
        "notifications.send", {"recipients": recipients, "title": "Done", "link": "/runs"}, context(tenant_id=acme.id)
    )
    rows = list(db.scalars(select(Notification)))
    assert {row.user_id for row in rows} == {alice.id, bob.id} and len(rows) == 2
    assert sorted(output["notification_ids"]) == sorted(str(row.id) for row in rows)
    assert output["delivered_count"] == 2
    assert output["unknown_recipients"] == [str(charlie.id), "nonsense", "charlie@globex.test"]
    assert {(row.severity, row.link, row.created_at) for row in rows} == {("info", "/runs", AT)}


def test_the_same_key_tells_nobody_twice(db: Any) -> None:
    acme = a_tenant("acme")
    a_user(acme, "alice@acme.test")
    inputs = {"recipients": {"roles": ["admin"]}, "title": "Done", "dedupe_key": "month 3"}
    counts = [call("notifications.send", inputs, context(tenant_id=acme.id))["delivered_count"] for _ in range(2)]
    assert counts == [1, 0]


def test_telling_nobody_fails(db: Any) -> None:
    acme = a_tenant("acme")
    with pytest.raises(StepFailed) as failed:
        call(
            "notifications.send", {"recipients": {"emails": ["x@y.test"]}, "title": "Done"}, context(tenant_id=acme.id)
        )
    assert failed.value.code == "NO_RECIPIENT"


@pytest.mark.parametrize(
    "link", ["https://evil.test", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/a\nb", "/a\n"]
)
def test_a_link_leads_nowhere_else(db: Any, link: str) -> None:
    inputs = {"recipients": {"roles": ["admin"]}, "title": "Done", "link": link}
    with pytest.raises(StepFailed) as failed:
        call("notifications.send", inputs)
    assert failed.value.code == "INVALID_INPUT" and told(db) == {}
