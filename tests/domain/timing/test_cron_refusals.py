"""What cron text is accepted, and that every refusal names the field and the reason."""

from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.kernel.errors import Refused
from domain.timing.cron import check_frequency, next_instant, parse_cron, shortest_interval_seconds
from tests.domain.timing.oracle import utc
from tests.promptness import promptly


def refusal(text):
    with pytest.raises(Refused) as caught:
        parse_cron(text)
    (problem,) = caught.value.problems
    assert problem.path == "cron"
    return problem


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "Enter a cron pattern"),
        ("   ", "Enter a cron pattern"),
        (None, "Enter a cron pattern"),
        (5, "Enter a cron pattern"),
        (["* * * * *"], "Enter a cron pattern"),
        ("* * * *", "has 4 fields; exactly five are needed"),
        ("0 9 * * 1 2026", "has 6 fields; exactly five are needed"),
        ("*", "has 1 field;"),
        ("60 * * * *", "minute 60 is out of range; allowed is 0-59"),
        ("0 24 * * *", "hour 24 is out of range; allowed is 0-23"),
        ("0 0 0 * *", "day of month 0 is out of range; allowed is 1-31"),
        ("0 0 32 * *", "day of month 32 is out of range; allowed is 1-31"),
        ("0 0 * 13 *", "month 13 is out of range; allowed is 1-12 or JAN-DEC"),
        ("0 0 * 0 *", "month 0 is out of range"),
        ("0 0 * * 8", "day of week 8 is out of range; allowed is 0-7 or SUN-SAT"),
        ("99 99 * * *", "minute 99 is out of range"),
        ("-1 * * * *", 'minute field cannot read "-1"'),
        ("*/0 * * * *", "step /0 in the minute field is out of range; allowed is /1 to /59"),
        ("0 */24 * * *", "step /24 in the hour field is out of range; allowed is /1 to /23"),
        ("*/x * * * *", "step /X in the minute field"),
        ("1-5/2/3 * * * *", "minute field cannot read"),
        ("*-5 * * * *", "minute field cannot read"),
        ("1,,2 * * * *", "empty list entry"),
        (", * * * *", "empty list entry"),
        ("1.5 * * * *", "minute field cannot read"),
        ("a * * * *", 'minute field does not know "A"'),
        ("0 0 * FOO *", 'month field does not know "FOO"'),
        ("0 0 * * JAN", 'day of week field does not know "JAN"'),
        ("0 0 L * *", "L, W, # and ? are not supported"),
        ("0 0 LW * *", "L, W, # and ? are not supported"),
        ("0 0 15W * *", "L, W, # and ? are not supported"),
        ("0 0 * * 5L", "L, W, # and ? are not supported"),
        ("0 0 * * MON#1", "L, W, # and ? are not supported"),
        ("0 0 ? * *", "L, W, # and ? are not supported"),
        ("0 22-2 * * *", "runs backwards; write it as two ranges, 22-23,0-2"),
        ("0 0 * * FRI-SUN", "runs backwards; as the end of a range Sunday is 7, so write 5-7"),
        ("0 0 * NOV-FEB *", "runs backwards"),
        ("@reboot", "@reboot is not supported"),
        ("@fortnightly", "is not supported"),
        ("٣ * * * *", "characters that do not belong"),
        ("０ ９ * * *", "characters that do not belong"),
        ("* * * * *\x00", "characters that do not belong"),
        ("* * *\n* *", "characters that do not belong"),
        ("1," * 64 + "1 * * * *", "has 137 characters; at most 128 are allowed"),
    ],
)
def test_a_bad_pattern_is_refused_with_the_field_and_the_reason(text, says):
    problem = refusal(text)
    assert problem.code == "CRON_INVALID"
    assert says in problem.message


