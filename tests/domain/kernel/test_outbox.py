"""Mail that is kept in files because there is no mail server."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from uuid import UUID

import pytest

from domain.kernel import outbox
from domain.kernel.errors import NotFound
from domain.kernel.mail import MailDelayed
from tests.servers import plain_config

ACME, GLOBEX = UUID(int=1), UUID(int=2)


@pytest.fixture(autouse=True)
def _configured(tmp_path: Path) -> Iterator[None]:
    outbox.configure_mail(replace(plain_config(), outbox_dir=str(tmp_path / "outbox")))
    yield
    outbox.configure_mail(plain_config())


def post(key: str, subject: str = "Invoice", **more: str) -> str:
    message = EmailMessage(policy=SMTP)
    message["To"] = "Ada <ada@example.test>"
    message["Subject"] = subject
    message.set_content(more.get("text", "Grüße"))
    if "html" in more:
        message.add_alternative(more["html"], subtype="html")
    message.add_attachment("a,b", filename="rows.csv", subtype="csv")
    assert outbox.post_mail(ACME, key, message, ["ada@example.test", "eve@example.test"]) == ("outbox", [])
    return outbox.mail_id(key)


def test_a_mail_is_kept_whole_and_read_as_text() -> None:
    mail = outbox.kept_mail(ACME, post("one", "Rechnung – für Ada", html="<script>alert(1)</script>"))
    assert ("Subject", "Rechnung – für Ada") in mail.headers
    assert ("X-Envelope-To", "ada@example.test, eve@example.test") in mail.headers
    assert (mail.text.strip(), mail.html.strip()) == ("Grüße", "<script>alert(1)</script>")
    assert mail.attachments == [("rows.csv", 4)]


def test_the_list_is_newest_first_and_bounded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ids = [post(f"{number}", f"Number {number}") for number in range(4)]
    for age, one in enumerate(reversed(ids)):
        os.utime(tmp_path / "outbox" / str(ACME) / f"{one}.eml", (1_000_000 - age, 1_000_000 - age))
    monkeypatch.setattr(outbox, "LISTED", 3)
    assert [line.subject for line in outbox.outbox_page(ACME)] == ["Number 3", "Number 2", "Number 1"]
    assert outbox.outbox_page(ACME)[0].recipients == "ada@example.test, eve@example.test"


def test_the_same_key_is_the_same_mail() -> None:
    assert post("one", "First") == post("one", "Second") != post("two")
    assert len(outbox.outbox_page(ACME)) == 2


def test_nobody_else_sees_it(tmp_path: Path) -> None:
    kept = post("one")
    assert outbox.outbox_page(GLOBEX) == []
    with pytest.raises(NotFound):
        outbox.kept_mail(GLOBEX, kept)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "outbox" / str(ACME)).iterdir()]
    assert modes == [0o600]


@pytest.mark.parametrize(
    "asked", ["", "../x", "..", f"../{ACME}/" + "0" * 32, "0" * 32, "0" * 32 + "\n", "A" * 32, "\x00"]
)
def test_only_an_id_leads_to_a_file(asked: str) -> None:
    post("one")
    with pytest.raises(NotFound):
        outbox.kept_mail(ACME, asked)


def test_nothing_half_written_is_left_or_listed(tmp_path: Path) -> None:
    kept = post("one")
    directory = tmp_path / "outbox" / str(ACME)
    (directory / ".half").write_text("half")
    (directory / "notes.eml").write_text("not ours")
    assert [line.id for line in outbox.outbox_page(ACME)] == [kept]


def test_a_directory_that_cannot_be_written_is_a_delay(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file in its place")
    with pytest.raises(MailDelayed, match="outbox"):
        post("one")


def test_without_settings_nothing_is_sent_and_there_is_no_outbox() -> None:
    outbox.configure_mail(plain_config())
    assert not outbox.has_outbox() and outbox.outbox_page(ACME) == []
    with pytest.raises(outbox.MailNotConfigured, match="CARILLON_SMTP_URL"):
        post("one")
    with pytest.raises(NotFound):
        outbox.kept_mail(ACME, "0" * 32)
