"""What templates may ask: words, tones and icons of every status, times and durations, and addresses of static files.

A status is shown as icon + word + colour; this module is the only place that says which.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Flask, current_app, g, url_for
from markupsafe import Markup, escape

from domain.kernel import clock
from domain.kernel.secret_values import shown
from domain.timing import words


@dataclass(frozen=True, slots=True)
class Label:
    """How a status is shown. `tone` is one of ok, fail, held, run, mute, plain; `icon` is a symbol of `static/icons.svg`."""

    word: str
    tone: str
    icon: str


SCHEDULE_LABELS = {
    "active": Label("Active", "ok", "check-circle"),
    "failing": Label("Failing", "fail", "x-circle"),
    "paused": Label("Paused", "held", "pause"),
    "invalid": Label("Invalid", "held", "alert-triangle"),
    "completed": Label("Completed", "mute", "flag"),
}

STALE = Label("Stale endpoint", "held", "alert-triangle")
DISABLED = Label("Extension disabled", "held", "ban")

RUN_LABELS = {
    "queued": Label("Queued", "mute", "inbox"),
    "running": Label("Running", "run", "running"),
    "waiting": Label("Waiting", "run", "hourglass"),
    "succeeded": Label("Succeeded", "ok", "check-circle"),
    "failed": Label("Failed", "fail", "x-circle"),
    "canceled": Label("Canceled", "mute", "stop"),
    "skipped": Label("Skipped", "mute", "skip"),
    "unfinished": Label("Unfinished", "run", "running"),
    "unknown": Label("Outcome unknown", "held", "circle-dashed"),
}

OUTCOME_LABELS = {
    "fired": Label("Fired", "plain", "bolt"),
    "skipped": Label("Skipped", "mute", "skip"),
    "missed": Label("Missed", "held", "circle-dashed"),
    "refused": Label("Refused", "held", "ban"),
}

DELIVERY_LABELS = {
    "started": Label("Started", "ok", "play"),
    "resumed": Label("Resumed", "ok", "repeat"),
    "refused": Label("Refused", "held", "ban"),
    "nothing": Label("Nothing", "mute", "circle-dashed"),
}

CALL_LABELS = {
    "started": Label("Calling", "run", "running"),
    "succeeded": Label("Succeeded", "ok", "check-circle"),
    "failed": Label("Failed", "fail", "x-circle"),
    "lost": Label("Outcome unknown", "held", "circle-dashed"),
    "not_sent": Label("Not sent", "held", "ban"),
}

IMPORT_LABELS = {
    "create": Label("New", "ok", "plus"),
    "replace": Label("Replaced", "held", "repeat"),
    "update": Label("Changed", "held", "edit"),
    "unchanged": Label("Unchanged", "mute", "check"),
    "skip": Label("Left out", "mute", "skip"),
    "conflict": Label("Conflict", "fail", "x-circle"),
}

WORKFLOW_LABELS = {
    "draft": Label("Draft", "mute", "edit"),
    "published": Label("Published", "ok", "check-circle"),
    "paused": Label("Paused", "held", "pause"),
    "deleted": Label("Deleted", "mute", "trash"),
}

# Stands for an id in an address that is made before it is known whose.
_ANY_ID = UUID(int=0)
_ICON = Markup('<svg class="i{}" aria-hidden="true"><use href="{}#{}"/></svg>')
_STATE = Markup('<span class="state {}{}">{}{}</span>')


def register(app: Flask) -> None:
    """Adds the filters and the globals `static_url`, `schedule_url` and `drawn_…` to the templates of `app`."""
    app.jinja_env.filters.update(
        schedule_status=schedule_status,
        schedule_states=schedule_states,
        run_status=run_status,
        outcome=outcome,
        delivery=delivery,
        call_status=call_status,
        workflow_status=workflow_status,
        import_status=import_status,
        relative=relative,
        absolute=absolute,
        duration=duration,
        json_pretty=json_pretty,
        iso=iso,
    )
    app.jinja_env.globals.update(
        static_url=static_url,
        schedule_url=schedule_url,
        drawn_icon=drawn_icon,
        drawn_state=drawn_state,
        drawn_time=drawn_time,
    )


def schedule_status(schedule: Any, last_run_status: str | None = None) -> Label:
    """`schedule` is a row with `status` (and, unless given, `last_run_status`) or the status itself; active with a failed last run is failing."""
    status = schedule if isinstance(schedule, str) else schedule.status
    last = last_run_status or getattr(schedule, "last_run_status", None)
    return _label(SCHEDULE_LABELS, "failing" if status == "active" and last == "failed" else status)


def schedule_states(row: Any) -> list[Label]:
    """What to say of a schedule's row: its status, and what of its extension keeps it from firing. An active one that is
    held is not called active."""
    held = [label for label, is_so in ((STALE, row.endpoint_stale), (DISABLED, row.install_disabled)) if is_so]
    if row.target_kind != "endpoint" or row.status == "completed":
        held = []
    return held if held and row.status == "active" else [schedule_status(row), *held]


def run_status(run: Any) -> Label:
    """`run` is a run, a step, or the status of one."""
    return _label(RUN_LABELS, run if isinstance(run, str) else run.status)


def outcome(occurrence: Any) -> Label:
    """`occurrence` is a row of the ledger or its outcome."""
    return _label(OUTCOME_LABELS, occurrence if isinstance(occurrence, str) else occurrence.outcome)


def delivery(outcome: str) -> Label:
    """`outcome`: what an event did in one place, or `nothing`."""
    return _label(DELIVERY_LABELS, outcome)


def call_status(invocation: Any) -> Label:
    """`invocation` is a call of an extension, or the status of one."""
    return _label(CALL_LABELS, invocation if isinstance(invocation, str) else invocation.status)


def workflow_status(workflow: Any) -> Label:
    """`workflow` is a row with `deleted_at`, `paused_at` and `published_version`, or one of the words of `WORKFLOW_LABELS`."""
    if isinstance(workflow, str):
        return _label(WORKFLOW_LABELS, workflow)
    if workflow.deleted_at:
        return WORKFLOW_LABELS["deleted"]
    if workflow.paused_at:
        return WORKFLOW_LABELS["paused"]
    return WORKFLOW_LABELS["published" if workflow.published_version else "draft"]


def import_status(action: str) -> Label:
    """`action`: what an import does with one entry of a file."""
    return _label(IMPORT_LABELS, action)


def _label(labels: Mapping[str, Label], status: str) -> Label:
    # A row written by a newer release must not break the page of an older one.
    return labels.get(status) or Label(str(status).replace("_", " ").capitalize(), "mute", "info-circle")


def relative(instant: datetime) -> str:
    """`in 3 h`, `2 d ago`, against one `now` per request."""
    return words.relative(instant, _now())


def absolute(instant: datetime, zone: str = "UTC") -> str:
    """The wall time in `zone` with its offset, such as `Mon 09:00 UTC+1`."""
    return words.absolute(instant, zone, _now())


def duration(length: float | timedelta) -> str:
    """`1.2 s`, `3 min 4 s`, from seconds or a timedelta."""
    return words.duration_words(length.total_seconds() if isinstance(length, timedelta) else float(length))


def iso(instant: datetime) -> str:
    """The instant in UTC as RFC 3339, whole seconds, for `<time datetime>`."""
    return f"{instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"


def json_pretty(value: Any) -> str:
    """`value` as indented JSON without what is sealed; what JSON has no form for (an instant, an id) becomes text."""
    return json.dumps(shown(value), indent=2, ensure_ascii=False, default=str)


def static_url(filename: str) -> str:
    """The address of a static file, which changes with its content. Vendored names carry their version and stay as they are."""
    # A list names its icons hundreds of times: one look at the file per request will do.
    addresses: dict[str, str] = g.setdefault("static_addresses", {})
    if filename not in addresses:
        addresses[filename] = _static_address(filename)
    return addresses[filename]


def drawn_icon(name: str, look: str = "") -> Markup:
    """An icon of `static/icons.svg`, with more classes in `look`."""
    icons: dict[tuple[str, str], Markup] = g.setdefault("icons", {})
    if (name, look) not in icons:
        icons[name, look] = _ICON.format(f" {look}" if look else "", static_url("icons.svg"), name)
    return icons[name, look]


def drawn_state(label: Label, big: bool = False) -> Markup:
    """A status: its icon, and its word beside it."""
    states: dict[tuple[Label, bool], Markup] = g.setdefault("states", {})
    if (label, big) not in states:
        states[label, big] = _STATE.format(label.tone, " big" if big else "", drawn_icon(label.icon), label.word)
    return states[label, big]


def drawn_time(
    instant: datetime | None,
    zone: str = "UTC",
    exact: bool = False,
    missing: str = "–",
    focus: bool = False,
    id: str | None = None,
) -> Markup:
    """Relative first; exact in `zone` as a second line (`exact`) or only as the title. Scripts add UTC and the viewer's zone."""
    if not instant:
        return escape(missing)
    wall = absolute(instant, zone)
    marks = f' id="{escape(id)}"' if id else ""
    marks += ' tabindex="0"' if focus else ""
    marks += "" if exact else f' title="{wall}"'
    beneath = f'<div class="meta">{wall}</div>' if exact else ""
    return Markup(f'<time datetime="{iso(instant)}" data-relative{marks}>{relative(instant)}</time>{beneath}')  # noqa: S704


def schedule_url(view: str, schedule_id: UUID) -> str:
    """The address of a view of one schedule. A list has some for each row: each is built once per request."""
    addresses: dict[str, str] = g.setdefault("schedule_addresses", {})
    if view not in addresses:
        addresses[view] = url_for(f"schedules.{view}", schedule_id=_ANY_ID)
    return addresses[view].replace(str(_ANY_ID), str(schedule_id))


def _static_address(filename: str) -> str:
    if filename.startswith("vendor/"):
        return url_for("static", filename=filename)
    path = Path(current_app.static_folder or "static") / filename
    return url_for("static", filename=filename, v=_fingerprint(path, path.stat().st_mtime_ns))


@lru_cache(maxsize=256)
def _fingerprint(path: Path, _changed_at: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


def _now() -> datetime:
    now: datetime = g.setdefault("rendered_at", clock.now())
    return now
