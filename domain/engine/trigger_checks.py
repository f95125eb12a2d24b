"""Whether the trigger of a workflow can be published: its event, that event's schema, and the mapping to the payload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from domain.engine.known import Known
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.problems import Report, StepProblem, nearest
from domain.expressions import ExpressionError, parse, referenced_roots
from domain.expressions.mappings import EXPR, objects_in
from domain.kernel.strict_json import pointer
from domain.workflows.definitions import TIME_TRIGGERS
from domain.workflows.draft_fields import INFERRED
from domain.workflows.triggers import EVENT, event_name_of

ROOT = "event"
MAX_NAMES = 10
_DEEPEST = 20


def source_ref(trigger: Any, known: Known) -> str | None:
    """The schema of the event's payload: the one that the trigger names, else the catalogue's; None without either."""
    name = event_name_of(trigger)
    if name is None:
        return None
    return trigger.get("sourcePayloadSchemaRef") or known.events.get(name)


def payload_ref(trigger: Any, mode: str, pinned_ref: str | None, known: Known) -> str | None:
    """The ref that a version published with these settings has: pinned, or that of the event when it is inferred."""
    return source_ref(trigger, known) if mode == INFERRED else pinned_ref


def trigger_problems(trigger: Any, mode: str, pinned_ref: str | None, schema: Any, known: Known) -> list[StepProblem]:
    """What is wrong with a trigger, each at the field of the settings that must change.

    `schema`: of the payload, None when it is not known. Fields: `trigger_type`, `event_name`, `source_schema_ref`,
    `schema_mode`, and `mapping`, alone or with the target as a JSON pointer (`mapping/customer.name`).
    """
    report = Report(known=known)
    if event_name_of(trigger) is None:
        _check_none(trigger, mode, report)
    else:
        _check_event(trigger, report)
        _check_schemas(trigger, mode, pinned_ref, report)
        if trigger.get("payloadMapping"):
            report.problems += mapping_problems(trigger["payloadMapping"], schema)
    return report.problems


def mapping_problems(mapping: Any, schema: Any) -> list[StepProblem]:
    """What is wrong with the mapping from an event to a payload of `schema`, which may be None."""
    report = Report().at("mapping", None)
    if not isinstance(mapping, dict):
        report.error("TRIGGER_MAPPING_INVALID", "A mapping is an object: the field to fill, then what fills it.")
        return report.problems
    for target in sorted(mapping):
        _check_target(target, mapping, report.at(f"mapping{pointer((target,))}", None))
        _check_value(target, mapping[target], report.at(f"mapping{pointer((target,))}", None))
    if isinstance(schema, dict):
        for name in _missing(schema, schema, _tree(mapping), ""):
            message = f"The payload needs {name}, and the mapping does not fill it."
            report.error("TRIGGER_MAPPING_MISSING_REQUIRED_FIELDS", message, f"Map something to {name}.")
    return report.problems


def _check_none(trigger: Any, mode: str, report: Report) -> None:
    if isinstance(trigger, dict) and trigger.get("type") in TIME_TRIGGERS:
        message = "A workflow does not say when it runs."
        report.at("trigger_type", None).error(
            "TIME_TRIGGER_IN_DEFINITION", message, "Create a schedule for it instead."
        )
    elif trigger is not None:
        report.at("trigger_type", None).error("TRIGGER_INVALID", f"A trigger is none, or of the type {EVENT}.")
    if mode == INFERRED:
        message = "An inferred payload schema is that of an event, and no event starts this workflow."
        code = "PAYLOAD_SCHEMA_INFERENCE_UNSUPPORTED_TRIGGER"
        report.at("schema_mode", None).error(code, message, "Choose an event, or a pinned schema.")


def _check_event(trigger: dict[str, Any], report: Report) -> None:
    known, name, explicit = report.known or Known(), trigger["eventName"], trigger.get("sourcePayloadSchemaRef")
    if name not in known.events:
        near = nearest(name, known.events)
        suggestion = f"Did you mean {near}?" if near else "Choose one of the catalogue, or add it there first."
        report.at("event_name", None).error(
            "UNKNOWN_TRIGGER_EVENT", f"The event catalogue has no event {name}.", suggestion
        )
    if explicit and explicit not in known.schema_refs:
        near = nearest(explicit, known.schema_refs) if isinstance(explicit, str) else None
        message = f"No payload schema is registered as {explicit}."
        report.at("source_schema_ref", None).error(
            "UNKNOWN_TRIGGER_SOURCE_SCHEMA_REF", message, f"Did you mean {near}?" if near else None
        )


def _check_schemas(trigger: dict[str, Any], mode: str, pinned_ref: str | None, report: Report) -> None:
    source = source_ref(trigger, report.known or Known())
    differ = mode != INFERRED and source is not None and pinned_ref is not None and source != pinned_ref
    if differ and not trigger.get("payloadMapping"):
        message = f"The event has the schema {source} and the workflow takes {pinned_ref}: a mapping must fill it."
        report.at("mapping", None).error("TRIGGER_MAPPING_REQUIRED", message, "Map the fields, or infer the schema.")


def _check_target(target: str, mapping: Mapping[str, Any], report: Report) -> None:
    names = target.split(".")
    if not all(name.strip() for name in names) or len(names) > MAX_NAMES:
        message = f"{target or 'An empty name'} is no field: names with dots between them, at most {MAX_NAMES} deep."
        report.error("TRIGGER_MAPPING_TARGET", message)
    for depth in range(1, len(names)):
        if (outer := ".".join(names[:depth])) in mapping:
            report.error("TRIGGER_MAPPING_TARGET", f"{outer} is filled as a whole already.", "Keep one of the two.")


def _check_value(target: str, value: Any, report: Report) -> None:
    if not check_mapping(value, report, target):
        return
    for _, item in objects_in(value):
        if EXPR in item:
            for name in sorted(_roots_of(item[EXPR]) - {ROOT}):
                message = f"{target} reads {name}; a trigger's mapping sees the event alone."
                report.error("TRIGGER_MAPPING_INVALID_ROOT", message, f"Write {ROOT}.payload.{name}.")


def _roots_of(text: str) -> frozenset[str]:
    try:
        return referenced_roots(parse(text))
    except ExpressionError:
        return frozenset()


def _tree(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """The mapping as the object that it makes, with mapping values as leaves."""
    tree: dict[str, Any] = {}
    for target in sorted(mapping):
        *way, last = target.split(".")
        inner = tree
        for name in way:
            inner = inner.setdefault(name, {})
            if not isinstance(inner, dict):
                break
        else:
            inner[last] = dict(mapping[target]) if isinstance(mapping[target], dict) else mapping[target]
    return tree


def _missing(schema: Any, root: dict[str, Any], value: Any, prefix: str, depth: int = 0) -> Iterator[str]:
    """The fields that the schema requires and a mapping value leaves out, as far as its own shape shows."""
    schema = _resolved(schema, root)
    if not isinstance(value, dict) or EXPR in value or depth > _DEEPEST:
        return
    required, parts = schema.get("required"), schema.get("properties")
    yield from (f"{prefix}{name}" for name in (required if isinstance(required, list) else ()) if name not in value)
    for name, part in (parts if isinstance(parts, dict) else {}).items():
        if name in value:
            yield from _missing(part, root, value[name], f"{prefix}{name}.", depth + 1)


def _resolved(schema: Any, root: dict[str, Any]) -> dict[str, Any]:
    """The schema behind references into the same document; an empty one where they lead nowhere."""
    for _ in range(_DEEPEST):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        schema = root
        for key in reference[1:].split("/")[1:]:
            key = key.replace("~1", "/").replace("~0", "~")
            schema = schema.get(key) if isinstance(schema, dict) else None
    return schema if isinstance(schema, dict) else {}
