"""A bundle goes into an empty tenant, is published, runs to success in real processes, and exports identically."""

from __future__ import annotations

import time

import pytest

from domain.accounts.audit import Actor
from domain.bundles.canonical import canonical_bytes
from domain.bundles.documents import read_bundle
from domain.bundles.exporting import export_bundle
from domain.bundles.importing import import_bundle
from domain.bundles.reading import BundleRefused
from domain.kernel.clock import database_now
from domain.kernel.db import db, transaction
from domain.publishing import publish_workflow
from domain.runs.launch import launch_workflow
from domain.workflows.workflows import Workflow
from tests.domain.bundles.bundle_files import a_document, a_file, an_entry
from tests.factories import a_tenant, an_actor
from tests.faults.fleet import Fleet, scalar
from tests.faults.invariants import check_invariants, counts, wait_for_all
from tests.faults.seeds import counting_steps

MANY = 500
# A loaded machine is slow, not wrong.
MANY_SECONDS = 60


def tenants(fleet: Fleet, *slugs: str) -> list[Actor]:
    with fleet.app.app_context(), transaction():
        return [an_actor(a_tenant(slug)) for slug in slugs]


def exported(fleet: Fleet, actor: Actor) -> bytes:
    with fleet.app.app_context(), transaction():
        return export_bundle(actor.tenant_id)


def test_a_bundle_in_an_empty_tenant_is_published_runs_and_exports_identically(fleet: Fleet) -> None:
    alice, charlie = tenants(fleet, "acme", "globex")
    children = [{"id": "count", "type": "control.callWorkflow", "workflowKey": "counting"}]
    file = canonical_bytes(
        a_document(
            an_entry("calling", children, versions=(), pinnedPayloadSchemaRef="payload.Empty.v1"),
            an_entry("counting", counting_steps(), pinnedPayloadSchemaRef="payload.Empty.v1"),
        )
    )
    with fleet.app.app_context(), transaction():
        made = import_bundle(alice, read_bundle(file), now=database_now())
        calling = next(one.workflow_id for one in made.created if one.key == "calling")
    assert exported(fleet, alice) == file

    fleet.scheduler()
    fleet.worker()
    fleet.await_processes(2)
    with fleet.app.app_context(), transaction():
        workflow = db.session.get_one(Workflow, calling)
        assert publish_workflow(alice, calling, workflow.revision, database_now()).version == 1
        launch_workflow(alice, calling, "{}", "once", database_now())
    wait_for_all(fleet.app, 2)
    check_invariants(fleet.app)
    assert counts(fleet.app) == [1, 1, 1]

    published = exported(fleet, alice)
    assert published != file
    with fleet.app.app_context(), transaction():
        import_bundle(charlie, read_bundle(published), now=database_now())
    assert exported(fleet, charlie) == exported(fleet, alice) == published


def test_five_hundred_workflows_are_imported_in_seconds_with_progress(fleet: Fleet) -> None:
    (alice,) = tenants(fleet, "acme")
    file = a_file(*(an_entry(f"workflow-{number:03}", counting_steps(5), versions=(1, 2)) for number in range(MANY)))
    told: list[int] = []
    started = time.monotonic()
    with fleet.app.app_context(), transaction():
        done = import_bundle(alice, read_bundle(file), now=database_now(), on_progress=lambda n, _: told.append(n))
    assert time.monotonic() - started < MANY_SECONDS
    assert len(done.created) == MANY and told == list(range(1, MANY + 1))
    again = exported(fleet, alice)
    with fleet.app.app_context(), transaction():
        same = import_bundle(alice, read_bundle(again), force=True, now=database_now())
    assert len(same.unchanged) == MANY


@pytest.mark.parametrize("kind", ["deep", "huge", "circle", "twice", "many steps"])
def test_a_hostile_bundle_is_refused_quickly_and_leaves_no_trace(fleet: Fleet, kind: str) -> None:
    (alice,) = tenants(fleet, "acme")
    calls = [[{"id": "c", "type": "control.callWorkflow", "workflowKey": f"w{(n + 1) % 300}"}] for n in range(300)]
    file = {
        "deep": b'{"format":' + b"[" * 5_000_000,
        "huge": a_file(an_entry("w", description="x" * 20_000_000)),
        "circle": a_file(*(an_entry(f"w{n}", steps) for n, steps in enumerate(calls))),
        "twice": a_file(an_entry("w"), an_entry("w")),
        "many steps": a_file(*(an_entry(f"w{n}", counting_steps(501), versions=(1,)) for n in range(20))),
    }[kind]
    started = time.monotonic()
    with fleet.app.app_context(), pytest.raises(BundleRefused), transaction():
        import_bundle(alice, read_bundle(file), now=database_now())
    assert time.monotonic() - started < MANY_SECONDS
    for table in ("workflows", "workflow_versions", "schedules", "audit_entries"):
        assert scalar(fleet.app, f"SELECT count(*) FROM {table}") == 0
