"""What is foretold of a clock change is what firing then does."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.timing.clock_changes import AHEAD_SECONDS, clock_changes, next_clock_change, one_time_change
from domain.timing.timing import Timing
from domain.timing.zones import parse_local, zone
from tests.domain.timing.oracle import due, utc
from tests.domain.timing.patterns import crons
from tests.promptness import least_seconds

NOW = utc(2026, 11, 21)
BEFORE_APIA = utc(2011, 10, 1)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
ZONES = ["Europe/Paris", "America/Havana", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Casablanca"]

CHANGES_AHEAD = {
    "Europe/Paris": [utc(2027, 3, 28, 1), utc(2027, 10, 31, 1)],
    "America/Havana": [utc(2027, 3, 14, 5), utc(2027, 11, 7, 5)],
    "Australia/Lord_Howe": [utc(2027, 4, 3, 15), utc(2027, 10, 2, 15, 30)],
    "Antarctica/Troll": [utc(2027, 3, 28, 1), utc(2027, 10, 31, 1)],
    "Africa/Casablanca": [utc(2027, 2, 7, 2), utc(2027, 3, 14, 2)],
}
FIXED = [
    ("30 2 * * *", "Europe/Paris", "Sun 28 Mar 2027: 02:30 does not exist, it fires at 03:00."),
    ("30 2 * * *", "Europe/Paris", "Sun 31 Oct 2027: 02:30 happens twice, it fires the first time only."),
    ("0,30 2 * * *", "Europe/Paris", "Sun 28 Mar 2027: 02:00 and 02:30 do not exist, they fire once, at 03:00."),
    ("15 2 * * *", "Australia/Lord_Howe", "Sun 3 Oct 2027: 02:15 does not exist, it fires at 02:30."),
    ("45 1 * * 0", "Australia/Lord_Howe", "Sun 4 Apr 2027: 01:45 happens twice, it fires the first time only."),
    ("30 1 * * *", "Antarctica/Troll", "Sun 28 Mar 2027: 01:30 does not exist, it fires at 03:00."),
    ("30 2 * * *", "Africa/Casablanca", "Sun 14 Mar 2027: 02:30 does not exist, it fires at 03:00."),
    ("15 0 * * *", "America/Havana", "Sun 14 Mar 2027: 00:15 does not exist, it fires at 01:00."),
]
ELAPSED = [
    ("0 * * * *", "Europe/Paris", "Sun 28 Mar 2027: 02:00 to 03:00 does not exist, one fire fewer."),
    ("0 * * * *", "Europe/Paris", "Sun 31 Oct 2027: 02:00 to 03:00 happens twice, one fire more."),
    ("*/15 * * * *", "Australia/Lord_Howe", "Sun 4 Apr 2027: 01:30 to 02:00 happens twice, 2 fires more."),
    ("* * * * *", "America/Havana", "Sun 14 Mar 2027: 00:00 to 01:00 does not exist, 60 fires fewer."),
]
UNTOUCHED = ["0 9 * * *", "30 2 * * 1-5", "30 2 1 * *", "0 3 * * *"]


def sentences(timing: Timing, now: datetime = NOW) -> list[str]:
    return [change.sentence for change in clock_changes(timing, now)]


@pytest.mark.parametrize(("cron", "place", "sentence"), FIXED + ELAPSED)
def test_a_clock_change_that_touches_a_fire_is_foretold(cron: str, place: str, sentence: str) -> None:
    assert sentence in sentences(Timing.recurring(cron, place))


@pytest.mark.parametrize("cron", UNTOUCHED)
def test_one_that_touches_none_is_not(cron: str) -> None:
    assert sentences(Timing.recurring(cron, "Europe/Paris")) == []


def test_the_choices_for_skipped_and_repeated_times_are_honoured() -> None:
    timing = Timing.recurring("30 2 * * *", "Europe/Paris", dst_gap="skip", dst_repeat="both")
    assert sentences(timing) == [
        "Sun 28 Mar 2027: 02:30 does not exist, it does not fire.",
        "Sun 31 Oct 2027: 02:30 happens twice, it fires both times.",
    ]


def test_a_day_that_the_date_line_swallows_is_foretold() -> None:
    daily, hourly = (Timing.recurring(cron, "Pacific/Apia") for cron in ("0 9 * * *", "0 * * * *"))
    assert sentences(daily, BEFORE_APIA) == [
        "Fri 30 Dec 2011: 09:00 does not exist, it fires at 00:00 on Sat 31 Dec 2011."
    ]
    assert "Fri 30 Dec 2011: the whole day does not exist, 24 fires fewer." in sentences(hourly, BEFORE_APIA)


def test_many_times_are_not_all_listed() -> None:
    (spring, _) = sentences(Timing.recurring("0,10,20,30,40,50 2 * * *", "Europe/Paris"))
    assert "02:00, 02:10, 02:20 and 3 more do not exist" in spring


def test_a_change_outside_the_window_touches_nothing() -> None:
    over = Timing.recurring("30 2 * * *", "Europe/Paris", starts_at=utc(2027, 4, 1), ends_at=utc(2027, 10, 1))
    assert sentences(over) == []


def test_the_next_change_is_known_where_there_is_one() -> None:
    assert next_clock_change("Europe/Paris", NOW) == utc(2027, 3, 28, 1)
    assert next_clock_change("Asia/Tokyo", NOW) is None


@pytest.mark.parametrize(
    ("wall", "said"),
    [
        ("2027-03-28T02:30", "02:30 does not exist, it fires at 03:00."),
        ("2027-10-31T02:30", "02:30 happens twice, it fires the first time only."),
        ("2027-06-01T02:30", None),
    ],
)
def test_a_time_that_was_asked_for_once_is_judged_too(wall: str, said: str | None) -> None:
    timing = Timing.once(parse_local(wall, "Europe/Paris"), "Europe/Paris")
    found = one_time_change(timing, datetime.fromisoformat(wall))
    assert (found.sentence.split(": ", 1)[1] if found else None) == said


def test_the_second_of_two_equal_wall_times_is_called_so() -> None:
    (found,) = clock_changes(Timing.once(utc(2027, 10, 31, 1, 30), "Europe/Paris"), NOW)
    assert found.sentence.endswith("02:30 happens twice, it fires the second time only.")


@given(crons, st.sampled_from(ZONES), st.sampled_from(["after", "skip"]), st.sampled_from(["first", "both"]))
@settings(max_examples=150, deadline=None)
def test_what_is_foretold_is_what_fires(cron, place, gap, repeat):
    """Against a reading that walks every minute of the wall clock and knows nothing of offsets."""
    timing = Timing.recurring(cron, place, dst_gap=gap, dst_repeat=repeat)
    for change in clock_changes(timing, NOW):
        expected = due(cron.text, place, change.at - DAY, change.at + DAY, gap, repeat)
        assert set(change.fires) <= set(expected)
        local = [at.astimezone(zone(place)) for at in expected]
        walls = [time.replace(tzinfo=None, fold=0) for time in local]
        if "fewer" in change.sentence or "does not fire" in change.sentence or "do not fire" in change.sentence:
            assert change.fires == ()
        elif "more." in change.sentence or "both" in change.sentence:
            assert any(walls.count(wall) == 2 for wall in walls)
        elif "not exist" in change.sentence:
            assert change.at in expected
        else:
            assert all(walls.count(at.astimezone(zone(place)).replace(tzinfo=None, fold=0)) == 1 for at in change.fires)


@given(crons, st.sampled_from(ZONES))
@settings(max_examples=100, deadline=None)
def test_no_change_that_touches_a_fire_is_forgotten(cron, place):
    """Where the choices make a difference, or a wall time fires twice, something is foretold."""
    timing = Timing.recurring(cron, place)
    foretold = {change.at for change in clock_changes(timing, NOW)}
    for at in CHANGES_AHEAD[place]:
        span = (at - DAY, at + DAY)
        most, least = due(cron.text, place, *span, "after", "both"), due(cron.text, place, *span, "skip", "first")
        walls = [instant.astimezone(zone(place)).replace(tzinfo=None) for instant in most]
        assert at in foretold or (most == least and len(set(walls)) == len(walls))


@given(crons, st.sampled_from(ZONES))
@settings(max_examples=100, deadline=None)
def test_any_pattern_is_foretold_in_no_time(cron, place):
    timing = Timing.recurring(cron, place)
    found = clock_changes(timing, NOW)
    assert least_seconds(lambda: clock_changes(timing, NOW)) < 0.2
    assert all(NOW < change.at <= NOW + timedelta(seconds=AHEAD_SECONDS) for change in found)
