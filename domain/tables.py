"""Every table of Carillon, imported once: what migrations compare with, and what each process loads at start."""

from domain.accounts import audit, request_keys, sessions, tenants, tokens, users
from domain.runs import heartbeats, runs, steps, store_items
from domain.schedules import cursors, occurrences, schedules
from domain.workflows import payload_schemas, versions, workflows

ALL = (
    tenants,
    users,
    sessions,
    tokens,
    audit,
    request_keys,
    payload_schemas,
    workflows,
    versions,
    schedules,
    cursors,
    occurrences,
    runs,
    steps,
    store_items,
    heartbeats,
)
