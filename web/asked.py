"""What an address or a form says where no form checks it: anything may stand there, and no row can hold all of it."""

from __future__ import annotations

import hashlib
import re
from datetime import date, timedelta

from flask import request

from domain.kernel.errors import Refused
from domain.kernel.ids import new_id
from domain.timing.zones import parse_local

TEXT_MAX_CHARACTERS = 200
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_KEY = re.compile(r"[A-Za-z0-9 ._:-]{1,64}")


def asked_text(name: str, max_characters: int = TEXT_MAX_CHARACTERS) -> str:
    """A text of the address, shortened, without what no row can hold; empty when it is absent."""
    return request.args.get(name, "").replace("\x00", "").strip()[:max_characters]


def one_of(name: str, known: tuple[str, ...]) -> str:
    """A word of the address that is one of `known`; empty when it is absent or anything else."""
    value = request.args.get(name, "")
    return value if value in known else ""


def asked_wall_time(name: str, zone_name: str) -> str:
    """A local time of the address as a field holds it; a day alone is its begin, or its end where the name is `to`.
    Empty when it is absent or no time of the zone."""
    text = asked_text(name).replace(" ", "T")
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text) + timedelta(days=name == "to")
            text = f"{day.isoformat()}T00:00"
        return text if text and parse_local(text, zone_name) else ""
    except (Refused, ValueError, OverflowError):
        return ""


def request_key(name: str = "request_key") -> str:
    """What makes sending this form twice harmless; a new one when the form brings none, or one that no page of ours made."""
    given = request.form.get(name, "")
    return given if _KEY.fullmatch(given) else str(new_id())


def content_key(name: str = "request_key", beside: tuple[str, ...] = ()) -> str:
    """The key of a form that one may come back to: sent again as it was it is the same request, changed it is another.

    `beside`: fields that do not count.
    """
    left_out = {"csrf_token", name, *beside}
    fields = sorted((field, value) for field, value in request.form.items(multi=True) if field not in left_out)
    return f"{request_key(name)}:{hashlib.sha256(repr(fields).encode()).hexdigest()[:32]}"
