"""time.wait: stops for a while, or until a moment. A moment that has passed stops nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from domain.engine.failures import VALIDATION, StepFailed
from domain.engine.nodes.assignments import check_assignments, compile_assignments, put_all
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import OPTIONAL, REQUIRED, Compiler, Json, NodeType, Run, never
from domain.engine.problems import Report
from domain.engine.running import Execution
from domain.engine.steps import Attempt, Opening, Task
from domain.expressions.mappings import compile_value, is_literal
from domain.kernel.errors import Refused
from domain.runs.waits import TIME
from domain.timing.zones import parse_instant

DURATION, UNTIL = "duration", "until"
MAX_WAIT = timedelta(days=366)
MAX_WAIT_MS = int(MAX_WAIT.total_seconds() * 1_000)
_KEY_OF = {DURATION: "durationMs", UNTIL: "until"}


def check_milliseconds(value: Any, report: Report, where: str) -> None:
    """Report a literal that is no length of time a wait may have; expressions are judged when they are computed."""
    if check_mapping(value, report, where) and is_literal(value) and not _is_milliseconds(value):
        report.error("INVALID_CONFIG", f"{where} is a whole number of milliseconds, at most {MAX_WAIT.days} days.")


def milliseconds(value: Any, where: str) -> timedelta:
    """The length of time that `value` says; raises StepFailed (ValidationError)."""
    if not _is_milliseconds(value):
        message = f"{where} gave no whole number of milliseconds from 0 to {MAX_WAIT_MS:,}."
        raise StepFailed(message, "INVALID_DURATION", VALIDATION)
    return timedelta(milliseconds=int(value))


def _is_milliseconds(value: Any) -> bool:
    is_whole = isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    return is_whole and 0 <= value <= MAX_WAIT_MS


def _check(step: Json, report: Report) -> None:
    config = step["config"]
    mode = config["mode"]
    if mode not in _KEY_OF:
        report.error("INVALID_CONFIG", "mode is duration or until.")
        return
    key = _KEY_OF[mode]
    if config.get(key) is None:
        report.error("INVALID_CONFIG", f"config.{key} is missing.", f"Add {key}.")
    elif mode == DURATION:
        check_milliseconds(config[key], report, key)
    elif check_mapping(config[key], report, key) and is_literal(config[key]):
        try:
            _instant(config[key])
        except StepFailed as failure:
            report.error("INVALID_CONFIG", failure.message, "Write 2026-12-31T18:00:00Z.")
    check_assignments(config.get("assign"), report, "assign")


def _instant(value: Any) -> datetime:
    try:
        return parse_instant(value).astimezone(UTC)
    except Refused as refused:
        raise StepFailed(f"until: {refused}", "INVALID_INSTANT", VALIDATION) from None


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id, config = compiler.path, compiler.step_id, step["config"]
    mode = config["mode"]
    evaluate, entries = compile_value(config[_KEY_OF[mode]]), compile_assignments(config.get("assign"))

    def run(execution: Execution, iteration: str) -> None:
        def prepare() -> Json:
            value = evaluate(execution.scopes())
            if mode == UNTIL:
                return {"mode": mode, "dueAt": _instant(value).isoformat()}
            at = execution.log.at
            assert at is not None  # noqa: S101  set by the step that is being prepared
            return {"mode": mode, "dueAt": (at.started_at + milliseconds(value, "durationMs")).isoformat()}

        def act(given: Json, attempt: Attempt) -> Opening | Json:
            due_at = datetime.fromisoformat(given["dueAt"])
            if due_at <= attempt.now:
                return {**given, "resumedAt": attempt.now.isoformat()}
            if due_at - attempt.now > MAX_WAIT:
                raise StepFailed(f"A run waits at most {MAX_WAIT.days} days.", "INVALID_INSTANT", VALIDATION)
            return Opening(TIME, due_at=due_at)

        waited = execution.result_of(Task(path, iteration, step_id, NODE.type, act, prepare, effect="local"))
        execution.assign_var("timeWait", waited)
        put_all(execution, entries, path)

    return run


NODE = NodeType(
    type="time.wait",
    label="Wait for a time",
    description="Stops for a while, or until a moment.",
    compile=_compile,
    config_keys={"mode": REQUIRED, "durationMs": OPTIONAL, "until": OPTIONAL, "assign": OPTIONAL},
    check=_check,
    is_pure=never,
)
