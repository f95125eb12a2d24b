"""Edits of what somebody has read (RFC 9110, section 13): `ETag` says what was read, `If-Match` what an edit is about.

A tag stands for what can be edited: it changes with every change of that, and not because time passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Response, request
from werkzeug.exceptions import PreconditionFailed

from domain.kernel.errors import Conflict

TRIES = 3
CHANGED = "This has changed since it was read. Read it again, compare, and send the new ETag as If-Match."


def check_match(tag: object) -> None:
    """Raise PreconditionFailed when the request has an If-Match that does not hold `tag`, which is what is stored."""
    if not is_conditional():
        return
    # Weak tags never match (RFC 9110, section 13.1.1), and `*` matches everything that exists.
    if not request.if_match.contains(str(tag)):
        raise PreconditionFailed(CHANGED)


def is_conditional() -> bool:
    return "If-Match" in request.headers


@contextmanager
def conditional(stored: int, asked: int | None) -> Iterator[int | None]:
    """For a command that takes the revision it is about: `stored`, when the request has an If-Match, which has to hold
    it; else what the body asked for, if anything.

    Raises PreconditionFailed, also when somebody else changes it after `stored` was read, and Conflict when `stored` is
    not the revision that the body asked for.
    """
    check_match(stored)
    if not is_conditional():
        yield asked
        return
    if asked is not None and asked != stored:
        raise Conflict
    try:
        yield stored
    except Conflict as conflict:
        # What is in another state than the command needs is told as such.
        if type(conflict) is not Conflict:
            raise
        raise PreconditionFailed(CHANGED) from None


def unless_raced(asked: int | None, attempt: Callable[[], Response]) -> Response:
    """What `attempt` answers. When nobody said which revision it is about, one that lost a race against others is made
    again with what is stored then."""
    for _ in range(TRIES - 1):
        try:
            return attempt()
        except Conflict as conflict:
            if asked is not None or type(conflict) is not Conflict:
                raise
    return attempt()
