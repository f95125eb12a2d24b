"""Schedules and runs of workflows and those of extension endpoints: each kind opens to its own permissions only."""

from __future__ import annotations

from flask import Flask

from domain.accounts.permissions import CHANGE, READ
from tests.web.addresses import rules

NAMED = {"schedule_id", "run_id", "rehearsal_id"}


def test_every_address_of_a_schedule_or_a_run_asks_for_what_its_kind_needs(app: Flask) -> None:
    found = {rule.endpoint for rule, _ in rules(app) if rule.arguments & NAMED}
    marks = {name: getattr(app.view_functions[name], "by_kind", None) for name in found}
    assert len(found) > 30
    assert {name for name, mark in marks.items() if mark not in (READ, CHANGE)} == set()
