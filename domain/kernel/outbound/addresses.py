"""Which IP addresses lead out into the world, which into somebody's own network, and which must never be asked.

Sources: the IANA special-purpose address registries (RFC 6890), RFC 6598 (shared addresses of carriers), RFC 6052
(NAT64), RFC 4291 §2.5.5 (IPv4 in IPv6), and where cloud providers answer with the credentials of a machine.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# SPECIAL addresses can be allowed by a range only, PRIVATE ones by a host name too.
PUBLIC, PRIVATE, SPECIAL = "public", "private", "special"


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


# Metadata of machines at several cloud providers, where it lies inside a range that is harmless otherwise.
_METADATA = _networks("100.100.100.200/32", "168.63.129.16/32", "fd00:ec2::/32", "fd20:ce::/32")
_PRIVATE = _networks(
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "::1/128", "fc00::/7"
)
_SPECIAL_V4 = _networks(
    "0.0.0.0/8",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
# Of IPv6 only this one range leads anywhere, but for protocols, documentation and 6to4 inside it.
_GLOBAL_V6 = ip_network("2000::/3")
_SPECIAL_V6 = _networks("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
_NAT64 = ip_network("64:ff9b::/96")


def plain(address: Address) -> Address:
    """The IPv4 address inside an IPv4-mapped or NAT64 one; any other as it is."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def kind(address: Address) -> str:
    """PUBLIC, PRIVATE or SPECIAL."""
    inner = plain(address)
    if _is_in(inner, _METADATA):
        return SPECIAL
    if _is_in(inner, _PRIVATE):
        return PRIVATE
    if isinstance(inner, IPv4Address):
        return SPECIAL if _is_in(inner, _SPECIAL_V4) else PUBLIC
    return PUBLIC if inner in _GLOBAL_V6 and not _is_in(inner, _SPECIAL_V6) else SPECIAL


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address in network for network in networks)
