"""What is counted for Prometheus: each process counts in memory, and only what was committed.

Labels are few words that the code knows: never a tenant, never an id. `domain.kernel.metric_counts` brings the counts of
all processes together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count as numbers
from types import MappingProxyType
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram

from domain.kernel.db import after_commit

# Sums of a sample by its name and labels, as (("target", "workflow"), …).
Labels = tuple[tuple[str, str], ...]
Sums = Mapping[tuple[str, Labels], float]
NOTHING: Sums = MappingProxyType({})

REGISTRY = CollectorRegistry(auto_describe=False)

_LATE = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)
_LONG = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21_600, 86_400)
_PAGE = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 15)
_CALL = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900)

OCCURRENCES = Counter(
    "carillon_occurrences",
    "Instants of schedules that were decided, by what became of them (fired, skipped, missed, refused) and why.",
    ("target", "outcome", "reason"),
    registry=REGISTRY,
)
LATENESS = Histogram(
    "carillon_fire_lateness_seconds",
    "From the instant of an occurrence to the moment when its timing fired it.",
    ("target",),
    buckets=_LATE,
    registry=REGISTRY,
)
RUNS = Counter(
    "carillon_runs_finished",
    "Runs that ended, by how (succeeded, failed, canceled).",
    ("target", "status"),
    registry=REGISTRY,
)
RUN_SECONDS = Histogram(
    "carillon_run_duration_seconds",
    "From the start of a run to its end, waits and retries included.",
    ("target", "status"),
    buckets=_LONG,
    registry=REGISTRY,
)
CLAIMS_LOST = Counter(
    "carillon_claims_lost",
    "Times that a worker found that a run it was executing had been taken from it, and wrote nothing.",
    registry=REGISTRY,
)
RUNS_LOST = Counter("carillon_runs_lost", "Times that a run was taken from a worker that had died.", registry=REGISTRY)
RETRIES = Counter(
    "carillon_step_retries", "Failed attempts at steps and calls that are tried again later.", registry=REGISTRY
)
CALLS = Counter(
    "carillon_calls", "Calls of extensions, by result: succeeded, lost, or the code of the failure.", ("result",),
    registry=REGISTRY,
)  # fmt: skip
CALL_SECONDS = Histogram(
    "carillon_call_duration_seconds",
    "From sending a call of an extension to the end of the runner's answer.",
    buckets=_CALL,
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "carillon_request_duration_seconds",
    "From the arrival of a request to its answer, by the part of the site and what was asked for (page, fragment, change).",
    ("area", "kind"),
    buckets=_PAGE,
    registry=REGISTRY,
)


# One number further with all that `count` and `observe` have counted; taken by one thread at a time.
_strokes = numbers(1)
_last_stroke = 0


def last_stroke() -> int:
    """A number that has changed when `count` or `observe` have counted anything since. How long requests took, which is
    counted without them, does not change it."""
    return _last_stroke


def count(metric: Counter, amount: float = 1, **labels: str) -> None:
    """Add to a counter when the open unit of work has been committed."""
    child = metric.labels(**labels) if labels else metric

    def act() -> None:
        child.inc(amount)
        _strike()

    after_commit(act)


def observe(metric: Histogram, values: Iterable[float], **labels: str) -> None:
    """Add values to a histogram when the open unit of work has been committed."""
    child, seen = metric.labels(**labels) if labels else metric, tuple(values)

    def act() -> None:
        for value in seen:
            child.observe(value)
        _strike()

    after_commit(act)


def _strike() -> None:
    global _last_stroke
    _last_stroke = next(_strokes)


def counted(registry: CollectorRegistry = REGISTRY) -> Sums:
    """What this process has counted since it started; samples that are 0 are left out."""
    return {
        (sample.name, labels_of(sample.labels)): sample.value
        for family in registry.collect()
        for sample in family.samples
        if sample.value and not sample.name.endswith("_created")
    }


def labels_of(labels: Mapping[str, Any]) -> Labels:
    """Labels in the order of their names."""
    return tuple(sorted((name, str(value)) for name, value in labels.items()))
