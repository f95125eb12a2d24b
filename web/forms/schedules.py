"""The forms of schedules. They only carry what was typed; the domain judges it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from wtforms import BooleanField, HiddenField, RadioField, SelectField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired
from wtforms.widgets import DateTimeLocalInput, TimeInput

from domain.kernel.errors import Problem, Refused
from domain.schedules.drafts import ScheduleDraft
from domain.timing.zones import zone
from web.forms.base import PageForm
from web.forms.payloads import PayloadEditor
from web.forms.timing import EVERY, PICKS, WEEKDAYS, WORKDAYS, TimingPart

NOT_CHOSEN = UUID(int=0)
"""In a draft it stands for an install that is none: the draft is about an endpoint, and nothing more is known."""
REQUIRED = [InputRequired()]
TRIGGERS = [SelectChoice("recurring", "Repeats"), SelectChoice("schedule", "Once")]
OVERLAPS = [SelectChoice("queue", "Wait"), SelectChoice("skip", "Skip"), SelectChoice("allow", "Run side by side")]
CATCH_UPS = [
    SelectChoice("latest", "Run the latest"),
    SelectChoice("all", "Run them all"),
    SelectChoice("skip", "Run none"),
]
DST_GAPS = [SelectChoice("after", "Right after the gap"), SelectChoice("skip", "Not that day")]
DST_REPEATS = [SelectChoice("first", "The first time only"), SelectChoice("both", "Both times")]
# What the fields are called in problems of the domain, where they differ by more than their case.
_FIELDS = {"workflowId": "workflow", "installId": "endpoint", "endpointId": "endpoint"}
_FOLDED = (
    "overlap",
    "catch_up",
    "starts_at",
    "ends_at",
    "max_lateness_seconds",
    "spread_seconds",
    "dst_gap",
    "dst_repeat",
    "max_attempts",
)
_WAITS = {"queue": "Waits for the previous run", "skip": "Skips while a run is going", "allow": "Runs side by side"}
_CATCHES = {"latest": "catches up with the latest", "all": "catches up with all", "skip": "never catches up"}


class ScheduleForm(TimingPart, PageForm):
    revision = HiddenField()
    like = HiddenField()  # the id of the schedule that this one is a copy of
    workflow = StringField("Workflow", REQUIRED)
    extension = HiddenField()  # the id of the extension whose endpoint is called; without one a workflow runs
    endpoint = SelectField("Endpoint", REQUIRED, choices=[], validate_choice=False)
    name = StringField("Name", REQUIRED)
    enabled = BooleanField("Starts enabled")
    trigger_type = RadioField("How often", choices=TRIGGERS, default="recurring", validate_choice=False)
    every = RadioField("Repeats", choices=EVERY, default="daily", validate_choice=False)
    every_drawn = HiddenField()
    minute = StringField("Minute", REQUIRED, default="0")
    at = StringField("At", REQUIRED, default="09:00", widget=TimeInput())
    weekdays = SelectMultipleField("On", choices=WEEKDAYS, default=WORKDAYS, validate_choice=False, **PICKS)
    day = StringField("Day of month", REQUIRED, default="1")
    run_at = StringField("Date and time", REQUIRED, widget=DateTimeLocalInput())
    cron = StringField("Cron pattern", REQUIRED)
    timezone = StringField("Time zone", REQUIRED)
    has_body = BooleanField("Send a payload")
    payload_start = HiddenField()
    request_key = HiddenField(id="schedule-request-key")
    rehearsal_key = HiddenField()
    rehearse_for = StringField("Rehearse as if it were", widget=DateTimeLocalInput())
    overlap = RadioField(
        "When the previous run is still going", choices=OVERLAPS, default="queue", validate_choice=False
    )
    catch_up = RadioField("After an outage", choices=CATCH_UPS, default="latest", validate_choice=False)
    starts_at = StringField("Not before", widget=DateTimeLocalInput())
    ends_at = StringField("Not after", widget=DateTimeLocalInput())
    max_lateness_seconds = StringField("At most this late, in seconds")
    spread_seconds = StringField("Spread over, in seconds")
    dst_gap = RadioField("When clocks skip its time", choices=DST_GAPS, default="after", validate_choice=False)
    dst_repeat = RadioField("When clocks repeat its time", choices=DST_REPEATS, default="first", validate_choice=False)
    max_attempts = StringField("Tries of one call", default="3")

    editor: PayloadEditor | None = None  # of the payload; set by the view, which knows the schema
    takes_body = True  # whether what runs can be given a payload; set with the editor

    def process(self, formdata: Any = None, *arguments: Any, **values: Any) -> None:
        super().process(formdata, *arguments, **values)
        self.settle(formdata)

    @property
    def kind(self) -> str:
        """Of what it is made for: it runs a `workflow`, or it calls an `endpoint` of an extension."""
        return "endpoint" if self.extension.data else "workflow"

    @property
    def is_of_endpoint(self) -> bool:
        return self.kind == "endpoint"

    def attach(self, problems: Iterable[Problem]) -> None:
        """Problems of the domain at the fields of the form; those inside the payload go to its editor."""
        others = self.editor.attach(problems) if self.editor else problems
        super().attach(
            Problem(_field_path(problem.path), problem.message, problem.code) for problem in self.at_its_fields(others)
        )

    @property
    def seen_revision(self) -> int:
        """The revision that was opened; 0, which never exists, when the field was tampered with."""
        text = self.revision.data or ""
        return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else 0

    @property
    def is_payload_untouched(self) -> bool:
        """Whether the payload is still what the form began with."""
        return self.editor is None or self.editor.is_still(self.payload_start.data or "")

    @property
    def unread_payload(self) -> list[Problem]:
        """What of the payload's form cannot be read. JSON text is read, and judged, by the domain."""
        if self.editor is None or not self.sends_payload:
            return []
        if self.is_of_endpoint and not self.editor.text.strip():
            return [Problem("payload", "Type the JSON that is sent, or send no payload.", "PAYLOAD_REQUIRED")]
        return self.editor.problems if self.editor.is_form else []

    @property
    def sends_payload(self) -> bool:
        """A workflow always gets one; an endpoint only when it was chosen."""
        return not self.is_of_endpoint or (self.takes_body and bool(self.has_body.data))

    def check_payload(self) -> None:
        """Raises Refused with what cannot be read."""
        if self.unread_payload:
            raise Refused(self.unread_payload)

    @property
    def has_folded_errors(self) -> bool:
        return any(self[name].errors for name in _FOLDED)

    @property
    def how(self) -> str:
        """The folded choices in one line."""
        window = "no window"
        if self.starts_at.data or self.ends_at.data:
            window = " ".join(
                f"{word} {text.replace('T', ' ')}"
                for word, text in (("from", self.starts_at.data), ("until", self.ends_at.data))
                if text
            )
        said = [_WAITS.get(self.overlap.data, "?"), _CATCHES.get(self.catch_up.data, "?"), window]
        if self.is_of_endpoint:
            said.append("one try" if self.max_attempts.data == "1" else f"up to {self.max_attempts.data} tries")
        return " · ".join(said)

    def draft(self, target: Mapping[str, Any] | None, stored: Any = None) -> ScheduleDraft:
        """What was typed, for `target`: the fields of a draft that name what runs; None says only of which kind that is.

        A wall time that is still the one shown for `stored` means the stored instant exactly.
        """
        run_at = _instant_text(self.run_at.data, stored, "run_at", self.zone_name)
        is_stored = bool(run_at) and run_at != self.run_at.data
        named: dict[str, Any] = dict(target or {})
        if self.is_of_endpoint:
            named = {"install_id": NOT_CHOSEN, "max_attempts": self.max_attempts.data} | named
        return ScheduleDraft(
            **named,
            name=self.name.data or "",
            trigger_type=self.trigger_type.data or "",
            run_at=run_at if is_stored else None,
            run_at_local=None if is_stored else run_at,
            cron=self.pattern,
            timezone=self.zone_name,
            payload=((self.editor and self.editor.text) or "{}") if self.sends_payload else None,
            enabled=bool(self.enabled.data),
            overlap=self.overlap.data,
            catch_up=self.catch_up.data,
            starts_at=_instant_text(self.starts_at.data, stored, "starts_at", self.zone_name),
            ends_at=_instant_text(self.ends_at.data, stored, "ends_at", self.zone_name),
            max_lateness_seconds=self.max_lateness_seconds.data,
            spread_seconds=self.spread_seconds.data,
            dst_gap=self.dst_gap.data,
            dst_repeat=self.dst_repeat.data,
            external_key=stored.external_key if stored is not None else None,
        )


