"""What is said about timings that are allowed and may yet surprise."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.timing.advice import advice
from domain.timing.timing import Timing
from tests.domain.timing.oracle import utc
from tests.domain.timing.patterns import crons
from tests.promptness import least_seconds

NOW = utc(2026, 11, 21)

SAID = [
    ("0 9 31 * *", "SHORT_MONTHS", "no day 31 in Feb, Apr, Jun, Sep and Nov"),
    ("0 9 30 * *", "SHORT_MONTHS", "no day 30 in Feb:"),
    ("0 9 29 * *", "SHORT_MONTHS", "no day 29 in Feb outside leap years"),
    ("0 9 31 4,5 *", "SHORT_MONTHS", "no day 31 in Apr:"),
    ("0 9 29 2 *", "LEAP_DAY", "every four years"),
    ("0 9 13 * 5", "EITHER_DAY", "on day 13 of the month and also on every Friday"),
    ("0 9 1,15 * 0,1", "EITHER_DAY", "on days 1 and 15 of the month and also on every Monday and Sunday"),
    ("0 9 */2 * 1", "BOTH_DAYS", "both day fields must match"),
    ("0 9 */2 * *", "UNEVEN_STEP", "counted from the 1st"),
    ("* 9 * * *", "EVERY_MINUTE", "from 09:00 to 09:59"),
    ("* 9-17 * * *", "EVERY_MINUTE", "every minute of each of its hours"),
    ("* * * * *", "OFTEN_AND_WAITING", "every minute"),
    ("*/2 * * * *", "OFTEN_AND_WAITING", "every 2 minutes"),
    ("*/7 * * * *", "UNEVEN_STEP", "after a gap of 4 minutes"),
    ("0 */5 * * *", "UNEVEN_STEP", "after a gap of 4 hours"),
    ("0 */23 * * *", "UNEVEN_STEP", "after a gap of 1 hour."),
    ("0 0 * * 1", "MIDNIGHT", "in the night from Sunday to Monday"),
    ("30 2 * * *", "CLOCK_CHANGE_HOUR", "Another hour"),
]
SILENT = ["0 9 * * *", "0 9 * * 1-5", "0 9 1 * *", "0 9 28 * *", "0 9 15-31 * *", "*/5 * * * *", "0 */2 * * *"]
SILENT += ["0 * * * *", "*/40 9 * * *", "0 9 31 1,3 *", "0 0 * * *", "0 9 28-31 * *"]


def about(cron: str, overlap: str = "queue", zone: str = "Europe/Paris") -> dict[str, str]:
    return {each.code: each.message for each in advice(Timing.recurring(cron, zone), NOW, overlap)}


@pytest.mark.parametrize(("cron", "code", "words"), SAID)
def test_a_surprising_pattern_is_remarked_on(cron: str, code: str, words: str) -> None:
    assert words in about(cron)[code]


@pytest.mark.parametrize("cron", SILENT)
def test_a_plain_pattern_needs_no_remark(cron: str) -> None:
    assert about(cron) == {}


def test_fires_that_do_not_wait_may_come_often() -> None:
    assert "OFTEN_AND_WAITING" not in about("* * * * *", overlap="skip")


def test_utc_has_no_hour_of_clock_changes() -> None:
    assert about("30 2 * * *", zone="UTC") == {}


def test_a_leap_day_is_not_called_a_wrong_year() -> None:
    assert list(about("0 9 29 2 *")) == ["LEAP_DAY"]


def test_a_time_far_ahead_is_questioned() -> None:
    (far,) = advice(Timing.once(utc(2036, 11, 21)), NOW)
    assert (far.code, far.message) == ("FAR_AWAY", "The first fire is 10 years away. Check the year.")
    assert advice(Timing.once(NOW + timedelta(days=300)), NOW) == ()


def test_an_end_that_leaves_little_is_named() -> None:
    few = Timing.recurring("0 9 * * *", "Europe/Paris", ends_at=utc(2026, 11, 22, 8))
    (left,) = advice(few, NOW)
    assert left.message == "Only 2 fires lie before its end, 22 Nov 2026 at 09:00."
    assert advice(Timing.recurring("0 9 * * *", "Europe/Paris", ends_at=utc(2026, 12, 22)), NOW) == ()


@given(crons, st.sampled_from(["Europe/Paris", "Australia/Lord_Howe", "America/Havana"]))
@settings(max_examples=200, deadline=None)
def test_it_says_something_short_about_any_pattern_in_no_time(cron, zone):
    timing = Timing.recurring(cron, zone)
    found = advice(timing, NOW)
    assert least_seconds(lambda: advice(timing, NOW)) < 0.2
    codes = [each.code for each in found]
    assert all(len(each.message) < 300 and each.message.endswith(".") for each in found)
    assert len(codes) <= 9
