"""The pages of schedules: the list, one schedule, the dialog that creates and edits, and a route for each action."""

from web.schedules import (
    actions,
    backfilling,
    bulk,
    bundles,
    editor,
    listing,
    page,
    payloads,
    picker,
    rehearsing,
    resuming,
    skipping,
    timing_part,
    what_if,
)
from web.schedules.frame import blueprint

__all__ = [
    "actions",
    "backfilling",
    "blueprint",
    "bulk",
    "bundles",
    "editor",
    "listing",
    "page",
    "payloads",
    "picker",
    "rehearsing",
    "resuming",
    "skipping",
    "timing_part",
    "what_if",
]
