"""The forms that steer a schedule: pause, resume, skip one, backfill. They carry what was typed; the domain judges it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar

from wtforms import HiddenField, RadioField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.widgets import DateTimeLocalInput

from domain.kernel.errors import Problem, Refused
from domain.schedules.backfills import parse_concurrency
from domain.timing.zones import parse_local, zone
from web.forms.base import PageForm

OPEN, HOUR, TOMORROW, AT = "open", "hour", "tomorrow", "at"
ENDS = [
    SelectChoice(OPEN, "When someone resumes it"),
    SelectChoice(HOUR, "In one hour"),
    SelectChoice(TOMORROW, "Tomorrow at 09:00"),
    SelectChoice(AT, "At a time"),
]


class SteeringForm(PageForm):
    """`fields`: what a field is called here whose problems the domain names otherwise."""

    fields: ClassVar[dict[str, str]] = {"catchUp": "catch_up"}

    def attach(self, problems: Iterable[Problem]) -> None:
        super().attach(Problem(self.fields.get(p.path, p.path), p.message, p.code) for p in problems)


class PauseForm(SteeringForm):
    """`ends` says how the pause ends, `until` when, as a wall time of the schedule's zone."""

    reason = StringField("Reason")
    ends = RadioField("It goes on", choices=ENDS, default=OPEN, validate_choice=False)
    until = StringField("Date and time", widget=DateTimeLocalInput())

    def end(self, timezone: str, now: datetime) -> datetime | None:
        """When the pause ends by itself; None for one that does not. Raises Refused at `ends` or `until`."""
        if self.ends.data == AT:
            return typed_instant(self.until.data, timezone, "until")
        ends = pause_ends(timezone, now)
        if self.ends.data not in ends:
            raise Refused.at("ends", "Choose how the pause ends.", "CHOICE_INVALID")
        return ends[self.ends.data]


class ResumeForm(SteeringForm):
    """`catch_up` gets its choices from the view, which knows what was missed."""

    catch_up = RadioField("What was missed", default="skip", validate_choice=False)


class SkipForm(SteeringForm):
    instant = HiddenField("Occurrence")


class BackfillForm(SteeringForm):
    """`from_at` and `until_at` are wall times of the schedule's zone; `seen` is the range that a dry run was shown for."""

    fields: ClassVar[dict[str, str]] = {"from": "from_at", "until": "until_at"}

    from_at = StringField("From", widget=DateTimeLocalInput())
    until_at = StringField("To", widget=DateTimeLocalInput())
    concurrency = StringField("At a time", default="1")
    seen = HiddenField()

    @property
    def typed_span(self) -> str:
        return f"{self.from_at.data}|{self.until_at.data}"

    @property
    def is_looked_at(self) -> bool:
        return bool(self.seen.data == self.typed_span)

    def span(self, timezone: str) -> tuple[datetime, datetime]:
        """The range as instants, with the number at a time looked at. Raises Refused with every problem."""
        problems: list[Problem] = []
        found = []
        for text, path in ((self.from_at.data, "from"), (self.until_at.data, "until")):
            try:
                found.append(typed_instant(text, timezone, path))
            except Refused as refused:
                problems += refused.problems
        try:
            parse_concurrency(self.concurrency.data)
        except Refused as refused:
            problems += refused.problems
        if problems:
            raise Refused(problems)
        return found[0], found[1]


def pause_ends(timezone: str, now: datetime) -> dict[str, datetime | None]:
    """The ends of a pause that can be chosen without typing, as instants."""
    tomorrow = now.astimezone(zone(timezone)).date() + timedelta(days=1)
    morning = parse_local(f"{tomorrow.isoformat()}T09:00", timezone)
    return {OPEN: None, HOUR: now.replace(microsecond=0) + timedelta(hours=1), TOMORROW: morning}


def typed_instant(text: str | None, timezone: str, path: str) -> datetime:
    """The instant of a typed wall time; raises Refused at `path`."""
    if not (text or "").strip():
        raise Refused.at(path, "Choose a date and a time.", "TIME_REQUIRED")
    try:
        return parse_local(text, timezone)
    except Refused as refused:
        raise Refused(Problem(path, problem.message, problem.code) for problem in refused.problems) from refused
