"""Where mail goes: through the SMTP server that is configured, else into a file that only its tenant can look at."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_binary_file, policy
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING
from uuid import UUID

from domain.kernel.errors import DomainError, NotFound
from domain.kernel.mail import MailDelayed, RefusedRecipient, SmtpServer, parse_sender, parse_smtp_url, send_mail

if TYPE_CHECKING:
    from domain.kernel.config import Config

SMTP, OUTBOX = "smtp", "outbox"
LOCAL_SENDER = "Carillon <carillon@localhost>"
LISTED = 100
_ID = re.compile("[0-9a-f]{32}")


class MailNotConfigured(DomainError):
    """This installation sends no mail. Its operator sets CARILLON_SMTP_URL and CARILLON_MAIL_FROM to change that."""

    code = "MAIL_NOT_CONFIGURED"


@dataclass(frozen=True)
class _Post:
    server: SmtpServer | None
    sender: Address
    outbox: Path | None


@dataclass(frozen=True)
class KeptMail:
    """A line of the outbox. `sent_at`: when it was written to its file."""

    id: str
    sent_at: datetime
    subject: str
    recipients: str


@dataclass(frozen=True)
class MailView:
    """A kept mail as text: `headers` in their order, `html` as its source, `attachments` as (file name, bytes)."""

    id: str
    headers: list[tuple[str, str]]
    text: str
    html: str
    attachments: list[tuple[str, int]]


_post: list[_Post] = []


def configure_mail(config: Config) -> None:
    """Tell this process where mail goes. Called once when it starts."""
    server = parse_smtp_url(config.smtp_url) if config.smtp_url else None
    outbox = Path(config.outbox_dir) if config.outbox_dir else None
    _post[:] = [_Post(server, parse_sender(config.mail_from or LOCAL_SENDER), outbox)]


def sender() -> Address:
    """Who mail comes from; raises MailNotConfigured where none is sent."""
    return _configured().sender


def has_outbox() -> bool:
    """Whether mail of this installation is kept in files."""
    return bool(_post) and _post[0].server is None and _post[0].outbox is not None


def mail_id(key: str) -> str:
    """What a mail is known by: 32 hexadecimal digits that say nothing about the key."""
    return hashlib.sha256(f"mail {key}".encode()).hexdigest()[:32]


def post_mail(
    tenant_id: UUID, key: str, message: EmailMessage, recipients: Sequence[str]
) -> tuple[str, list[RefusedRecipient]]:
    """Send or keep the message: by which of SMTP and OUTBOX, and the recipients that were refused.

    The same key writes the same file. Raises what `send_mail` does, and MailNotConfigured.
    """
    post = _configured()
    if post.server is not None:
        return SMTP, send_mail(post.server, post.sender.addr_spec, recipients, message)
    if post.outbox is None:
        raise MailNotConfigured
    message["X-Envelope-To"] = ", ".join(recipients)
    try:
        _write(post.outbox / str(tenant_id), f"{mail_id(key)}.eml", message.as_bytes())
    except OSError as error:
        raise MailDelayed(f"The mail could not be written to the outbox: {error.strerror}.") from None
    return OUTBOX, []


def outbox_page(tenant_id: UUID) -> list[KeptMail]:
    """The tenant's kept mails, the newest first, at most `LISTED`."""
    directory = _directory(tenant_id)
    if directory is None or not directory.is_dir():
        return []
    found = [(entry.stat().st_mtime_ns, Path(entry.path)) for entry in os.scandir(directory) if _is_mail(entry.name)]
    return [_line(path, written) for written, path in sorted(found, reverse=True)[:LISTED]]


def kept_mail(tenant_id: UUID, asked_id: str) -> MailView:
    """One kept mail of the tenant. Raises NotFound, also for what is not an id."""
    directory = _directory(tenant_id)
    if directory is None or not _ID.fullmatch(asked_id):
        raise NotFound
    try:
        message = _read(directory / f"{asked_id}.eml")
    except FileNotFoundError:
        raise NotFound from None
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    return MailView(
        asked_id,
        [(name, str(value)) for name, value in message.items()],
        plain.get_content() if plain else "",
        html.get_content() if html else "",
        [(part.get_filename() or "", len(part.get_payload(decode=True) or b"")) for part in message.iter_attachments()],
    )


def _configured() -> _Post:
    if not _post or (_post[0].server is None and _post[0].outbox is None):
        raise MailNotConfigured
    return _post[0]


def _directory(tenant_id: UUID) -> Path | None:
    return _post[0].outbox / str(tenant_id) if has_outbox() and _post[0].outbox else None


def _write(directory: Path, name: str, content: bytes) -> None:
    """Whoever looks sees the whole file or none."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=directory, prefix=".", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            Path(file.name).replace(directory / name)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _is_mail(name: str) -> bool:
    return name.endswith(".eml") and _ID.fullmatch(name.removesuffix(".eml")) is not None


def _read(path: Path) -> EmailMessage:
    with path.open("rb") as file:
        message = message_from_binary_file(file, policy=policy.default)
    assert isinstance(message, EmailMessage), "the policy says so"  # noqa: S101
    return message


def _line(path: Path, written_ns: int) -> KeptMail:
    message = _read(path)
    sent_at = datetime.fromtimestamp(written_ns / 1e9, UTC)
    return KeptMail(path.stem, sent_at, str(message["Subject"] or ""), str(message["X-Envelope-To"] or ""))
