"""What the application leaves out of Flask rests on how everything in it is written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask


def functions_of(app: Flask) -> Iterator[Callable[..., Any]]:
    """Views and hooks: all that Flask would look at before it calls them."""
    yield from app.view_functions.values()
    for hooks in (app.before_request_funcs, app.after_request_funcs, app.teardown_request_funcs):
        for each in hooks.values():
            yield from each
    for handlers in app.error_handler_spec.values():
        for by_class in handlers.values():
            yield from by_class.values()


def test_nothing_in_it_is_a_coroutine(app: Flask) -> None:
    found = list(functions_of(app))
    assert len(found) > 200
    assert [one for one in found if inspect.iscoroutinefunction(inspect.unwrap(one))] == []
