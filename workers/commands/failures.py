"""Why a command was not carried out: in words on standard error, and with --json as a document on standard output."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy.exc import DBAPIError

from domain.bundles.reading import BundleRefused
from domain.health import is_database_away
from domain.kernel.config import BadConfig
from domain.kernel.errors import DomainError, Refused
from domain.kernel.log import first_line, logger

USAGE, NOT_DONE, DATABASE_AWAY, SETTINGS, UNEXPECTED = (
    "WRONGLY_CALLED",
    "NOT_DONE",
    "DATABASE_AWAY",
    "SETTINGS",
    "UNEXPECTED",
)
"""Codes of what the API does not say."""

log = logger(__name__)


class Failed(click.ClickException):
    """A command that was not carried out. `document`: members of the problem for scripts, `code` and `detail` at least."""

    def __init__(self, message: str, document: dict[str, Any]) -> None:
        super().__init__(message)
        self.document = document


def failure_of(error: Exception) -> click.ClickException:
    """What to tell of any error: never a traceback, which the log has from the level ERROR on."""
    if isinstance(error, click.ClickException):
        return error
    if isinstance(error, BadConfig):
        return Failed(str(error), _problem(SETTINGS, str(error)))
    if isinstance(error, DomainError):
        return Failed(str(error), _domain_problem(error))
    if isinstance(error, DBAPIError) and is_database_away(error):
        words = f"The database cannot be reached: {first_line(error)}"
        return Failed(words, _problem(DATABASE_AWAY, words))
    if isinstance(error, OSError):
        return click.ClickException(str(error))
    log.error("A command failed.", exc_info=error)
    words = f"This was not foreseen: {type(error).__name__}: {first_line(error)}"
    return Failed(f"{words}\n{MORE}", _problem(UNEXPECTED, words))


MORE = "Whether it was done is not known. Once more with CARILLON_LOG_LEVEL=ERROR says where it happened: report that."


def failure_document(error: click.ClickException) -> dict[str, Any]:
    """The failure as scripts read it: `code`, `detail`, `errors` where there are, and what else is known."""
    if isinstance(error, Failed):
        return error.document
    return _problem(USAGE if isinstance(error, click.UsageError) else NOT_DONE, error.format_message())


def _domain_problem(error: DomainError) -> dict[str, Any]:
    members = error.details if isinstance(error, BundleRefused) else {}
    problem = {**members, **_problem(error.code, error.message)}
    if isinstance(error, Refused) and error.problems:
        problem["errors"] = [{"path": one.path, "message": one.message, "code": one.code} for one in error.problems]
    return problem


def _problem(code: str, detail: str) -> dict[str, Any]:
    return {"code": code, "detail": detail}
