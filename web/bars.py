"""The small charts, drawn on the server as SVG: the last occurrences of a schedule, and a step's place on its run's time axis.

Only SVG attributes and classes are written, because the Content-Security-Policy forbids style attributes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from markupsafe import Markup, escape

SHOWN = 20
"""Bars in one row; older occurrences are left out, missing ones are drawn as dots on the base line."""

PITCH, WIDTH, HEIGHT = 6, 4, 22
BASE, TOP = 20.0, 2.0
TYPICAL_HEIGHT = 9.0
"""Height of a bar that took as long as the median of the row, in pixels."""

WORDS = {
    "ok": "ok",
    "failed": "failed",
    "skipped": "skipped",
    "missed": "missed",
    "refused": "refused",
    "running": "running",
    "queued": "queued",
    "canceled": "canceled",
}

BarOutcome = Literal["ok", "failed", "skipped", "missed", "refused", "running", "queued", "canceled"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One occurrence: its outcome, how long its run took (None while unknown) and the words of its tooltip."""

    outcome: BarOutcome
    seconds: float | None
    label: str


def last_bars(bars: Sequence[Bar], nothing: str = "No occurrences yet") -> Markup:
    """The newest `SHOWN` of `bars` (oldest first) as one image with a text equivalent, which is `nothing` without any."""
    shown = list(bars)[-SHOWN:]
    typical = _typical_seconds(shown)
    empty = SHOWN - len(shown)
    drawn = "".join(f'<rect class="b-none" x="{i * PITCH}" y="18" width="4" height="2" rx="1"/>' for i in range(empty))
    drawn += "".join(_mark(bar, (empty + i) * PITCH, typical) for i, bar in enumerate(shown))
    return Markup('<svg class="bars" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
        SHOWN * PITCH,
        HEIGHT,
        bars_summary(shown) if shown else nothing,
        Markup(drawn),  # noqa: S704
    )


def bars_summary(bars: Sequence[Bar]) -> str:
    """What the row says in words, such as `Last 20: 18 ok, 1 failed, 1 skipped`."""
    if not bars:
        return "No occurrences yet"
    counts = Counter(bar.outcome for bar in bars)
    return f"Last {len(bars)}: " + ", ".join(f"{counts[key]} {word}" for key, word in WORDS.items() if counts[key])  # type: ignore[index]


def span_bar(offset: float, share: float, tone: str) -> Markup:
    """A step on its run's time axis: it starts at `offset` and takes `share` of the whole, both from 0 to 1. Decoration only."""
    start = min(max(offset, 0.0), 1.0) * 100
    width = max(min(share * 100, 100 - start), 0.6)
    start = min(start, 100 - width)
    return Markup(
        '<svg class="span-bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="axis" x="0" y="3.5" width="100" height="1"/>'
        '<rect class="span {}" x="{:.2f}" y="0" width="{:.2f}" height="8" rx="1"/></svg>'
    ).format(tone, start, width)


def _typical_seconds(bars: Sequence[Bar]) -> float | None:
    known = [bar.seconds for bar in bars if bar.outcome == "ok" and bar.seconds is not None]
    return median(known) if known else None


def _bar_height(seconds: float | None, typical: float | None) -> float:
    if seconds is None or not typical:
        return TYPICAL_HEIGHT
    return min(max(TYPICAL_HEIGHT * seconds / typical, 3.0), BASE - TOP)


def _mark(bar: Bar, x: int, typical: float | None) -> str:
    # A list has a thousand of these: the label is the only text from outside, and all that is escaped.
    return f"<g>{_shape(bar, x, _bar_height(bar.seconds, typical))}<title>{escape(bar.label)}</title></g>"


def _shape(bar: Bar, x: int, height: float) -> str:
    top = BASE - height
    middle = x + WIDTH / 2
    match bar.outcome:
        case "failed":
            height = min(max(height, TYPICAL_HEIGHT), BASE - 7)
            return _column("failed", x, height) + f'<path class="b-cross" d="M{x} 1l4 4m0-4-4 4"/>'
        case "skipped":
            return f'<circle class="b-skipped" cx="{middle}" cy="17.5" r="1.9"/>'
        case "missed":
            return f'<path class="b-missed" d="M{x} 19.5h4"/>'
        case "refused":
            ring = f'<circle class="b-refused" cx="{middle}" cy="17.4" r="2"/>'
            return f'{ring}<path class="b-refused" d="m{middle - 1.4} 18.8 2.8-2.8"/>'
        case "running" | "queued":
            at = f'x="{x + 0.5}" y="{top + 0.5:.1f}" width="3" height="{height - 1:.1f}"'
            return f'<rect class="b-{bar.outcome}" {at} rx="1"/>'
        case _:
            return _column(bar.outcome, x, height)


def _column(outcome: str, x: int, height: float) -> str:
    return f'<rect class="b-{outcome}" x="{x}" y="{BASE - height:.1f}" width="4" height="{height:.1f}" rx="1"/>'
