"""Definitions with their expressions parsed and their paths known, made once per version and process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select

from domain.engine.failures import VALIDATION, StepFailed
from domain.engine.nodes.node import Compiler
from domain.engine.nodes.registry import NODE_TYPES
from domain.engine.retries import parse_retry
from domain.engine.running import Block, Step
from domain.expressions import NOW
from domain.kernel import strict_json
from domain.kernel.db import db
from domain.workflows.versions import WorkflowVersion

VERSIONS_KEPT = 512

_lock = threading.Lock()
_versions: OrderedDict[tuple[UUID, int], CompiledDefinition] = OrderedDict()


@dataclass(frozen=True, slots=True)
class CompiledDefinition:
    """Shared by all threads, written by none. `fault`: why this release cannot run it; its runs fail with that."""

    steps: Block
    is_pure: bool
    reads_system: bool = True
    fault: StepFailed | None = None


def compiled_version(workflow_id: UUID, version: int) -> CompiledDefinition:
    """A published version, read and compiled unless this process has it."""
    key = (workflow_id, version)
    with _lock:
        found = _versions.get(key)
        if found is not None:
            _versions.move_to_end(key)
            return found
    columns = select(WorkflowVersion.definition, WorkflowVersion.is_pure)
    row = db.session.execute(columns.filter_by(workflow_id=workflow_id, version=version)).one()
    made = compile_definition(row.definition, is_pure=row.is_pure)
    with _lock:
        _versions[key] = made
        if len(_versions) > VERSIONS_KEPT:
            _versions.popitem(last=False)
    return made


def compile_definition(definition: Any, *, is_pure: bool) -> CompiledDefinition:
    """The compiled form of a definition in which `definition_problems` found no error, when it was published."""
    try:
        return CompiledDefinition(_block(definition["steps"], "root.steps"), is_pure, _reads_system(definition))
    except Exception as error:
        message = (
            f"This release cannot run the definition ({type(error).__name__}: {error}). Mend and publish it again."
        )
        return CompiledDefinition((), is_pure, fault=StepFailed(message, "INVALID_WORKFLOW_DEFINITION", VALIDATION))


def _reads_system(definition: Any) -> bool:
    """Whether any expression may look at the time or the chance of its step, which cost something to make."""
    text = strict_json.dumps(definition["steps"])
    return "system" in text or NOW in text


def _block(steps: list[Any], path: str) -> Block:
    return tuple(_step(step, f"{path}[{index}]") for index, step in enumerate(steps))


def _step(step: dict[str, Any], path: str) -> Step:
    run = NODE_TYPES[step["type"]].compile(step, Compiler(path, step["id"], _block))
    on_error = step.get("onError") or (step.get("config") or {}).get("onError")
    return Step(path, step["id"], step["type"], run, parse_retry(step.get("retry")), goes_on=on_error == "continue")
