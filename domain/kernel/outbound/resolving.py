"""Finding the addresses of a host, once, in bounded time, and only if every one of them may be asked."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from domain.kernel.clock import monotonic
from domain.kernel.outbound.faults import NotAllowed, TooSlow, Unreachable
from domain.kernel.outbound.rules import current_rules

RESOLVERS = 16
# A resolver that hangs holds its thread until it gives up by itself; nobody waits for it longer than asked.
_resolvers = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")


class Deadline:
    """The moment at which an exchange has to be over, whatever it is doing."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends_at = monotonic() + seconds

    def left(self) -> float:
        """The seconds until then. Raises TooSlow when none are left."""
        left = self._ends_at - monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> TooSlow:
        """The error that says so."""
        return TooSlow(f"There was no complete answer within {self._seconds:g} s.")


@dataclass(frozen=True)
class Place:
    """Where a connection goes: an address of the host as the resolver gave it."""

    family: socket.AddressFamily
    address: tuple[Any, ...]


def resolved(host: str, port: int, deadline: Deadline, *, is_trusted: bool = False) -> list[Place]:
    """The places of a host, all of which may be asked. Raises NotAllowed when any may not, Unreachable, TooSlow.

    Those of a trusted host may all be asked.
    """
    try:
        found = _resolvers.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM).result(deadline.left())
    except TookTooLong:
        raise deadline.passed() from None
    except (OSError, UnicodeError):
        raise Unreachable(f"The name {host} cannot be resolved.") from None
    rules = current_rules()
    for _family, _type, _protocol, _name, address in found:
        if not is_trusted and not rules.permits(host, ip_address(str(address[0]).partition("%")[0])):
            raise NotAllowed(f"{host} is not a host that this installation lets workflows ask.")
    places = [Place(family, tuple(address)) for family, _type, _protocol, _name, address in found]
    if not places:
        raise Unreachable(f"The name {host} has no address.")
    return list(dict.fromkeys(places))
