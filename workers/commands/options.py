"""Options that commands share, and what is written behind them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import click

from domain.kernel import strict_json
from domain.kernel.errors import Refused
from workers.commands.answers import SHOWN_DEFAULT
from workers.commands.api import api_at

Command = TypeVar("Command", bound=Callable[..., Any])

of_tenant = click.option(
    "--tenant", "slug", envvar="CARILLON_TENANT", help="Whose, when there are several and no --url."
)
as_json = click.option("--json", "is_json", is_flag=True, help="Answer with a JSON document.")
sent_once = click.option("--key", help="Sending the command once more with the same key does nothing more.")


def at_address(command: Command) -> Command:
    """--url and --token."""
    command = click.option(
        "--token", envvar="CARILLON_TOKEN", help="For --url. Better in CARILLON_TOKEN: others see arguments."
    )(command)
    return click.option(
        "--url", envvar="CARILLON_URL", help="Where a Carillon answers; without it, the database here."
    )(command)


def over_api(command: Callable[..., Any]) -> Callable[..., Any]:
    """A command that is given the `api` of a tenant: here on the database, or with --url elsewhere."""

    @at_address
    @click.option("--tenant", "slug", envvar="CARILLON_TENANT", help="Whose, when there are several and no --url.")
    @functools.wraps(command)
    def at_its_place(*, url: str | None, token: str | None, slug: str | None, **rest: Any) -> Any:
        with api_at(click.get_current_context().obj, url, token, slug) as api:
            return command(api, **rest)

    return at_its_place


def limited(command: Command) -> Command:
    """--limit and --all of a list: `limit` is None for all."""

    @click.option("--limit", type=click.IntRange(1), default=SHOWN_DEFAULT, show_default=True, help="How many at most.")
    @click.option("--all", "is_all", is_flag=True, help="All there are.")
    @functools.wraps(command)
    def with_limit(*arguments: Any, limit: int, is_all: bool, **rest: Any) -> Any:
        return command(*arguments, limit=None if is_all else limit, **rest)

    return with_limit  # type: ignore[return-value]


def one_more(limit: int | None) -> int | None:
    """What to ask a list for, to know whether there is more than `limit`."""
    return None if limit is None else limit + 1


def json_value(written: str | None, option: str) -> Any:
    """The JSON written behind an option: itself, `@file`, or `-` for standard input; None when nothing is.

    Raises BadParameter.
    """
    if written is None:
        return None
    try:
        if written == "-":
            raw = sys.stdin.buffer.read()
        elif written.startswith("@"):
            raw = Path(written[1:]).read_bytes()
        else:
            raw = written.encode()
        return strict_json.loads(raw)
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"It cannot be read: {error}.", param_hint=option) from None
    except Refused as refused:
        raise click.BadParameter(str(refused), param_hint=option) from None


def file_value(file: BinaryIO) -> Any:
    """The JSON in a file. Raises Refused, ClickException."""
    try:
        return strict_json.loads(file.read())
    except OSError as error:
        raise click.ClickException(f"{file.name} cannot be read: {error.strerror}.") from error


def without_none(**members: Any) -> dict[str, Any]:
    """The members of a body that were said."""
    return {name: value for name, value in members.items() if value is not None}
