"""What an edit would change, compared with a walk over every instant."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.firing.what_if import COMPARED, LISTED, WINDOW, Standing, WhatIf, standing_after, standing_of, what_if
from domain.schedules.schedules import Schedule
from domain.timing.timing import Timing
from domain.timing.zones import zone
from tests.promptness import promptly

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
BEFORE_SPRING = datetime(2026, 3, 27, 10, 0, tzinfo=UTC)
NOTHING = Standing(None)


def daily(hour: int, timezone: str = "UTC", **values: object) -> Standing:
    return Standing(Timing.recurring(f"0 {hour} * * *", timezone), **values)  # type: ignore[arg-type]


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


def test_another_hour_of_the_same_days_moves_each_fire() -> None:
    found = what_if(daily(9), daily(18), NOW)
    # Nothing of 2 March at 09:00 is left, so its evening is one more.
    assert (found.before, found.after) == (30, 30)
    assert (found.moved.count, found.added.count, found.removed.count) == (29, 1, 1)
    assert found.moved.first[0] == (at(3, 9), at(3, 18))
    assert found.added.first == (at(2, 18),)
    assert found.first == at(2, 18)


def test_a_move_is_of_one_local_day_each_in_its_own_zone() -> None:
    found = what_if(daily(9, "Asia/Tokyo"), daily(9, "America/New_York"), datetime(2026, 3, 2, 15, tzinfo=UTC))
    assert found.moved.first[0] == (at(3, 0), at(3, 14))
    assert found.added.is_empty


def test_what_stays_is_no_change() -> None:
    assert what_if(daily(9), Standing(Timing.recurring("0 9 */1 * *", "UTC")), NOW).is_same


def test_off_removes_every_fire_and_on_adds_them() -> None:
    off = what_if(daily(9), NOTHING, NOW)
    assert (off.removed.count, off.added.count, off.after, off.first) == (30, 0, 0, None)
    assert off.removed.first == tuple(at(day, 9) for day in range(3, 3 + LISTED))
    assert what_if(NOTHING, daily(9), NOW).added.count == 30


def test_a_first_fire_beyond_the_window_is_named_all_the_same() -> None:
    once = Standing(Timing.once(datetime(2027, 1, 1, tzinfo=UTC)))
    assert (what_if(daily(9), once, NOW).first, what_if(daily(9), once, NOW).after) == (once.timing.run_at, 0)  # type: ignore[union-attr]


def test_the_instant_to_be_skipped_fires_neither_before_nor_after() -> None:
    found = what_if(daily(9, skipped=at(3, 9)), daily(9, skipped=at(3, 9)), NOW)
    assert (found.before, found.after, found.is_same, found.first) == (29, 29, True, at(4, 9))
    moved = what_if(daily(9, skipped=at(3, 9)), daily(18, skipped=at(3, 9)), NOW)
    assert (moved.before, moved.after) == (29, 30)


def test_a_pause_that_ends_by_itself_counts_from_its_end() -> None:
    found = what_if(daily(9, quiet_until=at(12, 9)), daily(9), NOW)
    assert (found.before, found.added.count, found.removed.count) == (20, 10, 0)
    beyond = Standing(Timing.recurring("* * * * *", "UTC"), quiet_until=NOW + 2 * WINDOW)
    assert what_if(beyond, NOTHING, NOW).before == 0


def a_stored(status: str, **values: object) -> Schedule:
    return Schedule(status=status, trigger_type="recurring", cron="0 9 * * *", timezone="UTC", **values)


@pytest.mark.parametrize("status", ["paused", "invalid", "completed"])
def test_what_does_not_fire_now_stands_for_nothing(status: str) -> None:
    assert standing_of(a_stored(status)).timing is None
    assert standing_after(a_stored(status), Timing.recurring("0 9 * * *", "UTC"), enabled=False).timing is None


def test_saving_switched_off_keeps_the_end_of_a_pause_and_switched_on_ends_it() -> None:
    timing = Timing.recurring("0 9 * * *", "UTC")
    stored = a_stored("paused", paused_until=at(12, 9))
    assert standing_of(stored).quiet_until == at(12, 9)
    assert standing_after(stored, timing, enabled=False).quiet_until == at(12, 9)
    assert standing_after(stored, timing, enabled=True).quiet_until is None


def test_minutes_of_a_month_are_counted_and_not_walked() -> None:
    minutely = Standing(Timing.recurring("* * * * *", "UTC"))
    hourly = Standing(Timing.recurring("0 * * * *", "UTC"))
    with promptly():
        found = what_if(minutely, hourly, NOW)
    assert (found.before, found.after) == (43_200, 720)
    assert (found.removed.count, found.moved.count, found.added.count) == (None, None, None)
    assert found.removed.first == tuple(NOW + timedelta(minutes=minute) for minute in range(1, LISTED + 1))
    assert found.added.is_empty and found.moved.is_empty


def test_what_there_is_only_on_one_side_is_counted_whatever_its_number() -> None:
    minutely = Standing(Timing.recurring("* * * * *", "UTC"))
    started, stopped = what_if(NOTHING, minutely, NOW), what_if(minutely, NOTHING, NOW)
    assert (started.added.count, started.removed.count, started.moved.count) == (43_200, None, 0)
    assert (stopped.removed.count, stopped.removed.first[0]) == (43_200, NOW + timedelta(minutes=1))
    assert stopped.added.is_empty


def test_behind_the_end_of_what_was_compared_nothing_is_claimed() -> None:
    minutely = Standing(Timing.recurring("* * * * *", "UTC"))
    late = Standing(minutely.timing, quiet_until=NOW + timedelta(minutes=COMPARED + 10))
    found = what_if(minutely, late, NOW)
    assert len(found.removed.first) == LISTED and found.added.is_empty


MINUTES = st.sampled_from(["0", "30", "15,45", "*/20", "59"])
HOURS = st.sampled_from(["*", "9", "1-3", "2", "*/6", "23,0"])
WEEKDAYS = st.sampled_from(["*", "1-5", "0", "2,4"])
ZONES = st.sampled_from(["UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
GAPS = st.sampled_from(["after", "skip"])
REPEATS = st.sampled_from(["first", "both"])
STEPS = st.integers(0, 20 * 24 * 4).map(lambda quarters: timedelta(minutes=15 * quarters))


@st.composite
def standings(draw: st.DrawFn, start: datetime) -> Standing:
    if draw(st.integers(0, 9)) == 0:
        return NOTHING
    pattern = f"{draw(MINUTES)} {draw(HOURS)} * * {draw(WEEKDAYS)}"
    begin = draw(st.none() | STEPS.map(lambda step: start + step))
    end = draw(st.none() | STEPS.map(lambda step: start + timedelta(days=10) + step))
    timing = Timing.recurring(pattern, draw(ZONES), begin, end, draw(GAPS), draw(REPEATS))
    quiet_until = draw(st.none() | STEPS.map(lambda step: start + step))
    return Standing(timing, quiet_until, draw(st.sampled_from([None, timing.next_after(start)])))


def walked(standing: Standing, now: datetime) -> list[datetime]:
    """Every second in which it fires, one `next_after` after the other."""
    found, instant = [], now
    while standing.timing and (instant := standing.timing.next_after(instant)) and instant <= now + WINDOW:  # type: ignore[assignment]
        if instant != standing.skipped and (standing.quiet_until is None or instant > standing.quiet_until):
            found.append(instant)
    return found


def by_day(fires: list[datetime], standing: Standing) -> dict[date, list[datetime]]:
    place = zone(standing.timing.timezone if standing.timing else "UTC")
    days: dict[date, list[datetime]] = {}
    for fire in fires:
        days.setdefault(fire.astimezone(place).date(), []).append(fire)
    return days


def naive(old: Standing, new: Standing, now: datetime) -> WhatIf | tuple[object, ...]:
    was, will_be = walked(old, now), walked(new, now)
    gone, come = sorted(set(was) - set(will_be)), sorted(set(will_be) - set(was))
    arriving = by_day(come, new)
    pairs = [pair for day, left in by_day(gone, old).items() for pair in zip(left, arriving.get(day, []), strict=False)]
    added = [fire for fire in come if fire not in [pair[1] for pair in pairs]]
    removed = [fire for fire in gone if fire not in [pair[0] for pair in pairs]]
    return len(was), len(will_be), added, removed, pairs


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([NOW, BEFORE_SPRING]).flatmap(lambda now: st.tuples(st.just(now), standings(now), standings(now)))
)
def test_every_fire_is_kept_moved_added_or_removed(drawn: tuple[datetime, Standing, Standing]) -> None:
    now, old, new = drawn
    found = what_if(old, new, now)
    before, after, added, removed, pairs = naive(old, new, now)  # type: ignore[misc]
    assert (found.before, found.after) == (before, after)
    for difference, expected in ((found.added, added), (found.removed, removed), (found.moved, pairs)):
        assert (difference.count, list(difference.first)) == (len(expected), expected[:LISTED])
