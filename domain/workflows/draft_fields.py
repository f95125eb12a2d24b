"""What the author of a workflow can set: its name and settings, its trigger, its payload schema and its definition."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.kernel.names import parse_name
from domain.workflows.definitions import parse_definition, readable
from domain.workflows.payload_schemas import check_registered
from domain.workflows.triggers import parse_trigger
from domain.workflows.workflows import Workflow

KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)
KEY_MAX_CHARACTERS = 128
DESCRIPTION_MAX_CHARACTERS = 2_000
LIMIT_MAX = 1_000
MIN_RUNS_MAX = 1_000
RETENTION_MAX_DAYS = 3_650
PINNED, INFERRED = "pinned", "inferred"
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")

Value = TypeVar("Value")


@dataclass(frozen=True)
class DraftFields:
    """The editable fields of a workflow, unchecked.

    `trigger`: as in `domain.workflows.triggers`. `failure_rate_threshold`: a fraction above 0, up to 1; None and a
    `failure_rate_min_runs` of None are the defaults of auto-pause. `retention_policy_override`: {"days": n} or None,
    which keeps runs as long as the tenant does.
    """

    name: str
    key: str
    definition_text: str
    description: str = ""
    trigger: Any = None
    schema_mode: str = PINNED
    schema_ref: str | None = None
    concurrency_limit: int | None = 1
    auto_pause_on_failure: bool = False
    failure_rate_threshold: float | None = None
    failure_rate_min_runs: int | None = None
    retention_policy_override: Any = None


def fields_of(workflow: Workflow) -> DraftFields:
    """The fields as they are stored."""
    return DraftFields(
        name=workflow.name,
        key=workflow.key,
        definition_text=strict_json.pretty(readable(workflow.draft_definition)),
        description=workflow.description,
        trigger=workflow.draft_trigger,
        schema_mode=workflow.draft_schema_mode,
        schema_ref=workflow.draft_schema_ref,
        concurrency_limit=workflow.concurrency_limit,
        auto_pause_on_failure=workflow.auto_pause_on_failure,
        failure_rate_threshold=workflow.failure_rate_threshold,
        failure_rate_min_runs=workflow.failure_rate_min_runs,
        retention_policy_override=workflow.retention_policy_override,
    )


class Refusals:
    """Collects what is wrong with each field, so that all of it is told at once."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def take(self, parse: Callable[[], Value], otherwise: Value) -> Value:
        try:
            return parse()
        except Refused as refusal:
            self.problems += refusal.problems
            return otherwise

    def raise_if_any(self) -> None:
        if self.problems:
            raise Refused(self.problems)


def checked_fields(tenant_id: UUID, fields: DraftFields) -> dict[str, Any]:
    """The columns of `workflows` that the fields stand for. Raises Refused with every problem at its field.

    Fields are named as in DraftFields, but for `definition` (or below it), those of the trigger (`trigger_type`,
    `event_name`, `source_schema_ref`, `mapping…`) and `retention_days`.
    """
    refusals = Refusals()
    nothing: dict[str, Any] = {}
    columns = {
        "name": refusals.take(lambda: parse_name(fields.name, "name"), ""),
        "description": refusals.take(lambda: parse_description(fields.description), ""),
        "key": refusals.take(lambda: parse_key(fields.key), ""),
        "draft_trigger": refusals.take(lambda: parse_trigger(tenant_id, fields.trigger), None),
        "draft_schema_mode": refusals.take(lambda: _parse_mode(fields.schema_mode), PINNED),
        "draft_schema_ref": refusals.take(lambda: _parse_schema_ref(tenant_id, fields.schema_ref), None),
        "concurrency_limit": refusals.take(lambda: _parse_limit(fields.concurrency_limit), None),
        "auto_pause_on_failure": bool(fields.auto_pause_on_failure),
        "failure_rate_threshold": refusals.take(lambda: _parse_threshold(fields.failure_rate_threshold), None),
        "failure_rate_min_runs": refusals.take(lambda: _parse_min_runs(fields.failure_rate_min_runs), None),
        "retention_policy_override": refusals.take(lambda: _parse_retention(fields.retention_policy_override), None),
        "draft_definition": refusals.take(lambda: parse_definition(fields.definition_text), nothing),
    }
    refusals.raise_if_any()
    return columns


def parse_key(text: str, path: str = "key") -> str:
    """A key that bundles and other workflows may refer to; raises Refused at `path`."""
    key = text.strip()
    if not KEY_PATTERN.fullmatch(key):
        message = "A key begins with a small letter or digit and goes on with small letters, digits, dots, - and _."
        raise Refused.at(path, message, "KEY_INVALID")
    if len(key) > KEY_MAX_CHARACTERS:
        raise Refused.at(path, f"A key has at most {KEY_MAX_CHARACTERS} characters.", "KEY_INVALID")
    return key


def parse_description(text: str) -> str:
    """A description of some lines as it is stored; raises Refused at `description`."""
    description = unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()
    if len(description) > DESCRIPTION_MAX_CHARACTERS:
        message = (
            f"A description has at most {DESCRIPTION_MAX_CHARACTERS:,} characters; this one has {len(description):,}."
        )
        raise Refused.at("description", message, "DESCRIPTION_TOO_LONG")
    if _UNREADABLE.search(description):
        message = "A description cannot contain control characters. Remove them."
        raise Refused.at("description", message, "DESCRIPTION_CHARACTERS")
    return description


def _parse_schema_ref(tenant_id: UUID, ref: str | None) -> str | None:
    if not ref:
        return None
    check_registered(tenant_id, ref)
    return ref


def _parse_mode(mode: str) -> str:
    if mode not in (PINNED, INFERRED):
        raise Refused.at("schema_mode", "Choose pinned or inferred.", "SCHEMA_MODE_INVALID")
    return mode


def _parse_limit(limit: int | None) -> int | None:
    if limit is not None and not _is_whole(limit, LIMIT_MAX):
        message = f"The limit is a whole number from 1 to {LIMIT_MAX:,}, or empty for no limit."
        raise Refused.at("concurrency_limit", message, "LIMIT_INVALID")
    return limit


def _parse_threshold(fraction: float | None) -> float | None:
    if fraction is None:
        return None
    is_number = isinstance(fraction, int | float) and not isinstance(fraction, bool) and math.isfinite(fraction)
    if not is_number or not 0 < fraction <= 1:
        message = "The share of failed runs is above 0 and at most 1, which is 100 %."
        raise Refused.at("failure_rate_threshold", message, "THRESHOLD_INVALID")
    return float(fraction)


def _parse_min_runs(runs: int | None) -> int | None:
    if runs is not None and not _is_whole(runs, MIN_RUNS_MAX):
        message = f"Enter a whole number of runs from 1 to {MIN_RUNS_MAX:,}, or leave it empty."
        raise Refused.at("failure_rate_min_runs", message, "MIN_RUNS_INVALID")
    return runs


def _parse_retention(policy: Any) -> dict[str, Any] | None:
    if policy is None:
        return None
    days = policy.get("days") if isinstance(policy, dict) and set(policy) == {"days"} else None
    if not _is_whole(days, RETENTION_MAX_DAYS):
        message = f"Enter a whole number of days from 1 to {RETENTION_MAX_DAYS:,}, or leave it empty."
        raise Refused.at("retention_days", message, "RETENTION_INVALID")
    return {"days": days}


def _is_whole(number: Any, most: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 1 <= number <= most
