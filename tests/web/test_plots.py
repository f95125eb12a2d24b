"""How late the last hour was, as a picture and in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

from domain.fire_minutes import Minute
from web.plots import lateness_in_words, lateness_plot

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
RECT, TITLE = "{http://www.w3.org/2000/svg}rect", "{http://www.w3.org/2000/svg}title"


def hour(**at: Minute) -> list[Minute]:
    """Sixty minutes of which those named `m12=…` had fires."""
    return [at.get(f"m{number}") or Minute(START + timedelta(minutes=number)) for number in range(60)]


def a_minute(number: int, p50: float, p99: float, most: float, fired: int = 1200) -> Minute:
    return Minute(START + timedelta(minutes=number), fired, p50, p99, most)


def drawn(minutes: list[Minute]) -> ElementTree.Element:
    svg = str(lateness_plot(minutes, "Europe/Paris", "words"))
    assert "style=" not in svg
    return ElementTree.fromstring(svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def tones(minutes: list[Minute]) -> list[str]:
    return [
        one.get("class", "").removeprefix("span ")
        for one in drawn(minutes).iter(RECT)
        if "span " in one.get("class", "")
    ]


def test_a_quiet_hour_is_said_to_be_one() -> None:
    assert lateness_in_words(hour(), "UTC") == "Nothing was due in the last hour."
    assert tones(hour()) == []


def test_the_words_name_the_latest_minute_in_the_zone_of_the_reader() -> None:
    minutes = hour(m5=a_minute(5, 0.01, 0.02, 0.03, 1), m7=a_minute(7, 0.1, 0.4, 2.5))
    assert lateness_in_words(minutes, "Europe/Paris") == (
        "1,201 fires in the last hour, the latest 2.5 s after its instant, at 10:07 UTC+1. "
        "In every minute 99 % fired within a second."
    )
    slow = hour(m5=a_minute(5, 0.01, 1.2, 1.3, 1))
    assert lateness_in_words(slow, "UTC").endswith("In 1 minute of it, less than 99 % fired within a second.")


def test_colour_and_height_follow_the_slowest_hundredth() -> None:
    minutes = hour(m0=a_minute(0, 0.1, 1, 1), m1=a_minute(1, 0.1, 60, 61), m2=a_minute(2, 0.1, 61, 9999))
    assert tones(minutes) == ["ok", "held", "fail"]
    bars = [one for one in drawn(minutes).iter(RECT) if one.get("class", "").startswith("span ")]
    heights = [float(one.get("height", 0)) for one in bars]
    assert heights[0] == 50.0 and heights == sorted(heights) and heights[-1] < 100
    assert all(0 <= float(one.get("y", -1)) <= 101 for one in drawn(minutes).iter(RECT))


def test_every_minute_with_fires_says_its_numbers() -> None:
    (title,) = drawn(hour(m7=a_minute(7, 0.1, 0.4, 2.5))).iter(TITLE)
    assert title.text == "10:07 UTC+1: 1,200 fired, half within 100 ms, 99 % within 400 ms, the latest 2.5 s"
