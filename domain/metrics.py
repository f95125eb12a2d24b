"""What Prometheus is told: the counts of all processes, and how things stand now. Any process can say it for all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import product

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import text

from domain.health import alive_processes, backlog, connections, lateness
from domain.invariant_checks import standing
from domain.kernel.db import db
from domain.kernel.metric_counts import totals
from domain.kernel.metrics import REGISTRY, Labels, Sums
from domain.runs.heartbeats import KINDS, WEB
from domain.runs.runs import UNFINISHED
from domain.schedules.schedules import ENDPOINT, TRANSITIONS, WORKFLOW

_SCHEDULES = text("""
    SELECT target_kind AS target, status, count(*) AS number FROM schedules WHERE deleted_at IS NULL GROUP BY 1, 2
""")
_RUNS = text("""
    SELECT target_kind AS target, status, count(*) AS number FROM runs
    WHERE finished_at IS NULL AND status IN ('queued', 'running', 'waiting') GROUP BY 1, 2
""")
_INSTALLS = text("""
    SELECT count(*) FILTER (WHERE i.disabled_at IS NOT NULL) AS disabled,
        count(*) FILTER (WHERE c.open_until > :now) AS open,
        count(*) FILTER (WHERE c.open_until <= :now) AS half_open,
        count(*) FILTER (WHERE c.open_until IS NULL) AS closed
    FROM installs i LEFT JOIN install_circuits c ON c.install_id = i.id WHERE i.deleted_at IS NULL
""")


def exposition(now: datetime) -> bytes:
    """The text format of Prometheus (0.0.4). A fixed number of statements."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything(now))
    return generate_latest(registry)


class _Everything(Collector):
    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        yield from _counted(totals())
        yield from _standing(self._now)


def _counted(sums: Sums) -> Iterator[Metric]:
    """The families that this process knows, with the sums of all processes in them."""
    for family in REGISTRY.collect():
        told = Metric(family.name, family.documentation, family.type)
        names = [family.name + suffix for suffix in ("_total", "_bucket", "_count", "_sum")]
        # What has no labels is there from the beginning, so that its first increase is seen.
        known = {(sample.name, ()): 0.0 for sample in family.samples if sample.name in names and not sample.labels}
        found = known | {at: value for at, value in sums.items() if at[0] in names}
        for (name, labels), value in sorted(found.items(), key=lambda item: _order(names, *item[0])):
            told.add_sample(name, dict(labels), value)
        yield told


def _order(names: list[str], name: str, labels: Labels) -> tuple[Labels, int, float]:
    """All samples of a histogram stand together, its buckets by their bound."""
    bound = float(dict(labels).get("le", "inf"))
    return tuple(label for label in labels if label[0] != "le"), names.index(name), bound


def _standing(now: datetime) -> Iterator[Metric]:
    schedules = GaugeMetricFamily(
        "carillon_schedules",
        "Schedules by status (active, paused, invalid, completed); disabled ones are paused.",
        labels=("target", "status"),
    )
    runs = GaugeMetricFamily(
        "carillon_unfinished_runs", "Runs that have not ended (queued, running, waiting).", labels=("target", "status")
    )
    for family, statement, statuses in ((schedules, _SCHEDULES, TRANSITIONS), (runs, _RUNS, UNFINISHED)):
        found = {(row.target, row.status): row.number for row in db.session.execute(statement)}
        # What there is none of is told as well: a line on a chart ends at 0, instead of having no data.
        for at in product((WORKFLOW, ENDPOINT), statuses):
            family.add_metric(at, found.get(at, 0))
        yield family
    yield from _processes(now)
    yield from _queues(now)
    yield from _installs(now)
    yield from _invariants(now)


def _processes(now: datetime) -> Iterator[Metric]:
    processes = GaugeMetricFamily("carillon_processes", "Processes with a living heartbeat.", labels=("kind",))
    alive = alive_processes(now)
    for kind in (WEB, *KINDS):
        processes.add_metric((kind,), alive[kind])
    yield processes
    database = connections()
    told = "Connections to the database server by everybody, and how many it takes."
    known = GaugeMetricFamily("carillon_database_connections", told, labels=("state",))
    known.add_metric(("used",), database.used)
    known.add_metric(("allowed",), database.allowed)
    yield known


def _queues(now: datetime) -> Iterator[Metric]:
    late, told = lateness(now).total_seconds(), "For how long the most overdue schedule has been waiting to be decided."
    yield GaugeMetricFamily("carillon_schedules_late_seconds", told, late)
    ready = GaugeMetricFamily(
        "carillon_queue_ready", "Runs that a worker may take, counted to 10000.", labels=("lane",)
    )
    oldest = GaugeMetricFamily(
        "carillon_queue_oldest_seconds", "For how long the first of them has been ready.", labels=("lane",)
    )
    for queue in backlog(now):
        ready.add_metric((queue.lane,), queue.ready)
        oldest.add_metric((queue.lane,), queue.oldest_seconds)
    yield from (ready, oldest)


def _installs(now: datetime) -> Iterator[Metric]:
    """An open circuit whose time is over is half open: one call tries it."""
    found = db.session.execute(_INSTALLS, {"now": now}).one()
    circuits = GaugeMetricFamily(
        "carillon_circuits", "Installs by the state of their circuit (closed, open, half_open).", labels=("state",)
    )
    for state in ("closed", "open", "half_open"):
        circuits.add_metric((state,), getattr(found, state))
    yield circuits
    yield GaugeMetricFamily("carillon_disabled_installs", "Installs whose schedules are held.", found.disabled)


def _invariants(now: datetime) -> Iterator[Metric]:
    broken, seconds = standing(now)
    told = "1 for each invariant between stored rows that does not hold; carillon doctor names the rows."
    family = GaugeMetricFamily("carillon_invariant_broken", told, labels=("invariant",))
    for name, is_broken in broken.items():
        family.add_metric((name,), int(is_broken))
    yield family
    if seconds is not None:
        told = "How long ago all invariants had been checked."
        yield GaugeMetricFamily("carillon_invariants_checked_ago_seconds", told, seconds)
