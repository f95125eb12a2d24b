"""What a body says of a change of version: which one, and what becomes of the schedules that miss their endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from domain.extensions.capabilities import parse_capabilities
from domain.extensions.extensions import Extension, ExtensionVersion, published_version
from domain.kernel.errors import NotFound, Problem, Refused
from domain.kernel.ids import parse_id
from web.api.reading import id_in, text_in


def asked_version(extension: Extension, body: Mapping[str, Any], otherwise: str = "") -> ExtensionVersion:
    """The version whose number, or `latest`, is in the body. Raises Refused at `version`."""
    number = text_in(body, "version") or otherwise
    if not number:
        message = "Name the version to install, such as 1.4.0, or latest."
        raise Refused.at("version", message, "VERSION_REQUIRED")
    try:
        return published_version(extension, number)
    except NotFound as missing:
        raise Refused.at("version", missing.message, "VERSION_UNKNOWN") from None


def new_endpoints(body: Mapping[str, Any]) -> dict[UUID, UUID]:
    """`remap`: the endpoints to call, by the schedules that are to call them. Raises Refused at `remap/<schedule>`."""
    value = body.get("remap")
    if value is None:
        return {}
    if not isinstance(value, dict):
        message = "Write an object of ids of endpoints by ids of schedules."
        raise Refused.at("remap", message, "OBJECT_REQUIRED")
    ids = {name: (parse_id(name), parse_id(one) if isinstance(one, str) else None) for name, one in value.items()}
    if faulty := [name for name, pair in ids.items() if None in pair]:
        message = "Write the id of a schedule, and as its value the id of an endpoint of the other version."
        raise Refused(Problem(f"remap/{name[:80]}", message, "ID_INVALID") for name in faulty)
    return {schedule_id: endpoint_id for schedule_id, endpoint_id in ids.values() if schedule_id and endpoint_id}


def missing_to_disable(body: Mapping[str, Any]) -> bool | set[UUID]:
    """`disableMissing`: true for all schedules that miss their endpoint, or the ids of some. Raises Refused there."""
    value = body.get("disableMissing")
    if value is None or isinstance(value, bool):
        return bool(value)
    if not isinstance(value, list):
        message = "Write true, false or an array of ids of schedules."
        raise Refused.at("disableMissing", message, "ARRAY_REQUIRED")
    return {id_in(one, f"disableMissing/{at}") for at, one in enumerate(value)}


def new_grant(body: Mapping[str, Any]) -> list[str]:
    """`grant`: capabilities that an admin agrees to. Raises Refused at those that there are not."""
    value = body.get("grant")
    return [] if value is None else parse_capabilities(value, "grant")
