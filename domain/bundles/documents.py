"""A workflow bundle in memory: what one workflow consists of, how it is written, and how a file is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from domain.bundles.canonical import canonical_bytes, digest, instant_text, parse_instant_text
from domain.bundles.portable import notes_of, portable
from domain.bundles.reading import BundleRefused, read_document, schema_refusal
from domain.bundles.schema import FORM, FORMAT, FORMAT_VERSION
from domain.kernel.errors import Problem, Refused
from domain.publishing.inline_triggers import is_time_trigger
from domain.workflows.draft_fields import INFERRED, PINNED

DUPLICATE_KEY, DUPLICATE_VERSION = "DUPLICATE_KEY", "DUPLICATE_VERSION"
# What a version says of itself where it differs from the workflow's draft; it is stored beside the definition.
_STATED = ("trigger", "payloadSchemaMode")


@dataclass(frozen=True)
class BundledVersion:
    """A published version. `definition`: as it is stored. `schema`: the snapshot, None to take what is registered.

    `place`: the JSON pointer in the file that it was read from.
    """

    version: int
    definition: dict[str, Any]
    trigger: Any
    schema_mode: str
    schema_ref: str | None
    schema: dict[str, Any] | None
    place: str = ""


@dataclass(frozen=True)
class BundledWorkflow:
    """A workflow without ids and people. `trigger`: none or an event. `time_triggers`: what is to become schedules.

    `needs`: the `dependencies` that a file claims; they are compared, never believed. `notes`: what reading changed.
    `place`: the JSON pointer in the file that it was read from.
    """

    key: str
    name: str
    description: str
    trigger: Any
    schema_mode: str
    schema_ref: str | None
    is_system: bool
    is_visible: bool
    is_paused: bool
    concurrency_limit: int | None
    auto_pause_on_failure: bool
    failure_rate_threshold: float | None
    failure_rate_min_runs: int | None
    retention_policy_override: Any
    draft_version: int
    draft_definition: dict[str, Any]
    versions: tuple[BundledVersion, ...]
    time_triggers: tuple[dict[str, Any], ...] = ()
    needs: Any = None
    notes: tuple[Problem, ...] = field(default=())
    place: str = ""

    @property
    def latest(self) -> BundledVersion | None:
        """The version that runs; None before the first."""
        return self.versions[-1] if self.versions else None


@dataclass(frozen=True)
class Bundle:
    """What a file holds: workflows by key. `exported_at`: when the newest of them was last changed."""

    exported_at: datetime
    workflows: tuple[BundledWorkflow, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of what the bundle holds, however it was laid out."""
        entries = [entry_document(one) | {"timeTriggers": one.time_triggers} for one in self.workflows]
        return digest({"exportedAt": instant_text(self.exported_at), "workflows": entries})


def bundle_bytes(bundle: Bundle) -> bytes:
    """The bundle as a file."""
    return canonical_bytes(
        {
            "format": FORMAT,
            "formatVersion": FORMAT_VERSION,
            "exportedAt": instant_text(bundle.exported_at),
            "workflows": [entry_document(one) for one in sorted(bundle.workflows, key=lambda one: one.key)],
        }
    )


def entry_document(workflow: BundledWorkflow) -> dict[str, Any]:
    """One of `workflows[]`. A version repeats no setting that it shares with the draft."""
    return {
        "key": workflow.key,
        "metadata": {
            "name": workflow.name,
            "description": workflow.description or None,
            "payloadSchemaRef": workflow.schema_ref,
            "payloadSchemaMode": workflow.schema_mode,
            "pinnedPayloadSchemaRef": workflow.schema_ref if workflow.schema_mode == PINNED else None,
            "trigger": workflow.trigger,
            "isSystem": workflow.is_system,
            "isVisible": workflow.is_visible,
            "isPaused": workflow.is_paused,
            "concurrencyLimit": workflow.concurrency_limit,
            "autoPauseOnFailure": workflow.auto_pause_on_failure,
            "failureRateThreshold": workflow.failure_rate_threshold,
            "failureRateMinRuns": workflow.failure_rate_min_runs,
            "retentionPolicyOverride": workflow.retention_policy_override,
        },
        "draft": {"draftVersion": workflow.draft_version, "definition": workflow.draft_definition},
        "publishedVersions": [_version_document(workflow, one) for one in workflow.versions],
    }


def _version_document(workflow: BundledWorkflow, version: BundledVersion) -> dict[str, Any]:
    definition = {key: value for key, value in version.definition.items() if key not in _STATED}
    if version.trigger != workflow.trigger:
        definition["trigger"] = version.trigger
    if version.schema_mode != workflow.schema_mode:
        definition["payloadSchemaMode"] = version.schema_mode
    if version.schema_ref != workflow.schema_ref or "payloadSchemaRef" in definition:
        definition["payloadSchemaRef"] = version.schema_ref
    return {"version": version.version, "definition": definition, "payloadSchemaJson": version.schema}


