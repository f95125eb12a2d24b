"""Names are one visible line of text, the same for every reader."""

import pytest

from domain.kernel.errors import Refused
from domain.kernel.names import parse_name


def refusal(text: str) -> str:
    with pytest.raises(Refused) as caught:
        parse_name(text, "name")
    (problem,) = caught.value.problems
    assert problem.path == "name"
    return problem.code


@pytest.mark.parametrize("text", ["", "   ", "\u00a0", "\u200d", "\u0301"])
def test_a_name_has_something_to_see(text: str) -> None:
    assert refusal(text) == "NAME_REQUIRED"


def test_a_name_of_128_characters_is_accepted_and_one_more_is_not() -> None:
    assert parse_name("x" * 128, "name") == "x" * 128
    assert refusal("x" * 129) == "NAME_TOO_LONG"


def test_blanks_at_the_ends_do_not_count_and_inner_ones_become_one_space() -> None:
    assert parse_name("  Morning \u00a0 sync ", "name") == "Morning sync"
    assert parse_name(" " * 40 + "x" * 128, "name") == "x" * 128


def test_two_ways_to_write_an_accent_become_the_same_name() -> None:
    assert parse_name("Cafe\u0301", "name") == "Caf\u00e9"


@pytest.mark.parametrize(
    "character",
    [
        "\x00",
        "\n",
        "\r",
        "\t",
        "\x1b",
        "\x7f",
        "\x85",
        "\u202e",
        "\u2066",
        "\u200b",
        "\ufeff",
        "\u2028",
        "\ud800",
        "\uffff",
    ],
)
def test_control_characters_and_characters_that_reorder_text_are_refused(character: str) -> None:
    assert refusal(f"Invoice{character}sync") == "NAME_CHARACTERS"


@pytest.mark.parametrize("name", ["Größe", "日本語", "می\u200cخواهم", "👩\u200d💻 build", "<b>bold</b>", "a/b & c"])
def test_names_in_any_writing_are_kept_as_they_are(name: str) -> None:
    assert parse_name(name, "name") == name


def test_something_that_is_not_text_is_refused() -> None:
    assert refusal(7) == "NAME_CHARACTERS"  # type: ignore[arg-type]
