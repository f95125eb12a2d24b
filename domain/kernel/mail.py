"""Mail leaves through one SMTP server (RFC 5321). Where an installation has none, it is kept in files instead.

A message is handed over in one conversation with a deadline. Until its body has been sent nothing has happened, and
trying again is safe; once it has been sent and the server says nothing, nobody can know.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from domain.kernel.errors import DomainError

STEP_SECONDS = 10.0
"""How long the server may take for one answer."""
TOTAL_SECONDS = 30.0
"""How long the whole conversation may take, however lively it is."""
DEFAULT_PORTS = {"smtp": 587, "smtps": 465}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
ANSWER_MAX_CHARACTERS = 300


class MailRefused(DomainError):
    """The mail server does not take this message. Correct the addresses or the message."""

    code = "MAIL_REFUSED"


class MailDelayed(DomainError):
    """The mail server does not take messages now. Nothing was sent; try again later."""

    code = "MAIL_DELAYED"


class MailOutcomeUnknown(DomainError):
    """The connection broke after the message had been sent and before the server confirmed it. It may have arrived."""

    code = "MAIL_OUTCOME_UNKNOWN"


@dataclass(frozen=True)
class SmtpServer:
    """`has_tls`: encrypted from the first byte; else STARTTLS is used where the server offers it."""

    host: str
    port: int
    has_tls: bool
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True)
class RefusedRecipient:
    """An address that the server did not take, with its reply."""

    address: str
    code: int
    message: str


def parse_smtp_url(url: str) -> SmtpServer:
    """`smtp://user:password@host:587` or `smtps://…`; raises ValueError, without the address, which holds a password."""
    parts = urlsplit(url)
    try:
        port = parts.port or DEFAULT_PORTS[parts.scheme]
    except (KeyError, ValueError):
        raise ValueError("must look like smtp://user:password@host:587 or smtps://user:password@host:465") from None
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must name a host, and nothing after its port")
    if bool(user) != bool(password) or not f"{user}{password}".isascii():
        raise ValueError("must hold both a user and a password in ASCII, percent-encoded, or neither")
    return SmtpServer(parts.hostname, port, parts.scheme == "smtps", user, password)


def parse_sender(text: str) -> Address:
    """`Carillon <carillon@example.com>` or the bare address; raises ValueError."""
    name, bracket, rest = text.strip().rpartition("<")
    spec = rest.removesuffix(">") if bracket and rest.endswith(">") else text.strip()
    if not text.isprintable() or not spec.isascii() or "@" not in spec.strip("@") or set("<>@") & set(name):
        raise ValueError("must look like Carillon <carillon@example.com>")
    try:
        return Address(display_name=name.strip().strip('"'), addr_spec=spec)
    except Exception:
        # The parser of the standard library raises several kinds of errors, IndexError among them.
        raise ValueError("must look like Carillon <carillon@example.com>") from None


def send_mail(
    server: SmtpServer, sender: str, recipients: Sequence[str], message: EmailMessage
) -> list[RefusedRecipient]:
    """Hand the message over for the recipients; those that the server did not take while it took others.

    Raises MailDelayed and MailRefused when nothing was sent, MailOutcomeUnknown when that cannot be known.
    """
    body = message.as_bytes()
    with _conversation(server) as smtp:
        _check(*smtp.mail(sender, [f"size={len(body)}"] if smtp.has_extn("size") else []))
        refused = _refused_recipients(smtp, recipients)
        try:
            reply = smtp.data(body)
        except smtplib.SMTPDataError as error:
            reply = (error.smtp_code, _bytes(error.smtp_error))
        except (OSError, ValueError):
            raise MailOutcomeUnknown from None
        _check(*reply)
        with suppress(OSError, ValueError):
            smtp.quit()
    return refused


def _refused_recipients(smtp: smtplib.SMTP, recipients: Sequence[str]) -> list[RefusedRecipient]:
    refused = []
    for address in recipients:
        code, text = smtp.rcpt(address)
        if code == 421:
            _check(code, text)
        if code not in (250, 251):
            refused.append(RefusedRecipient(address, code, _printable(text)))
    if len(refused) == len(recipients):
        said = "; ".join(f"{one.address}: {one.code} {one.message}" for one in refused)
        kind = MailDelayed if any(one.code < 500 for one in refused) else MailRefused
        raise kind(f"The mail server took none of the recipients. {said}")
    return refused


@contextmanager
def _conversation(server: SmtpServer) -> Iterator[smtplib.SMTP]:
    """A client that has said hello and signed in. Everything that goes wrong inside is told in our words."""
    smtp = smtplib.SMTP(local_hostname=socket.gethostname(), timeout=STEP_SECONDS)
    try:
        with _cut_off(smtp):
            _begin(smtp, server)
            yield smtp
    except smtplib.SMTPAuthenticationError as error:
        kind = MailDelayed if error.smtp_code < 500 else MailRefused
        raise kind(f"The mail server refused the sign-in of this installation ({error.smtp_code}).") from None
    except smtplib.SMTPResponseException as error:
        raise _negative(error.smtp_code, _bytes(error.smtp_error)) from None
    except (smtplib.SMTPNotSupportedError, ssl.SSLCertVerificationError) as error:
        reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else "it offers no sign-in"
        raise MailRefused(f"{server.host} cannot be used as the mail server: {reason}.") from None
    except (OSError, ValueError) as error:
        took_too_long = isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError)
        reason = "it took too long" if took_too_long else "the connection failed"
        raise MailDelayed(f"The mail server {server.host} did not take the message: {reason}.") from None
    finally:
        smtp.close()


def _begin(smtp: smtplib.SMTP, server: SmtpServer) -> None:
    context = ssl.create_default_context()
    sock = socket.create_connection((server.host, server.port), STEP_SECONDS)
    smtp.sock = sock
    if server.has_tls:
        smtp.sock = context.wrap_socket(sock, server_hostname=server.host)
    # STARTTLS compares the certificate with this name.
    smtp._host = server.host  # type: ignore[attr-defined]
    code, text = smtp.getreply()
    if code != 220:
        raise _negative(code, text)
    smtp.ehlo_or_helo_if_needed()
    is_safe = server.has_tls or server.host in LOOPBACK
    if not server.has_tls and smtp.has_extn("starttls"):
        smtp.starttls(context=context)
        smtp.ehlo_or_helo_if_needed()
        is_safe = True
    if server.user and not is_safe:
        raise MailRefused(f"{server.host} offers no encryption, so the password was not sent. Use smtps:// instead.")
    if server.user:
        smtp.login(server.user, server.password)


@contextmanager
def _cut_off(smtp: smtplib.SMTP) -> Iterator[None]:
    """Ends the connection after `TOTAL_SECONDS`: a server that says a byte now and then never times out by itself."""
    over = threading.Event()

    def watch() -> None:
        if over.wait(TOTAL_SECONDS):
            return
        while True:
            sock = smtp.sock
            if sock is not None:
                with suppress(OSError):
                    # Not that of an encrypted socket, which would take its state away under a reader.
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)
            if over.wait(0.2):
                return

    watcher = threading.Thread(target=watch, name="mail-deadline", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _check(code: int, text: bytes) -> None:
    if not 200 <= code < 300:
        raise _negative(code, text)


def _negative(code: int, text: bytes) -> DomainError:
    kind = MailRefused if code >= 500 else MailDelayed
    return kind(f"The mail server answered {code} {_printable(text)}")


def _printable(text: bytes) -> str:
    said = " ".join(text.decode("utf-8", "replace").split())
    return "".join(character for character in said if character.isprintable())[:ANSWER_MAX_CHARACTERS]


def _bytes(text: bytes | str) -> bytes:
    return text.encode("utf-8", "replace") if isinstance(text, str) else text
