"""Every table of Carillon, imported once: what migrations compare with, and what each process loads at start."""

from domain import fire_minutes, invariant_checks
from domain.accounts import audit, notifications, request_keys, secrets, sessions, tenants, tokens, users
from domain.events import events
from domain.extensions import circuits, endpoints, extensions, installs
from domain.kernel import metric_counts
from domain.runs import heartbeats, invocations, runs, steps, store_items, tasks, waits
from domain.schedules import backfills, cursors, occurrences, schedules
from domain.workflows import payload_schemas, versions, workflows

ALL = (
    tenants,
    users,
    sessions,
    tokens,
    audit,
    request_keys,
    secrets,
    notifications,
    payload_schemas,
    workflows,
    versions,
    extensions,
    endpoints,
    installs,
    circuits,
    schedules,
    cursors,
    occurrences,
    backfills,
    runs,
    steps,
    invocations,
    waits,
    tasks,
    events,
    store_items,
    heartbeats,
    metric_counts,
    fire_minutes,
    invariant_checks,
)
