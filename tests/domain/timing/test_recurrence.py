"""What people say about repeating, written as cron and read back: nothing changes its instants on the way."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.errors import Refused
from domain.timing.cron import instants, parse_cron
from domain.timing.recurrence import WEEKDAYS, Recurrence, in_week_order, recurrence_of, typed_recurrence
from tests.domain.timing.oracle import utc
from tests.domain.timing.patterns import crons

minutes, hours = st.integers(0, 59), st.integers(0, 23)
weeks = st.sets(st.sampled_from(WEEKDAYS), min_size=1).map(in_week_order)
recurrences = (
    st.builds(Recurrence, st.just("hourly"), minutes)
    | st.builds(Recurrence, st.just("daily"), minutes, hours)
    | st.builds(Recurrence, st.just("weekly"), minutes, hours, weeks)
    | st.builds(Recurrence, st.just("monthly"), minutes, hours, day=st.integers(1, 31))
)
weekday_terms = st.integers(0, 7).map(str) | st.sampled_from(["MON", "sun", "1-5", "5-7", "MON-FRI", "0-3"])
sayable = st.builds(
    "{} {} {} * {}".format,
    minutes,
    hours,
    st.just("*"),
    st.just("*") | st.lists(weekday_terms, min_size=1, max_size=4).map(",".join),
)

READ = [
    ("5 * * * *", Recurrence("hourly", 5)),
    ("@hourly", Recurrence("hourly", 0)),
    ("05 09 * * *", Recurrence("daily", 5, 9)),
    ("@weekly", Recurrence("weekly", 0, 0, (0,))),
    ("0 9 * * 7", Recurrence("weekly", 0, 9, (0,))),
    ("0 9 * * 1-5", Recurrence("weekly", 0, 9, (1, 2, 3, 4, 5))),
    ("0 9 * * 5-7,mon", Recurrence("weekly", 0, 9, (1, 5, 6, 0))),
    ("0 9 * * sun,sat", Recurrence("weekly", 0, 9, (6, 0))),
    ("30 18 31 * *", Recurrence("monthly", 30, 18, day=31)),
]
KEPT = ["*/5 * * * *", "0 */2 * * *", "0,30 9 * * *", "0 9,18 * * *", "0 9 1,15 * *", "0 9 1 1 *", "0 9 13 * 5"]
KEPT += ["* 9 * * *", "0 * * * 1", "0 * 1 * *", "0 9 * * */2", "0 9 * * 1-5/2", "0 9 */2 * *", "0 9 1-3 * *"]
KEPT += ["0 9 30 2 *", "0 9 * *", "99 9 * * *", "", "@never", None, "0 9 * * MON#1"]


@pytest.mark.parametrize(("pattern", "recurrence"), READ)
def test_a_plain_pattern_is_read(pattern: str, recurrence: Recurrence) -> None:
    assert recurrence_of(pattern) == recurrence


@pytest.mark.parametrize("pattern", KEPT)
def test_a_pattern_that_says_more_or_nothing_is_not_read(pattern: object) -> None:
    assert recurrence_of(pattern) is None


def test_a_week_begins_on_monday_and_its_sunday_is_zero() -> None:
    assert typed_recurrence("weekly", "", "9:05", ["7", "3", "1"], "").cron == "5 9 * * 1,3,0"


@given(recurrences)
def test_what_is_written_is_read_back(recurrence: Recurrence) -> None:
    assert recurrence_of(recurrence.cron) == recurrence


@given(sayable | crons.map(lambda cron: cron.text))
def test_what_is_read_fires_at_the_same_instants(pattern: str) -> None:
    recurrence = recurrence_of(pattern)
    if recurrence is None:
        return
    read, written = parse_cron(pattern), parse_cron(recurrence.cron)
    for zone, start in (("Europe/Paris", utc(2026, 3, 1)), ("Australia/Lord_Howe", utc(2026, 4, 1))):
        until = start + timedelta(days=62)
        assert list(instants(read, zone, start, until)) == list(instants(written, zone, start, until))


@given(recurrences)
def test_what_is_typed_is_what_is_meant(recurrence: Recurrence) -> None:
    days = [str(day) for day in recurrence.weekdays]
    typed = typed_recurrence(recurrence.kind, str(recurrence.minute), recurrence.at, days, str(recurrence.day))
    assert typed == recurrence


@pytest.mark.parametrize(
    ("typed", "paths"),
    [
        (("sometimes", "0", "09:00", ["1"], "1"), ["every"]),
        ((None, "0", "09:00", ["1"], "1"), ["every"]),
        (("hourly", "60", "", [], ""), ["minute"]),
        (("hourly", "²", "", [], ""), ["minute"]),
        (("daily", "", "24:00", [], ""), ["at"]),
        (("daily", "", "9", [], ""), ["at"]),
        (("weekly", "", "", [], ""), ["at", "weekdays"]),
        (("weekly", "", "09:00", ["8", "x"], ""), ["weekdays"]),
        (("monthly", "", "09:60", [], "32"), ["at", "day"]),
        (("monthly", "", "09:00", [], "0"), ["day"]),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_field(typed: tuple[object, ...], paths: list[str]) -> None:
    with pytest.raises(Refused) as caught:
        typed_recurrence(*typed)  # type: ignore[arg-type]
    assert [problem.path for problem in caught.value.problems] == paths
