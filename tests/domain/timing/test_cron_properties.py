"""Laws that hold for any pattern, zone and instant."""

from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.timing.cron import count_between, instants, next_instant, parse_cron, previous_instants
from tests.domain.timing.oracle import utc
from tests.domain.timing.patterns import crons
from tests.promptness import least_seconds, promptly

SECOND = timedelta(seconds=1)
ZONES = ["UTC", "America/New_York", "Europe/Paris", "Australia/Lord_Howe", "America/Havana", "Africa/Casablanca"]


moments = st.datetimes(utc(2024, 1, 1).replace(tzinfo=None), utc(2031, 1, 1).replace(tzinfo=None))
moments = moments.map(lambda naive: naive.replace(tzinfo=utc(2024, 1, 1).tzinfo))
options = st.fixed_dictionaries(
    {"dst_gap": st.sampled_from(["after", "skip"]), "dst_repeat": st.sampled_from(["first", "both"])}
)


@given(crons, st.sampled_from(ZONES), moments, st.floats(0, 1, exclude_max=True), options)
@settings(max_examples=300)
def test_the_next_instant_lies_ahead_and_stays_the_next_until_it_comes(cron, zone, now, share, options):
    """Temporal's rule: next(t) == next(now) for every t in [now, next(now))."""
    upcoming = next_instant(cron, zone, now, **options)
    assert upcoming > now
    assert upcoming.microsecond == 0
    meanwhile = now + (upcoming - now) * share
    assert next_instant(cron, zone, min(meanwhile, upcoming - SECOND), **options) == upcoming
    assert next_instant(cron, zone, upcoming, **options) > upcoming


@given(crons, st.sampled_from(ZONES), moments, st.integers(0, 5 * 86_400), options)
@settings(max_examples=60)
def test_listing_counting_and_looking_back_tell_the_same(cron, zone, after, seconds, options):
    until = after + timedelta(seconds=seconds)
    listed = list(instants(cron, zone, after, until, **options))
    assert listed == sorted(set(listed))
    assert all(after < instant <= until for instant in listed)
    assert count_between(cron, zone, after, until, **options) == len(listed)
    backwards = previous_instants(cron, zone, until, 10_000, not_before=after + timedelta(microseconds=1), **options)
    assert backwards == listed[::-1]


@given(crons, st.sampled_from(ZONES), moments, st.integers(0, 400), st.integers(0, 400))
@settings(max_examples=60)
def test_counts_of_adjoining_ranges_add_up(cron, zone, start, days, more_days):
    middle = start + timedelta(days=days)
    end = middle + timedelta(days=more_days)
    whole = count_between(cron, zone, start, end)
    assert whole == count_between(cron, zone, start, middle) + count_between(cron, zone, middle, end)


def test_three_years_of_minutes_are_counted_exactly_and_quickly():
    cron, start, end = parse_cron("* * * * *"), utc(2023, 1, 1), utc(2026, 1, 1)
    assert count_between(cron, "America/New_York", start, end) == (end - start) // timedelta(minutes=1)
    assert least_seconds(lambda: count_between(cron, "America/New_York", start, end)) < 2


def test_twenty_thousand_next_instants_take_no_more_than_seconds():
    cron, start = parse_cron("0 9 * * 1-5"), utc(2026, 1, 1)
    next_instant(cron, "Europe/Paris", start)
    with promptly(15):
        for number in range(20_000):
            next_instant(cron, "Europe/Paris", start + timedelta(seconds=137 * number))
