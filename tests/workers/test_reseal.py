"""Replacing the secret key: what was sealed is sealed again, and the earlier key can go."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from domain.accounts.secrets import Secret, create_secret, secret_values
from domain.kernel import vault
from domain.kernel.resealing import reseal_batch, sealed_columns
from domain.kernel.vault import Unsealable, configure_vault, seal
from domain.runs.runs import Run
from domain.schedules.schedules import Schedule
from domain.workflows.payload_secrets import opened
from tests.factories import NOW, a_published_workflow, a_run, a_schedule, a_tenant, an_actor
from workers.reseal import reseal

KEY, NEXT_KEY = "a first key of at least 32 characters", "the next key of at least 32 characters"


@pytest.fixture(autouse=True)
def own_keys(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault, "_keys", None)
    configure_vault(KEY)


def test_everything_sealed_is_moved_to_the_new_key(db: Any) -> None:
    acme = a_tenant("acme")
    create_secret(an_actor(acme), "BILLING", "hunter2hunter2", "", NOW)
    payload = {"a": [{"$sealed": seal(acme.id, "swordfish")}], "b": "plain"}
    workflow = a_published_workflow(acme)
    schedule = a_schedule(workflow, payload_json=payload)
    untouched = a_schedule(workflow, "Other", payload_json={"b": "plain"})
    run = a_run(workflow, input_json=payload)
    db.flush()
    configure_vault(NEXT_KEY, [KEY])

    counts = {f"{place.table.name}.{place.column.name}": reseal(place) for place in sealed_columns()}

    assert {name: count for name, count in counts.items() if count != (0, 0)} == {
        "secrets.sealed": (1, 0), "schedules.payload_json": (1, 0), "runs.input_json": (1, 0),
    }  # fmt: skip
    assert {reseal(place) for place in sealed_columns()} == {(0, 0)}
    configure_vault(NEXT_KEY)
    db.expire_all()
    assert secret_values(acme.id, {"BILLING"}) == {"BILLING": "hunter2hunter2"}
    for stored in (db.get(Schedule, schedule.id).payload_json, db.get(Run, run.id).input_json):
        assert opened(acme.id, stored) == {"a": ["swordfish"], "b": "plain"}
    assert db.get(Schedule, untouched.id).payload_json == {"b": "plain"}


def test_what_no_known_key_opens_is_counted_and_left(db: Any) -> None:
    acme = a_tenant("acme")
    for name in ("A", "B", "C"):
        create_secret(an_actor(acme), name, "hunter2hunter2", "", NOW)
    configure_vault(NEXT_KEY)
    secrets = next(place for place in sealed_columns() if place.table.name == "secrets")

    first = reseal_batch(secrets, limit=2)
    rest = reseal_batch(secrets, first.last, limit=2)

    assert [(one.changed, one.unreadable) for one in (first, rest)] == [(0, 2), (0, 1)]
    assert reseal_batch(secrets, rest.last).last is None
    with pytest.raises(Unsealable):
        secret_values(acme.id, {"A"})
    configure_vault(KEY)
    assert len(db.scalars(select(Secret)).all()) == 3
    assert secret_values(acme.id, {"A"}) == {"A": "hunter2hunter2"}
