"""Zone names, wall times and instants as people type them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.kernel.errors import Refused
from domain.timing.zones import COMMON_ZONES, offset_label, parse_instant, parse_local, parse_zone, zone, zone_names
from tests.domain.timing.oracle import utc

NOT_ZONES = ["", " ", None, 7, "America", "Europe/", "localtime", "Factory", "posixrules", "posix/UTC", "right/UTC"]
NOT_ZONES += ["../UTC", "../x", "/etc/passwd", "/usr/share/zoneinfo/UTC", "Europe/Paris\x00", "\x00", "x" * 10_240]
NOT_ZONES += ["+01:00", "UTC+1", " UTC", "tzdata.zi", "zone.tab", "Europe/Pàris", "\ud800"]

NOT_INSTANTS = ["", "tomorrow", None, 1764554400, "2026-12-01", "2026-13-01T00:00Z", "2026-02-30T00:00Z"]
NOT_INSTANTS += ["2026-12-01T24:01Z", "2026-12-01T00:00:60Z", "20261201T020000Z", "2026-W49-2T02:00Z", "1" * 10_000]
NOT_INSTANTS += ["0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00", "1969-12-31T23:59:59Z", "2026-12-01T02:00+99:00"]
NOT_INSTANTS += ["２０２６-12-01T02:00Z", "2026-12-01T02:00Z\x00"]


def refusal(call, *arguments):
    with pytest.raises(Refused) as caught:
        call(*arguments)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "US/Eastern"])
def test_iana_names_are_accepted_as_they_are(name):
    assert parse_zone(name) == name
    assert zone(name).key == name


@pytest.mark.parametrize("name", NOT_ZONES)
def test_anything_else_is_refused_and_never_reaches_the_file_system(name):
    for call in (parse_zone, zone):
        problem = refusal(call, name) if isinstance(name, str) else refusal(parse_zone, name)
        assert (problem.path, problem.code) == ("timezone", "TIMEZONE_INVALID")
        assert len(problem.message) < 200


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("europe/paris", "Europe/Paris"),
        ("utc", "UTC"),
        ("America/New York", "America/New_York"),
        ("Europe/Pari", "Europe/Paris"),
    ],
)
def test_a_slip_gets_a_suggestion(typed, meant):
    assert f"Did you mean {meant}?" in refusal(parse_zone, typed).message


@given(st.text())
def test_any_text_is_a_known_zone_or_refused(text):
    if text not in zone_names():
        refusal(parse_zone, text)


def test_the_common_zones_come_first_and_none_twice():
    names = zone_names()
    assert tuple(names[: len(COMMON_ZONES)]) == COMMON_ZONES
    assert len(names) == len(set(names)) > 400
    assert names[len(COMMON_ZONES) :] == sorted(names[len(COMMON_ZONES) :])


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("UTC", "UTC"),
        ("Europe/London", "UTC"),
        ("Europe/Paris", "UTC+1"),
        ("Asia/Kolkata", "UTC+5:30"),
        ("America/St_Johns", "UTC-3:30"),
        ("America/New_York", "UTC-5"),
    ],
)
def test_offsets_are_written_for_people(name, label):
    assert offset_label(utc(2026, 1, 15), name) == label


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("2026-12-01T02:00", "Europe/Paris", utc(2026, 12, 1, 1)),
        ("2026-12-01 02:00:30", "Asia/Kolkata", utc(2026, 11, 30, 20, 30, 30)),
        ("2026-12-01T02:00:30.999", "UTC", utc(2026, 12, 1, 2, 0, 30)),
        ("2026-03-08T02:30", "America/New_York", utc(2026, 3, 8, 7)),
        ("2026-11-01T01:30", "America/New_York", utc(2026, 11, 1, 5, 30)),
        ("2026-10-04T02:15", "Australia/Lord_Howe", utc(2026, 10, 3, 15, 30)),
        ("2011-12-30T12:00", "Pacific/Apia", utc(2011, 12, 30, 10)),
    ],
)
def test_a_wall_time_is_read_in_its_zone_also_across_clock_changes(text, name, expected):
    assert parse_local(text, name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-12-01T02:00:00Z", utc(2026, 12, 1, 2)),
        ("2026-12-01T02:00z", utc(2026, 12, 1, 2)),
        ("2026-12-01t02:00:00.123Z", utc(2026, 12, 1, 2)),
        ("2026-12-01 02:00:00+05:30", utc(2026, 11, 30, 20, 30)),
        ("2026-12-01T02:00:00-0330", utc(2026, 12, 1, 5, 30)),
    ],
)
def test_an_instant_is_read_with_its_offset(text, expected):
    assert parse_instant(text) == expected


@pytest.mark.parametrize("text", ["2026-12-01T02:00", "2026-12-01T02:00:00", "2026-12-01 02:00:00.5"])
def test_an_instant_without_a_zone_is_refused_as_such(text):
    problem = refusal(parse_instant, text)
    assert (problem.path, problem.code) == ("runAt", "RUN_AT_INVALID")
    assert "time zone is required" in problem.message


@pytest.mark.parametrize("text", NOT_INSTANTS)
def test_what_is_not_an_instant_is_refused(text):
    assert refusal(parse_instant, text).code == "RUN_AT_INVALID"


@pytest.mark.parametrize("text", ["", None, "2026-02-30T00:00", "2026-12-01T02:00Z", "9999-12-31T23:59", "noon"])
def test_what_is_not_a_wall_time_is_refused(text):
    assert refusal(parse_local, text, "America/New_York").code == "RUN_AT_INVALID"
