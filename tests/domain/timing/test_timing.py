"""The timing of a schedule as a value: once or recurring, inside a window."""

from datetime import timedelta

import pytest

from domain.kernel.errors import Refused
from domain.timing.cron import parse_cron
from domain.timing.timing import Timing, check_run_at, check_window
from tests.domain.timing.oracle import utc

SECOND = timedelta(seconds=1)
NINE = utc(2026, 5, 4, 9)


def problem_of(call, *arguments, **options):
    with pytest.raises(Refused) as caught:
        call(*arguments, **options)
    (problem,) = caught.value.problems
    return problem.path, problem.code


def test_a_one_time_timing_is_due_exactly_once():
    timing = Timing.once(NINE, "Europe/Paris")
    assert timing.trigger_type == "schedule"
    assert timing.next_after(NINE - SECOND) == NINE
    assert timing.next_after(NINE) is None
    assert list(timing.instants(NINE - SECOND, NINE)) == [NINE]
    assert list(timing.instants(NINE, NINE + SECOND)) == []
    assert timing.count(NINE - SECOND, NINE + SECOND) == 1
    assert timing.last(NINE, 5) == timing.last(NINE, 5, NINE) == [NINE]
    assert timing.last(NINE - SECOND, 5) == timing.last(NINE + SECOND, 5, NINE + SECOND) == timing.last(NINE, 0) == []


def test_a_recurring_timing_is_due_by_its_pattern_in_its_zone():
    timing = Timing.recurring("0 9 * * *", "Europe/Paris")
    assert timing.trigger_type == "recurring"
    assert timing.next_after(NINE) == utc(2026, 5, 5, 7)
    assert timing.last(NINE, 2) == [utc(2026, 5, 4, 7), utc(2026, 5, 3, 7)]
    assert timing.count(NINE, NINE + timedelta(days=365)) == 365


def test_the_window_includes_its_ends_and_nothing_beyond():
    first, last = NINE, NINE + timedelta(hours=3)
    timing = Timing.recurring("0 * * * *", "UTC", starts_at=first, ends_at=last)
    hours = [NINE + timedelta(hours=number) for number in range(4)]
    assert timing.next_after(utc(2020, 1, 1)) == first
    assert timing.next_after(last - SECOND) == last
    assert timing.next_after(last) is None
    assert list(timing.instants(utc(2020, 1, 1), utc(2030, 1, 1))) == hours
    assert timing.count(utc(2020, 1, 1), utc(2030, 1, 1)) == 4
    assert timing.last(utc(2030, 1, 1), 3) == hours[:0:-1]
    assert timing.last(utc(2030, 1, 1), 9, hours[2]) == hours[:1:-1]


def test_the_options_for_clock_changes_reach_every_question():
    before, after = utc(2026, 11, 1), utc(2026, 11, 2)
    once = Timing.recurring("30 1 * * *", "America/New_York")
    twice = Timing.recurring("30 1 * * *", "America/New_York", dst_repeat="both")
    assert (once.count(before, after), twice.count(before, after)) == (1, 2)
    assert len(list(twice.instants(before, after))) == len(twice.last(after, 9, before)) == 2
    assert twice.next_after(utc(2026, 11, 1, 5, 30)) == utc(2026, 11, 1, 6, 30)
    assert once.next_after(utc(2026, 11, 1, 5, 30)) == utc(2026, 11, 2, 6, 30)


def test_timings_with_the_same_content_are_equal():
    assert Timing.recurring("@daily", "UTC") == Timing.recurring(parse_cron("0 0  * * *"), "UTC")
    assert Timing.recurring("@daily", "UTC") != Timing.recurring("@daily", "Europe/Paris")
    assert hash(Timing.once(NINE)) == hash(Timing.once(NINE + timedelta(milliseconds=5)))


def test_bad_parts_are_refused_at_their_field():
    assert problem_of(Timing.recurring, "* * * *", "UTC") == ("cron", "CRON_INVALID")
    assert problem_of(Timing.recurring, "* * * * *", "America") == ("timezone", "TIMEZONE_INVALID")
    assert problem_of(Timing.once, NINE, "localtime") == ("timezone", "TIMEZONE_INVALID")


def test_naive_instants_are_refused_everywhere():
    naive = NINE.replace(tzinfo=None)
    for timing in (Timing.once(NINE), Timing.recurring("* * * * *", "UTC", NINE, NINE)):
        for question in (
            lambda timing=timing: timing.next_after(naive),
            lambda timing=timing: timing.instants(naive, NINE),
            lambda timing=timing: timing.count(NINE, naive),
            lambda timing=timing: timing.last(naive, 1),
        ):
            with pytest.raises(ValueError, match="without a time zone"):
                question()
    with pytest.raises(ValueError, match="without a time zone"):
        Timing.once(naive)


def test_a_timing_is_either_an_instant_or_a_pattern():
    for both_or_none in ({}, {"run_at": NINE, "cron": parse_cron("* * * * *")}):
        with pytest.raises(ValueError, match="either"):
            Timing("UTC", **both_or_none)


def test_a_run_at_must_lie_strictly_in_the_future():
    check_run_at(NINE, NINE - SECOND)
    assert problem_of(check_run_at, NINE, NINE) == ("runAt", "RUN_AT_IN_PAST")
    assert problem_of(check_run_at, NINE, NINE + timedelta(days=1)) == ("runAt", "RUN_AT_IN_PAST")


def test_a_window_in_which_nothing_is_due_is_refused():
    now, later = NINE, NINE + timedelta(minutes=30)
    check_window(Timing.once(NINE), now)
    check_window(Timing.recurring("*/10 * * * *", "UTC", ends_at=later), now)
    assert problem_of(check_window, Timing.recurring("0 0 * * *", "UTC", ends_at=later), now) == (
        "endsAt",
        "WINDOW_EMPTY",
    )
    backwards = Timing.recurring("* * * * *", "UTC", starts_at=later, ends_at=now)
    assert problem_of(check_window, backwards, utc(2026, 1, 1)) == ("endsAt", "WINDOW_EMPTY")
