"""The small charts, drawn on the server as SVG: the last occurrences of a schedule, and a step's place on its run's time axis.

Only SVG attributes and classes are written, because the Content-Security-Policy forbids style attributes.
"""

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Literal, NamedTuple

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


class Bar(NamedTuple):
    """One occurrence: its outcome, how long its run took (None while unknown) and the words of its tooltip."""

    outcome: BarOutcome
    seconds: float | None
    label: str


def last_bars(bars: Sequence[Bar], nothing: str = "No occurrences yet") -> Markup:
    """The newest `SHOWN` of `bars` (oldest first) as one image with a text equivalent, which is `nothing` without any."""
    shown = list(bars)[-SHOWN:]
    typical = _typical_seconds(shown)
    empty = SHOWN - len(shown)
    drawn = f'<path class="b-none" d="M1 19h2{"m4 0h2" * (empty - 1)}"/>' if empty else ""
    drawn += "".join(_mark(bar, (empty + i) * PITCH, typical) for i, bar in enumerate(shown))
    words = escape(bars_summary(shown) if shown else nothing)
    frame = f'<svg class="bars" viewBox="0 0 {SHOWN * PITCH} {HEIGHT}" role="img" aria-label="{words}">'
    return Markup(f"{frame}{drawn}</svg>")  # noqa: S704


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
    title = f"<title>{escape(bar.label)}</title>"
    height = _bar_height(bar.seconds, typical)
    middle = x + WIDTH // 2
    match bar.outcome:
        case "ok":
            return _column("ok", x, height, title)
        case "failed":
            height = min(max(height, TYPICAL_HEIGHT), BASE - 7)
            return f'<g>{_column("failed", x, height)}<path class="b-cross" d="M{x} 1l4 4m0-4-4 4"/>{title}</g>'
        case "skipped":
            return f'<circle class="b-skipped" cx="{middle}" cy="17.5" r="1.9">{title}</circle>'
        case "missed":
            return f'<path class="b-missed" d="M{x} 19.5h4">{title}</path>'
        case "refused":
            ring = f'<circle class="b-refused" cx="{middle}" cy="17.4" r="2"/>'
            return f'<g>{ring}<path class="b-refused" d="m{middle - 1.4:g} 18.8 2.8-2.8"/>{title}</g>'
        case "running" | "queued":
            at = f'x="{x + 0.5}" y="{BASE - height + 0.5:.1f}" width="3" height="{height - 1:.1f}"'
            return f'<rect class="b-{bar.outcome}" {at} rx="1">{title}</rect>'
        case _:
            return _column(bar.outcome, x, height, title)


def _column(outcome: str, x: int, height: float, title: str = "") -> str:
    return f'<rect class="b-{outcome}" x="{x}" y="{BASE - height:.1f}" width="4" height="{height:.1f}" rx="1">{title}</rect>'
