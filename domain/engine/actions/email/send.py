"""Sends a mail through the server of this installation."""

from __future__ import annotations

from typing import Any

from domain.engine.actions.action import OUTSIDE, Action, ActionContext, Example
from domain.engine.actions.mails import MAX_RECIPIENTS, addresses, check_recipients, composed
from domain.engine.actions.schemas import ANY, TEXT, described, object_schema
from domain.engine.failures import ACTION as ACTION_ERROR
from domain.engine.failures import TRANSIENT, UNKNOWN, StepFailed
from domain.engine.retries import Retry
from domain.kernel import outbox
from domain.kernel.errors import DomainError
from domain.kernel.mail import MailDelayed, MailOutcomeUnknown, MailRefused, RefusedRecipient

_ONE = {"type": "string", "minLength": 3, "maxLength": 400}
_ADDRESSES = {"anyOf": [_ONE, {"type": "array", "items": _ONE, "maxItems": MAX_RECIPIENTS}]}
_ATTACHMENT = object_schema(
    ("content_type",),
    filename={"type": "string", "minLength": 1, "maxLength": 128},
    content=described(ANY, "A text, or any value, which is written as JSON."),
    content_type={"enum": ["text/plain", "text/csv", "text/markdown", "application/json"]},
)


def run(inputs: dict[str, Any], context: ActionContext) -> dict[str, Any]:
    named = [one.addr_spec for name in ("to", "cc", "bcc") for one in addresses(inputs.get(name), name)]
    recipients = list(dict.fromkeys(named))
    check_recipients(recipients)
    key = context.idempotency_key or f"{context.run_id} {context.step_path} {context.iteration}"
    try:
        sender = outbox.sender()
        message_id = f"<{outbox.mail_id(key)}@{sender.domain}>"
        mail = composed(inputs, sender, message_id, context.now)
        via, refused = outbox.post_mail(context.tenant_id, key, mail, recipients)
    except (MailDelayed, MailOutcomeUnknown, MailRefused, outbox.MailNotConfigured) as error:
        raise StepFailed(error.message, error.code, _category(error)) from None
    return _told(message_id, recipients, via, refused)


def _category(error: DomainError) -> str:
    if isinstance(error, MailDelayed):
        return TRANSIENT
    return UNKNOWN if isinstance(error, MailOutcomeUnknown) else ACTION_ERROR


def _told(message_id: str, recipients: list[str], via: str, refused: list[RefusedRecipient]) -> dict[str, Any]:
    lost = {one.address for one in refused}
    return {
        "message_id": message_id,
        "via": via,
        "accepted": [address for address in recipients if address not in lost],
        "refused": [{"address": one.address, "code": one.code, "message": one.message} for one in refused],
    }


ACTION = Action(
    id="email.send",
    version=1,
    label="Send a mail",
    category="email",
    description="Sends a mail through the mail server of this installation; without one it is kept in the outbox.",
    input_schema=object_schema(
        ("cc", "bcc", "reply_to", "html", "attachments"),
        to=described(_ADDRESSES, "One address or several: ada@example.com or Ada <ada@example.com>."),
        cc=_ADDRESSES,
        bcc=_ADDRESSES,
        reply_to=_ONE,
        subject={"type": "string", "minLength": 1, "maxLength": 500},
        text=described(TEXT, "What is read where HTML is not shown."),
        html=TEXT,
        attachments={"type": "array", "items": _ATTACHMENT, "maxItems": 10},
    ),
    output_schema=object_schema(
        message_id=TEXT,
        via={"enum": [outbox.SMTP, outbox.OUTBOX]},
        accepted={"type": "array", "items": TEXT},
        refused={"type": "array", "items": object_schema(address=TEXT, code={"type": "integer"}, message=TEXT)},
    ),
    effect=OUTSIDE,
    # Two conversations with a mail server are two mails; only the Message-ID is the same.
    is_idempotent=False,
    retry_hint=Retry(max_attempts=3, retry_on=(TRANSIENT,)),
    example=Example(
        {"to": "ada@example.com", "subject": "Invoice 42 was paid", "text": "705 EUR arrived today."},
        {
            "message_id": "<0f3c5a0b9d1e4c7a8b6d2e1f3a5c7e90@example.com>",
            "via": "smtp",
            "accepted": ["ada@example.com"],
            "refused": [],
        },
    ),
    run=run,
)
