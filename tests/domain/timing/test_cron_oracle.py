"""Cron against an oracle that steps minute by minute, over the clock changes that are known to go wrong."""

from datetime import timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from domain.timing.cron import count_between, instants, next_instant, parse_cron, previous_instants
from tests.domain.timing.oracle import due, utc

SECOND = timedelta(seconds=1)

# Zone and the UTC day on which its clocks change (or would, for Kolkata).
CHANGES = {
    "New York gap": ("America/New_York", utc(2026, 3, 8)),
    "New York overlap": ("America/New_York", utc(2026, 11, 1)),
    "Paris gap": ("Europe/Paris", utc(2026, 3, 29)),
    "Paris overlap": ("Europe/Paris", utc(2026, 10, 25)),
    "Lord Howe half-hour overlap": ("Australia/Lord_Howe", utc(2026, 4, 4)),
    "Lord Howe half-hour gap": ("Australia/Lord_Howe", utc(2026, 10, 3)),
    "Havana gap at midnight": ("America/Havana", utc(2026, 3, 8)),
    "Havana overlap at one": ("America/Havana", utc(2026, 11, 1)),
    "Santiago overlap at midnight": ("America/Santiago", utc(2026, 4, 5)),
    "Santiago gap at midnight": ("America/Santiago", utc(2026, 9, 6)),
    "Casablanca Ramadan begins": ("Africa/Casablanca", utc(2026, 2, 15)),
    "Casablanca Ramadan ends": ("Africa/Casablanca", utc(2026, 3, 22)),
    "Cairo gap at midnight": ("Africa/Cairo", utc(2026, 4, 23)),
    "St John's overlap one minute past midnight": ("America/St_Johns", utc(2010, 11, 7)),
    "Kolkata never": ("Asia/Kolkata", utc(2026, 3, 29)),
    "Apia skips a whole day": ("Pacific/Apia", utc(2011, 12, 30)),
}
EXPRESSIONS = [
    "* * * * *",
    "*/15 * * * *",
    "7-59/13 * * * *",
    "0 * * * *",
    "0 */2 * * *",
    "30 1-23/2 * * *",
    "*/30 2 * * *",
    "* 1 * * *",
    "5/15 0,1,2,23 * * *",
    "0 0 * * *",
    "15 0 * * *",
    "30 1 * * *",
    "45 1 * * *",
    "15 2 * * *",
    "30 2 * * *",
    "0 3 * * *",
    "0,15,30,45 1-3 * * *",
    "0 2,3 * * *",
    "59 23 * * *",
    "30 23,0 * * 0",
    "30 2 * * SUN",
    "30 1 * * 7",
    "0 9 30 12 *",
    "15 0 8 3 5",
    "30 2 1-10 * mon-tue",
    "10 1 * nov,Apr,OCT sat,sun",
    "0 12 */2 * *",
    "0 12 */2 * 1-5",
]
OPTIONS = [("after", "first"), ("skip", "first"), ("after", "both"), ("skip", "both")]


