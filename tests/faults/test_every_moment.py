"""Whichever moment of a run is the last of its process: a run that waits, fails, is tried again and calls another one."""

from __future__ import annotations

import pytest

from domain.kernel import failpoints
from tests.faults import test_waiting_deaths as family
from tests.faults.fleet import scalar
from tests.faults.inside import Death, Inside
from tests.faults.invariants import check_invariants, counts
from tests.faults.seeds import seed_runs

MOMENTS = [
    "dispatch.before_send",
    "dispatch.mid_send",
    "wake.before_commit",
    "worker.after_message",
    "worker.after_claim",
    "engine.mid_step",
    "engine.before_step_commit",
    "engine.after_step_commit",
    "worker.before_finish",
    "worker.before_final_commit",
    "worker.after_finish",
]
# All of them take a minute, and have been tried; one in three tells as well that something has changed.
STRIDE = 3
RUNS = 2
LIVES = 20


@pytest.fixture
def parents(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> Inside:
    """Where a family of workflows is known whose waits are over at once, and has run."""
    monkeypatch.setattr(family, "COUNT", 1)
    monkeypatch.setitem(family.PAUSE["config"], "durationMs", 1)
    monkeypatch.setitem(family.FAILING["retry"], "backoffMs", 1)
    family.seed_family(inside.app)
    go_on_living(inside)
    assert inside.statuses() == {"succeeded": RUNS}
    return inside


def go_on_living(inside: Inside) -> bool:
    """Schedulers and workers go on until all runs have ended, others in place of those that die; whether any did."""
    has_died = False
    for _ in range(LIVES):
        try:
            inside.go_on()
        except Death:
            has_died = True
            inside.forget_leases()
        if not inside.statuses().keys() - {"succeeded"}:
            break
    return has_died


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_death_at_any_moment_of_a_run_changes_nothing_of_its_end(parents: Inside, moment: str) -> None:
    workflow_id = scalar(parents.app, "SELECT id FROM workflows WHERE key = 'parent'")
    deaths = 0
    while True:
        seed_runs(parents.app, workflow_id, 1)
        failpoints.arm_failpoints(f"{moment}=kill9@{1 + STRIDE * deaths}")
        has_died = go_on_living(parents)
        failpoints.arm_failpoints("")
        # With the family that ran first: one more of both for each time.
        families = deaths + 2
        assert parents.statuses() == {"succeeded": RUNS * families}
        assert counts(parents.app) == [families, families]
        if not has_died:
            break
        deaths += 1
    assert deaths
    check_invariants(parents.app)
