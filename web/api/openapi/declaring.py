"""The mark of a view of the API: what it is for, what it takes, what it answers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from web.api.openapi.words import Json, page_of

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True)
class Declaration:
    """`answers`: the schemas of what is answered when it succeeds, by status; None for one without a body. `needs_body`:
    without a body it is refused. `is_once`: a POST that honours an Idempotency-Key. `is_conditional`: it honours an If-Match.
    `faults`: statuses of refusals besides those that its method and address imply.
    """

    summary: str
    answers: Mapping[int, Json | None]
    query: Mapping[str, Json] = field(default_factory=dict)
    body: Json | None = None
    needs_body: bool = False
    is_paged: bool = False
    is_once: bool = True
    is_conditional: bool = False
    is_public: bool = False
    faults: Collection[int] = ()
    media_type: str = "application/json"


def declared(
    summary: str,
    answer: Json | None = None,
    *,
    status: int = 200,
    also: Mapping[int, Json | None] | None = None,
    **other: Any,
) -> Callable[[View], View]:
    """Declare a view: `answer` with `status`, `also` answers by other statuses; the rest as in Declaration."""
    known = Declaration(summary, {status: answer, **(also or {})}, **other)

    def mark(view: View) -> View:
        view.declaration = known  # type: ignore[attr-defined]
        return view

    return mark


def declared_list(summary: str, item: Json, **query: Json) -> Callable[[View], View]:
    """Declare a view that answers pages of `item`; `query`: its filters."""
    return declared(summary, page_of(item), query=query, is_paged=True)
