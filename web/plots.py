"""How late the last sixty minutes were, drawn on the server as SVG: one bar for each minute on a logarithmic axis.

Only SVG attributes and classes are written, because the Content-Security-Policy forbids style attributes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import log10

from markupsafe import Markup, escape

from domain.fire_minutes import Minute, worst_of
from domain.timing.words import absolute, duration_words

PITCH, WIDTH, HEIGHT = 10, 8, 100
LEAST, MOST = 0.01, 100.0
"""Seconds at the bottom and the top of the axis; what is beyond them is drawn at its end."""

AXIS = ("100 s", "10 s", "1 s", "100 ms", "10 ms")
"""The lines of the axis, from the top."""

ON_TIME, LATE = 1.0, 60.0
"""Up to how many seconds a minute counts as on time, and as late; what is later was nearly missed."""


def lateness_plot(minutes: Sequence[Minute], zone: str, label_id: str) -> Markup:
    """The bars of `minutes`, the oldest at the left; `label_id`: the element that says the same in words."""
    drawn = "".join(f'<rect class="b-none" x="0" y="{25 * line}" width="600" height=".6"/>' for line in range(4))
    drawn += "".join(_column(minute, number * PITCH + 1, zone) for number, minute in enumerate(minutes))
    return Markup(
        '<svg viewBox="0 0 600 101" preserveAspectRatio="none" role="img" aria-labelledby="{}">{}</svg>'
    ).format(label_id, Markup(drawn))  # noqa: S704


def lateness_in_words(minutes: Sequence[Minute], zone: str) -> str:
    """What the bars say: how much was fired, and when it was latest."""
    fired, worst = sum(minute.fired for minute in minutes), worst_of(minutes)
    if worst is None:
        return "Nothing was due in the last hour."
    at = next(minute.at for minute in minutes if minute.most == worst)
    slow = sum(1 for minute in minutes if minute.p99 is not None and minute.p99 > ON_TIME)
    told = f"{fired:,} {'fire' if fired == 1 else 'fires'} in the last hour, the latest {duration_words(worst)} after its instant, at {_clock(at, zone)}."
    if not slow:
        return f"{told} In every minute 99 % fired within a second."
    return f"{told} In {slow} {'minute' if slow == 1 else 'minutes'} of it, less than 99 % fired within a second."


def _column(minute: Minute, x: int, zone: str) -> str:
    if minute.p50 is None or minute.p99 is None or minute.most is None:
        return f'<rect class="b-none" x="{x}" y="99" width="{WIDTH}" height="2"/>'
    top, tone = _height(minute.p99), "ok" if minute.p99 <= ON_TIME else "held" if minute.p99 <= LATE else "fail"
    label = (
        f"{_clock(minute.at, zone)}: {minute.fired:,} fired, half within {duration_words(minute.p50)}, "
        f"99 % within {duration_words(minute.p99)}, the latest {duration_words(minute.most)}"
    )
    bar = f'<rect class="span {tone}" x="{x}" y="{101 - top:.1f}" width="{WIDTH}" height="{top:.1f}"/>'
    mark = f'<rect class="span" x="{x}" y="{101 - _height(minute.most):.1f}" width="{WIDTH}" height="1.5"/>'
    return f"<g>{bar}{mark}<title>{escape(label)}</title></g>"


def _height(seconds: float) -> float:
    reached = log10(min(max(seconds, LEAST), MOST) / LEAST) / log10(MOST / LEAST)
    return max(reached * HEIGHT, 2.0)


def _clock(instant: datetime, zone: str) -> str:
    return absolute(instant, zone, instant).partition(" ")[2]
