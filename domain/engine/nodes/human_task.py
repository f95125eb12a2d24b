"""human.task: asks a person, and stops until somebody answers in the inbox."""

from __future__ import annotations

from typing import Any

from domain.engine.failures import VALIDATION, StepFailed
from domain.engine.name_checks import check_schema_ref
from domain.engine.nodes.assignments import check_assignments, compile_assignments, put_all
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import OPTIONAL, REQUIRED, Compiler, Json, NodeType, Run, never
from domain.engine.nodes.time_wait import check_milliseconds, milliseconds
from domain.engine.problems import Report
from domain.engine.running import Execution
from domain.engine.steps import Attempt, Opening, Question, Task
from domain.expressions.mappings import compile_value, is_literal
from domain.kernel.errors import Refused
from domain.runs.claims import Claim
from domain.runs.waits import TASK
from domain.workflows.built_in_schemas import APPROVAL_REF
from domain.workflows.payload_schemas import schema_of

MAX_TITLE_CHARACTERS = 200
MAX_TYPE_CHARACTERS = 128
MAX_DESCRIPTION_CHARACTERS = 4_000


def _check(step: Json, report: Report) -> None:
    config = step["config"]
    kind = config["taskType"]
    if not isinstance(kind, str) or not kind.strip() or len(kind) > MAX_TYPE_CHARACTERS:
        report.error("INVALID_CONFIG", f"taskType is text of at most {MAX_TYPE_CHARACTERS} characters.")
    for key in ("title", "description"):
        value = config.get(key)
        if check_mapping(value, report, key) and value is not None and is_literal(value) and not isinstance(value, str):
            report.error("INVALID_CONFIG", f"{key} is text or an expression that gives text.")
    check_mapping(config.get("contextData"), report, "contextData")
    if config.get("formSchemaRef") is not None:
        check_schema_ref(config["formSchemaRef"], "formSchemaRef", report)
    if config.get("timeoutMs") is not None:
        check_milliseconds(config["timeoutMs"], report, "timeoutMs")
    check_assignments(config.get("assign"), report, "assign")


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id, config = compiler.path, compiler.step_id, step["config"]
    asked = compile_value({key: config.get(key) for key in ("title", "description", "contextData", "timeoutMs")})
    fixed = {"taskType": config["taskType"], "formSchemaRef": config.get("formSchemaRef") or APPROVAL_REF}
    entries = compile_assignments(config.get("assign"))

    def run(execution: Execution, iteration: str) -> None:
        def prepare() -> Json:
            found: Json = asked(execution.scopes())
            return {**fixed, **found}

        def act(given: Json, attempt: Attempt) -> Opening:
            return _opening(execution.claim, given, attempt)

        answered = execution.result_of(
            Task(path, iteration, step_id, NODE.type, act, prepare, _check_values, effect="local")
        )
        execution.assign_var("task", answered)
        put_all(execution, entries, path)

    return run


def _check_values(given: Json) -> None:
    title, description = given["title"], given["description"]
    if not isinstance(title, str) or not title.strip():
        raise StepFailed("title gave no text.", "INVALID_TITLE", VALIDATION)
    if description is not None and not isinstance(description, str):
        raise StepFailed("description gave no text.", "INVALID_DESCRIPTION", VALIDATION)
    if given["timeoutMs"] is not None:
        milliseconds(given["timeoutMs"], "timeoutMs")


def _opening(claim: Claim, given: Json, attempt: Attempt) -> Opening:
    question = Question(
        task_type=given["taskType"],
        title=" ".join(given["title"].split())[:MAX_TITLE_CHARACTERS],
        description=(given["description"] or "")[:MAX_DESCRIPTION_CHARACTERS],
        context=given["contextData"],
        form_schema=_form_schema(claim, given["formSchemaRef"]),
    )
    timeout = given["timeoutMs"]
    due_at = None if timeout is None else attempt.now + milliseconds(timeout, "timeoutMs")
    return Opening(TASK, due_at=due_at, question=question)


def _form_schema(claim: Claim, ref: str) -> dict[str, Any]:
    try:
        return schema_of(claim.tenant_id, ref)
    except Refused as refused:
        raise StepFailed(str(refused), "UNKNOWN_PAYLOAD_SCHEMA_REF", VALIDATION) from None


NODE = NodeType(
    type="human.task",
    label="Ask a person",
    description="Asks a person, and stops until somebody answers.",
    compile=_compile,
    config_keys={
        "taskType": REQUIRED,
        "title": REQUIRED,
        "description": OPTIONAL,
        "contextData": OPTIONAL,
        "formSchemaRef": OPTIONAL,
        "timeoutMs": OPTIONAL,
        "assign": OPTIONAL,
    },
    check=_check,
    is_pure=never,
)
