"""What the tests of the pages of workflows share: the fields of the editor, and a look at what is stored."""

from __future__ import annotations

import re
from typing import Any

from domain.workflows.workflows import Workflow
from web.forms.drafts import typed_draft

NEEDS_REGION = {"type": "object", "properties": {"region": {"type": "string"}}, "required": ["region"]}


def fields_of(workflow: Workflow, **changes: Any) -> dict[str, Any]:
    """The form of a draft as the page would send it."""
    typed = typed_draft(workflow) | changes
    return {name: value for name, value in typed.items() if value is not False and value is not None}


def names_on(page: str) -> list[str]:
    """The workflows of the list, in order."""
    return re.findall(r'<a class="name[^"]*"[^>]*href="/workflows/[^"]+">([^<]+)</a>', page)


def stored(db: Any, workflow: Workflow) -> Workflow:
    db.expire_all()
    return db.get(Workflow, workflow.id)


def part_of(page: str, start: str, end: str) -> str:
    """What stands between two marks of a page."""
    return page.split(start, 1)[1].split(end, 1)[0]
