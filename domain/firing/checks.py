"""One line of the checklist of a schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

State = Literal["ok", "warn", "fail"]
OK: State = "ok"
WARN: State = "warn"
FAIL: State = "fail"


@dataclass(frozen=True)
class Check:
    """`warn`: it fires, but not as one may think; `fail`: it does not.

    `remedy` names what would change it, as in Explanation, or is `system`, or `run` with the run in `run_id`.
    """

    name: str
    state: State
    sentence: str
    remedy: str | None = None
    run_id: UUID | None = None


def sentence_of(words: str | None, otherwise: str = "") -> str:
    """Words with which a sentence goes on, as one of its own."""
    return words[:1].upper() + words[1:] if words else otherwise
