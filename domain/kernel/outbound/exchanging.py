"""One request and its answer: no redirects, no proxies of the environment, no compression, one deadline for all of it.

The name of the host is looked up once, every address it has is checked, and the connection goes to a checked address, so
that a name server which answers differently a second time changes nothing (DNS rebinding).
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpcore
import httpx

from domain.kernel.outbound.connection import PinnedBackend
from domain.kernel.outbound.faults import BadAnswer, NotAllowed, TooLarge, Unreachable
from domain.kernel.outbound.resolving import Deadline, resolved
from domain.kernel.outbound.rules import checked_url, host_of, port_of

_OURS = {"user-agent": "Carillon", "accept": "*/*", "accept-encoding": "identity", "connection": "close"}
RESERVED_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect"}
    | {"accept-encoding"}
)


@dataclass(frozen=True)
class Answer:
    """`headers`: names in small letters; several of one name are joined with commas."""

    status: int
    headers: dict[str, str]
    body: bytes


def exchange(
    method: str,
    url: str,
    headers: dict[str, str],
    content: bytes | None,
    *,
    query: dict[str, Any] | None = None,
    seconds: float,
    max_bytes: int,
    is_trusted: bool = False,
) -> Answer:
    """Ask, and read the whole answer. Raises OutboundError, by its subclass, and nothing else.

    `headers`: in ASCII, none of RESERVED_HEADERS; they win over the few that are sent always. `is_trusted`: the address
    comes from whoever operates this installation, who may name any network and any port.
    """
    deadline = Deadline(seconds)
    address = checked_url(url, query, is_trusted=is_trusted)
    host = host_of(address)
    places = resolved(host, port_of(address), deadline, is_trusted=is_trusted)
    target = httpcore.URL(scheme=address.raw_scheme, host=host, port=port_of(address), target=address.raw_path)
    request = httpcore.Request(method, target, headers=_lines(method, address, headers, content), content=content)
    with httpcore.HTTPConnection(
        target.origin,
        ssl_context=_tls_context() if address.scheme == "https" else None,
        network_backend=PinnedBackend(places, deadline),
    ) as connection:
        try:
            return _answer(connection.handle_request(request), max_bytes)
        except httpcore.LocalProtocolError:
            raise NotAllowed("A header of this request cannot be sent.") from None
        except (httpcore.NetworkError, httpcore.ProtocolError):
            raise Unreachable(f"The connection to {host} broke before the answer was complete.") from None


def _lines(method: str, url: httpx.URL, headers: dict[str, str], content: bytes | None) -> list[tuple[bytes, bytes]]:
    sent = {"host": url.netloc.decode("ascii")} | _OURS | {name.lower(): value for name, value in headers.items()}
    if content is not None or method in ("POST", "PUT", "PATCH"):
        sent["content-length"] = str(len(content or b""))
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in sent.items()]


def _answer(response: httpcore.Response, max_bytes: int) -> Answer:
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers:
        name, value = raw_name.decode("ascii").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if response.status < 200:
        raise BadAnswer("The answer changes the protocol, which nobody asked for.")
    if headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise BadAnswer("The answer is compressed, although it was asked for as it is.")
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > max_bytes:
            raise TooLarge(f"The answer is larger than {max_bytes:,} bytes, which is the most that is read.")
    return Answer(response.status, headers, bytes(body))


@lru_cache(maxsize=1)
def _tls_context() -> ssl.SSLContext:
    # The environment may name the certificates of an installation's own authority (SSL_CERT_FILE), and nothing else.
    return httpx.create_ssl_context()
