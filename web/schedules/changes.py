"""A row of the audit log about a schedule, in words: who did what, and what each field was and became."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.accounts.audit import REFUSED, AuditEntry
from domain.kernel import strict_json
from domain.kernel.errors import Refused
from domain.kernel.ids import parse_id
from domain.kernel.secret_values import KEPT_MARK
from domain.timing.words import absolute, duration_words
from domain.timing.zones import parse_instant
from web.schedules import words

TITLES = {
    "created": "Created",
    "edited": "Edited",
    "paused": "Paused",
    "resumed": "Resumed",
    "deleted": "Deleted",
    "run_now": "Run by hand",
    "skip_next": "Skips the next",
    "backfill": "Backfill started",
    "cancel_backfill": "Backfill canceled",
    "unskip_next": "Skip undone",
}
LABELS = {
    "name": "Name",
    "workflowId": "Workflow",
    "workflowVersion": "Workflow version",
    "isNamed": "Has a name of its own",
    "installId": "Extension",
    "endpointId": "Endpoint",
    "maxAttempts": "Attempts at most",
    "triggerType": "How often",
    "runAt": "Date and time",
    "cron": "Cron pattern",
    "timezone": "Time zone",
    "payload": "Payload",
    "status": "Status",
    "pausedUntil": "Paused until",
    "skipNextAt": "Skips",
    "madeUp": "Missed times made up",
    "from": "From",
    "until": "To",
    "count": "Runs",
    "concurrency": "At a time",
    "canceled": "Runs canceled",
    "overlap": "When the previous run is still going",
    "catchUp": "After an outage",
    "startsAt": "Not before",
    "endsAt": "Not after",
    "maxLatenessSeconds": "At most late",
    "spreadSeconds": "Spread over",
    "dstGap": "When clocks skip its time",
    "dstRepeat": "When clocks repeat its time",
    "externalKey": "External key",
}
TARGETS = ("workflowId", "installId", "endpointId")
_CHOICES = {
    "triggerType": words.TRIGGER,
    "overlap": words.OVERLAP,
    "catchUp": words.CATCH_UP,
    "dstGap": words.DST_GAP,
    "dstRepeat": words.DST_REPEAT,
}
_VALUE_CHARACTERS = 160
_PLACES_MAX = 20
_NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """One field. `before` is empty when the record does not say what it was, `after` when it does not say what it became."""

    label: str
    before: str
    after: str


@dataclass(frozen=True)
class Change:
    """`reason`: what the person gave, or why it was refused. `run_id`: the run that it started."""

    id: UUID
    title: str
    by: str
    at: datetime
    reason: str
    is_refused: bool
    differences: tuple[Difference, ...]
    run_id: UUID | None


def change_of(entry: AuditEntry, timezone: str, now: datetime, targets: Mapping[str, str]) -> Change:
    """`timezone` is that of the schedule, for the instants; `targets` names workflows, installs and endpoints by the text
    of their ids."""
    verb = entry.action.rpartition(".")[2]
    before, after = dict(entry.before or {}), dict(entry.after or {})
    run_id = parse_id(str(after.pop("runId", "")))
    after.pop("backfillId", None)
    tell = _Telling(timezone, now, targets)
    return Change(
        id=entry.id,
        title=TITLES.get(verb) or verb.replace("_", " ").capitalize(),
        by=entry.actor_label,
        at=entry.created_at,
        reason=entry.reason or "",
        is_refused=entry.result == REFUSED,
        differences=tuple(tell.differences(before, after)),
        run_id=run_id,
    )


def told_targets(entries: Iterable[AuditEntry]) -> set[UUID]:
    """The workflows, installs and endpoints whose names the changes need."""
    sides = [side for entry in entries for side in (entry.before or {}, entry.after or {})]
    told = (side.get(name) for side in sides for name in TARGETS)
    return {found for value in told if (found := parse_id(str(value or "")))}


@dataclass(frozen=True)
class _Telling:
    timezone: str
    now: datetime
    targets: Mapping[str, str]

    def differences(self, before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
        found: list[Difference] = []
        for name in sorted({*before, *after}, key=_place):
            if name == "payload" or _is_nested(before.get(name)) or _is_nested(after.get(name)):
                found += _differences_within(name, before, after)
                continue
            old = self._value(name, before[name]) if name in before else ""
            new = self._value(name, after[name]) if name in after else ""
            is_said = old != new if name in before and name in after else _NOTHING not in (old, new)
            if is_said:
                found.append(Difference(LABELS.get(name) or _spoken(name), old, new))
        return found

    def _value(self, name: str, value: Any) -> str:
        if value is None or value in ("", [], {}):
            return _NOTHING
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, list):
            return _plain(", ".join(str(item) for item in value))
        if name in TARGETS:
            return self.targets.get(str(value), str(value))
        if name in _CHOICES:
            return _CHOICES[name].get(str(value), str(value))
        if name.endswith("Seconds") and isinstance(value, int | float):
            return duration_words(value)
        if name in ("from", "until") or name.endswith(("At", "Until")):
            return self._instant(value)
        return str(value).capitalize() if name == "status" else _plain(value)

    def _instant(self, value: Any) -> str:
        try:
            return absolute(parse_instant(value), self.timezone, self.now)
        except Refused:
            return _plain(value)


def _place(name: str) -> tuple[int, str]:
    """Fields stand in the order of LABELS: the database keeps none. Unknown ones come last."""
    known = list(LABELS)
    return (known.index(name) if name in known else len(known), name)


def _is_nested(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(isinstance(item, dict | list) for item in value))


def _differences_within(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Place by place. Secrets read the same before and after: that one was replaced is all that is said of it."""
    label = LABELS.get(name) or _spoken(name)
    is_same = name in before and name in after and before[name] == after[name]
    old, new = ({}, {}) if is_same else (_places_of(before, name), _places_of(after, name))
    places = [*old, *(place for place in new if place not in old)]
    nothing = _NOTHING if name in before and name in after else ""
    told = [
        Difference(f"{label} {place}".strip(), old.get(place, nothing), new.get(place, nothing))
        for place in places
        if old.get(place) != new.get(place)
    ]
    if len(told) > _PLACES_MAX:
        more = Difference(label, "", f"{len(told) - _PLACES_MAX} more places")
        return [*told[:_PLACES_MAX], more]
    return told or [Difference(label, "", "a secret in it was replaced")]


def _places_of(side: Mapping[str, Any], name: str) -> dict[str, str]:
    return dict(_places(side[name])) if name in side else {}


def _places(value: Any, *path: str | int) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict) and value and value != KEPT_MARK:
        for key, member in value.items():
            yield from _places(member, *path, key)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _places(item, *path, index)
    else:
        yield strict_json.pointer(path), _plain(value)


def _plain(value: Any) -> str:
    if value == KEPT_MARK:
        return "a secret, not shown"
    text = value if isinstance(value, str) else strict_json.dumps(value)
    return text if len(text) <= _VALUE_CHARACTERS else f"{text[:_VALUE_CHARACTERS]}…"


def _spoken(name: str) -> str:
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name)
    return spaced.replace("_", " ").strip().capitalize()
