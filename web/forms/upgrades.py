"""The form of a change of version: what becomes of each schedule that misses its endpoint, and the plan it answers."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from werkzeug.datastructures import MultiDict
from wtforms import BooleanField, HiddenField

from domain.kernel.errors import Problem, Refused
from domain.kernel.ids import parse_id
from domain.upgrades import Plan
from web.forms.base import PageForm

DISABLE = "disable"
CHOICE = "choice-"


class UpgradeForm(PageForm):
    """`choices`: by schedule, DISABLE or the id of an endpoint as text; `faults`: what is wrong with them, by schedule."""

    fingerprint = HiddenField()
    disable_rest = BooleanField("Disable all for which nothing is chosen")
    grant = BooleanField("Grant what it asks for")
    confirm = BooleanField("Yes, change these schedules")

    def __init__(self, typed: MultiDict[str, str] | None = None) -> None:
        super().__init__(typed)
        self.faults: dict[UUID, str] = {}
        self.choices: dict[UUID, str] = {
            schedule_id: value
            for name, value in (typed or {}).items()
            if name.startswith(CHOICE) and value and (schedule_id := parse_id(name.removeprefix(CHOICE)))
        }

    def remap(self) -> dict[UUID, UUID]:
        """The endpoints that were chosen; raises Refused at `remap/<schedule>` for what is none."""
        chosen = {one: parse_id(value) for one, value in self.choices.items() if value != DISABLE}
        found = {one: endpoint_id for one, endpoint_id in chosen.items() if endpoint_id is not None}
        if unknown := chosen.keys() - found.keys():
            raise Refused(Problem(f"remap/{one}", "Choose one of the list.", "CHOICE_INVALID") for one in unknown)
        return found

    def disabled(self) -> bool | set[UUID]:
        """Which are to be disabled; True: all that are given no endpoint."""
        return True if self.disable_rest.data else {one for one, value in self.choices.items() if value == DISABLE}

    def check(self, plan: Plan) -> None:
        """Raise Refused for every answer that the plan asks for and that was not given."""
        problems = [
            Problem(f"remap/{one.schedule_id}", "Choose what becomes of it.", "CHOICE_REQUIRED")
            for one in plan.missing
            if one.schedule_id not in self.choices and not self.disable_rest.data
        ]
        if plan.new_capabilities and not self.grant.data:
            problems.append(Problem("grant", "It cannot be installed without. Say yes, or leave it.", "GRANT_REQUIRED"))
        if is_grave(plan) and not self.confirm.data:
            problems.append(Problem("confirm", "Look through the list, then say yes to it.", "CONFIRM_REQUIRED"))
        if problems:
            raise Refused(problems)

    def attach(self, problems: Iterable[Problem]) -> None:
        """Problems with a choice go to the row of its schedule."""
        others = []
        for problem in problems:
            kind, _, written = problem.path.partition("/")
            schedule_id = parse_id(written) if kind in ("remap", "disableMissing") else None
            if schedule_id is None:
                others.append(problem)
            else:
                self.faults[schedule_id] = problem.message
        super().attach(others)


def is_grave(plan: Plan) -> bool:
    """Whether a schedule will not go on as it does now, so that a yes of its own is asked for."""
    return bool(plan.missing or plan.newly_invalid)
