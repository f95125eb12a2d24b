"""When a failed step is tried again, and how long it waits before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain.engine.failures import ACTION, CHILD, TIMEOUT, TRANSIENT

# What trying again can mend. The other categories fail the same way each time, or, as an unknown outcome, may have
# had their effect already: they are tried again only where the step names them.
RETRIED = (TRANSIENT, TIMEOUT, ACTION, CHILD)
DEFAULT_BACKOFF_MS = 1_000
DEFAULT_MULTIPLIER = 2.0
JITTER = 0.2
MAX_DELAY_MS = 24 * 3_600_000


@dataclass(frozen=True, slots=True)
class Retry:
    """`max_attempts` counts the first one. The delay grows by `multiplier` from `backoff_ms`, up to `max_delay_ms`;
    with `jitter` it is up to a fifth shorter or longer."""

    max_attempts: int
    backoff_ms: int = DEFAULT_BACKOFF_MS
    multiplier: float = DEFAULT_MULTIPLIER
    jitter: bool = True
    max_delay_ms: int = MAX_DELAY_MS
    retry_on: tuple[str, ...] = RETRIED

    def is_due_after(self, attempt: int, category: str) -> bool:
        """Whether a step whose attempt of that number failed with that category is tried again."""
        return attempt < self.max_attempts and category in self.retry_on

    def delay_after(self, attempt: int, roll: float) -> timedelta:
        """How long to wait after the failed attempt of that number; `roll` is a random number from 0 to 1."""
        # Beyond this many doublings every delay is cut anyway, and a float would overflow.
        grown = self.backoff_ms * self.multiplier ** min(attempt - 1, 60)
        spread = 1 + JITTER * (2 * roll - 1) if self.jitter else 1.0
        return timedelta(milliseconds=min(grown * spread, self.max_delay_ms, MAX_DELAY_MS))


def parse_retry(retry: dict[str, Any] | None) -> Retry | None:
    """The policy in a step's `retry`, which validation has accepted; None when the step has none."""
    if not retry:
        return None
    return Retry(
        max_attempts=retry["maxAttempts"],
        backoff_ms=retry.get("backoffMs", DEFAULT_BACKOFF_MS),
        multiplier=retry.get("backoffMultiplier", DEFAULT_MULTIPLIER),
        jitter=retry.get("jitter", True),
        max_delay_ms=retry.get("maxDelayMs", MAX_DELAY_MS),
        retry_on=tuple(retry.get("retryOn") or RETRIED),
    )
