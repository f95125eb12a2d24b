"""The settings of a schedule in words: for its page, and for what a change made of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain.timing.words import absolute, duration_words

OVERLAP = {"queue": "Waits for the previous run", "skip": "Skips while a run is going", "allow": "Runs side by side"}
CATCH_UP = {
    "latest": "Runs the latest missed time",
    "all": "Runs all missed times of a day",
    "skip": "Runs no missed time",
}
DST_GAP = {"after": "Fires right after the gap", "skip": "Does not fire that day"}
DST_REPEAT = {"first": "Fires once", "both": "Fires twice"}
TRIGGER = {"schedule": "Once", "recurring": "Repeats"}

Fact = tuple[str, str]


def settings_of(row: Any, now: datetime) -> list[Fact]:
    """What decides about the instants of a schedule, as (term, words); what it does not use is left out."""
    facts = [("Overlap", OVERLAP[row.overlap]), ("Catch-up", CATCH_UP[row.catch_up])]
    if row.install_id:
        facts.append(("Attempts", "1, without a retry" if row.max_attempts == 1 else f"at most {row.max_attempts}"))
    if row.starts_at:
        facts.append(("Not before", absolute(row.starts_at, row.timezone, now)))
    if row.ends_at:
        facts.append(("Not after", absolute(row.ends_at, row.timezone, now)))
    if row.max_lateness_seconds:
        facts.append(("At most late", duration_words(row.max_lateness_seconds)))
    if row.spread_seconds:
        facts.append(("Spread", f"up to {duration_words(row.spread_seconds)}"))
    if row.cron:
        facts.append(("Skipped clock time", DST_GAP[row.dst_gap]))
        facts.append(("Repeated clock time", DST_REPEAT[row.dst_repeat]))
    if row.external_key:
        facts.append(("External key", row.external_key))
    return facts
