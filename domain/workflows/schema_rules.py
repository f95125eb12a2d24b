"""Which JSON Schemas Carillon accepts for payloads, and the compiled form that payloads are checked with.

Dialect: JSON Schema 2020-12. A schema is written by a user and run against a user's data in every process, so what is
accepted here cannot fetch anything, cannot run for long on any payload, and means the same each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any, NoReturn

import jsonschema
import jsonschema_rs
import re2
from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]

from domain.kernel import strict_json
from domain.kernel.errors import Problem, Refused
from domain.kernel.strict_json import pointer
from domain.workflows.payload_messages import payload_problem
from domain.workflows.schema_graph import IN_PLACE, Edge, SchemaGraph, subschemas

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_SCHEMA_BYTES = 32_000
MAX_SCHEMA_DEPTH = 20
MAX_SCHEMA_NODES = 1_000
MAX_CHECKS = 1_000  # subschemas that may judge one way through a payload
MAX_UNIQUE_ITEMS = 1_000
MAX_PATTERN_CHARACTERS = 500
MAX_PROBLEMS = 50
MAX_SECRET_PATHS = 1_000
REGEX_BYTES = 1_000_000  # of one compiled pattern
COMPILED_KEPT = 512

_META_SCHEMA = jsonschema.Draft202012Validator(jsonschema.Draft202012Validator.META_SCHEMA, registry=REGISTRY)


def check_schema(schema: Any) -> None:
    """Accept a schema for payloads, or raise `Refused` with every problem at its JSON pointer inside the schema."""
    if not isinstance(schema, dict):
        raise Refused.at("", 'A payload schema is a JSON object such as {"type": "object"}.', "SCHEMA_ROOT")
    strict_json.check_value(schema, max_bytes=MAX_SCHEMA_BYTES, max_depth=MAX_SCHEMA_DEPTH)
    if _node_count(schema) > MAX_SCHEMA_NODES:
        raise Refused.at("", f"This schema has more than {MAX_SCHEMA_NODES:,} parts. Split it.", "SCHEMA_TOO_LARGE")
    for step in (_dialect_problems, _part_problems, _cost_problems, _secret_problems, _compile_problems):
        problems = list(islice(step(schema), MAX_PROBLEMS))
        if problems:
            raise Refused(sorted(problems, key=lambda problem: (problem.path, problem.code)))


def secret_paths(schema: Any) -> tuple[str, ...]:
    """Where payloads of this schema hold secrets: JSON pointers, `*` for any index or any name.

    A field below a secret one is not listed again, and a recursive part is followed once. The schema has passed
    `check_schema`. Raises `Refused` with SCHEMA_COST if there are more than `MAX_SECRET_PATHS`.
    """
    graph = SchemaGraph(schema)
    secret = {node for node, part in graph.nodes.items() if _is_secret(part)}
    leading = graph.leading_to(secret)
    found: set[str] = set()
    waiting: list[tuple[str, tuple[str, ...], frozenset[str]]] = [("", (), frozenset())]
    while waiting:
        node, where, passed = waiting.pop()
        if node in secret:
            found.add(pointer(where))
        elif node in leading and node not in passed:
            for edge in graph.edges[node]:
                waiting.append((edge.target, (*where, *_instance_step(edge)), passed | {node}))
        if len(found) + len(waiting) > MAX_SECRET_PATHS:
            raise Refused.at("", "This schema marks too many fields as secret. Mark fewer.", "SCHEMA_COST")
    return tuple(sorted(found))


def compiled(schema: dict[str, Any]) -> jsonschema_rs.Draft202012Validator:
    """The validator of a schema, built once per content and process. It fetches nothing and runs patterns in linear time.

    Raises `Refused` at the root with SCHEMA_INVALID if the schema cannot be compiled.
    """
    return _compiled(strict_json.dumps(schema))


def payload_problems(schema: dict[str, Any], payload: Any) -> list[Problem]:
    """What is wrong with a payload, at most `MAX_PROBLEMS`, each at the JSON pointer of the member that must change.

    A missing member is named by its own path. Messages are written for the operator and never contain a value of the
    payload, so they can be shown and logged. An empty list means that the payload fits.
    """
    problems: list[Problem] = []
    try:
        for error in compiled(schema).iter_errors(payload):
            problems.extend(payload_problem(error))
            if len(problems) >= MAX_PROBLEMS:
                break
    except (ValueError, RecursionError):
        return [Problem("", "This is not a JSON value that can be checked.", "JSON_INVALID")]
    return list(dict.fromkeys(problems))[:MAX_PROBLEMS]


@lru_cache(maxsize=COMPILED_KEPT)
def _compiled(text: str) -> jsonschema_rs.Draft202012Validator:
    schema = strict_json.loads(text)
    # An $id would only give the schema another base address, against which "#" could be looked up elsewhere.
    schema.pop("$id", None)
    schema.pop("$schema", None)
    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            retriever=_refuse_fetching,
            validate_formats=True,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=REGEX_BYTES, dfa_size_limit=REGEX_BYTES),
        )
    except (ValueError, RecursionError, jsonschema_rs.ReferencingError) as error:
        reason = str(error).split("\n", 1)[0][:200]
        raise Refused.at("", f"This schema cannot be used: {reason}", "SCHEMA_INVALID") from None


def _refuse_fetching(uri: str) -> NoReturn:
    raise ValueError(f"{uri[:100]} is outside this schema, and nothing is ever fetched")


def _dialect_problems(schema: dict[str, Any]) -> Iterator[Problem]:
    if str(schema.get("$schema", DIALECT)).rstrip("#") != DIALECT:
        yield Problem("/$schema", f"Only JSON Schema 2020-12 is understood. Use {DIALECT}.", "SCHEMA_DIALECT")
        return
    for error in _META_SCHEMA.iter_errors(schema):
        yield Problem(pointer(error.absolute_path), error.message[:200], "SCHEMA_INVALID")


def _part_problems(schema: dict[str, Any]) -> Iterator[Problem]:
    if schema.get("type") != "object":
        yield Problem("/type", 'Payloads are objects: the schema\'s type must be "object".', "SCHEMA_ROOT")
    for path, part in subschemas(schema):
        if isinstance(part, dict):
            yield from _pattern_problems(path, part)
            if part.get("uniqueItems") and part.get("maxItems", MAX_UNIQUE_ITEMS + 1) > MAX_UNIQUE_ITEMS:
                message = f"uniqueItems needs a maxItems of at most {MAX_UNIQUE_ITEMS:,} beside it."
                yield Problem(pointer((*path, "uniqueItems")), message, "SCHEMA_UNIQUE_ITEMS")
            if not isinstance(part.get("x-secret", False), bool):
                yield Problem(pointer((*path, "x-secret")), "x-secret is either true or false.", "SCHEMA_INVALID")
    yield from SchemaGraph(schema).problems


def _pattern_problems(path: tuple[str | int, ...], part: dict[str, Any]) -> Iterator[Problem]:
    patterns = [((*path, "patternProperties", pattern), pattern) for pattern in part.get("patternProperties", {})]
    if "pattern" in part:
        patterns.append(((*path, "pattern"), part["pattern"]))
    for where, pattern in patterns:
        reason = _pattern_fault(pattern)
        if reason:
            yield Problem(pointer(where), reason, "SCHEMA_PATTERN")


def _pattern_fault(pattern: str) -> str | None:
    """Why a pattern cannot be run in linear time, or None. RE2 knows neither look-around nor back-references."""
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        return f"A pattern may have at most {MAX_PATTERN_CHARACTERS} characters."
    options = re2.Options()
    options.log_errors = False
    options.max_mem = REGEX_BYTES
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        return f"This pattern cannot be used (look-around and back-references never can): {_reason(error)}."
    return None


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return (reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason))[:100]


def _cost_problems(schema: dict[str, Any]) -> Iterator[Problem]:
    graph = SchemaGraph(schema)
    endless = graph.endless()
    for node in endless:
        message = "This schema leads back to itself without looking deeper into the value. Break the circle."
        yield Problem(node, message, "SCHEMA_RECURSION")
    if not endless and graph.worst_checks(MAX_CHECKS + 1) > MAX_CHECKS:
        message = f"One value may have to be checked more than {MAX_CHECKS:,} times. Repeat fewer alternatives."
        yield Problem("", message, "SCHEMA_COST")


def _secret_problems(schema: dict[str, Any]) -> Iterator[Problem]:
    if "" in secret_paths(schema):
        yield Problem("", "A payload cannot be secret as a whole. Mark the fields that are.", "SCHEMA_SECRET_ROOT")


def _compile_problems(schema: dict[str, Any]) -> Iterator[Problem]:
    try:
        compiled(schema)
    except Refused as refusal:
        yield from refusal.problems


def _node_count(value: Any) -> int:
    count = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        count += 1
        waiting.extend(item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
    return count


def _is_secret(part: Any) -> bool:
    return isinstance(part, dict) and part.get("x-secret") is True


def _instance_step(edge: Edge) -> tuple[str, ...]:
    """The way from a value to the member that the other end of the edge judges; empty if that is the value itself."""
    if edge.keyword in IN_PLACE:
        return ()
    return (str(edge.key),) if edge.keyword in ("properties", "prefixItems") else ("*",)
