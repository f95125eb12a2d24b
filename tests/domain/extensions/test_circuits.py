"""The circuit of an install: closed, open after five failures in a row, tried by one probe at a time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from domain.extensions.circuits import Passage, circuit_of, close_circuit, note_failure, pass_circuit
from domain.extensions.installs import Install
from tests.factories import NOW, a_tenant, an_install

pytestmark = pytest.mark.usefixtures("db")

LEASE = 25.0
CLOSED = Passage()


@pytest.fixture
def install(db: Any) -> Install:
    return an_install(a_tenant())


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def fail(install: Install, times: int = 1, passage: Passage = CLOSED, at: datetime = NOW) -> bool:
    return [note_failure(install.tenant_id, install.id, passage, "no answer", at) for _ in range(times)][-1]


def passed(install: Install, seconds: float) -> Passage:
    return pass_circuit(install.id, after(seconds), LEASE)


def test_an_install_that_never_failed_is_called(install: Install) -> None:
    assert passed(install, 0) == CLOSED and circuit_of(install.id) is None


def test_four_failures_in_a_row_do_not_open_it_and_the_fifth_does(install: Install) -> None:
    assert fail(install, 4) is False and passed(install, 0) == CLOSED
    assert fail(install) is True
    assert passed(install, 0) == Passage(closed_until=after(30))
    circuit = circuit_of(install.id)
    assert circuit and (circuit.failures, circuit.opened_at, circuit.last_error) == (5, NOW, "no answer")


def test_an_answer_in_between_begins_the_count_anew(install: Install) -> None:
    fail(install, 4)
    close_circuit(install.id)
    assert fail(install, 4) is False and passed(install, 0) == CLOSED


def test_when_its_time_is_over_one_probe_goes_and_nobody_else(install: Install) -> None:
    fail(install, 5)
    assert passed(install, 30) == Passage(probe=after(30 + LEASE))
    assert passed(install, 30) == Passage(closed_until=after(30 + LEASE))


def test_a_probe_that_is_answered_closes_it(install: Install) -> None:
    fail(install, 5)
    assert passed(install, 30).probe
    close_circuit(install.id)
    assert passed(install, 30) == CLOSED
    circuit = circuit_of(install.id)
    assert circuit and (circuit.failures, circuit.opened_at, circuit.last_error) == (0, None, None)


def test_each_probe_that_fails_keeps_it_open_for_twice_as_long_up_to_five_minutes(install: Install) -> None:
    fail(install, 5)
    at, opened = 30.0, []
    for _ in range(6):
        probe = passed(install, at)
        assert probe.probe and fail(install, passage=probe, at=after(at)) is True
        circuit = circuit_of(install.id)
        assert circuit and circuit.open_until and circuit.opened_at == NOW
        seconds = (circuit.open_until - after(at)).total_seconds()
        opened.append(seconds)
        at += seconds
    assert opened == [60, 120, 240, 300, 300, 300]


def test_a_probe_that_is_never_heard_of_makes_room_for_another_after_its_lease(install: Install) -> None:
    fail(install, 5)
    assert passed(install, 30).probe
    assert passed(install, 30 + LEASE).probe == after(30 + 2 * LEASE)


def test_calls_that_had_begun_before_it_opened_do_not_keep_it_open_for_longer(install: Install) -> None:
    fail(install, 5)
    assert fail(install, 3, at=after(10)) is False
    assert passed(install, 29) == Passage(closed_until=after(30))


def test_a_probe_that_fails_after_somebody_closed_it_changes_nothing(install: Install) -> None:
    fail(install, 5)
    probe = passed(install, 30)
    close_circuit(install.id)
    assert fail(install, passage=probe, at=after(31)) is False
    assert passed(install, 31) == CLOSED


def test_circuits_of_two_installs_know_nothing_of_each_other(install: Install) -> None:
    other = an_install(a_tenant("globex"))
    fail(install, 5)
    assert passed(other, 0) == CLOSED and circuit_of(other.id) is None
