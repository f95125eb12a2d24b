"""The clock changes at which cron libraries disagree, with the answer Carillon gives: local time and offset."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from apscheduler.triggers.cron import CronTrigger

from domain.timing.cron import instants, parse_cron


def every_two_hours(first, offset):
    return [f"{hour:02}:00{offset}" for hour in range(first, 24, 2)]


TABLE = [
    ("America/New_York", "2026-03-08", "30 2 * * *", ["03:00-0400"]),
    ("America/New_York", "2026-11-01", "30 1 * * *", ["01:30-0400"]),
    ("Europe/Paris", "2026-10-25", "30 2 * * *", ["02:30+0200"]),
    ("Europe/Paris", "2026-03-29", "0 */2 * * *", ["00:00+0100", *every_two_hours(4, "+0200")]),
    ("America/Havana", "2026-03-08", "15 0 * * *", ["01:00-0400"]),
    ("Africa/Cairo", "2026-04-24", "15 0 * * *", ["01:00+0300"]),
    ("America/Santiago", "2026-09-06", "15 0 * * *", ["01:00-0300"]),
    ("America/Havana", "2026-11-01", "15 0 * * *", ["00:15-0400"]),
    ("Australia/Lord_Howe", "2026-04-05", "0 */2 * * *", ["00:00+1100", *every_two_hours(2, "+1030")]),
    ("Africa/Casablanca", "2026-02-15", "30 2 * * *", ["02:30+0100"]),
    ("Asia/Kolkata", "2026-03-29", "30 2 * * *", ["02:30+0530"]),
    ("Australia/Lord_Howe", "2026-10-04", "15 2 * * *", ["02:30+1100"]),
    ("Australia/Lord_Howe", "2026-04-05", "45 1 * * *", ["01:45+1100"]),
    ("America/New_York", "2026-03-08", "*/30 2 * * *", []),
    ("Pacific/Apia", "2011-12-31", "0 9 * * *", ["00:00+1400", "09:00+1400"]),
]


def local_times(zone, day, expression, **options):
    place = ZoneInfo(zone)
    midnight = datetime.fromisoformat(day).replace(tzinfo=place)
    found = instants(
        parse_cron(expression), zone, midnight - timedelta(days=2), midnight + timedelta(days=2), **options
    )
    local = [instant.astimezone(place) for instant in found]
    return [f"{time:%H:%M%z}" for time in local if f"{time:%Y-%m-%d}" == day]


@pytest.mark.parametrize(("zone", "day", "expression", "expected"), TABLE)
def test_a_day_on_which_the_clocks_change(zone, day, expression, expected):
    assert local_times(zone, day, expression) == expected


def test_a_skipped_local_time_can_be_left_out():
    assert local_times("America/New_York", "2026-03-08", "30 2 * * *", dst_gap="skip") == []


def test_a_repeated_local_time_can_fire_both_times():
    found = local_times("America/New_York", "2026-11-01", "30 1 * * *", dst_repeat="both")
    assert found == ["01:30-0400", "01:30-0500"]


def test_several_times_in_one_gap_fire_once_together_with_the_time_at_its_end():
    found = local_times("America/New_York", "2026-03-08", "0,15,30 2,3 * * *")
    assert found == ["03:00-0400", "03:15-0400", "03:30-0400"]


def test_the_options_do_not_concern_patterns_of_elapsed_time():
    strict = local_times("America/New_York", "2026-11-01", "*/30 1 * * *", dst_gap="skip", dst_repeat="first")
    assert strict == ["01:00-0400", "01:30-0400", "01:00-0500", "01:30-0500"]


def by_another_reading(zone, day, expression):
    """As APScheduler reads the pattern, which rings here and reads no pattern."""
    place = ZoneInfo(zone)
    midnight = datetime.fromisoformat(day).replace(tzinfo=place)
    trigger = CronTrigger.from_crontab(expression, timezone=place)
    found, after = [], midnight.astimezone(UTC) - timedelta(days=1)
    while after < midnight.astimezone(UTC) + timedelta(days=2):
        due = trigger.get_next_fire_time(None, after.astimezone(place))
        found.append(due)
        after = due.astimezone(UTC) + timedelta(seconds=1)
    return [f"{time:%H:%M%z}" for time in found if f"{time:%Y-%m-%d}" == day]


def test_control_another_reading_of_the_same_patterns_fails_wherever_the_clocks_change():
    agreed = [
        zone for zone, day, expression, expected in TABLE if by_another_reading(zone, day, expression) == expected
    ]
    assert agreed == ["Australia/Lord_Howe", "Asia/Kolkata"]
