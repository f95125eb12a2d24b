"""What someone wants a schedule to be, as typed, and whether it can be that: every problem at its field, at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, TypeVar
from uuid import UUID

from domain.extensions.settings import limits
from domain.kernel.errors import Problem, Refused
from domain.kernel.names import parse_name
from domain.schedules.payloads import endpoint_payload, workflow_payload
from domain.schedules.schedules import timing_of
from domain.schedules.targets import EndpointTarget, Target
from domain.timing.cron import check_frequency
from domain.timing.fields import parse_cron
from domain.timing.timing import Timing, check_run_at, check_window
from domain.timing.zones import parse_instant, parse_local, parse_zone

OVERLAPS, CATCH_UPS = ("queue", "skip", "allow"), ("latest", "all", "skip")
DST_GAPS, DST_REPEATS = ("after", "skip"), ("first", "both")
MAX_LATENESS_SECONDS = 30 * 86_400
MAX_SPREAD_SECONDS = 3_600
ATTEMPTS, ATTEMPTS_MAX = 3, 10

# What of a draft says when it is due.
_TYPED_TIMING = (
    "trigger_type", "run_at", "run_at_local", "cron", "timezone", "starts_at", "ends_at", "dst_gap", "dst_repeat",
)  # fmt: skip

Timings = dict[tuple[Any, ...], dict[str, Any]]
"""The columns of timings that were checked already, by what was typed."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class ScheduleDraft:
    """A schedule as typed, of a workflow or, with an install or an endpoint, of an endpoint. Paths of problems are these
    names in camelCase.

    `run_at`: ISO 8601 with an offset; or `run_at_local`: a wall time in `timezone`. `payload`: JSON or its text, `overlap`:
    one of OVERLAPS; None is what its kind has by default. `name`: an endpoint's schedule may go without one.
    `install_id`: may be left out, an endpoint has one.
    """

    workflow_id: UUID | None = None
    name: Any = ""
    trigger_type: Any = "recurring"
    run_at: Any = None
    run_at_local: Any = None
    cron: Any = None
    timezone: Any = "UTC"
    payload: Any = None
    enabled: bool = True
    overlap: Any = None
    catch_up: Any = "latest"
    starts_at: Any = None
    ends_at: Any = None
    max_lateness_seconds: Any = None
    spread_seconds: Any = 0
    dst_gap: Any = "after"
    dst_repeat: Any = "first"
    external_key: Any = None
    install_id: UUID | None = None
    endpoint_id: UUID | None = None
    max_attempts: Any = ATTEMPTS

    @property
    def is_endpoint(self) -> bool:
        """Whether it is about an extension's endpoint, also while none is chosen yet."""
        return self.install_id is not None or self.endpoint_id is not None

    @property
    def overlap_wanted(self) -> Any:
        """What was chosen, or the default: what a workflow is too slow for waits, and calls are skipped."""
        if self.overlap is not None:
            return self.overlap
        return "skip" if self.is_endpoint else "queue"

    def least_interval(self, min_interval_seconds: int) -> int:
        """How many seconds must lie between two of its instants; `min_interval_seconds` holds for every schedule."""
        return max(min_interval_seconds, limits().min_interval_seconds if self.is_endpoint else 0)


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
    target: Target | None,
    now: datetime,
    min_interval_seconds: int = 60,
    stored_payload: Any = None,
    timings: Timings | None = None,
) -> dict[str, Any]:
    """The columns that the draft stands for, secrets in the payload sealed. Raises Refused with every problem.

    `target`: what it is for; None when there is none, which the caller has refused already. `stored_payload`: what kept
    marks in the payload stand for. `timings`: those that were found good with the same `now` and least interval, for
    whoever checks many drafts.
    """
    checks = Checks()
    columns = _name_columns(draft, target, checks)
    columns |= _timing_columns(draft, now, min_interval_seconds, checks, timings)
    columns |= _policy_columns(draft, checks)
    columns["external_key"] = _external_key(draft, checks)
    columns["payload_json"] = checks.attempt(lambda: checked_payload(draft, target, stored_payload))
    checks.finish()
    return columns


def typed_timing(draft: ScheduleDraft, now: datetime, min_interval_seconds: int = 60) -> Timing | None:
    """The timing of a draft; None while it is refused. Nothing else of the draft is looked at."""
    checks = Checks()
    columns = _timing_columns(draft, now, min_interval_seconds, checks)
    if checks.problems or draft.dst_gap not in DST_GAPS or draft.dst_repeat not in DST_REPEATS:
        return None
    return timing_of(SimpleNamespace(dst_gap=draft.dst_gap, dst_repeat=draft.dst_repeat, **columns))


