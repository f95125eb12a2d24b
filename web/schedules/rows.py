"""Schedules and their occurrences in the words and shapes of the screen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from flask import get_template_attribute
from markupsafe import Markup

from domain.firing.explain import Explanation, explain
from domain.schedules.entries import LastEntry
from domain.schedules.pages import ScheduleRow
from domain.timing.words import absolute, duration_words, relative, timing_in_words
from domain.timing.zones import offset_label, shown_zone, zone
from web.bars import Bar, BarOutcome, last_bars

NOTE_FITS = 26
"""Characters of a note that the narrowest column of a wide screen shows."""

_BAR_OF_RUN: dict[str | None, BarOutcome] = {
    "succeeded": "ok",
    "failed": "failed",
    "queued": "queued",
    "running": "running",
    "waiting": "running",
    "canceled": "canceled",
}
_BAR_OF_OUTCOME: dict[str, BarOutcome] = {"skipped": "skipped", "missed": "missed", "refused": "refused"}


@dataclass(frozen=True)
class ListedSchedule:
    """One line of the list: all that is drawn of it, but for who looks and how long ago something was.

    `note` says what is wrong, if anything; `note_tone` is fail or plain. `skipped_at`: the next instant, when that is to be
    skipped; `next_at`: the one after it, if there is any. `noon`: of the day in its zone, of which its words speak.
    """

    row: ScheduleRow
    words: str
    explanation: Explanation
    note: str
    note_tone: str
    skipped_at: datetime | None
    next_at: datetime | None
    noon: datetime

    @property
    def bars(self) -> Markup:
        """The last occurrences as a small chart."""
        return last_bars([_bar(entry, self.row.timezone, self.noon) for entry in reversed(self.row.entries)])

    @property
    def is_note_long(self) -> bool:
        """Whether the column cannot show all of it, so that it opens."""
        return len(self.note) > NOTE_FITS


def listed(row: ScheduleRow, now: datetime) -> ListedSchedule:
    note, tone = _note(row)
    skipped_at = row.skip_next_at if row.skip_next_at and row.skip_next_at > now else None
    next_at = row.timing.next_after(skipped_at) if skipped_at and row.timing else None
    noon = now.astimezone(shown_zone(row.timezone)).replace(hour=12, minute=0, second=0, microsecond=0)
    return ListedSchedule(row, words_of(row, now), explain(row, now), note, tone, skipped_at, next_at, noon)


def drawn_cells(one: ListedSchedule, now: datetime) -> Markup:
    """What a line of the list tells of its schedule to whoever may read it."""

    def freshened(time: re.Match[str]) -> str:
        return f"{time[1]}{relative(datetime.fromisoformat(time[2]), now)}"

    return Markup(_RELATIVE.sub(freshened, _drawn_cells(one)))  # noqa: S704


# As the script of each page does it between two answers.
_RELATIVE = re.compile(r'(<time datetime="([^"]+)" data-relative[^>]*>)[^<]*')


@lru_cache(maxsize=1_000)
def _drawn_cells(one: ListedSchedule) -> str:
    """A list is drawn anew every few seconds, and most of its lines say the same, but for how long ago something was."""
    return str(get_template_attribute("schedules/_row.html", "cells")(one))


@dataclass(frozen=True)
class Fire:
    """An instant to come, in the wall time of its zone."""

    at: datetime
    day: str
    time: str
    offset: str


def fire_lines(fires: Iterable[datetime], timezone: str, now: datetime) -> list[Fire]:
    """The instants, each with its own offset, because a clock change may lie between two of them."""
    this_year = now.astimezone(zone(timezone)).year
    lines = []
    for at in fires:
        local = at.astimezone(zone(timezone))
        day = f"{local:%a} {local.day} {local:%b}" + ("" if local.year == this_year else f" {local.year}")
        time = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
        lines.append(Fire(at, day, time, offset_label(at, timezone)))
    return lines


def words_of(row: ScheduleRow, now: datetime) -> str:
    """The timing in words; the pattern itself when it cannot be computed."""
    return timing_in_words(row.timing, now) if row.timing else str(row.cron or "Its timing cannot be read")


def outcome_words(entry: LastEntry) -> str:
    """What became of an instant, such as `succeeded in 1.2 s` or `skipped: An earlier run …`."""
    if entry.outcome != "fired":
        several = f"{entry.count} instants " if entry.count > 1 else ""
        return f"{several}{entry.outcome}: {entry.detail or entry.reason}"
    if entry.run_status is None:
        return "fired; its run is no longer kept"
    took = f" in {duration_words(float(entry.seconds))}" if entry.seconds is not None else ""
    return f"{entry.run_status}{took}"


def _note(row: ScheduleRow) -> tuple[str, str]:
    if row.status == "invalid":
        return str(row.invalid_reason), "fail"
    if row.status == "paused":
        by = f" by {row.paused_by_name}" if row.paused_by_name else ""
        return f"Paused{by}{': ' + row.pause_reason if row.pause_reason else ''}", "plain"
    if row.last_error:
        return str(row.last_error), "fail"
    newest = row.entries[0] if row.entries else None
    if newest is not None and newest.outcome != "fired":
        return f"{newest.outcome.capitalize()}: {newest.detail or newest.reason}", "plain"
    return "", "plain"


def _bar(entry: LastEntry, timezone: str, now: datetime) -> Bar:
    outcome = _BAR_OF_OUTCOME.get(entry.outcome) or _BAR_OF_RUN.get(entry.run_status, "canceled")
    label = f"{absolute(entry.scheduled_for, timezone, now)}: {outcome_words(entry)}"
    return Bar(outcome, None if entry.seconds is None else float(entry.seconds), label)
