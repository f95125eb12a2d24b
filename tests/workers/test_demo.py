"""The demo tenant: made once, alive within a minute, and reachable with what is written to the file."""

from __future__ import annotations

import json
import stat
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from domain.accounts.passwords import is_password
from domain.accounts.permissions import PERMISSIONS
from domain.accounts.sessions import sign_in
from domain.accounts.tenants import Tenant
from domain.accounts.tokens import token_access
from domain.accounts.users import User, user_by_email
from domain.demo_extensions import MANIFESTS
from domain.execution import Worker
from domain.extensions.extensions import Extension, ExtensionVersion
from domain.extensions.install_secrets import install_secret_values
from domain.extensions.installs import Install
from domain.extensions.manifests import content_hash, parse_manifest
from domain.firing.tick import fire_due
from domain.kernel import clock
from domain.kernel.ids import new_id
from domain.runs.admission import admit_waiting
from domain.runs.runs import LANES, Run
from domain.runs.tasks import HumanTask
from domain.runs.waking import wake_due, wake_parents
from domain.schedules.schedules import Schedule
from domain.workflows.workflows import Workflow
from workers.demo import look_after_demo

URL = "http://127.0.0.1:8000"


@pytest.fixture
def path(db: Any, tmp_path: Path) -> Path:
    """Where the first start has written its credentials."""
    path = tmp_path / "credentials.json"
    look_after_demo(path, URL)
    return path