def checked_payload(draft: ScheduleDraft, target: Target | None, stored: Any = None) -> Any:
    """The payload to store, secrets sealed; `stored` is what kept marks in it stand for. Raises Refused at `payload…`."""
    if isinstance(target, EndpointTarget) or draft.is_endpoint:
        return endpoint_payload(draft.payload, target if isinstance(target, EndpointTarget) else None, stored)
    return workflow_payload(draft.payload, target, stored)


def _name_columns(draft: ScheduleDraft, target: Target | None, checks: Checks) -> dict[str, Any]:
    """An endpoint's schedule without a name is called what it calls."""
    if draft.is_endpoint and (draft.name is None or not str(draft.name).strip()):
        return {"name": target.label if target else "", "is_named": False}
    return {"name": checks.attempt(lambda: parse_name(draft.name, "name")), "is_named": True}


def _timing_columns(
    draft: ScheduleDraft, now: datetime, least: int, checks: Checks, timings: Timings | None = None
) -> dict[str, Any]:
    """Many drafts have few timings between them: what is good for one is for all."""
    if timings is None:
        return _checked_timing(draft, now, least, checks)
    typed = (draft.is_endpoint, *(getattr(draft, name) for name in _TYPED_TIMING))
    if typed in timings:
        return timings[typed]
    columns = _checked_timing(draft, now, least, checks)
    if not checks.problems:
        timings[typed] = columns
    return columns


def _checked_timing(draft: ScheduleDraft, now: datetime, least: int, checks: Checks) -> dict[str, Any]:
    timezone = checks.attempt(lambda: parse_zone(draft.timezone))
    columns: dict[str, Any] = {"trigger_type": draft.trigger_type, "timezone": timezone, "run_at": None, "cron": None}
    columns |= {"starts_at": None, "ends_at": None}
    if draft.trigger_type == "schedule":
        if timezone is not None:
            columns["run_at"] = checks.attempt(lambda: _run_at(draft, timezone, now))
    elif draft.trigger_type == "recurring":
        columns |= _recurring_columns(draft, timezone, now, draft.least_interval(least), checks)
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
        changes = {"dst_gap": draft.dst_gap, "dst_repeat": draft.dst_repeat}
        checks.attempt(lambda: check_frequency(cron, timezone, now, least, **changes))
        if ends_at is not None:
            checks.attempt(lambda: check_window(Timing.recurring(cron, timezone, starts_at, ends_at), now))
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
        "overlap": one_of("overlap", draft.overlap_wanted, OVERLAPS),
        "catch_up": one_of("catchUp", draft.catch_up, CATCH_UPS),
        "dst_gap": one_of("dstGap", draft.dst_gap, DST_GAPS),
        "dst_repeat": one_of("dstRepeat", draft.dst_repeat, DST_REPEATS),
        "max_lateness_seconds": _seconds(
            "maxLatenessSeconds", draft.max_lateness_seconds, 1, MAX_LATENESS_SECONDS, None, checks
        ),
        "spread_seconds": _seconds("spreadSeconds", draft.spread_seconds, 0, MAX_SPREAD_SECONDS, 0, checks),
        "max_attempts": parse_attempts(draft, checks),
    }


def parse_attempts(draft: ScheduleDraft, checks: Checks) -> int:
    """How often a call is tried at most, from 1 to ATTEMPTS_MAX; empty for ATTEMPTS."""
    span = (1, ATTEMPTS_MAX)
    return _whole("maxAttempts", draft.max_attempts, span, ATTEMPTS, "how often it is tried,", checks) or ATTEMPTS


def _seconds(path: str, value: object, least: int, most: int, empty: int | None, checks: Checks) -> int | None:
    return _whole(path, value, (least, most), empty, "a whole number of seconds", checks)


def _whole(path: str, value: object, span: tuple[int, int], empty: int | None, what: str, checks: Checks) -> int | None:
    if value in (None, ""):
        return empty
    text = str(value).strip()
    is_number = not isinstance(value, bool) and text.isascii() and text.isdigit() and len(text) <= 12
    if not is_number or not span[0] <= int(text) <= span[1]:
        checks.refuse(path, f"Enter {what} from {span[0]} to {span[1]}.", "NUMBER_INVALID")
        return empty
    return int(text)


def _external_key(draft: ScheduleDraft, checks: Checks) -> str | None:
    if draft.external_key in (None, ""):
        return None
    return checks.attempt(lambda: parse_name(draft.external_key, "externalKey"))
