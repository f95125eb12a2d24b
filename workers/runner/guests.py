"""What the code of an extension sees: the request, and a host that gives it what its install was granted.

A module of examples has `answer(request, host)`, which gives a status and a JSON value.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """`context`: ids, `trigger`, `schedule_id`, `scheduled_for`, `invocation_id` and `attempt`, where Carillon sent them."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes | None
    context: dict[str, Any]

    @property
    def json(self) -> Any:
        """The value of the body, None where there is none. Raises ValueError."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True)
class Host:
    """`secrets` is empty unless `cap:secrets.get` was granted."""

    config: dict[str, str]
    secrets: dict[str, str] = field(repr=False)

    def log(self, sentence: str) -> None:
        """Write a line to the log of the runner."""
        print(sentence, file=sys.stderr)  # noqa: T201


Answer = tuple[int, Any]
