"""The tenant's store, as steps see it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from domain.engine.actions.action import ActionContext
from domain.engine.actions.registry import find_action
from domain.engine.failures import StepFailed
from domain.kernel.clock import database_now
from domain.kernel.db import transaction
from domain.runs import store_items
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


@pytest.mark.parametrize("name", ["get", "set", "increment", "delete", "list", "list_namespaces"])
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


def test_what_is_removed_is_gone_and_begins_anew(store):
    store("set", key="a", value=1)
    store("set", namespace="other", key="a", value=1)
    assert store("delete", key="a") == {"deleted": True}
    assert store("delete", key="a") == {"deleted": False}
    assert store("get", key="a")["found"] is False
    assert store("get", namespace="other", key="a")["found"] is True
    assert store("set", key="a", value=1, if_revision=0) == {"revision": 1, "created": True}


def test_removing_what_had_expired_removes_nothing(store):
    store("set", key="a", value=1, ttl_seconds=60)
    assert store("delete", key="a", after=60) == {"deleted": False}


def test_keys_are_listed_page_by_page_without_expired_ones(store):
    for number in range(7):
        store("set", key=f"n{number}", value={"number": number}, **({"ttl_seconds": 60} if number == 3 else {}))
    store("set", key="other", value=None)
    store("set", namespace="elsewhere", key="n9", value=1)

    first = store("list", prefix="n", limit=4, after=60)
    rest = store("list", prefix="n", limit=4, cursor=first["next_cursor"], after=60)

    assert [item["key"] for item in first["items"]] == ["n0", "n1", "n2", "n4"]
    assert [item["key"] for item in rest["items"]] == ["n5", "n6"]
    assert rest["next_cursor"] is None
    assert first["items"][1] | {"updated_at": None} == {
        "key": "n1",
        "value": {"number": 1},
        "value_type": "object",
        "revision": 1,
        "expires_at": None,
        "updated_at": None,
    }
    assert [item["key"] for item in store("list", after=60)["items"]][-1] == "other"


@pytest.mark.parametrize("size", [60_000, 200_000])
def test_a_page_of_large_values_ends_early_and_none_is_left_out(store, size):
    for number in range(5):
        store("set", key=f"n{number}", value="x" * size)
    seen, cursor = [], None
    while True:
        page = store("list", cursor=cursor)
        assert sum(len(item["value"]) for item in page["items"]) <= max(size, 128_000)
        seen += [item["key"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"n{number}" for number in range(5)]


def test_a_prefix_is_taken_as_it_is(store):
    store("set", key="a_b", value=1)
    store("set", key="axb", value=1)
    assert [item["key"] for item in store("list", prefix="a_")["items"]] == ["a_b"]
    assert store("list", prefix="%")["items"] == []


@pytest.mark.parametrize("limit", [0, 201])
def test_a_page_has_between_one_and_two_hundred_items(store, limit):
    with pytest.raises(StepFailed):
        store("list", limit=limit)


def test_namespaces_are_listed_with_their_keys_while_they_hold_something(store):
    for place, key in (("b", "1"), ("a", "1"), ("b", "2")):
        store("set", namespace=place, key=key, value=1)
    store("set", namespace="c", key="1", value=1, ttl_seconds=60)
    counted = [("a", 1), ("b", 2), ("c", 1)]
    for after, expected in ((59, counted), (60, counted[:2])):
        found = store("list_namespaces", after=after)["namespaces"]
        assert [(one["namespace"], one["key_count"]) for one in found] == expected


def test_another_tenant_sees_nothing_of_it(store, db):
    other = a_running_run(db)
    store("set", key="a", value=1)
    context = ActionContext(other.run_id, other.tenant_id, other.workflow_id, "p", "", 1, "k", other.started_at)
    assert find_action("store.list", 1).call({}, context)["items"] == []
    assert find_action("store.list_namespaces", 1).call({}, context)["namespaces"] == []
    assert find_action("store.delete", 1).call({"key": "a"}, context) == {"deleted": False}
    assert store("get", key="a")["found"] is True


def test_expired_values_are_pruned_a_bounded_number_at_a_time(store, db, monkeypatch):
    monkeypatch.setattr(store_items, "PRUNED_AT_ONCE", 2)
    for number in range(5):
        store("set", key=f"n{number}", value=1, **({"ttl_seconds": 60} if number < 3 else {}))
    now = database_now() + timedelta(seconds=120)
    assert [store_items.prune_store(now) for _ in range(3)] == [2, 1, 0]
    assert db.query(store_items.StoreItem).count() == 2


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