def stored_form(stored: Any, target: Mapping[str, str]) -> ScheduleForm:
    """The form of a schedule as it is stored. `target`: what the fields hold that say what runs."""
    return ScheduleForm(data={"revision": str(stored.revision)} | dict(target) | typed_values(stored))


def typed_values(stored: Any) -> dict[str, Any]:
    """A stored schedule as someone would have typed it, by name of the field, but for what it runs."""
    lateness = stored.max_lateness_seconds
    return {
        "name": stored.name if stored.is_named else "",
        "enabled": stored.status in ("active", "completed"),
        "trigger_type": stored.trigger_type,
        "run_at": wall(stored.run_at, stored.timezone),
        "cron": stored.cron or "",
        "timezone": stored.timezone,
        "overlap": stored.overlap,
        "catch_up": stored.catch_up,
        "starts_at": wall(stored.starts_at, stored.timezone),
        "ends_at": wall(stored.ends_at, stored.timezone),
        "max_lateness_seconds": "" if lateness is None else str(lateness),
        "spread_seconds": str(stored.spread_seconds),
        "dst_gap": stored.dst_gap,
        "dst_repeat": stored.dst_repeat,
    } | (
        {"max_attempts": str(stored.max_attempts), "has_body": stored.payload_json is not None}
        if _is_call(stored)
        else {}
    )


def wall(instant: datetime | None, zone_name: str) -> str:
    """The local time of an instant as `datetime-local` writes it; empty for none."""
    if instant is None:
        return ""
    local = instant.astimezone(zone(zone_name))
    return local.strftime("%Y-%m-%dT%H:%M:%S" if local.second else "%Y-%m-%dT%H:%M")


def _is_call(stored: Any) -> bool:
    return bool(stored.target_kind == "endpoint")


def _instant_text(typed: str | None, stored: Any, column: str, timezone: str | None) -> str | None:
    instant = getattr(stored, column, None)
    if instant is None or stored.timezone != timezone or wall(instant, stored.timezone) != typed:
        return typed
    return str(instant.isoformat())


def _field_path(path: str) -> str:
    name, slash, rest = path.partition("/")
    return _FIELDS.get(name, re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)) + slash + rest
