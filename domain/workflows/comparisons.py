"""What differs between two versions of a workflow, or between its draft and a version: lines of the definition, settings."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any
from uuid import UUID

from domain.kernel import strict_json
from domain.workflows.definitions import readable
from domain.workflows.draft_fields import INFERRED
from domain.workflows.versions import WorkflowVersion, version_of
from domain.workflows.workflows import Workflow

SAME, ADDED, REMOVED = "same", "added", "removed"
CONTEXT_LINES = 3
# What is compared beside the definition, in the words of the API.
TRIGGER, SCHEMA_MODE, SCHEMA_REF = "trigger", "payloadSchemaMode", "payloadSchemaRef"


@dataclass(frozen=True)
class Line:
    """One line of a comparison. `kind`: SAME, ADDED or REMOVED; numbers count from 1, None on the side without it."""

    kind: str
    old_number: int | None
    new_number: int | None
    text: str


Hunk = tuple[Line, ...]


@dataclass(frozen=True)
class Change:
    """A setting that differs: TRIGGER, SCHEMA_MODE or SCHEMA_REF, with its JSON value on both sides."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Snapshot:
    """What a version freezes, of a version or of a draft. `schema_ref` is None where it is inferred from the event."""

    text: str
    trigger: Any
    schema_mode: str
    schema_ref: str | None


@dataclass(frozen=True)
class Comparison:
    """`hunks`: changed lines of the definition with the lines around them. Nothing in both: the sides are alike."""

    hunks: tuple[Hunk, ...]
    settings: tuple[Change, ...]

    @property
    def is_same(self) -> bool:
        return not self.hunks and not self.settings


def difference(old_text: str, new_text: str) -> list[Hunk]:
    """The changed lines, each run of them with up to CONTEXT_LINES before and after; empty for equal texts."""
    lines = list(_lines(old_text.splitlines(), new_text.splitlines()))
    changed = [index for index, line in enumerate(lines) if line.kind != SAME]
    hunks: list[Hunk] = []
    start = end = 0
    for index in changed:
        if index - CONTEXT_LINES > end:
            hunks.append(tuple(lines[start:end]))
            start = index - CONTEXT_LINES
        end = min(index + CONTEXT_LINES + 1, len(lines))
    hunks.append(tuple(lines[start:end]))
    return [hunk for hunk in hunks if hunk]


def compare(old: Snapshot, new: Snapshot) -> Comparison:
    """What leads from one side to the other."""
    settings = (
        Change(TRIGGER, old.trigger, new.trigger),
        Change(SCHEMA_MODE, old.schema_mode, new.schema_mode),
        Change(SCHEMA_REF, old.schema_ref, new.schema_ref),
    )
    return Comparison(
        tuple(difference(old.text, new.text)), tuple(one for one in settings if not _is_same(one.before, one.after))
    )


def draft_snapshot(workflow: Workflow) -> Snapshot:
    """The draft as it is stored."""
    ref = None if workflow.draft_schema_mode == INFERRED else workflow.draft_schema_ref
    return Snapshot(_text(workflow.draft_definition), workflow.draft_trigger, workflow.draft_schema_mode, ref)


def version_snapshot(version: WorkflowVersion) -> Snapshot:
    """A version as it was published."""
    ref = None if version.payload_schema_mode == INFERRED else version.payload_schema_ref
    return Snapshot(_text(version.definition), version.trigger, version.payload_schema_mode, ref)


def draft_changes(workflow: Workflow, version: int | None = None) -> Comparison | None:
    """What the draft changes in a version, by default the one that runs; None when nothing is published."""
    number = workflow.published_version if version is None else version
    if number is None:
        return None
    published = version_of(workflow.tenant_id, workflow.id, number)
    return compare(version_snapshot(published), draft_snapshot(workflow))


def version_changes(tenant_id: UUID, workflow_id: UUID, old: int, new: int) -> Comparison:
    """What leads from one version to another, in either direction. Raises NotFound."""
    before, after = (version_of(tenant_id, workflow_id, number) for number in (old, new))
    return compare(version_snapshot(before), version_snapshot(after))


def _text(definition: Any) -> str:
    return strict_json.pretty(readable(definition))


def _lines(old: Sequence[str], new: Sequence[str]) -> Iterator[Line]:
    """Every line of both, in order. What both begin and end with is set aside first: it is most of a large text."""
    head = _common(old, new)
    tail = _common(old[: head - len(old) - 1 : -1], new[: head - len(new) - 1 : -1])
    yield from (Line(SAME, index + 1, index + 1, old[index]) for index in range(head))
    matcher = difflib.SequenceMatcher(None, old[head : len(old) - tail], new[head : len(new) - tail])
    for tag, old_start, old_end, new_start, new_end in matcher.get_opcodes():
        rows = range(old_start + head, old_end + head), range(new_start + head, new_end + head)
        if tag == "equal":
            yield from (Line(SAME, i + 1, j + 1, old[i]) for i, j in zip(*rows, strict=True))
        else:
            yield from (Line(REMOVED, i + 1, None, old[i]) for i in rows[0])
            yield from (Line(ADDED, None, j + 1, new[j]) for j in rows[1])
    for back in range(tail, 0, -1):
        yield Line(SAME, len(old) - back + 1, len(new) - back + 1, old[-back])


def _common(old: Sequence[str], new: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))


def _is_same(before: Any, after: Any) -> bool:
    return strict_json.dumps(before) == strict_json.dumps(after)
