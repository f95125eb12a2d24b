"""Schedule bundles as documents: how a schedule is written in one, and what a file holds that claims to be one.

A schedule says what it runs by names, never by ids of a database. What was typed as a secret is in no file: the mark
`{"$kept": true}` stands in its place, and means the value that the schedule has already.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.bundles.canonical import canonical_bytes, digest
from domain.bundles.reading import BundleRefused, read_document
from domain.bundles.schedule_schema import FORM, FORMAT, FORMAT_VERSION
from domain.extensions.paths import parse_method, parse_path
from domain.kernel.collecting import seldom_collecting
from domain.kernel.errors import Problem, Refused
from domain.kernel.names import parse_name
from domain.kernel.secret_values import shown
from domain.schedules.drafts import ATTEMPTS, ScheduleDraft
from domain.schedules.schedules import ENDPOINT, WORKFLOW, Schedule
from domain.timing.fields import parse_cron
from domain.timing.zones import parse_instant

Document = dict[str, Any]
_ONCE = "schedule"


@dataclass(frozen=True)
class ScheduleBundle:
    """The schedules of a file in its order, each with every member that was left out."""

    schedules: tuple[Document, ...]

    @property
    def kinds(self) -> frozenset[str]:
        """Of which kinds its schedules are: who may import it depends on that."""
        return frozenset(kind_of(one) for one in self.schedules)

    @property
    def digest(self) -> str:
        return digest(self.schedules)


@seldom_collecting()
def read_schedule_bundle(raw: bytes) -> ScheduleBundle:
    """What a file holds. Raises BundleRefused: for what is no such file, and with DUPLICATE_KEY."""
    document = read_document(raw, FORMAT, FORMAT_VERSION, FORM)
    schedules = tuple(normal_document(one) for one in document["schedules"])
    _check_keys(schedules)
    return ScheduleBundle(schedules)


def written_bundle(schedules: Iterable[Document]) -> bytes:
    """The file with these schedules. The same schedules give the same bytes."""
    ordered = sorted(schedules, key=lambda one: str(one["externalKey"]))
    return canonical_bytes({"format": FORMAT, "formatVersion": FORMAT_VERSION, "schedules": ordered})


def kind_of(document: Mapping[str, Any]) -> str:
    return WORKFLOW if "workflow" in document["target"] else ENDPOINT


def target_words(document: Mapping[str, Any]) -> str:
    """What it runs, for people: a workflow's key, or `com.acme.rmm-sync: POST /api/sync`."""
    target = document["target"]
    if "workflow" in target:
        return str(target["workflow"])
    return f"{target['extension']}: {target['method']} {target['path']}"


def stored_document(schedule: Schedule, key: str, target: Document) -> Document:
    """A stored schedule as it is written; `target`: what it runs, by names."""
    policies = {
        "overlap": schedule.overlap,
        "catchUp": schedule.catch_up,
        "maxLatenessSeconds": schedule.max_lateness_seconds,
        "spreadSeconds": schedule.spread_seconds,
    }
    if schedule.target_kind == ENDPOINT:
        policies["maxAttempts"] = schedule.max_attempts
    return {
        "externalKey": key,
        "name": schedule.name if schedule.is_named else None,
        "target": target,
        "timing": _stored_timing(schedule),
        "payload": shown(schedule.payload_json),
        "policies": policies,
    }


def normal_document(written: Mapping[str, Any]) -> Document:
    """What is written, with defaults for what is left out, and in the words in which it would be stored.

    What cannot be read stays as it is: whoever makes a schedule of it says why.
    """
    is_call = kind_of(written) == ENDPOINT
    policies = {
        "overlap": "skip" if is_call else "queue",
        "catchUp": "latest",
        "maxLatenessSeconds": None,
        "spreadSeconds": 0,
    }
    if is_call:
        policies["maxAttempts"] = ATTEMPTS
    name = written.get("name")
    return {
        "externalKey": _parsed(lambda key: parse_name(key, ""), written["externalKey"]),
        "name": None if name is None else _parsed(lambda one: parse_name(one, ""), name),
        "target": _normal_target(written["target"]),
        "timing": _normal_timing(written["timing"]),
        "payload": written.get("payload", None if is_call else {}),
        "policies": {**policies, **written.get("policies", {})},
    }


