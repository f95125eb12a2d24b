"""Checks of mapping values that several node types share."""

from __future__ import annotations

from typing import Any

from domain.engine.name_checks import check_secret_name
from domain.engine.problems import Report
from domain.expressions import ExpressionError, parse
from domain.expressions.mappings import EXPR, SECRET, objects_in


def check_mapping(value: Any, report: Report, where: str, *, may_hold_secrets: bool = False) -> bool:
    """Report every expression that cannot be read and every secret that is not a name, or where none may stand; returns
    whether all is well."""
    before = len(report.problems)
    for path, item in objects_in(value):
        place = ".".join(map(str, (where, *path)))
        if SECRET in item:
            _check_secret(item, report, place, may_hold_secrets)
        elif EXPR in item:
            _check_expression(item, report, place)
        else:
            _check_special_keys(item, report, place)
    return len(report.problems) == before


def _check_secret(item: dict[str, Any], report: Report, place: str, is_allowed: bool) -> None:
    if not is_allowed:
        message = f"{place} holds a secret: only the inputs of an action or of a called workflow may."
        report.error("SECRET_NOT_ALLOWED", message, "Hand the secret to the action that needs it.")
    elif len(item) > 1:
        report.error("INVALID_SECRET_NAME", f'{place} must be exactly {{"$secret": "NAME"}}.')
    else:
        check_secret_name(item[SECRET], place, report)


def _check_expression(item: dict[str, Any], report: Report, place: str) -> None:
    if len(item) > 1 or not isinstance(item[EXPR], str):
        report.error("INVALID_EXPR", f'{place} must be exactly {{"$expr": "<text>"}}.')
    elif not item[EXPR].strip():
        report.error("EMPTY_EXPRESSION", f"{place} has an empty expression.", "Write one, or a literal value.")
    else:
        try:
            parse(item[EXPR])
        except ExpressionError as error:
            at = "" if error.position is None else f" (at character {error.position})"
            report.error("INVALID_EXPRESSION", f"{place}: {error.message}{at}")


def _check_special_keys(item: dict[str, Any], report: Report, place: str) -> None:
    for key in item:
        if key.startswith("$"):
            message = f"{place} has the key {key}, which means nothing here and is passed on as it is."
            report.warning("UNKNOWN_SPECIAL_KEY", message, f"Write {EXPR} for an expression.")
