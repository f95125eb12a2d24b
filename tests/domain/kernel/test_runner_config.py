"""What the environment says of the runner: a whole and safe description, or none."""

from __future__ import annotations

import pytest

from domain.kernel.config import BadConfig, Config

SECRET, TOKEN, KEY = "s" * 32, "t" * 32, "k" * 32


def config(**changes: str) -> Config:
    env = {
        "DATABASE_URL": "postgresql://localhost/x",
        "REDIS_URL": "redis://localhost",
        "CARILLON_SECRET_KEY": SECRET,
        "CARILLON_RUNNER_URL": "https://runner.test:8443/base/",
        "CARILLON_RUNNER_TOKEN": TOKEN,
        "CARILLON_RUNNER_KEY": KEY,
    }
    return Config.from_env(env | changes)


def test_a_runner_has_an_address_a_token_and_a_key() -> None:
    found = config()
    assert (found.runner_url, found.runner_token, found.runner_key) == ("https://runner.test:8443/base", TOKEN, KEY)
    assert TOKEN not in repr(found) and KEY not in repr(found)


def test_without_an_address_there_is_no_runner() -> None:
    assert config(CARILLON_RUNNER_URL="").runner_url == ""


@pytest.mark.parametrize(
    "url",
    [
        "ftp://runner.test",
        "runner.test",
        "http://",
        "http://user:word@runner.test",
        "http://runner.test?x=1",
        "http://runner.test#x",
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(BadConfig, match="CARILLON_RUNNER_URL"):
        config(CARILLON_RUNNER_URL=url)


@pytest.mark.parametrize(
    "value", ["", "short", "x" * 31, "x" * 32 + "\r\nX-Evil: 1", "ü" * 32, "x" * 20 + " " + "x" * 20]
)
def test_a_token_that_is_short_or_no_header_is_refused(value: str) -> None:
    with pytest.raises(BadConfig, match="CARILLON_RUNNER_TOKEN"):
        config(CARILLON_RUNNER_TOKEN=value)


@pytest.mark.parametrize(
    "same",
    [
        {"CARILLON_RUNNER_KEY": TOKEN},
        {"CARILLON_RUNNER_KEY": SECRET},
        {"CARILLON_RUNNER_TOKEN": SECRET},
    ],
)
def test_what_the_runner_knows_is_good_for_one_thing_only(same: dict[str, str]) -> None:
    with pytest.raises(BadConfig, match="must differ"):
        config(**same)
