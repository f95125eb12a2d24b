"""The action event.publish: a step that tells Carillon that something happened, in the transaction that records the step."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.accounts.tenants import Tenant
from domain.engine.actions.action import ActionContext
from domain.engine.actions.registry import find_action
from domain.engine.failures import StepFailed
from domain.events.events import Event, EventType
from domain.kernel.vault import seal
from domain.runs.runs import Run
from domain.workflows.payload_schemas import register_schema
from tests.factories import NOW, a_published_workflow, a_run, a_triggered_workflow, an_actor, an_event_type

TOKEN = {"type": "object", "properties": {"token": {"type": "string", "x-secret": True}}}
INPUTS = {"name": "invoice.paid", "payload": {"number": 42}, "correlation_key": "42"}


@pytest.fixture
def context(acme: Tenant, invoice_paid: EventType) -> ActionContext:
    run = a_run(a_published_workflow(acme, "Billing"), "running")
    return ActionContext(run.id, acme.id, run.workflow_id, "root.steps[0]", "", 1, None, NOW, depth=2)


def publish(context: ActionContext, **inputs: Any) -> Any:
    action = find_action("event.publish", 1)
    action.check_inputs(INPUTS | inputs)
    return action.call(INPUTS | inputs, context)


def test_it_says_what_the_event_did(context: ActionContext, acme: Tenant, db: Any) -> None:
    a_triggered_workflow(acme, "Thanks", "invoice.paid")
    a_triggered_workflow(acme, "Paused", "invoice.paid").paused_at = NOW

    output = publish(context)

    event = db.scalars(select(Event)).one()
    assert output == {"eventId": str(event.id), "started": 1, "resumed": 0, "refused": 1}
    assert (event.source, event.run_id, event.correlation_key) == ("run", context.run_id, "42")
    assert event.depth == 2
    assert db.scalar(select(Run.trigger_metadata).where(Run.started_by == "event"))["depth"] == 3


def test_each_turn_of_a_loop_publishes_one_and_a_repeated_attempt_none(context: ActionContext, db: Any) -> None:
    first = publish(context)
    assert publish(replace(context, attempt=2)) == first
    publish(replace(context, iteration="1"))
    publish(replace(context, step_path="root.steps[1]"))
    assert db.scalar(select(func.count()).select_from(Event)) == 3


@pytest.mark.parametrize(
    ("inputs", "code", "said"),
    [
        ({"name": "invoice.sent"}, "UNKNOWN_EVENT", "invoice.sent"),
        ({"payload": {"number": "x"}}, "TYPE", "payload/number"),
        ({"correlation_key": "a\nb"}, "CORRELATION_KEY_CHARACTERS", "line breaks"),
    ],
)
def test_what_is_not_taken_fails_the_step_with_the_reason(
    context: ActionContext, inputs: dict[str, Any], code: str, said: str
) -> None:
    with pytest.raises(StepFailed) as failed:
        publish(context, **inputs)
    assert (failed.value.code, failed.value.category) == (code, "ValidationError")
    assert said in failed.value.message


def test_what_a_run_hands_on_stays_sealed(context: ActionContext, acme: Tenant, db: Any) -> None:
    kept = {"$sealed": seal(acme.id, "opensesame-77")}
    register_schema(an_actor(acme), "payload.Token.v1", TOKEN, NOW)
    an_event_type(acme, "token.made", "payload.Token.v1")
    publish(context, name="token.made", payload={"token": kept})
    assert db.scalars(select(Event.payload)).one() == {"token": kept}


def test_a_circle_fails_the_step_that_would_go_on_with_it(context: ActionContext) -> None:
    with pytest.raises(StepFailed, match="events in a row") as failed:
        publish(replace(context, depth=11))
    assert failed.value.code == "EVENT_LOOP"
