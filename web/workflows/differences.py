"""What differs between two versions, or between what is stored and what was typed, for the screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain.workflows.comparisons import ADDED, REMOVED, SCHEMA_MODE, SCHEMA_REF, TRIGGER, Change, Comparison, Hunk
from domain.workflows.workflows import Workflow
from web.forms.drafts import DraftForm, typed_draft
from web.workflows.steps import value_text

_TYPED = (
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
_NAMES = {TRIGGER: "Trigger", SCHEMA_MODE: "Payload schema", SCHEMA_REF: "Pinned to"}
_NOTHING = "nothing"


@dataclass(frozen=True)
class SettingChange:
    """A setting that differs, in words on both sides."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class Changes:
    """What differs: settings, lines of the definition, and how many lines came and went."""

    settings: tuple[SettingChange, ...]
    hunks: tuple[Hunk, ...]
    added: int
    removed: int


def changes_of(comparison: Comparison) -> Changes:
    """A comparison in words; a mapping is told target by target."""
    settings: list[SettingChange] = []
    for change in comparison.settings:
        settings += _trigger_changes(change) if change.name == TRIGGER else [_plain_change(change)]
    kinds = [line.kind for hunk in comparison.hunks for line in hunk]
    return Changes(tuple(settings), comparison.hunks, kinds.count(ADDED), kinds.count(REMOVED))


def draft_differences(workflow: Workflow, form: DraftForm) -> list[tuple[str, str]]:
    """The settings that are stored now and differ from what was typed: (label, stored value)."""
    stored = typed_draft(workflow)
    return [
        (form[name].label.text, _shown(stored.get(name)))
        for name in _TYPED
        if _shown(stored.get(name)) != _shown(form[name].data)
    ]


def _plain_change(change: Change) -> SettingChange:
    return SettingChange(_NAMES[change.name], str(change.before or _NOTHING), str(change.after or _NOTHING))


def _trigger_changes(change: Change) -> list[SettingChange]:
    before, after = change.before or {}, change.after or {}
    pairs = [
        ("Trigger", _event(before), _event(after)),
        ("Schema of the event", before.get("sourcePayloadSchemaRef"), after.get("sourcePayloadSchemaRef")),
    ]
    old, new = before.get("payloadMapping") or {}, after.get("payloadMapping") or {}
    pairs += [(f"{target} from the event", _value(old, target), _value(new, target)) for target in sorted({*old, *new})]
    return [SettingChange(name, one or _NOTHING, other or _NOTHING) for name, one, other in pairs if one != other]


def _event(trigger: Any) -> str:
    return f"event {trigger['eventName']}" if trigger.get("eventName") else "no trigger"


def _value(mapping: dict[str, Any], target: str) -> str | None:
    return value_text(mapping[target]) if target in mapping else None


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value).strip() if value else "empty"
