"""The tenant's store, as steps see it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from domain.engine.actions.action import ActionContext
from domain.engine.actions.registry import find_action
from domain.engine.failures import StepFailed
from domain.kernel.db import transaction
from tests.domain.engine.claimed_runs import a_running_run


@pytest.fixture
def store(db):
    claim = a_running_run(db)

    def call_store(name, *, after=0, **inputs):
        at = claim.started_at + timedelta(seconds=after)
        context = ActionContext(claim.run_id, claim.tenant_id, claim.workflow_id, "p", "", 1, "k", at)
        action = find_action(f"store.{name}", 1)
        action.check_inputs(inputs)
        return action.call(inputs, context)

    return call_store


@pytest.mark.parametrize("name", ["get", "set", "increment"])
def test_an_action_of_the_store_gives_the_output_of_its_example(store, name):
    example = find_action(f"store.{name}", 1).example
    assert store(name, **example.inputs) == example.output


def test_what_is_kept_is_read_with_its_type_and_revision(store):
    assert store("set", key="a", value=[1]) == {"revision": 1, "created": True}
    assert store("set", key="a", value={"x": None}) == {"revision": 2, "created": False}
    assert store("get", key="a") | {"expires_at": None} == {
        "found": True,
        "value": {"x": None},
        "value_type": "object",
        "revision": 2,
        "expires_at": None,
    }


def test_namespaces_keep_equal_keys_apart(store):
    store("set", key="a", value=1)
    assert store("set", namespace="other", key="a", value=2) == {"revision": 1, "created": True}
    assert store("get", key="a")["value"] == 1


def test_null_can_be_kept(store):
    store("set", key="a", value=None)
    assert (store("get", key="a")["found"], store("get", key="a")["value_type"]) == (True, "null")


def test_an_expired_value_is_as_good_as_none(store):
    store("set", key="a", value=5, ttl_seconds=60)
    assert store("get", key="a", after=59)["expires_at"] is not None
    assert store("get", key="a", after=60)["found"] is False
    assert store("increment", key="a", after=60) == {"value": 1, "revision": 2}
    assert store("get", key="a", after=10_000)["value"] == 1
    store("set", key="b", value=1, ttl_seconds=60)
    assert store("set", key="b", value=2, if_revision=0, after=61) == {"revision": 2, "created": True}


def test_a_value_is_kept_only_over_the_revision_that_was_named(store):
    assert store("set", key="a", value=1, if_revision=0)["revision"] == 1
    assert store("set", key="a", value=2, if_revision=1)["revision"] == 2
    for stale in (0, 1, 3):
        with pytest.raises(StepFailed) as failed:
            store("set", key="a", value=9, if_revision=stale)
        assert failed.value.code == "REVISION_CONFLICT"
    with pytest.raises(StepFailed):
        store("set", key="absent", value=9, if_revision=1)
    assert store("get", key="a")["value"] == 2
    assert store("get", key="absent")["found"] is False


def test_counting_starts_from_the_initial_value_and_takes_any_step(store):
    assert store("increment", key="a", initial=100, by=-2.5) == {"value": 97.5, "revision": 1}
    assert store("increment", key="a", initial=100, by=2.5) == {"value": 100.0, "revision": 2}


@pytest.mark.parametrize("inputs", [{"key": ""}, {"key": "a\n"}, {"key": "a" * 257}, {"key": "a", "namespace": "a b"}])
def test_odd_keys_are_refused(store, inputs):
    with pytest.raises(StepFailed) as failed:
        store("get", **inputs)
    assert failed.value.code == "INVALID_INPUT"


def test_counting_at_the_same_time_loses_nothing(committing_app):
    from domain.kernel.db import db as database

    claim = a_running_run(database.session)
    action = find_action("store.increment", 1)
    context = ActionContext(claim.run_id, claim.tenant_id, claim.workflow_id, "p", "", 1, "k", claim.started_at)

    def count(_):
        with committing_app.app_context(), transaction():
            return action.call({"key": "n"}, context)["value"]

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(count, range(40))) == list(range(1, 41))
