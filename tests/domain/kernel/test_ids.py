"""Ids: one after the other, also where many are made at once."""

from __future__ import annotations

from domain.kernel.ids import new_id, new_ids


def test_ids_ascend_within_a_batch_and_from_one_to_the_next() -> None:
    made = [new_id(), *new_ids(10_000), *new_ids(3), new_id()]
    assert made == sorted(made) and len(set(made)) == len(made)


def test_ids_are_of_version_seven() -> None:
    assert {(made.version, made.variant) for made in new_ids(5_000)} == {(7, "specified in RFC 4122")}


def test_no_ids_are_none() -> None:
    assert new_ids(0) == []
