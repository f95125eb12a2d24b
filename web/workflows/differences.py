"""What differs between two definitions, or between what is stored and what was typed, for the screen."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from domain.workflows.workflows import Workflow
from web.forms.drafts import DraftForm, typed_draft

AROUND = 3
"""Unchanged lines that are shown before and after a change."""
SIGNS = {" ": "same", "+": "added", "-": "removed"}
_PLAIN_FIELDS = (
    "name",
    "key",
    "description",
    "trigger_type",
    "event_name",
    "source_schema_ref",
    "schema_mode",
    "schema_ref",
    "concurrency_limit",
    "auto_pause_on_failure",
    "failure_rate_threshold",
    "failure_rate_min_runs",
    "retention_days",
)


@dataclass(frozen=True)
class Line:
    """A line that is the same, added or removed; or, with `skipped`, so many lines that are the same."""

    kind: str
    text: str = ""
    skipped: int = 0


def text_lines(old: str, new: str) -> list[Line]:
    """The lines of both texts, with what is far from any change left out; empty when they are the same."""
    before, after = old.splitlines(), new.splitlines()
    if before == after:
        return []
    return list(_folded(list(_lines(before, after))))


def _lines(before: list[str], after: list[str]) -> Iterator[Line]:
    for tag, i, j, k, m in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            yield from (Line("same", text) for text in before[i:j])
            continue
        yield from (Line("removed", text) for text in before[i:j])
        yield from (Line("added", text) for text in after[k:m])


def _folded(lines: list[Line]) -> Iterator[Line]:
    near = [False] * len(lines)
    for index, line in enumerate(lines):
        if line.kind != "same":
            for place in range(max(0, index - AROUND), min(len(lines), index + AROUND + 1)):
                near[place] = True
    skipped = 0
    for line, is_near in zip(lines, near, strict=True):
        if not is_near:
            skipped += 1
            continue
        if skipped:
            yield Line("same", skipped=skipped)
            skipped = 0
        yield line
    if skipped:
        yield Line("same", skipped=skipped)


def draft_differences(workflow: Workflow, form: DraftForm) -> list[tuple[str, str]]:
    """The settings that are stored now and differ from what was typed: (label, stored value)."""
    stored = typed_draft(workflow)
    return [
        (form[name].label.text, _shown(stored.get(name)))
        for name in _PLAIN_FIELDS
        if _shown(stored.get(name)) != _shown(form[name].data)
    ]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).strip() if value else "empty"
