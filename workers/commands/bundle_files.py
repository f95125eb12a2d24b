"""What commands that read and write bundles share: the file, and why one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import click

from domain.bundles.reading import MAX_BYTES, BundleRefused
from workers.commands.answers import shown
from workers.commands.api import Api, Json, error_lines
from workers.commands.failures import Failed, failure_document, failure_of
from workers.commands.progress import waiting

PROBLEMS_SHOWN = 50
OF_FILE = (400, 409, 422)
"""The statuses of a server that found something wrong with what it was sent."""


def read_file(file: BinaryIO) -> bytes:
    """As many bytes as a bundle may have, and one more. Raises ClickException."""
    try:
        return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise click.ClickException(f"{file.name} cannot be read: {error.strerror}.") from error


def write_bundle(content: bytes, output: Path | None) -> None:
    """The bytes as they are, into a file or to standard output. Raises ClickException."""
    if output is None:
        click.echo(content, nl=False)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from error


def sent_bundle(api: Api, path: str, content: bytes, *, is_dry: bool, **choices: bool) -> Json:
    """What a server answers to a bundle: the plan, or what was done."""
    flags = {name: "true" for name, is_on in {**choices, "dryRun": is_dry}.items() if is_on}
    with waiting("Planning" if is_dry else "Importing"):
        return api.post_file(path, content, **flags)


@contextmanager
def refusals_told() -> Iterator[None]:
    """What is wrong with a file, here or said by a server: line by line, then its code and the whole in a sentence."""
    try:
        yield
    except BundleRefused as refused:
        document = failure_document(failure_of(refused))
        raise Failed(_words(document), document) from refused
    except Failed as failed:
        if failed.document.get("status") not in OF_FILE:
            raise
        raise Failed(_words(failed.document), failed.document) from failed


def _words(problem: Json) -> str:
    lines = error_lines(problem)
    first = lines[:PROBLEMS_SHOWN] if len(lines) > 1 else []
    return "\n".join([*first, f"{problem['code']}: {shown(problem['detail'])}"])