def credentials_in(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(path.read_text())
    return found


def fire_and_execute(at: datetime) -> None:
    fire_due(at)
    worker = Worker(new_id(), 3600)
    while admit_waiting(clock.database_now()):
        for lane in LANES:
            while worker.work(lane):
                pass


def test_the_file_says_how_to_sign_in_and_only_its_owner_can_read_it(path: Path) -> None:
    written = credentials_in(path)
    assert set(written) == {"url", "email", "password", "apiToken"} and written["url"] == URL
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    session, _ = sign_in(written["email"], written["password"], clock.database_now())
    access = token_access(written["apiToken"], clock.database_now())
    assert access and access.permissions == PERMISSIONS and access.tenant.id == session.tenant_id
    assert [entry.name for entry in path.parent.iterdir()] == ["credentials.json"]


def test_a_second_start_only_writes_the_new_address(path: Path, db: Any) -> None:
    first = credentials_in(path)
    counts = [db.scalar(select(func.count()).select_from(model)) for model in (Tenant, Workflow, Schedule, User)]
    path.chmod(0o644)
    look_after_demo(path, "http://127.0.0.1:9000")
    assert credentials_in(path) == first | {"url": "http://127.0.0.1:9000"}
    assert counts == [
        db.scalar(select(func.count()).select_from(model)) for model in (Tenant, Workflow, Schedule, User)
    ]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("left", [None, "", "{", "[]", '{"email": "x"}'])
def test_a_lost_file_is_written_again_with_a_new_password(path: Path, left: str | None) -> None:
    first = credentials_in(path)
    path.unlink()
    if left is not None:
        path.write_text(left)
    look_after_demo(path, URL)
    second = credentials_in(path)
    user = user_by_email(second["email"])
    assert user and is_password(user.password_hash, second["password"])
    assert not is_password(user.password_hash, first["password"])
    assert token_access(second["apiToken"], clock.database_now())


def test_there_are_schedules_in_every_state(path: Path, db: Any) -> None:
    states = Counter(db.scalars(select(Schedule.status)))
    assert set(states) == {"active", "paused", "invalid"} and states["active"] >= 6
    assert Counter(db.scalars(select(Schedule.trigger_type)))["schedule"] == 3
    invalid = db.scalars(select(Schedule).where(Schedule.status == "invalid")).one()
    assert "costCenter" in invalid.invalid_reason and invalid.workflow_version == 1
    assert db.get(Workflow, invalid.workflow_id).published_version == 2
    paused = db.scalars(select(Schedule).where(Schedule.status == "paused")).one()
    assert paused.pause_reason and paused.paused_by


def test_the_warehouse_is_installed_at_its_older_version_with_schedules_of_its_endpoints(path: Path, db: Any) -> None:
    install = db.scalars(select(Install)).one()
    assert db.get(ExtensionVersion, install.version_id).version == "1.0.0"
    assert install_secret_values(install).keys() == {"SUPPLIER_KEY"}
    made = db.execute(
        select(Schedule.name, Schedule.is_named, Schedule.status).where(Schedule.install_id == install.id)
    )
    assert sorted(tuple(row) for row in made) == [
        ("Count Lyon", True, "active"),
        ("GET /api/health", False, "active"),
        ("Order what is low", True, "active"),
        ("Stock-taking", True, "active"),
    ]


def test_every_start_publishes_the_examples_for_all_tenants_and_only_once(path: Path, db: Any) -> None:
    for _ in range(2):
        published = db.execute(
            select(Extension.name, ExtensionVersion.version, Extension.tenant_id).join(ExtensionVersion)
        )
        assert sorted(tuple(row) for row in published) == [
            ("org.carillon.echo", "1.0.0", None),
            ("org.carillon.warehouse", "1.0.0", None),
            ("org.carillon.warehouse", "1.1.0", None),
        ]
        look_after_demo(path, URL)


def test_a_published_example_never_changes() -> None:
    """Whoever changes one gives it a new version: installations have the old one, and would not start any more."""
    hashes = [content_hash(parse_manifest(manifest)).removeprefix("sha256:")[:12] for _, manifest in MANIFESTS]
    assert hashes == ["d3ad794aef10", "3253ff1adebe", "d03e3053a549"]


def test_within_ten_minutes_everything_has_run_and_something_has_failed(path: Path, db: Any) -> None:
    start = clock.database_now()
    for minute in range(1, 11):
        fire_and_execute(start + timedelta(minutes=minute))
        if minute == 1:
            assert db.scalar(select(func.count()).select_from(Run)) >= 1
    ran = db.execute(select(Workflow.name, Run.status, Run.output).join(Run, Run.workflow_id == Workflow.id)).all()
    statuses = Counter((name, status) for name, status, _ in ran)
    assert statuses["Heartbeat", "succeeded"] >= 9
    assert statuses["Supplier stock check", "failed"] in (1, 2)
    assert {name for name, status in statuses if status == "failed"} == {"Supplier stock check"}
    assert statuses["Weather of the day", "succeeded"] and statuses["Invoice sync", "succeeded"] >= 2
    assert {name for name, status in statuses if status not in ("succeeded", "failed")} == {
        "Little shop",
        "Order fulfilment",
    }
    report = next(output for name, _, output in ran if name == "Invoice sync" and output["region"] == "apac")
    assert report["invoices"] == 12 and report["total"] > 12 * 19


def test_the_digest_collects_what_the_others_left(path: Path, db: Any) -> None:
    start = clock.database_now()
    fire_and_execute(start + timedelta(minutes=6))
    tomorrow = db.scalars(select(Schedule.run_at).where(Schedule.name == "Board digest")).one()
    fire_and_execute(tomorrow)
    output = db.scalars(
        select(Run.output).join(Workflow, Workflow.id == Run.workflow_id).where(Workflow.name == "Digest")
    ).one()
    assert output["text"].startswith("For the team; heartbeats: ")


def test_orders_are_approved_packed_delivered_and_confirmed(path: Path, db: Any) -> None:
    start = clock.database_now()
    for minute in range(3, 25, 3):
        fire_and_execute(start + timedelta(minutes=minute))
        wake_due(start + timedelta(minutes=minute, seconds=59))
        wake_parents()
        fire_and_execute(start + timedelta(minutes=minute, seconds=59))
    outputs = db.scalars(
        select(Run.output).join(Workflow, Workflow.id == Run.workflow_id).where(Workflow.name == "Order fulfilment")
    ).all()
    delivered = [output for output in outputs if output is not None]
    assert len(delivered) >= 4 and all(output["parcel"].startswith("P-") for output in delivered)
    tasks = db.scalars(select(HumanTask)).all()
    assert {task.status for task in tasks} == {"open"} and "Ship order A-" in tasks[0].title
