"""Capabilities: what code of an extension may ask of its surroundings. A manifest asks, an admin grants."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from domain.kernel.errors import Problem, Refused

# Every extension has these; nobody needs to grant them.
ALWAYS = {
    "cap:context.read": "Know which tenant, install and version it runs for.",
    "cap:log.emit": "Write lines to its log.",
    "cap:user.read": "Know who asked, when somebody did.",
}
GRANTABLE = {
    "cap:client.read": "Read clients.",
    "cap:http.fetch": "Send requests to other systems.",
    "cap:invoice.manual.create": "Make invoices by hand.",
    "cap:scheduler.manage": "Manage its own schedules.",
    "cap:secrets.get": "Read the secrets of its install.",
    "cap:service.read": "Read services.",
    "cap:storage.kv": "Keep values of its own.",
    "cap:ui.proxy": "Serve parts of its own screens.",
}
KNOWN = ALWAYS | GRANTABLE
MAX_CAPABILITIES = 100


def parse_capabilities(value: Any, path: str = "capabilities") -> list[str]:
    """The names in a JSON array, trimmed, in small letters, each once and in its order. Raises Refused at `path`."""
    if not isinstance(value, list | tuple):
        raise Refused.at(path, "Write the capabilities as an array of names.", "CAPABILITIES_INVALID")
    if len(value) > MAX_CAPABILITIES:
        raise Refused.at(path, f"At most {MAX_CAPABILITIES} capabilities can be named.", "CAPABILITIES_INVALID")
    names = [name.strip().lower() if isinstance(name, str) else "" for name in value]
    problems = [
        Problem(f"{path}/{at}", _unknown(value[at]), "CAPABILITY_UNKNOWN")
        for at, name in enumerate(names)
        if name not in KNOWN
    ]
    if problems:
        raise Refused(problems)
    return list(dict.fromkeys(names))


def to_grant(capabilities: Iterable[str]) -> list[str]:
    """Those that somebody has to grant: without the ones that every extension has."""
    return [name for name in capabilities if name not in ALWAYS]


def parse_grant(value: Any, asked: Iterable[str], path: str = "capabilities") -> list[str]:
    """What an admin grants, in the order of the alphabet: some of what the version asks for. Raises Refused at `path`."""
    granted, asked = to_grant(parse_capabilities(value, path)), set(asked)
    if others := [name for name in granted if name not in asked]:
        message = f"This version does not ask for {', '.join(others)}. Grant only what it asks for."
        raise Refused.at(path, message, "CAPABILITY_NOT_ASKED")
    return sorted(granted)


def provided(granted: Iterable[str], asked: Iterable[str]) -> list[str]:
    """What a call carries as `providers`: what every extension has, and what was granted of what its version asks."""
    asked = set(asked)
    return sorted({*ALWAYS, *(name for name in granted if name in asked)})


def _unknown(name: Any) -> str:
    return f"{str(name)[:80]} is no capability. Known are {', '.join(KNOWN)}."