def read_bundle(raw: bytes) -> Bundle:
    """What a file holds, independent of any tenant.

    Raises BundleRefused with INVALID_BUNDLE, UNSUPPORTED_FORMAT, UNSUPPORTED_FORMAT_VERSION, SCHEMA_VALIDATION_FAILED,
    DUPLICATE_KEY or DUPLICATE_VERSION.
    """
    document = read_document(raw, FORMAT, FORMAT_VERSION, FORM)
    try:
        exported_at = parse_instant_text(document["exportedAt"], "/exportedAt")
    except Refused as refused:
        raise schema_refusal(refused.problems) from None
    _check_unique(document["workflows"])
    keys = _keys_by_id(document["workflows"])
    workflows = [_workflow(entry, keys, f"/workflows/{index}") for index, entry in enumerate(document["workflows"])]
    return Bundle(exported_at, tuple(sorted(workflows, key=lambda one: one.key)))


def _check_unique(entries: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for index, entry in enumerate(entries):
        key = entry["key"]
        if key in seen:
            message = f"The key {key} appears twice in this bundle. Keep one of the two workflows."
            problem = Problem(f"/workflows/{index}/key", message, DUPLICATE_KEY)
            raise BundleRefused(DUPLICATE_KEY, message, {"workflowKey": key}, [problem])
        seen.add(key)
        _check_unique_versions(entry, index)


def _check_unique_versions(entry: dict[str, Any], index: int) -> None:
    seen: set[int] = set()
    for place, version in enumerate(entry["publishedVersions"]):
        number = version["version"]
        if number in seen:
            message = f"Version {int(number)} of {entry['key']} appears twice in this bundle. Keep one of the two."
            problem = Problem(f"/workflows/{index}/publishedVersions/{place}/version", message, DUPLICATE_VERSION)
            details = {"workflowKey": entry["key"], "version": number}
            raise BundleRefused(DUPLICATE_VERSION, message, details, [problem])
        seen.add(number)


def _keys_by_id(entries: list[dict[str, Any]]) -> dict[str, str]:
    """The keys of the workflows in the file by the ids that their definitions had where they came from."""
    found: dict[str, str] = {}
    for entry in entries:
        for holder in (entry["draft"], *entry["publishedVersions"]):
            if isinstance(own_id := holder["definition"].get("id"), str):
                found.setdefault(own_id.lower(), entry["key"])
    return found


def _workflow(entry: dict[str, Any], keys: Mapping[str, str], place: str) -> BundledWorkflow:
    metadata, written = entry["metadata"], entry["draft"]["definition"]
    threshold = metadata["failureRateThreshold"]
    retention = metadata["retentionPolicyOverride"]
    trigger, mode = metadata["trigger"], metadata["payloadSchemaMode"] or PINNED
    ref = metadata["payloadSchemaRef"] or metadata["pinnedPayloadSchemaRef"]
    draft = {key: value for key, value in portable(written, keys).items() if key != "trigger" or value is None}
    versions = [
        _version(one, (trigger, mode, ref), keys, f"{place}/publishedVersions/{index}")
        for index, one in enumerate(entry["publishedVersions"])
    ]
    published = sorted(entry["publishedVersions"], key=lambda one: one["version"])
    return BundledWorkflow(
        key=entry["key"],
        name=metadata["name"],
        description=metadata["description"] or "",
        trigger=None if is_time_trigger(trigger) else trigger,
        schema_mode=mode,
        schema_ref=ref,
        is_system=metadata["isSystem"],
        is_visible=metadata["isVisible"],
        is_paused=metadata["isPaused"],
        concurrency_limit=_whole(metadata["concurrencyLimit"]),
        auto_pause_on_failure=metadata["autoPauseOnFailure"],
        failure_rate_threshold=None if threshold is None else float(threshold),
        failure_rate_min_runs=_whole(metadata["failureRateMinRuns"]),
        retention_policy_override=retention if retention is None or set(retention) == {"days"} else None,
        draft_version=int(entry["draft"]["draftVersion"]),
        draft_definition=draft,
        versions=tuple(sorted(versions, key=lambda one: one.version)),
        time_triggers=_time_triggers(trigger, written, published[-1]["definition"] if published else {}),
        needs=entry.get("dependencies"),
        notes=notes_of(entry),
        place=place,
    )


def _version(
    entry: dict[str, Any], settings: tuple[Any, str, str | None], keys: Mapping[str, str], place: str
) -> BundledVersion:
    """`settings`: trigger, schema mode and ref of the draft, for what the version does not state itself."""
    trigger, mode, ref = settings
    definition = portable(entry["definition"], keys)
    stated = definition.get("trigger", trigger)
    own_mode = definition.get("payloadSchemaMode")
    return BundledVersion(
        version=int(entry["version"]),
        definition={key: value for key, value in definition.items() if key not in _STATED},
        trigger=None if is_time_trigger(stated) else stated,
        schema_mode=own_mode if own_mode in (PINNED, INFERRED) else mode,
        schema_ref=definition.get("payloadSchemaRef", ref),
        schema=entry["payloadSchemaJson"],
        place=place,
    )


def _time_triggers(trigger: Any, draft: dict[str, Any], published: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """All that say when: of the settings, the draft and the version that runs."""
    return tuple(one for one in (trigger, draft.get("trigger"), published.get("trigger")) if is_time_trigger(one))


def _whole(number: float | None) -> int | None:
    # JSON Schema takes 1.0 for an integer.
    return None if number is None else int(number)
