"""What a call of an endpoint asks of the database, and when others are let in for it."""

from __future__ import annotations

from typing import Any

import pytest

from domain.accounts.tenants import Tenant
from domain.execution import Worker
from domain.extensions.installs import Install
from domain.kernel import clock
from domain.kernel.db import db as database
from domain.kernel.ids import new_id
from domain.runs.call_admission import admit_calls
from domain.runs.runs import CALL
from tests.domain.engine.endpoint_runs import a_waiting_call, an_installed, configure, fresh, work
from tests.factories import an_extension, an_extension_version, an_install
from tests.runners import LocalRunner
from tests.statements import counted

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, runner: LocalRunner) -> None:
    configure(monkeypatch, runner.settings(timeout_seconds=15), calls_per_install=3)


@pytest.fixture
def install(db: Any) -> Install:
    return an_installed()


def admissions_of(statements: list[str]) -> int:
    return sum("FROM tenants WHERE id = ANY" in statement for statement in statements)


def worked() -> list[str]:
    """What is sent while somebody admits once and a worker then goes on until nothing is ready."""
    database.session.commit()
    admit_calls(clock.database_now())
    database.session.commit()
    with counted() as statements:
        Worker(new_id(), 600).work(CALL, lambda: True)
    return statements


def test_calls_that_are_ready_go_before_more_of_their_install_are_let_in(install: Install) -> None:
    ids = [a_waiting_call(install).id for _ in range(6)]
    assert admissions_of(worked()) == 2
    assert {fresh(one).status for one in ids} == {"succeeded"}


def test_a_slot_is_filled_at_once_while_calls_of_another_install_are_ready(
    install: Install, monkeypatch: pytest.MonkeyPatch, runner: LocalRunner
) -> None:
    configure(monkeypatch, runner.settings(timeout_seconds=15), calls_per_install=1)
    tenant = database.session.get_one(Tenant, install.tenant_id)
    other = an_install(tenant, an_extension_version(an_extension(tenant, "com.acme.other")))
    ids = [a_waiting_call(one).id for one in (install, other) * 2]
    assert admissions_of(worked()) == len(ids)
    assert {fresh(one).status for one in ids} == {"succeeded"}


def test_a_manifest_is_read_by_the_first_call_of_a_process_only(install: Install) -> None:
    first = a_waiting_call(install).id
    work()
    second = a_waiting_call(install).id
    statements = worked()
    assert {fresh(one).status for one in (first, second)} == {"succeeded"}
    assert not any("manifest" in statement for statement in statements), statements
