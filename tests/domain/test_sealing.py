"""A version that marks more fields as secret than the one before seals what schedules hold there."""

from __future__ import annotations

from typing import Any

from domain.publishing.publishing import publish_workflow
from domain.workflows.payload_schemas import register_schema
from domain.workflows.payload_secrets import opened, shown
from tests.factories import NOW, a_published_workflow, a_schedule, a_tenant, a_user, an_actor

REF = "payload.Sync.v2"


def test_what_a_new_version_calls_secret_is_sealed_in_the_schedules_it_finds(db: Any) -> None:
    acme = a_tenant("acme")
    alice = an_actor(acme, a_user(acme))
    marked = {"type": "object", "properties": {"token": {"type": "string", "x-secret": True}, "n": {"maximum": 5}}}
    register_schema(alice, REF, marked, NOW)
    workflow = a_published_workflow(acme, schema={"type": "object"})
    fitting = a_schedule(workflow, "Fits", payload_json={"token": "hunter2", "plain": "x"})
    same = a_schedule(workflow, "The same", payload_json={"token": "hunter2", "plain": "x"})
    misfit = a_schedule(workflow, "Does not fit", payload_json={"token": "hunter2", "n": 6})
    untouched = a_schedule(workflow, "No token", payload_json={"plain": "x"})
    workflow.draft_schema_ref = REF
    db.flush()

    published = publish_workflow(alice, workflow.id, workflow.revision, NOW)

    assert (published.rebound, published.invalidated) == (3, 1)
    for schedule in (fitting, same):
        assert shown(schedule.payload_json) == {"token": {"$kept": True}, "plain": "x"}
        assert opened(acme.id, schedule.payload_json) == {"token": "hunter2", "plain": "x"}
    assert shown(misfit.payload_json) == {"token": {"$kept": True}, "n": 6}
    assert untouched.payload_json == {"plain": "x"}
