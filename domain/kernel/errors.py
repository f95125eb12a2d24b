"""What the domain says when it will not do a thing.

The docstring of a class is its default message and tells the reader what to do next. The edges (web, API, workers) turn
each class into one status and one layout; the domain knows nothing of HTTP.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong: where (a field name or JSON pointer, empty for the whole), what, and a stable code."""

    path: str
    message: str
    code: str = "INVALID"


class DomainError(Exception):
    """The request cannot be carried out. Nothing was changed."""

    code = "REFUSED"

    def __init__(self, message: str | None = None, *, code: str | None = None) -> None:
        self.message = message or inspect.cleandoc(type(self).__doc__ or "")
        self.code = code or type(self).code
        super().__init__(self.message)


class Refused(DomainError):
    """Some of what was entered cannot be used. Mend the fields named and send it again."""

    code = "VALIDATION_FAILED"

    def __init__(self, problems: Iterable[Problem], message: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__(message)

    @classmethod
    def at(cls, path: str, message: str, code: str = "INVALID") -> Refused:
        """A refusal with a single problem at `path`."""
        return cls([Problem(path, message, code)])

    def __str__(self) -> str:
        return "; ".join(f"{p.path}: {p.message}" if p.path else p.message for p in self.problems) or self.message


class NotFound(DomainError):
    """There is nothing here under that id. Go back to the list and choose again."""

    code = "NOT_FOUND"


class Forbidden(DomainError):
    """Your role does not allow this. Ask an admin of your tenant for the permission."""

    code = "FORBIDDEN"


class Conflict(DomainError):
    """Someone else changed this while you were editing. Compare with what is stored now and save again."""

    code = "CONFLICT"


class StaleTransition(Conflict):
    """This is no longer in the state that the action expects. Reload to see where it stands."""

    code = "STALE_TRANSITION"


class Held(DomainError):
    """This cannot start now, and the reason is on record. Remove the reason and try again."""

    code = "HELD"


class Throttled(DomainError):
    """Too many attempts. Wait a minute and try again."""

    code = "THROTTLED"


class LostClaim(DomainError):
    """Another process has taken this run over. Whatever this one still holds of it is void."""

    code = "LOST_CLAIM"
