"""One answer to the question that an operator asks of a schedule: will it fire, when, and if not, why not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.firing.holds import Hold, Refusal, hold_of
from domain.schedules.cursors import spread_offset
from domain.schedules.schedules import COMPLETED, ENDPOINT, PAUSED
from domain.timing.words import absolute


@dataclass(frozen=True)
class Explanation:
    """`at`: the instant it fires next, or would fire if nothing held it. `reason`: why it does not fire; None if it does.

    `remedy` names what would change that: resume, payload, timing, workflow, publish, of an endpoint's schedule also
    extension (enable it), endpoint (choose another) and system, or nothing. `is_due`: its instant has come, and the
    schedulers are about to look.
    """

    at: datetime | None
    reason: str | None = None
    remedy: str | None = None
    is_due: bool = False

    @property
    def fires(self) -> bool:
        return self.reason is None and self.at is not None


_REMEDIES = {
    Refusal.PAYLOAD_INVALID: "payload",
    Refusal.WORKFLOW_PAUSED: "workflow",
    Refusal.WORKFLOW_UNPUBLISHED: "publish",
    Refusal.INSTALL_DISABLED: "extension",
    Refusal.ENDPOINT_STALE: "endpoint",
    Refusal.RUNNER_NOT_CONFIGURED: "system",
}


def explain(row: Any, now: datetime) -> Explanation:
    """`row`: a schedule's columns with its cursor's, its target's and its tenant's (`domain.schedules.pages`)."""
    if row.deleted_at is not None:
        return Explanation(None, "it was deleted.")
    if row.status == COMPLETED:
        over = "its one time has passed." if row.run_at else "nothing of its timing is left."
        return Explanation(None, over, "timing")
    upcoming = _upcoming(row, now)
    if row.status == PAUSED:
        return Explanation(upcoming, _pause_words(row, upcoming, now), "endpoint" if row.endpoint_stale else "resume")
    if hold := hold_of(row):
        return Explanation(upcoming, hold_words(row, hold), _REMEDIES.get(hold.reason))
    if row.next_fire_at is None or row.wake_at is None:
        return Explanation(None, "nothing of its timing is left.", "timing")
    if is_put_back(row) and row.next_fire_at <= now < row.wake_at:
        return Explanation(row.wake_at, row.last_error)
    if row.skip_next_at == row.next_fire_at and row.timing:
        return _after_skip(row)
    if row.next_fire_at <= now < row.wake_at:
        return Explanation(row.wake_at)
    return Explanation(row.next_fire_at, is_due=row.next_fire_at <= now)


def is_put_back(row: Any) -> bool:
    """Whether deciding it failed, so that it is looked at again later than its spread wants. Only then is its last error
    that of a try and not of a run."""
    return bool(row.wake_at > row.next_fire_at + spread_offset(row.id, row.spread_seconds))


def _upcoming(row: Any, now: datetime) -> datetime | None:
    """What it would fire next if nothing held it, after the end of a pause that ends by itself."""
    if row.timing is None:
        return None
    found: datetime | None = row.timing.next_after(max(now, row.paused_until or now))
    return row.timing.next_after(found) if found is not None and found == row.skip_next_at else found


def _after_skip(row: Any) -> Explanation:
    following = row.timing.next_after(row.skip_next_at)
    if following is None:
        return Explanation(None, "its last instant is to be skipped.", "timing")
    return Explanation(following)


def hold_words(row: Any, hold: Hold) -> str:
    """Why a schedule is held, as the end of a sentence: a payload with the version that it does not fit."""
    if hold.reason != Refusal.PAYLOAD_INVALID:
        return hold.detail
    if row.target_kind == ENDPOINT:
        return f"its payload does not fit {row.endpoint_method} {row.endpoint_path}: {hold.detail.rstrip('.')}."
    return (
        f"its payload does not fit version {row.published_version} of {row.workflow_name}: {hold.detail.rstrip('.')}."
    )


def _pause_words(row: Any, upcoming: datetime | None, now: datetime) -> str:
    by = f" by {row.paused_by_name}" if row.paused_by_name else ""
    reason = (row.pause_reason or "").rstrip(".")
    said = f"it was paused{by}{': ' + reason if reason else ''}."
    if row.paused_until and upcoming is None and row.timing:
        return f"{said} When the pause ends, nothing of its timing is left."
    return (
        f"{said} It goes on by itself at {absolute(row.paused_until, row.timezone, now)}." if row.paused_until else said
    )
