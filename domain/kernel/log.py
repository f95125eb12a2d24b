"""Structured logs: a sentence plus fields, one line each. Which tenant, schedule, occurrence and run is bound once."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, TextIO

import structlog

FIELDS = ("request_id", "tenant_id", "schedule_id", "occurrence_id", "workflow_id", "run_id")

# One variable for all of them, and words only where a line is written: a worker binds them for thousands of runs a second.
_bound: ContextVar[Mapping[str, object]] = ContextVar("bound", default=MappingProxyType({}))


def configure_logs(level: str, log_format: str, stream: TextIO | None = None) -> None:
    """Write to `stream`, or to standard output: JSON lines, or columns for a person when `log_format` is `console`."""
    shared: list[structlog.types.Processor] = [
        _add_bound,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    renderer: structlog.types.Processor = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handed = logging.StreamHandler(stream or sys.stdout)
    handed.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handed]
    root.setLevel(level)
    # A tick that goes on beyond its second is meant to turn the next one away.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound


def first_line(error: BaseException) -> str:
    """What an error says in one line: drivers and SQLAlchemy add the statement, its parameters and a link."""
    return str(error).strip().partition("\n")[0]


def current_number() -> str | None:
    """What the lines logged now are found by: the number of the request, command or job that is under way, or the id of
    the run that is being worked on."""
    bound = _bound.get()
    number = bound.get("request_id") or bound.get("run_id")
    return str(number) if number else None


@contextmanager
def log_context(**fields: object) -> Iterator[None]:
    """Bind ids (see FIELDS) to every line logged inside."""
    named = {name: value for name, value in fields.items() if value is not None}
    token = _bound.set({**_bound.get(), **named})
    try:
        yield
    finally:
        _bound.reset(token)


def _add_bound(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    return {name: str(value) for name, value in _bound.get().items()} | dict(event)


# Also in what is logged before anybody has called `configure_logs`.
structlog.configure(processors=[_add_bound, *structlog.get_config()["processors"]])
