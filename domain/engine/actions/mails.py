"""How the inputs of an action become a mail (RFC 5322). Nothing in them can add a header or a recipient."""

from __future__ import annotations

import json
import unicodedata
from datetime import datetime
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from domain.accounts.users import parse_email
from domain.engine.failures import VALIDATION, StepFailed
from domain.kernel.errors import Refused
from domain.kernel.mail import parse_sender

MAX_RECIPIENTS = 50
MAX_ATTACHMENT_BYTES = 200_000
# Lines of any length are encoded, so that every server takes them.
_POLICY = policy.SMTP.clone(cte_type="7bit")
_BREAKING = frozenset({"Cc", "Cs", "Zl", "Zp"})


def addresses(value: str | list[str] | None, name: str) -> list[Address]:
    """The addresses of an input, one text or several. Raises StepFailed (ValidationError) naming the input."""
    texts = [value] if isinstance(value, str) else value or []
    return [_address(text, name) for text in texts]


def check_recipients(recipients: list[str]) -> None:
    """Raises StepFailed (ValidationError) for nobody, and for too many at once."""
    if not recipients:
        raise _invalid("to", "name at least one recipient")
    if len(recipients) > MAX_RECIPIENTS:
        raise _invalid("to", f"at most {MAX_RECIPIENTS} recipients, those of cc and bcc included")


def composed(inputs: dict[str, Any], sender: Address, message_id: str, at: datetime) -> EmailMessage:
    """The mail that the inputs describe; bcc is not part of it. Raises StepFailed (ValidationError)."""
    mail = EmailMessage(policy=_POLICY)
    mail["From"] = sender
    for header, name in (("To", "to"), ("Cc", "cc"), ("Reply-To", "reply_to")):
        if named := addresses(inputs.get(name), name):
            mail[header] = named
    mail["Subject"] = _line(inputs["subject"], "subject")
    mail["Date"] = format_datetime(at)
    mail["Message-ID"] = message_id
    # No answering machine answers a machine (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(inputs["text"])
    if "html" in inputs:
        mail.add_alternative(inputs["html"], subtype="html")
    _attach(mail, inputs.get("attachments", []))
    return mail


def _attach(mail: EmailMessage, attachments: list[dict[str, Any]]) -> None:
    size = 0
    for number, one in enumerate(attachments):
        path, content = f"attachments/{number}", one["content"]
        is_text = isinstance(content, str)
        raw = (content if is_text else json.dumps(content, ensure_ascii=False, indent=2)).encode()
        size += len(raw)
        kind = one.get("content_type", "text/plain" if is_text else "application/json")
        major, _, minor = kind.partition("/")
        mail.add_attachment(raw, maintype=major, subtype=minor, filename=_file_name(one["filename"], path))
    if size > MAX_ATTACHMENT_BYTES:
        raise _invalid("attachments", f"at most {MAX_ATTACHMENT_BYTES:,} bytes together, not {size:,}")


def _address(text: str, name: str) -> Address:
    _line(text, name)
    try:
        address = parse_sender(text)
        parse_email(address.addr_spec)
    except (ValueError, Refused):
        raise _invalid(name, f"{text!r} is not an e-mail address such as ada@example.com") from None
    return address


def _file_name(text: str, path: str) -> str:
    _line(text, path)
    if "/" in text or "\\" in text or text.strip(". ") == "":
        raise _invalid(path, f"{text!r} is not the name of a file")
    return text


def _line(text: str, name: str) -> str:
    """A text that stays within its header: line breaks and what acts like one would begin a header of their own."""
    if any(unicodedata.category(character) in _BREAKING for character in text):
        raise _invalid(name, "line breaks and other control characters are not allowed here")
    return text


def _invalid(name: str, why: str) -> StepFailed:
    return StepFailed(f"The input of email.send does not fit: /{name} {why}.", "INVALID_INPUT", VALIDATION)
