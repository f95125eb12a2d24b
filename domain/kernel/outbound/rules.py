"""What this installation lets workflows reach: every public address on the usual ports, unless it says otherwise.

Allowed places may be reached although they are private or denied, denied ones never otherwise. So a strict list is
`CARILLON_HTTP_DENY="0.0.0.0/0 ::/0"` with the allowed places beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import httpx

from domain.kernel.outbound.addresses import PUBLIC, SPECIAL, Address, Network, kind, plain
from domain.kernel.outbound.faults import NotAllowed

if TYPE_CHECKING:
    from domain.kernel.config import Config

PORTS = frozenset({80, 443})
MAX_URL_CHARACTERS = 8_000
_NAME = re.compile(r"(?=.{1,253}\.?\Z)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*\.?")
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\.?")


@dataclass(frozen=True)
class Places:
    """Host names, in small letters and without a dot at the end, and ranges of addresses."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    def has_name(self, host: str) -> bool:
        """Whether the host is named here."""
        return host in self.names

    def has_address(self, address: Address) -> bool:
        """Whether the address is in a range; what stands for an IPv4 address is judged as that too."""
        return any(one in network for network in self.networks for one in (address, plain(address)))


@dataclass(frozen=True)
class Rules:
    """`ports` beside 80 and 443."""

    allow: Places = field(default_factory=Places)
    deny: Places = field(default_factory=Places)
    ports: frozenset[int] = frozenset()

    def permits(self, host: str, address: Address) -> bool:
        """Whether a request for `host` may go to one of the addresses that it has."""
        if self.allow.has_address(address):
            return True
        if self.allow.has_name(host):
            return kind(address) != SPECIAL
        return kind(address) == PUBLIC and not self.deny.has_name(host) and not self.deny.has_address(address)


_rules = Rules()


def configure_outbound(config: Config) -> None:
    """Set the rules of this process."""
    global _rules
    _rules = Rules(parse_places(config.http_allow), parse_places(config.http_deny), parse_ports(config.http_ports))


def current_rules() -> Rules:
    """The rules of this process."""
    return _rules


def parse_places(text: str) -> Places:
    """Names, addresses and ranges (CIDR), with commas or blanks between them. Raises ValueError to follow the name."""
    names, networks = set(), []
    for word in text.replace(",", " ").lower().split():
        try:
            networks.append(ip_network(word))
        except ValueError:
            if "/" in word or not _NAME.fullmatch(word) or _is_number(word):
                raise ValueError(f"holds {word!r}, which is neither a host name, an address nor a range") from None
            names.add(word.rstrip("."))
    return Places(frozenset(names), tuple(networks))


def parse_ports(text: str) -> frozenset[int]:
    """Numbers of ports, with commas or blanks between them. Raises ValueError to follow the name."""
    words = text.replace(",", " ").split()
    if not all(word.isascii() and word.isdigit() and 1 <= int(word) <= 65_535 for word in words):
        raise ValueError("holds numbers of ports from 1 to 65535, with commas between them")
    return frozenset(map(int, words))


def checked_url(text: str, query: dict[str, Any] | None = None, *, is_trusted: bool = False) -> httpx.URL:
    """The address with `query` added to it. Raises NotAllowed when its form is not one that is asked.

    A trusted one may have any port.
    """
    try:
        url = httpx.URL(text)
        url = url.copy_merge_params(query) if query else url
    except (httpx.InvalidURL, ValueError):
        raise NotAllowed("This is not the address of a web page.") from None
    if url.scheme not in ("http", "https"):
        raise NotAllowed("An address begins with http:// or https://.")
    if url.userinfo or "\\" in text:
        raise NotAllowed("An address holds neither a user name nor a backslash. Send credentials in a header.")
    if len(str(url)) > MAX_URL_CHARACTERS:
        raise NotAllowed(f"An address has at most {MAX_URL_CHARACTERS:,} characters.")
    host = host_of(url)
    if not _is_address(host) and (not _NAME.fullmatch(host) or _is_number(host)):
        raise NotAllowed("This is not the address of a web page: the name of the host is not one.")
    if not is_trusted and port_of(url) not in PORTS | _rules.ports:
        raise NotAllowed(f"Port {port_of(url)} is not one that this installation lets workflows ask.")
    return url


def host_of(url: httpx.URL) -> str:
    """The host in ASCII and small letters, without the dot at the end."""
    return url.raw_host.decode("ascii").lower().rstrip(".")


def port_of(url: httpx.URL) -> int:
    """The port, given or usual."""
    return url.port if url.port is not None else {"http": 80, "https": 443}[url.scheme]


def _is_address(host: str) -> bool:
    try:
        return not getattr(ip_address(host), "scope_id", None)
    except ValueError:
        return False


def _is_number(name: str) -> bool:
    # Resolvers read 127.1, 2130706433 and 0x7f.1 as addresses; no host is called like that (WHATWG URL §3.5).
    return _NUMBER.fullmatch(name.rstrip(".").rpartition(".")[2]) is not None
