"""The part of a form that says when: a builder for plain patterns beside the pattern itself, and the zone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wtforms import Field
from wtforms.fields.choices import SelectChoice
from wtforms.widgets import CheckboxInput, ListWidget

from domain.kernel.errors import Problem, Refused
from domain.timing.recurrence import Recurrence, recurrence_of, typed_recurrence
from domain.timing.zone_names import meant_zone

CRON = "cron"
EVERY = [
    SelectChoice("hourly", "Hourly"),
    SelectChoice("daily", "Daily"),
    SelectChoice("weekly", "Weekly"),
    SelectChoice("monthly", "Monthly"),
    SelectChoice(CRON, "Cron"),
]
WEEKDAYS = [
    SelectChoice("1", "Mon"),
    SelectChoice("2", "Tue"),
    SelectChoice("3", "Wed"),
    SelectChoice("4", "Thu"),
    SelectChoice("5", "Fri"),
    SelectChoice("6", "Sat"),
    SelectChoice("0", "Sun"),
]
WORKDAYS = ("1", "2", "3", "4", "5")
PICKS: dict[str, Any] = {"option_widget": CheckboxInput(), "widget": ListWidget(prefix_label=False)}
"""Makes a choice of several a row of checkboxes."""


class TimingPart:
    """What a form with these fields can do about them. The pattern of the form is `pattern`, whichever way it was typed.

    `cron` keeps a pattern that the builder cannot show while another way is chosen, so that choosing Cron brings it back.
    `every_drawn` is the way that was shown when the form was drawn.
    """

    trigger_type: Field
    every: Field
    every_drawn: Field
    minute: Field
    at: Field
    weekdays: Field
    day: Field
    cron: Field
    timezone: Field

    def settle(self, formdata: Any) -> None:
        """After the fields were read: who sends no way to repeat sends a pattern; a stored pattern opens as it can."""
        if formdata:
            if "every" not in formdata:
                self.every.data = CRON
        elif self.cron.data:
            self._show(recurrence_of(self.cron.data))
        self.every_drawn.data = self.every_drawn.data if formdata else self.every.data

    @property
    def is_built(self) -> bool:
        return bool(self.every.data != CRON)

    @property
    def pattern(self) -> str:
        """The cron pattern; empty while the builder cannot write one. What means the same keeps its spelling."""
        typed = self.cron.data or ""
        if not self.is_built:
            return typed
        try:
            built = self._built(self.every.data)
        except Refused:
            return ""
        return typed if recurrence_of(typed) == built else built.cron

    @property
    def kept_pattern(self) -> str:
        """A pattern that waits for Cron to be chosen, because the builder cannot show it."""
        typed = (self.cron.data or "").strip()
        return typed if self.is_built and typed and recurrence_of(typed) is None else ""

    @property
    def zone_name(self) -> str:
        """The zone that was meant, which may still be an unknown one."""
        return meant_zone(self.timezone.data).name

    @property
    def zone_note(self) -> str:
        return meant_zone(self.timezone.data).note

    def follow_choice(self) -> None:
        """Another way to repeat was chosen than was drawn: what was said the one way is said the other, if it can be."""
        drawn, chosen = self.every_drawn.data, self.every.data
        shown = recurrence_of(self.cron.data)
        if drawn == chosen:
            return
        if chosen == CRON and (shown is not None or not self.cron.data):
            try:
                built = self._built(drawn)
            except Refused:
                return
            self.cron.data = self.cron.data if shown == built else built.cron
        elif drawn == CRON and shown is not None:
            self._show(shown, chosen)

    def at_its_fields(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """What is wrong with the pattern, at the fields of the builder while that is what one sees."""
        for problem in problems:
            if problem.path != "cron" or not self.is_built:
                yield problem
            elif self.pattern:
                yield Problem("every", problem.message, problem.code)
            else:
                yield from self._builder_problems()

    def _builder_problems(self) -> tuple[Problem, ...]:
        try:
            self._built(self.every.data)
        except Refused as refused:
            return refused.problems
        return ()

    def _built(self, kind: object) -> Recurrence:
        return typed_recurrence(kind, self.minute.data, self.at.data, self.weekdays.data or (), self.day.data)

    def _show(self, recurrence: Recurrence | None, chosen: str | None = None) -> None:
        """Fill the builder; what the recurrence says nothing about stays as it is."""
        self.every.data = chosen or (CRON if recurrence is None else recurrence.kind)
        if recurrence is None:
            return
        self.minute.data = str(recurrence.minute)
        if recurrence.kind != "hourly":
            self.at.data = recurrence.at
        if recurrence.weekdays:
            self.weekdays.data = [str(day) for day in recurrence.weekdays]
        if recurrence.kind == "monthly":
            self.day.data = str(recurrence.day)
