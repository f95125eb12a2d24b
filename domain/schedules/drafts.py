"""What someone wants a schedule to be, as typed, and whether it can be that: every problem at its field, at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.kernel.names import parse_name
from domain.schedules.schedules import timing_of
from domain.timing.cron import check_frequency
from domain.timing.fields import parse_cron
from domain.timing.timing import Timing, check_run_at, check_window
from domain.timing.zones import parse_instant, parse_local, parse_zone
from domain.workflows.built_in_schemas import is_clock_ref
from domain.workflows.payload_secrets import stored_problems, taken_payload
from domain.workflows.versions import WorkflowVersion

OVERLAPS, CATCH_UPS = ("queue", "skip", "allow"), ("latest", "all", "skip")
DST_GAPS, DST_REPEATS = ("after", "skip"), ("first", "both")
MAX_LATENESS_SECONDS = 30 * 86_400
MAX_SPREAD_SECONDS = 3_600
PAYLOAD_MAX_BYTES = 256_000

Value = TypeVar("Value")


@dataclass(frozen=True)
class ScheduleDraft:
    """A schedule as typed. Paths of problems are these names in camelCase.

    `run_at`: ISO 8601 with an offset; or `run_at_local`: a wall time in `timezone`. `payload`: a JSON object or its text.
    """

    workflow_id: UUID | None = None
    name: Any = ""
    trigger_type: Any = "recurring"
    run_at: Any = None
    run_at_local: Any = None
    cron: Any = None
    timezone: Any = "UTC"
    payload: Any = field(default_factory=dict)
    enabled: bool = True
    overlap: Any = "queue"
    catch_up: Any = "latest"
    starts_at: Any = None
    ends_at: Any = None
    max_lateness_seconds: Any = None
    spread_seconds: Any = 0
    dst_gap: Any = "after"
    dst_repeat: Any = "first"
    external_key: Any = None


class Checks:
    """Runs checks one after the other and keeps their problems instead of stopping at the first."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def attempt(self, check: Callable[[], Value], fallback: Any = None, path: str | None = None) -> Value | Any:
        """The value of `check`, or `fallback` when it is refused; `path` renames where the problem is shown."""
        try:
            return check()
        except Refused as refused:
            self.problems += [Problem(path or p.path, p.message, p.code) for p in refused.problems]
            return fallback

    def refuse(self, path: str, message: str, code: str = "INVALID") -> None:
        self.problems.append(Problem(path, message, code))

    def finish(self) -> None:
        """Raise Refused with everything that was found, if anything was."""
        if self.problems:
            raise Refused(self.problems)


def checked_columns(
    draft: ScheduleDraft,
    version: WorkflowVersion | None,
    now: datetime,
    min_interval_seconds: int = 60,
    stored_payload: Any = None,
) -> dict[str, Any]:
    """The columns that the draft stands for, secrets in the payload sealed. Raises Refused with every problem.

    `version`: what the payload is checked with; None when there is none, which the caller has refused already.
    `stored_payload`: what kept marks in the payload stand for.
    """
    checks = Checks()
    columns: dict[str, Any] = {"name": checks.attempt(lambda: parse_name(draft.name, "name"))}
    columns |= _timing_columns(draft, now, min_interval_seconds, checks)
    columns |= _policy_columns(draft, checks)
    columns["external_key"] = _external_key(draft, checks)
    columns["payload_json"] = checks.attempt(lambda: checked_payload(draft.payload, version, stored_payload))
    checks.finish()
    return columns


def typed_timing(draft: ScheduleDraft, now: datetime, min_interval_seconds: int = 60) -> Timing | None:
    """The timing of a draft; None while it is refused. Nothing else of the draft is looked at."""
    checks = Checks()
    columns = _timing_columns(draft, now, min_interval_seconds, checks)
    if checks.problems or draft.dst_gap not in DST_GAPS or draft.dst_repeat not in DST_REPEATS:
        return None
    return timing_of(SimpleNamespace(dst_gap=draft.dst_gap, dst_repeat=draft.dst_repeat, **columns))


def payload_refusals(version: WorkflowVersion, payload: Any) -> list[Problem]:
    """Why a stored payload does not fit the version it would run on; empty for one that is given the clock contract."""
    if is_clock_ref(version.payload_schema_ref):
        return []
    found = stored_problems(version.tenant_id, version.payload_schema, payload)
    return [Problem(f"payload{p.path}", p.message, p.code) for p in found]


