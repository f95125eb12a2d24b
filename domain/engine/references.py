"""Names in expressions that nothing in the definition gives a value: allowed, null at run time, mostly a typing error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from domain.engine.assign_paths import RESERVED, BadPath, parse_path
from domain.engine.nodes.control_for_each import LOCALS
from domain.engine.problems import WARNING, Report, nearest
from domain.expressions import ExpressionError, parse, referenced_roots
from domain.expressions.mappings import EXPR, objects_in
from domain.workflows.definitions import BRANCHES

# What a step of these types puts into variables by itself.
_GIVEN = {
    "control.callWorkflow": ("childRun",),
    "event.wait": ("event", "eventName"),
    "human.task": ("task",),
    "time.wait": ("timeWait",),
}


def report_unknown_references(steps: list[Any], report: Report) -> None:
    """Warn of every bare name in an expression that is neither a root nor a variable assigned anywhere."""
    objects = [(path, item) for path, item in objects_in(steps)]
    known = {*RESERVED, *LOCALS, *_assigned_names(item for _, item in objects)}
    for path, item in objects:
        if report.is_full(WARNING):
            return
        for name in sorted(_roots_of(item) - known):
            near = nearest(name, known)
            place, step_id = _step_around(steps, path)
            message = f"Nothing gives {name} a value, so it is null here."
            report.at(place, step_id).warning("UNKNOWN_REFERENCE", message, f"Did you mean {near}?" if near else None)


def _roots_of(item: dict[str, Any]) -> frozenset[str]:
    text = item.get(EXPR)
    if not isinstance(text, str) or not text.strip():
        return frozenset()
    try:
        return referenced_roots(parse(text))
    except ExpressionError:
        return frozenset()


def _assigned_names(objects: Iterator[dict[str, Any]]) -> Iterator[str]:
    for item in objects:
        yield from _GIVEN.get(str(item.get("type")), ())
        places = [item.get(key) for key in ("saveAs", "captureErrorAs")]
        places += [
            place for key in ("assign", "outputMapping") if isinstance(item.get(key), dict) for place in item[key]
        ]
        for place in places:
            try:
                path = parse_path(place)
            except BadPath:
                continue
            if path.root == "vars":
                yield path.names[0]
        if isinstance(item.get("itemVar"), str):
            yield item["itemVar"]


def _step_around(steps: list[Any], path: tuple[str | int, ...]) -> tuple[str, str | None]:
    """The path and id of the innermost step on the way to an object inside the steps."""
    place, step_id = "", None
    here: Any = steps
    for depth, key in enumerate(path):
        here = here[key]
        is_step = isinstance(key, int) and isinstance(here, dict) and "type" in here
        if is_step and (depth == 0 or path[depth - 1] in BRANCHES):
            place = f"root.steps[{key}]" if depth == 0 else f"{place}.{path[depth - 1]}.steps[{key}]"
            step_id = here.get("id") if isinstance(here.get("id"), str) else None
    return place, step_id