def draft_of(document: Mapping[str, Any], ids: Mapping[str, UUID], *, enabled: bool) -> ScheduleDraft:
    """What a normal document asks for; `ids`: of its target, by the names of the draft's fields."""
    timing, policies = document["timing"], document["policies"]
    return ScheduleDraft(
        name=document["name"] or "",
        trigger_type=timing["triggerType"],
        run_at=timing.get("runAt"),
        cron=timing.get("cron"),
        timezone=timing["timezone"],
        starts_at=timing.get("startsAt"),
        ends_at=timing.get("endsAt"),
        dst_gap=timing.get("dstGap", "after"),
        dst_repeat=timing.get("dstRepeat", "first"),
        payload=document["payload"],
        enabled=enabled,
        overlap=policies["overlap"],
        catch_up=policies["catchUp"],
        max_lateness_seconds=policies["maxLatenessSeconds"],
        spread_seconds=policies["spreadSeconds"],
        max_attempts=policies.get("maxAttempts"),
        external_key=document["externalKey"],
        **ids,
    )


def is_over(document: Mapping[str, Any], now: datetime) -> bool:
    """Whether its one time, or the end of its window, has passed: nothing can be due any more."""
    last = document["timing"].get("runAt") or document["timing"].get("endsAt")
    try:
        return last is not None and parse_instant(last) <= now
    except Refused:
        return False


def _stored_timing(schedule: Schedule) -> Document:
    timing: Document = {"triggerType": schedule.trigger_type, "timezone": schedule.timezone}
    if schedule.trigger_type == _ONCE:
        return timing | {"runAt": _text(schedule.run_at)}
    return timing | {
        "cron": schedule.cron,
        "startsAt": _text(schedule.starts_at),
        "endsAt": _text(schedule.ends_at),
        "dstGap": schedule.dst_gap,
        "dstRepeat": schedule.dst_repeat,
    }


def _normal_timing(written: Mapping[str, Any]) -> Document:
    timing: Document = {"triggerType": written["triggerType"], "timezone": written["timezone"]}
    if written["triggerType"] == _ONCE:
        return timing | {"runAt": _instant(written["runAt"])}
    return timing | {
        "cron": _parsed(lambda text: parse_cron(text).text, written["cron"]),
        "startsAt": _instant(written.get("startsAt")),
        "endsAt": _instant(written.get("endsAt")),
        "dstGap": written.get("dstGap", "after"),
        "dstRepeat": written.get("dstRepeat", "first"),
    }


def _normal_target(written: Mapping[str, Any]) -> Document:
    if "workflow" in written:
        return dict(written)
    called = {"method": _parsed(parse_method, written["method"]), "path": _parsed(parse_path, written["path"])}
    return {**written, **called}


def _instant(written: Any) -> Any:
    return None if written is None else _parsed(lambda text: _text(parse_instant(text)), written)


def _text(instant: datetime | None) -> str | None:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ") if instant else None


def _parsed(parse: Callable[[Any], Any], written: Any) -> Any:
    try:
        return parse(written)
    except Refused:
        return written


def _check_keys(schedules: tuple[Document, ...]) -> None:
    times = Counter(str(one["externalKey"]) for one in schedules)
    twice = [key for key, count in times.items() if count > 1]
    if not twice:
        return
    problems = [
        Problem(f"/schedules/{index}/externalKey", "Another schedule of the file has this key.", "DUPLICATE_KEY")
        for index, one in enumerate(schedules)
        if one["externalKey"] in twice
    ]
    message = f"The file has more than one schedule with the key {twice[0]}. Keep one of them."
    raise BundleRefused("DUPLICATE_KEY", message, {"keys": sorted(twice)}, problems)