@pytest.mark.parametrize(("zone", "day"), CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_instants_around_a_clock_change_agree_with_the_oracle(expression, zone, day):
    start, end = day - timedelta(hours=30), day + timedelta(hours=54)
    cron = parse_cron(expression)
    for gap, repeat in OPTIONS:
        options = {"dst_gap": gap, "dst_repeat": repeat}
        expected = due(expression, zone, start, end, gap, repeat)
        assert list(instants(cron, zone, start - SECOND, end, **options)) == expected
        assert count_between(cron, zone, start - SECOND, end, **options) == len(expected)
        assert previous_instants(cron, zone, end, 9999, not_before=start, **options) == expected[::-1]
        for earlier, later in list(pairwise(expected))[:40]:
            assert next_instant(cron, zone, earlier, **options) == later


def _clock_rules():
    """One zone for each distinct set of clock changes of 2024 to 2030, with the days on which they happen."""
    days = [utc(2024, 1, 1, 12) + timedelta(days=number) for number in range(7 * 365)]
    rules = {}
    for zone in sorted(available_timezones() - {"localtime"}):
        place = ZoneInfo(zone)
        offsets = [day.replace(tzinfo=place).utcoffset() for day in days]
        changed = [day for day, (one, other) in zip(days, pairwise(offsets), strict=False) if one != other]
        rules.setdefault((tuple(changed), offsets[0], offsets[-1]), zone)
    return [(zone, changed) for (changed, _, _), zone in rules.items() if changed]


def test_every_clock_change_of_every_zone_until_2030_agrees_with_the_oracle():
    expressions = ["0,20,40 0-4,23 * * *", "*/20 * * * *"]
    tried = 0
    for zone, changed in _clock_rules():
        for day in changed[:6]:
            start = utc(day.year, day.month, day.day, 12) - timedelta(hours=14)
            end = start + timedelta(hours=52)
            for expression in expressions:
                found = list(instants(parse_cron(expression), zone, start - SECOND, end))
                assert found == due(expression, zone, start, end), (zone, expression)
                tried += 1
    assert tried > 200


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_the_29th_of_february_comes_every_four_years_and_eight_around_2100(zone):
    cron = parse_cron("0 0 29 2 *")
    found, after = [], utc(2023, 6, 1)
    while after.year < 2105:
        after = next_instant(cron, zone, after)
        found.append(after.astimezone(ZoneInfo(zone)))
    assert {(day.month, day.day, day.hour) for day in found} == {(2, 29, 0)}
    assert [day.year for day in found] == [*range(2024, 2097, 4), 2104, 2108]


def test_a_29th_of_february_on_a_sunday_is_found_across_a_century():
    cron = parse_cron("0 0 29 2 */7")
    assert next_instant(cron, "UTC", utc(2088, 3, 1)) == utc(2128, 2, 29)


@pytest.mark.parametrize("number", ["0", "7", "SUN", "sun"])
def test_zero_seven_and_the_name_are_sunday(number):
    found = list(instants(parse_cron(f"0 9 * * {number}"), "UTC", utc(2026, 1, 1), utc(2026, 1, 31)))
    assert [instant.day for instant in found] == [4, 11, 18, 25]


def test_day_of_month_or_day_of_week_is_enough_when_both_are_set():
    found = list(instants(parse_cron("0 0 13 * FRI"), "UTC", utc(2026, 1, 1), utc(2026, 1, 31)))
    assert [instant.day for instant in found] == [2, 9, 13, 16, 23, 30]


def test_a_day_field_that_begins_with_a_star_must_match_too():
    found = list(instants(parse_cron("0 0 */10 * THU"), "UTC", utc(2025, 12, 31), utc(2026, 1, 31)))
    assert [instant.day for instant in found] == [1]


def test_a_31st_fires_only_in_months_that_have_one():
    found = list(instants(parse_cron("0 0 31 * *"), "UTC", utc(2026, 1, 1), utc(2026, 12, 31, 1)))
    assert [instant.month for instant in found] == [1, 3, 5, 7, 8, 10, 12]


@pytest.mark.parametrize("expression", ["0 5-5/2 * * *", "0 0 * * 1-1/1", "0 0 1 JAN-JAN/2 *"])
def test_a_range_of_one_is_that_one_whatever_its_step(expression):
    start, until = utc(2026, 6, 1), utc(2026, 6, 15)
    assert list(instants(parse_cron(expression), "UTC", start - SECOND, until)) == due(expression, "UTC", start, until)


@pytest.mark.parametrize(
    ("expression", "misread"),
    [
        ("0 0 29 2 *", "0 0 28 2 *"),
        ("0 0 31 * *", "0 0 30 * *"),
        ("0 0 13 * FRI", "0 0 13 * *"),
        ("0 9 * * 0", "0 9 * * 1"),
        ("0 0 1 1 *", "0 0 31 12 *"),
    ],
)
def test_control_the_oracle_tells_a_rare_day_from_its_neighbour(expression, misread):
    """Over a leap year, its end and the 53rd week in it."""
    start, end = utc(2026, 12, 1), utc(2028, 3, 2)
    found = list(instants(parse_cron(expression), "UTC", start - SECOND, end))
    assert found == due(expression, "UTC", start, end)
    assert found != due(misread, "UTC", start, end)
