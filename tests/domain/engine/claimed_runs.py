"""Runs in the database, claimed, and a worker's way of carrying them out."""

from __future__ import annotations

from domain.engine.compiled import compiled_version
from domain.engine.interpreter import interpret
from domain.engine.step_log import StepLog
from domain.engine.step_store import insert_steps, recorded_steps
from domain.engine.validation import is_pure
from domain.kernel.clock import database_now
from domain.kernel.db import transaction
from domain.kernel.ids import new_id
from domain.runs.claims import Claim
from domain.runs.runs import Run
from domain.workflows.versions import WorkflowVersion
from domain.workflows.workflows import Workflow
from tests.factories import a_tenant


def a_running_run(session, *steps, **payload):
    """A run of these steps, claimed: what a worker gets to see of it."""
    now = database_now()
    tenant = a_tenant(f"t-{new_id().hex[-12:]}")
    definition = {"steps": [{"id": f"s{index}", **step} for index, step in enumerate(steps)]}
    workflow = Workflow(tenant_id=tenant.id, key="w", name="W", draft_definition=definition, content_changed_at=now)
    session.add(workflow)
    session.flush()
    session.add(
        WorkflowVersion(
            tenant_id=tenant.id,
            workflow_id=workflow.id,
            version=1,
            definition=definition,
            definition_hash="",
            payload_schema_mode="pinned",
            is_pure=is_pure(definition),
            published_at=now,
        )
    )
    session.flush()
    run = Run(
        tenant_id=tenant.id,
        workflow_id=workflow.id,
        workflow_version=1,
        started_by="manual",
        input_json=payload,
        status="running",
        lane="effect",
        ready_at=now,
        started_at=now,
        claimed_by=new_id(),
        claim_epoch=1,
    )
    session.add(run)
    session.commit()
    return Claim(run.id, tenant.id, workflow.id, 1, None, run.claimed_by, 1, payload, None, now, False, now)


def carried_out(claim):
    """Interpret and record what is pending, as a worker does."""
    with transaction():
        version = compiled_version(claim.workflow_id, claim.workflow_version)
        records = recorded_steps([claim.run_id]).get(claim.run_id, [])
    log = StepLog(claim, records, claim.started_at, is_pure=version.is_pure)
    result = interpret(version, claim, log)
    with transaction():
        insert_steps(log.pending_rows())
    return result
