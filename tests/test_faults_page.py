"""docs/faults.md names tests that exist, and every case of each group once."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "faults.md").read_text()


def test_every_test_that_it_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    there = {
        name for path in TESTS.rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
    }
    assert len(named) > 20
    assert named - there == set()


def test_no_case_is_left_out() -> None:
    cases = [(group, int(number)) for group, number in re.findall(r"^\| ([A-Z])(\d+) ", PAGE, re.M)]
    groups = re.findall(r"^## ([A-Z])\.", PAGE, re.M)
    assert set(groups) == set("ABCD") and {group for group, _ in cases} == set(groups)
    for group in groups:
        numbers = [number for found, number in cases if found == group]
        assert numbers == list(range(1, len(numbers) + 1)), group
    assert [len([1 for found, _ in cases if found == group]) for group in "ABCD"] == [16, 16, 14, 16]


def test_every_case_has_a_test_and_a_control() -> None:
    rows = [line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| [A-Z]\d+ ", line)]
    assert [row[0] for row in rows if len(row) != 4 or not all(row)] == []
