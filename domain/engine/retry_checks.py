"""Checks of what a step says of its own failing: `retry` and `onError`."""

from __future__ import annotations

from typing import Any

from domain.engine.failures import CATEGORIES
from domain.engine.problems import Report, nearest
from domain.engine.retries import MAX_DELAY_MS

MAX_ATTEMPTS = 20
MAX_MULTIPLIER = 10
ON_ERROR = ("fail", "continue")
# They cannot fail by themselves: what fails are the steps inside a try.
WITHOUT = ("control.return", "control.tryCatch")
_KEYS = ("maxAttempts", "backoffMs", "backoffMultiplier", "jitter", "maxDelayMs", "retryOn")


def check_failing(step: dict[str, Any], report: Report) -> None:
    """Report a `retry` or `onError` that cannot be followed, and either on a step that has none."""
    if step.get("type") in WITHOUT:
        for key in ("retry", "onError"):
            if key in step:
                report.error("UNKNOWN_KEY", f"A step of this type has no key {key}.", f"Remove {key}.")
        return
    config = step.get("config")
    for place, where in ((step, "onError"), (config if isinstance(config, dict) else {}, "config.onError")):
        if place.get("onError") not in (None, *ON_ERROR):
            report.error("INVALID_ON_ERROR", f"{where} is fail or continue.")
    retry = step.get("retry")
    if isinstance(retry, dict):
        _check_retry(retry, report)
    elif retry is not None:
        report.error("INVALID_RETRY", 'retry is an object, such as {"maxAttempts": 3, "backoffMs": 1000}.')


def _check_retry(retry: dict[str, Any], report: Report) -> None:
    for key in retry:
        if key not in _KEYS:
            near = nearest(key, _KEYS)
            suggestion = f"Did you mean {near}?" if near else f"Known keys: {', '.join(_KEYS)}."
            report.error("INVALID_RETRY", f"retry has no key {key}.", suggestion)
    if not _is_number(retry.get("maxAttempts"), 1, MAX_ATTEMPTS, is_whole=True):
        message = f"retry.maxAttempts is a whole number from 1 to {MAX_ATTEMPTS}; it counts the first attempt."
        report.error("INVALID_RETRY", message)
    for key in ("backoffMs", "maxDelayMs"):
        if key in retry and not _is_number(retry[key], 0, MAX_DELAY_MS, is_whole=True):
            report.error("INVALID_RETRY", f"retry.{key} is a number of milliseconds from 0 to {MAX_DELAY_MS:,}, a day.")
    if "backoffMultiplier" in retry and not _is_number(retry["backoffMultiplier"], 1, MAX_MULTIPLIER):
        report.error("INVALID_RETRY", f"retry.backoffMultiplier is a number from 1 to {MAX_MULTIPLIER}.")
    if not isinstance(retry.get("jitter", True), bool):
        report.error("INVALID_RETRY", "retry.jitter is true or false.")
    if "retryOn" in retry:
        _check_categories(retry["retryOn"], report)


def _check_categories(categories: Any, report: Report) -> None:
    if not isinstance(categories, list) or not categories:
        known = f"Known categories: {', '.join(CATEGORIES)}."
        report.error("INVALID_RETRY", "retry.retryOn is a list of categories of errors.", known)
        return
    for category in categories:
        if category not in CATEGORIES:
            near = nearest(category, CATEGORIES) if isinstance(category, str) else None
            suggestion = f"Did you mean {near}?" if near else f"Known categories: {', '.join(CATEGORIES)}."
            report.error("INVALID_RETRY", f"retry.retryOn: {category} is no category of errors.", suggestion)


def _is_number(value: Any, least: float, most: float, *, is_whole: bool = False) -> bool:
    kinds = int if is_whole else (int, float)
    return isinstance(value, kinds) and not isinstance(value, bool) and least <= value <= most