def checked_payload(payload: object, version: WorkflowVersion | None, stored: Any = None) -> Any:
    """The payload to store, secrets sealed; `payload`: an object or its JSON text. Raises Refused at `payload…`."""
    if isinstance(payload, str | bytes):
        payload = strict_json.loads(payload or "{}", path="payload", max_bytes=PAYLOAD_MAX_BYTES)
    else:
        strict_json.check_value(payload, path="payload", max_bytes=PAYLOAD_MAX_BYTES)
    if not isinstance(payload, dict):
        raise Refused.at("payload", "The payload must be a JSON object, in curly braces.", "PAYLOAD_NOT_OBJECT")
    if version is None:
        return payload
    schema = None if is_clock_ref(version.payload_schema_ref) else version.payload_schema
    return taken_payload(version.tenant_id, schema, payload, stored)


def _timing_columns(draft: ScheduleDraft, now: datetime, least: int, checks: Checks) -> dict[str, Any]:
    timezone = checks.attempt(lambda: parse_zone(draft.timezone))
    columns: dict[str, Any] = {"trigger_type": draft.trigger_type, "timezone": timezone, "run_at": None, "cron": None}
    columns |= {"starts_at": None, "ends_at": None}
    if draft.trigger_type == "schedule":
        if timezone is not None:
            columns["run_at"] = checks.attempt(lambda: _run_at(draft, timezone, now))
    elif draft.trigger_type == "recurring":
        columns |= _recurring_columns(draft, timezone, now, least, checks)
    else:
        checks.refuse("triggerType", "Choose schedule (once) or recurring.", "TRIGGER_TYPE_INVALID")
    return columns


def _run_at(draft: ScheduleDraft, timezone: str, now: datetime) -> datetime:
    if draft.run_at in (None, "") and draft.run_at_local in (None, ""):
        raise Refused.at("runAt", "Choose a date and a time.", "RUN_AT_REQUIRED")
    local = draft.run_at in (None, "")
    run_at = parse_local(draft.run_at_local, timezone) if local else parse_instant(draft.run_at)
    check_run_at(run_at, now)
    return run_at


def _recurring_columns(
    draft: ScheduleDraft, timezone: str | None, now: datetime, least: int, checks: Checks
) -> dict[str, Any]:
    if draft.cron in (None, ""):
        checks.refuse("cron", "Enter when it repeats, for example 0 9 * * 1-5.", "CRON_REQUIRED")
        return {}
    cron = checks.attempt(lambda: parse_cron(draft.cron))
    starts_at = checks.attempt(lambda: _window_edge(draft.starts_at, timezone), path="startsAt")
    ends_at = checks.attempt(lambda: _window_edge(draft.ends_at, timezone), path="endsAt")
    if cron is not None and timezone is not None and not checks.problems:
        checks.attempt(lambda: check_frequency(cron, timezone, now, least))
        checks.attempt(lambda: check_window(Timing.recurring(cron.text, timezone, starts_at, ends_at), now))
    return {"cron": cron.text if cron else None, "starts_at": starts_at, "ends_at": ends_at}


def _window_edge(value: object, timezone: str | None) -> datetime | None:
    if value in (None, ""):
        return None
    text = str(value)
    has_zone = text.endswith(("Z", "z")) or "+" in text[10:] or "-" in text[10:]
    return parse_instant(text) if has_zone or timezone is None else parse_local(text, timezone)


def _policy_columns(draft: ScheduleDraft, checks: Checks) -> dict[str, Any]:
    def one_of(path: str, value: object, allowed: tuple[str, ...]) -> object:
        if value not in allowed:
            checks.refuse(path, f"Choose one of {', '.join(allowed)}.", "CHOICE_INVALID")
        return value

    return {
        "overlap": one_of("overlap", draft.overlap, OVERLAPS),
        "catch_up": one_of("catchUp", draft.catch_up, CATCH_UPS),
        "dst_gap": one_of("dstGap", draft.dst_gap, DST_GAPS),
        "dst_repeat": one_of("dstRepeat", draft.dst_repeat, DST_REPEATS),
        "max_lateness_seconds": _seconds(
            "maxLatenessSeconds", draft.max_lateness_seconds, 1, MAX_LATENESS_SECONDS, None, checks
        ),
        "spread_seconds": _seconds("spreadSeconds", draft.spread_seconds, 0, MAX_SPREAD_SECONDS, 0, checks),
    }


def _seconds(path: str, value: object, least: int, most: int, empty: int | None, checks: Checks) -> int | None:
    if value in (None, ""):
        return empty
    text = str(value).strip()
    is_number = not isinstance(value, bool) and text.isascii() and text.isdigit() and len(text) <= 12
    if not is_number or not least <= int(text) <= most:
        checks.refuse(path, f"Enter a whole number of seconds from {least} to {most}.", "NUMBER_INVALID")
        return empty
    return int(text)


def _external_key(draft: ScheduleDraft, checks: Checks) -> str | None:
    if draft.external_key in (None, ""):
        return None
    return checks.attempt(lambda: parse_name(draft.external_key, "externalKey"))
