"""Calls of http.request as a step makes them, and what an installation allows them to reach."""

from __future__ import annotations

import socket
from typing import Any
from uuid import UUID

import pytest

from domain.engine.actions.action import ActionContext
from domain.engine.actions.registry import find_action
from domain.engine.failures import StepFailed
from domain.kernel.outbound import rules
from domain.kernel.outbound.rules import Rules, parse_places, parse_ports
from tests.domain.engine.engine_runs import NOW

LOCAL = "127.0.0.0/8"


def request(url: str, *, key: str = "key-1", attempt: int = 1, **inputs: Any) -> dict[str, Any]:
    action = find_action("http.request", 1)
    action.check_inputs({"url": url, **inputs})
    ids = [UUID(int=number) for number in (1, 2, 3)]
    return action.call({"url": url, **inputs}, ActionContext(*ids, "root.steps[0]", "", attempt, key, NOW))


def failure(url: str, **inputs: Any) -> StepFailed:
    with pytest.raises(StepFailed) as failed:
        request(url, **inputs)
    return failed.value


def allow(monkeypatch: pytest.MonkeyPatch, *, places: str = "", deny: str = "", ports: str = "") -> None:
    monkeypatch.setattr(rules, "_rules", Rules(parse_places(places), parse_places(deny), parse_ports(ports)))


def resolve_to(monkeypatch: pytest.MonkeyPatch, *answers: list[tuple[str, int]]) -> list[str]:
    """Lookups answer these in turn, the last one again and again; gives the list of names looked up."""
    asked: list[str] = []

    def looked_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        places = answers[min(len(asked), len(answers)) - 1]
        families = (socket.AF_INET6 if ":" in address else socket.AF_INET for address, _ in places)
        return [(family, socket.SOCK_STREAM, 6, "", place) for family, place in zip(families, places, strict=True)]

    monkeypatch.setattr("domain.kernel.outbound.resolving.socket.getaddrinfo", looked_up)
    return asked
