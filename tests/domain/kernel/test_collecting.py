"""When Python's collector looks for what is out of use."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from domain.kernel.collecting import SELDOM, seldom_collecting

USUAL = (700, 10, 10)


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*USUAL)
    yield
    gc.set_threshold(*before)


def test_the_collector_looks_seldom_inside_and_as_before_afterwards() -> None:
    with seldom_collecting():
        assert gc.get_threshold() == (SELDOM, *USUAL[1:])
    assert gc.get_threshold() == USUAL


def test_it_looks_as_before_also_when_something_is_raised() -> None:
    with pytest.raises(KeyError), seldom_collecting():
        raise KeyError
    assert gc.get_threshold() == USUAL


def test_of_two_threads_the_one_that_leaves_last_turns_it_back() -> None:
    is_inside, may_leave = threading.Event(), threading.Event()

    def other() -> None:
        with seldom_collecting():
            is_inside.set()
            may_leave.wait(30)

    thread = threading.Thread(target=other)
    with seldom_collecting():
        thread.start()
        assert is_inside.wait(30)
    assert gc.get_threshold()[0] == SELDOM
    may_leave.set()
    thread.join(30)
    assert gc.get_threshold() == USUAL
