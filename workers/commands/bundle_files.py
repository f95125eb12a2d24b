"""What commands that read and write bundles share: the file, how far an import is, and why one is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from domain.bundles.reading import BundleRefused
from workers.commands.answers import say_json, shown

PROBLEMS_SHOWN = 50


def write_bundle(content: bytes, output: Path | None) -> None:
    """The bytes as they are, into a file or to standard output. Raises ClickException."""
    if output is None:
        click.echo(content, nl=False)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise click.ClickException(f"{output} cannot be written: {error.strerror}.") from error


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, for people only."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
        yield lambda done, _total: bar.update(done - bar.pos)


@contextmanager
def refusals_told(is_json: bool) -> Iterator[None]:
    """What is wrong with a file: on standard output with --json, else line by line on standard error. Ends with 1."""
    try:
        yield
    except BundleRefused as refused:
        if is_json:
            problems = [{"path": one.path, "message": one.message, "code": one.code} for one in refused.problems]
            say_json({"errors": problems, **refused.details, "code": refused.code, "message": refused.message})
        elif len(refused.problems) > 1:
            for problem in refused.problems[:PROBLEMS_SHOWN]:
                click.echo(f"{shown(problem.path)}: {shown(problem.message)}", err=True)
        raise click.ClickException(f"{refused.code}: {shown(refused.message)}") from refused