@pytest.mark.parametrize("text", ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 31 feb */2", "0 0 30-31 2 *"])
def test_a_pattern_that_can_never_fire_is_refused(text):
    problem = refusal(text)
    assert problem.code == "CRON_NEVER_FIRES"
    assert "never fires" in problem.message


@pytest.mark.parametrize("text", ["0 0 29 2 *", "0 0 30 2 1", "0 0 31 1,2 *", "0 0 28-31 2 *"])
def test_a_rare_pattern_is_not_a_never_firing_one(text):
    assert next_instant(parse_cron(text), "UTC", utc(2026, 1, 1)) is not None


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("  0\t9   *  * mon ", "0 9 * * MON"),
        ("@hourly", "0 * * * *"),
        ("@Daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_patterns_are_stored_as_five_fields(text, stored):
    assert parse_cron(text).text == stored
    assert parse_cron(text) == parse_cron(stored)
    assert hash(parse_cron(text)) == hash(parse_cron(stored))


@given(st.text() | st.text("0123456789*/,-LW#? ", max_size=140) | st.from_regex(r"([0-9*,/\-A-Z]{1,9} ){4}[0-9*]"))
@example("9" * 120 + " * * * *")
@example("x" * 1_000_000)
@example(",".join(["0-59/1"] * 16) + " * * * *")
def test_rubbish_is_refused_or_read_quickly_and_never_crashes(text):
    with promptly(), suppress(Refused):
        assert next_instant(parse_cron(text), "UTC", utc(2026, 1, 1)) is not None


def test_a_naive_instant_is_refused():
    with pytest.raises(ValueError, match="without a time zone"):
        next_instant(parse_cron("* * * * *"), "UTC", datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "seconds"), [("* * * * *", 60), ("*/7 * * * *", 240), ("0,59 * * * *", 60), ("0 9 * * *", 86_400)]
)
def test_the_shortest_interval_of_a_pattern(text, seconds):
    assert shortest_interval_seconds(parse_cron(text), "UTC", utc(2026, 1, 1)) == seconds


def test_a_pattern_that_fires_too_often_is_refused_with_the_reason():
    cron = parse_cron("*/4 * * * *")
    check_frequency(cron, "UTC", utc(2026, 1, 1))
    check_frequency(cron, "UTC", utc(2026, 1, 1), 240)
    with pytest.raises(Refused) as caught:
        check_frequency(cron, "UTC", utc(2026, 1, 1), 300)
    (problem,) = caught.value.problems
    assert (problem.path, problem.code) == ("cron", "CRON_TOO_FREQUENT")
    assert "every 240 seconds" in problem.message and "300 seconds" in problem.message


def test_the_end_of_the_calendar_ends_the_search():
    assert next_instant(parse_cron("* * * * *"), "Europe/Paris", utc(9999, 6, 1)) is None
    assert next_instant(parse_cron("0 0 29 2 *"), "Europe/Paris", utc(9997, 1, 1)) is None


@pytest.mark.parametrize("month", [3, 11])
@pytest.mark.parametrize(
    ("pattern", "zone", "options", "seconds"),
    [
        # 02:57 is inside the gap of 8 March 2026 and fires at 03:00.
        ("57 1,2 * * *", "America/New_York", {}, 180),
        # After 01:58 the clock shows 01:00 again on 1 November.
        ("0,58 1 * * *", "America/New_York", {"dst_repeat": "both"}, 120),
        ("57 1,2 * * *", "America/New_York", {"dst_gap": "skip"}, None),
        ("0,58 1 * * *", "America/New_York", {}, None),
        ("57 1,2 * * *", "UTC", {}, None),
    ],
)
def test_two_runs_that_a_change_of_the_clock_brings_together_are_too_frequent_at_any_time_of_the_year(
    month, pattern, zone, options, seconds
):
    cron, after = parse_cron(pattern), utc(2026, month, 20)
    if seconds is None:
        check_frequency(cron, zone, after, 300, **options)
        return
    with pytest.raises(Refused, match=f"within {seconds} seconds"):
        check_frequency(cron, zone, after, 300, **options)
