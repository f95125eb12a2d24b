"""event.wait: stops until an event comes that belongs to this run. One that came since the run began counts too."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from domain.engine.failures import VALIDATION, StepFailed
from domain.engine.name_checks import check_event_name
from domain.engine.nodes.assignments import check_assignments, compile_assignments, put_all
from domain.engine.nodes.mapping_checks import check_mapping
from domain.engine.nodes.node import OPTIONAL, REQUIRED, Compiler, Json, NodeType, Run, never
from domain.engine.nodes.time_wait import check_milliseconds, milliseconds
from domain.engine.problems import Report
from domain.engine.running import Execution
from domain.engine.steps import Attempt, Opening, Task
from domain.events.events import Event
from domain.events.ingest import CORRELATION_MAX_CHARACTERS, record_resumed
from domain.expressions.mappings import compile_value, is_literal
from domain.kernel.db import db
from domain.runs.claims import Claim
from domain.runs.filters import LISTED, OPERATORS, PRESENCE, matches
from domain.runs.waits import EVENT, Wait
from domain.runs.waking import event_output, lock_correlation

MAX_FILTERS = 20
_FILTER_KEYS = {"path", "op", "value"}


def _check(step: Json, report: Report) -> None:
    config = step["config"]
    check_event_name(config["eventName"], report)
    correlation = config.get("correlationKey")
    if correlation in (None, ""):
        message = "Without a correlation key every run would take every event of that name."
        suggestion = 'Name what the event and this run share, such as {"$expr": "payload.orderId"}.'
        report.error("EVENT_WAIT_UNCORRELATABLE", message, suggestion)
    elif check_mapping(correlation, report, "correlationKey") and is_literal(correlation):
        report.warning("EVENT_WAIT_CORRELATION_CONTRACT", "The correlation key is the same for every run.")
    _check_filters(config.get("filters"), report)
    if config.get("timeoutMs") is not None:
        check_milliseconds(config["timeoutMs"], report, "timeoutMs")
    check_assignments(config.get("assign"), report, "assign")


def _check_filters(filters: Any, report: Report) -> None:
    if filters is None:
        return
    if not isinstance(filters, list) or len(filters) > MAX_FILTERS:
        report.error("INVALID_CONFIG", f"filters is a list of at most {MAX_FILTERS} conditions.")
        return
    for index, each in enumerate(filters):
        where = f"filters[{index}]"
        if not isinstance(each, dict) or not isinstance(each.get("path"), str) or not each["path"]:
            report.error("INVALID_CONFIG", f'{where} needs a path, such as {{"path": "total", "op": ">", "value": 9}}.')
            continue
        check_mapping(each.get("value"), report, f"{where}.value")
        fault = _fault(each)
        if fault:
            report.error("INVALID_CONFIG", f"{where} {fault}")


def _fault(each: Json) -> str | None:
    if unknown := sorted(each.keys() - _FILTER_KEYS):
        return f"has no key {unknown[0]}."
    operator, value = each.get("op"), each.get("value")
    if operator not in OPERATORS:
        return f"needs an op out of {', '.join(OPERATORS)}."
    if operator in PRESENCE and "value" in each:
        return f"takes no value with {operator}."
    if operator not in PRESENCE and "value" not in each:
        return "needs a value."
    if operator in LISTED and is_literal(value) and not isinstance(value, list):
        return f"needs a list as value with {operator}."
    return None


def _compile(step: Json, compiler: Compiler) -> Run:
    path, step_id, config = compiler.path, compiler.step_id, step["config"]
    name = config["eventName"]
    asked = compile_value({"correlationKey": config["correlationKey"], "filters": config.get("filters") or [],
                           "timeoutMs": config.get("timeoutMs")})  # fmt: skip
    entries = compile_assignments(config.get("assign"))

    def run(execution: Execution, iteration: str) -> None:
        claim = execution.claim

        def prepare() -> Json:
            found: Json = asked(execution.scopes())
            return {"eventName": name, **found, "correlationKey": _correlation(found["correlationKey"])}

        def lock(given: Json) -> None:
            lock_correlation(claim.tenant_id, name, given["correlationKey"])

        def act(given: Json, attempt: Attempt) -> Opening:
            return _opening(claim, given, attempt)

        result = execution.result_of(
            Task(path, iteration, step_id, NODE.type, act, prepare, _check_values, lock, effect="local")
        )
        execution.assign_var("event", result["event"])
        execution.assign_var("eventName", name)
        put_all(execution, entries, path)

    return run


def _correlation(value: Any) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text or len(text) > CORRELATION_MAX_CHARACTERS:
        message = f"correlationKey gave no text of 1 to {CORRELATION_MAX_CHARACTERS} characters."
        raise StepFailed(message, "NO_CORRELATION", VALIDATION)
    return text


def _check_values(given: Json) -> None:
    for each in given["filters"]:
        if each["op"] in LISTED and not isinstance(each.get("value"), list):
            raise StepFailed(f"The value for {each['op']} is not a list.", "INVALID_FILTER", VALIDATION)
    if given["timeoutMs"] is not None:
        milliseconds(given["timeoutMs"], "timeoutMs")


def _opening(claim: Claim, given: Json, attempt: Attempt) -> Opening:
    """The caller holds the correlation: no event comes between the look back and the wait."""
    name, key, filters, timeout = (given[part] for part in ("eventName", "correlationKey", "filters", "timeoutMs"))
    due_at = None if timeout is None else attempt.now + milliseconds(timeout, "timeoutMs")
    event = _earlier_event(claim, name, key, filters)
    if event is None:
        return Opening(EVENT, due_at, name, key, filters)
    assert claim.workflow_id is not None, "only workflows wait for events"  # noqa: S101
    record_resumed(event.id, [(claim.workflow_id, claim.run_id)])
    output = event_output(event.id, name, key, event.payload, event.received_at)
    return Opening(EVENT, due_at, name, key, filters, event_id=event.id, output=output)


def _earlier_event(claim: Claim, name: str, key: str, filters: Any) -> Event | None:
    """The first fitting event since the run began that it has not waited for already."""
    taken = select(Wait.event_id).where(Wait.run_id == claim.run_id, Wait.event_id.is_not(None))
    since = select(Event).where(
        Event.tenant_id == claim.tenant_id,
        Event.name == name,
        Event.correlation_key == key,
        Event.received_at >= claim.started_at,
        Event.id.not_in(taken),
    )
    return next(
        (event for event in db.session.scalars(since.order_by(Event.id)) if matches(filters, event.payload)), None
    )


NODE = NodeType(
    type="event.wait",
    label="Wait for an event",
    description="Stops until an event comes that belongs to this run.",
    compile=_compile,
    config_keys={
        "eventName": REQUIRED,
        "correlationKey": OPTIONAL,  # its absence has a code of its own
        "filters": OPTIONAL,
        "timeoutMs": OPTIONAL,
        "assign": OPTIONAL,
    },
    check=_check,
    is_pure=never,
)
