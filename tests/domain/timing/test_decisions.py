"""What happens to instants that have come due: on time, late, too late, paused."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.timing.decisions import CATCH_UP_LIMIT, QUEUE_LIMIT, Decision, Policy, Row, decide, gap_row
from domain.timing.outcomes import REASON_WORDS, Outcome, Reason
from domain.timing.timing import Timing
from tests.domain.timing.oracle import due, utc
from tests.promptness import promptly

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
NOON = utc(2026, 5, 4, 12)
EVERY_MINUTE = Timing.recurring("* * * * *", "UTC")
HOURLY = Timing.recurring("0 * * * *", "UTC")


def decision(timing, first, now, unfinished=0, horizon=None, max_rows=200, **policy):
    return decide(timing, first, horizon or now, now, Policy(**policy), unfinished, max_rows)


def fired(instant):
    return Row(instant, Outcome.FIRED)


def missed(first, last, count, reason=Reason.LATE):
    return Row(first, Outcome.MISSED, reason, last if count > 1 else None, count)


def test_an_instant_on_time_fires_and_the_next_one_is_undecided():
    assert decision(HOURLY, NOON, NOON) == Decision((fired(NOON),), NOON + timedelta(hours=1))


def test_before_the_first_instant_nothing_is_decided():
    assert decision(HOURLY, NOON, NOON - SECOND) == Decision((), NOON)


def test_a_one_time_schedule_fires_once_and_has_nothing_left():
    assert decision(Timing.once(NOON), NOON, NOON + SECOND) == Decision((fired(NOON),), None)
    assert decision(Timing.once(NOON), NOON + SECOND, NOON + MINUTE) == Decision((), None)


@pytest.mark.parametrize("catch_up", ["latest", "all", "skip"])
def test_sixty_seconds_late_is_on_time_whatever_the_catch_up_policy(catch_up):
    assert decision(HOURLY, NOON, NOON + MINUTE, catch_up=catch_up).rows == (fired(NOON),)


def test_a_moment_more_than_sixty_seconds_is_late():
    now = NOON + MINUTE + timedelta(milliseconds=1)
    assert decision(HOURLY, NOON, now, catch_up="skip").rows == (missed(NOON, NOON, 1),)
    assert decision(HOURLY, NOON, now, catch_up="latest").rows == (fired(NOON),)


def test_latest_makes_up_the_newest_when_nothing_is_on_time():
    now = NOON + timedelta(hours=3, minutes=30)
    newest = NOON + timedelta(hours=3)
    assert decision(HOURLY, NOON, now).rows == (missed(NOON, newest - timedelta(hours=1), 3), fired(newest))


def test_latest_makes_up_nothing_when_something_is_on_time():
    now = NOON + timedelta(hours=3, seconds=5)
    assert decision(HOURLY, NOON, now).rows == (
        missed(NOON, NOON + timedelta(hours=2), 3),
        fired(NOON + timedelta(hours=3)),
    )


def test_all_makes_up_the_newest_hundred_oldest_first():
    now = NOON + timedelta(hours=5, seconds=30)
    rows = decision(EVERY_MINUTE, NOON, now, catch_up="all", overlap="allow").rows
    on_time = 1
    last_missed = NOON + timedelta(minutes=300 - on_time - CATCH_UP_LIMIT)
    assert rows[0] == missed(NOON, last_missed, 300 - CATCH_UP_LIMIT)
    assert rows[1:] == tuple(fired(last_missed + MINUTE * number) for number in range(1, CATCH_UP_LIMIT + on_time + 1))


def test_all_makes_up_nothing_older_than_a_day():
    now = NOON + timedelta(days=3, minutes=30)
    rows = decision(HOURLY, NOON, now, catch_up="all", overlap="allow").rows
    assert rows[0] == missed(NOON, NOON + timedelta(hours=48), 49)
    assert [row.outcome for row in rows[1:]] == [Outcome.FIRED] * 24


def test_skip_makes_up_nothing():
    now = NOON + timedelta(hours=2, minutes=30)
    assert decision(HOURLY, NOON, now, catch_up="skip") == Decision(
        (missed(NOON, NOON + timedelta(hours=2), 3),), NOON + timedelta(hours=3)
    )


@pytest.mark.parametrize("catch_up", ["latest", "all"])
def test_what_is_later_than_the_schedule_allows_is_missed_whatever_the_catch_up_policy(catch_up):
    now = NOON + timedelta(hours=5, minutes=30)
    rows = decision(HOURLY, NOON, now, catch_up=catch_up, overlap="allow", max_lateness_seconds=7200).rows
    newest = NOON + timedelta(hours=5)
    assert rows[0] == missed(NOON, NOON + timedelta(hours=3), 4, Reason.TOO_LATE)
    if catch_up == "all":
        assert rows[1:] == (fired(NOON + timedelta(hours=4)), fired(newest))
    else:
        assert rows[1:] == (missed(NOON + timedelta(hours=4), None, 1), fired(newest))


def test_a_bound_under_a_minute_makes_even_an_instant_on_time_too_late():
    assert decision(HOURLY, NOON, NOON + 11 * SECOND, max_lateness_seconds=10).rows == (
        missed(NOON, NOON, 1, Reason.TOO_LATE),
    )
    assert decision(HOURLY, NOON, NOON + 10 * SECOND, max_lateness_seconds=10).rows == (fired(NOON),)


def test_overlap_skip_fires_only_the_first_of_a_batch():
    now = NOON + timedelta(hours=2, minutes=30)
    rows = decision(HOURLY, NOON, now, catch_up="all", overlap="skip").rows
    assert [(row.outcome, row.reason) for row in rows] == [
        (Outcome.FIRED, None),
        (Outcome.SKIPPED, Reason.OVERLAP),
        (Outcome.SKIPPED, Reason.OVERLAP),
    ]
    busy = decision(HOURLY, NOON, NOON, overlap="skip", unfinished=1)
    assert busy.rows == (Row(NOON, Outcome.SKIPPED, Reason.OVERLAP),)


@pytest.mark.parametrize(
    ("unfinished", "firing"), [(0, 3), (QUEUE_LIMIT - 2, 2), (QUEUE_LIMIT, 0), (QUEUE_LIMIT + 9, 0)]
)
def test_overlap_queue_holds_a_hundred_unfinished_runs(unfinished, firing):
    now = NOON + timedelta(hours=2, minutes=30)
    rows = decision(HOURLY, NOON, now, catch_up="all", overlap="queue", unfinished=unfinished).rows
    expected = [(Outcome.FIRED, None)] * firing + [(Outcome.SKIPPED, Reason.QUEUE_FULL)] * (3 - firing)
    assert [(row.outcome, row.reason) for row in rows] == expected


def test_overlap_allow_fires_whatever_is_unfinished():
    assert decision(HOURLY, NOON, NOON, overlap="allow", unfinished=10_000).rows == (fired(NOON),)


def test_a_batch_over_the_bound_is_cut_and_continued_without_loss():
    now, whole = NOON + timedelta(minutes=50, seconds=30), []
    first, more = NOON, True
    while more:
        step = decision(EVERY_MINUTE, first, now, catch_up="all", overlap="allow", max_rows=7)
        assert len(step.rows) <= 7
        whole += step.rows
        first, more = step.next_fire_at, step.more
    assert whole == [fired(NOON + MINUTE * number) for number in range(51)]
    assert first == NOON + timedelta(minutes=51)


def test_settling_up_to_a_pause_leaves_what_follows_undecided():
    paused_at = NOON + timedelta(hours=1, minutes=30)
    settled = decision(HOURLY, NOON, NOON + timedelta(hours=9), horizon=paused_at)
    one = NOON + timedelta(hours=1)
    assert settled == Decision((missed(NOON, NOON, 1), fired(one)), one + timedelta(hours=1))


@pytest.mark.parametrize("reason", [Reason.PAUSED, Reason.SUPERSEDED])
def test_what_a_pause_or_a_new_timing_let_pass_becomes_one_row(reason):
    until = NOON + timedelta(days=30)
    assert gap_row(HOURLY, NOON, until, reason) == Row(NOON, Outcome.SKIPPED, reason, until, 721)
    assert gap_row(HOURLY, NOON, NOON + MINUTE, reason) == Row(NOON, Outcome.SKIPPED, reason)
    assert gap_row(HOURLY, NOON + SECOND, NOON + MINUTE, reason) is None


@pytest.mark.parametrize("catch_up", ["latest", "all", "skip"])
def test_a_month_of_missed_minutes_is_decided_quickly(catch_up):
    now = NOON + timedelta(days=31)
    with promptly():
        rows = decision(EVERY_MINUTE, NOON, now, catch_up=catch_up).rows
    assert sum(row.count for row in rows) == 31 * 24 * 60 + 1


def test_an_instant_to_be_skipped_takes_no_room_and_is_never_made_up():
    rows = decide(EVERY_MINUTE, NOON, NOON + MINUTE, NOON + MINUTE, Policy(overlap="skip"), 0, skip_at=NOON).rows
    assert rows == (Row(NOON, Outcome.SKIPPED, Reason.SKIP_NEXT), fired(NOON + MINUTE))
    late = NOON + timedelta(minutes=30)
    assert decide(HOURLY, NOON, late, late, Policy(), 0, skip_at=NOON).rows == (
        Row(NOON, Outcome.SKIPPED, Reason.SKIP_NEXT),
    )


def test_an_instant_to_be_skipped_parts_the_gap_around_it():
    skip_at, now = NOON + timedelta(hours=2), NOON + timedelta(hours=4, minutes=30)
    rows = decide(HOURLY, NOON, now, now, Policy(catch_up="skip"), 0, skip_at=skip_at).rows
    assert rows == (
        missed(NOON, NOON + timedelta(hours=1), 2),
        Row(skip_at, Outcome.SKIPPED, Reason.SKIP_NEXT),
        missed(NOON + timedelta(hours=3), NOON + timedelta(hours=4), 2),
    )


def test_naive_instants_are_refused():
    with pytest.raises(ValueError, match="without a time zone"):
        decision(HOURLY, NOON, NOON.replace(tzinfo=None))


def test_every_reason_has_words():
    assert set(REASON_WORDS) == set(Reason)


@given(
    expression=st.sampled_from(["* * * * *", "*/7 * * * *", "0 */2 * * *", "30 2 * * *", "15,45 0-3 * * *"]),
    zone_and_day=st.sampled_from(
        [("UTC", utc(2026, 5, 4)), ("America/New_York", utc(2026, 3, 8)), ("Australia/Lord_Howe", utc(2026, 4, 4))]
    ),
    minutes=st.integers(0, 2 * 24 * 60),
    settled_early=st.just(0) | st.integers(0, 600),
    late_seconds=st.floats(0, 90),
    policy=st.builds(
        Policy,
        overlap=st.sampled_from(["queue", "skip", "allow"]),
        catch_up=st.sampled_from(["latest", "all", "skip"]),
        max_lateness_seconds=st.none() | st.integers(0, 100_000),
    ),
    unfinished=st.integers(0, 101),
    max_rows=st.integers(1, 200),
    skip_minute=st.none() | st.integers(0, 2 * 24 * 60),
)
@settings(max_examples=250, deadline=None)
def test_every_due_instant_is_in_exactly_one_row(
    expression, zone_and_day, minutes, settled_early, late_seconds, policy, unfinished, max_rows, skip_minute
):
    zone, first = zone_and_day
    horizon = first + MINUTE * minutes
    now = horizon + MINUTE * settled_early + timedelta(seconds=late_seconds)
    timing = Timing.recurring(expression, zone)
    skip_at = None if skip_minute is None else first + MINUTE * skip_minute
    outcome = decide(timing, first, horizon, now, policy, unfinished, max_rows, skip_at)

    until = outcome.next_fire_at - SECOND if outcome.more else horizon
    skipped = [row.scheduled_for for row in outcome.rows if row.reason == Reason.SKIP_NEXT]
    remaining = [instant for instant in due(expression, zone, first, first + timedelta(days=2)) if instant <= until]
    assert skipped == [instant for instant in remaining if instant == skip_at]
    for row in outcome.rows:
        covered, remaining = remaining[: row.count], remaining[row.count :]
        assert covered[0] == row.scheduled_for
        assert row.through == (covered[-1] if row.count > 1 else None)
        assert row.count == 1 or row.outcome == Outcome.MISSED
    assert remaining == []
    assert outcome.next_fire_at == timing.next_after(until)
    assert sum(row.outcome != Outcome.MISSED for row in outcome.rows) <= max_rows + len(skipped)
