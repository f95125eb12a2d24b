"""Timings, instants and durations as people read them."""

from datetime import timedelta

import pytest
from hypothesis import given, settings

from domain.timing.cron import parse_cron
from domain.timing.timing import Timing
from domain.timing.words import absolute, cron_in_words, duration_words, relative, timing_in_words
from tests.domain.timing.oracle import utc
from tests.domain.timing.patterns import crons

NOW = utc(2026, 5, 4, 12)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("* * * * *", "Every minute"),
        ("*/1 * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("*/7 * * * *", "Every 7 minutes, counted from each full hour"),
        ("0 * * * *", "Every hour"),
        ("15 * * * *", "Every hour at minute 15"),
        ("0 */2 * * *", "Every 2 hours"),
        ("30 */6 * * *", "Every 6 hours at minute 30"),
        ("0 */5 * * *", "Every 5 hours, counted from midnight"),
        ("30 7 * * *", "Daily at 07:30"),
        ("0 9,17 * * *", "Daily at 09:00 and 17:00"),
        ("0 9 * * 1-5", "Weekdays at 09:00"),
        ("0 9 * * MON-FRI", "Weekdays at 09:00"),
        ("0 10 * * 6,7", "Weekends at 10:00"),
        ("0 9 * * 1,4", "Mondays and Thursdays at 09:00"),
        ("0 9 * * 0,1,3", "Mondays, Wednesdays and Sundays at 09:00"),
        ("0 9 * * 0-6", "Daily at 09:00"),
        ("0 2 1 * *", "On day 1 of every month at 02:00"),
        ("0 2 1,15 * *", "On days 1 and 15 of every month at 02:00"),
        ("0 2 31 * *", "On day 31 of every month that has it at 02:00"),
        ("0 0 1 1 *", "On 1 January at 00:00"),
        ("0 0 29 2 *", "On 29 February at 00:00"),
        ("0 0 1 */6 *", "On 1 January and July at 00:00"),
    ],
)
def test_common_patterns_have_plain_words(pattern, words):
    assert cron_in_words(parse_cron(pattern)) == words


def test_rarer_patterns_are_described_in_24_hour_english():
    words = cron_in_words(parse_cron("5 14 13 * FRI"))
    assert "14:05" in words and "day 13" in words and "Friday" in words


@given(crons)
@settings(max_examples=200, deadline=None)
def test_any_pattern_has_words(cron):
    assert cron_in_words(cron).strip()


def test_a_one_time_timing_is_told_in_its_zone():
    assert timing_in_words(Timing.once(utc(2026, 12, 1, 1), "Europe/Paris")) == "Once, 1 Dec 2026 at 02:00"
    assert timing_in_words(Timing.once(utc(2026, 12, 1, 1, 0, 5), "UTC")) == "Once, 1 Dec 2026 at 01:00:05"


def test_a_window_is_told_while_it_matters():
    timing = Timing.recurring("30 7 * * *", "UTC", starts_at=utc(2026, 6, 1), ends_at=utc(2026, 12, 31))
    assert timing_in_words(timing, NOW) == "Daily at 07:30, from 1 Jun 2026, until 31 Dec 2026"
    assert timing_in_words(timing, utc(2026, 7, 1)) == "Daily at 07:30, until 31 Dec 2026"
    assert timing_in_words(Timing.recurring("30 7 * * *", "UTC"), NOW) == "Daily at 07:30"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "just now"),
        (4, "just now"),
        (-4, "just now"),
        (40, "in 40 s"),
        (-40, "40 s ago"),
        (239.6, "in 4 min"),
        (-3599, "1 h ago"),
        (3 * 3600 - 5, "in 3 h"),
        (86_399, "in 1 d"),
        (-2 * 86_400, "2 d ago"),
    ],
)
def test_distances_are_rounded_to_one_unit(seconds, words):
    assert relative(NOW + timedelta(seconds=seconds), NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 ms"),
        (-1, "0 ms"),
        (0.085, "85 ms"),
        (0.9999, "1 s"),
        (1.23, "1.2 s"),
        (5, "5 s"),
        (59.97, "1 min"),
        (184, "3 min 4 s"),
        (7500, "2 h 5 min"),
        (3 * 86_400 + 2 * 3600, "3 d 2 h"),
    ],
)
def test_durations_have_at_most_two_units(seconds, words):
    assert duration_words(seconds) == words


def test_an_absolute_time_names_the_day_when_near_and_the_date_when_far():
    assert absolute(utc(2026, 5, 8, 7), "Europe/Paris", NOW) == "Fri 09:00 UTC+2"
    assert absolute(utc(2026, 5, 4, 22, 30), "Europe/Paris", NOW) == "Tue 00:30 UTC+2"
    assert absolute(utc(2026, 12, 1, 1), "Europe/Paris", NOW) == "1 Dec 2026 02:00 UTC+1"
    assert absolute(utc(2026, 5, 11, 7), "UTC", NOW) == "11 May 2026 07:00 UTC"
