"""What the demo tenant's workflows do: small, harmless, and with effects that one can see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from domain.workflows.payload_schemas import EMPTY_REF

Json = dict[str, Any]


@dataclass(frozen=True)
class DemoWorkflow:
    """A workflow to be published with the schema registered under `schema_ref`."""

    name: str
    description: str
    schema_ref: str
    steps: list[Json]


def expr(text: str) -> Json:
    return {"$expr": text}


def call(step_id: str, action: str, inputs: Json, save_as: str | None = None) -> Json:
    config: Json = {"actionId": action, "version": 1, "inputMapping": inputs}
    return {"id": step_id, "type": "action.call", "config": config | ({"saveAs": save_as} if save_as else {})}


def assign(step_id: str, **variables: Any) -> Json:
    values = {f"vars.{name}": value for name, value in variables.items()}
    return {"id": step_id, "type": "transform.assign", "config": {"assign": values}}


def label(step_id: str, state: Any) -> Json:
    return {"id": step_id, "type": "state.set", "config": {"state": state}}


def either(step_id: str, condition: str, then: list[Json], otherwise: list[Json]) -> Json:
    return {"id": step_id, "type": "control.if", "condition": expr(condition), "then": then, "else": otherwise}


def for_each(step_id: str, items: str, item_var: str, body: list[Json]) -> Json:
    return {"id": step_id, "type": "control.forEach", "items": expr(items), "itemVar": item_var, "body": body}


def give_back(value: Any) -> Json:
    return {"id": "return", "type": "control.return", "value": value}


def _object(required: list[str], **fields: Json) -> Json:
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


INVOICE_REF, DIGEST_REF = "payload.InvoiceSync.v1", "payload.Digest.v1"
PAYROLL_REF, STRICTER_PAYROLL_REF = "payload.PayrollExport.v1", "payload.PayrollExport.v2"
_FORMAT: Json = {"enum": ["csv", "xml"], "default": "csv"}

SCHEMAS: dict[str, Json] = {
    INVOICE_REF: _object(
        ["region", "batchSize"],
        region={"enum": ["eu", "us", "apac"], "title": "Region", "default": "eu"},
        batchSize={"type": "integer", "minimum": 1, "maximum": 50, "title": "Invoices per run", "default": 5},
    ),
    DIGEST_REF: _object(
        ["audience"],
        audience={"type": "string", "minLength": 1, "maxLength": 80, "title": "Audience", "default": "everyone"},
    ),
    PAYROLL_REF: _object(["format"], format=_FORMAT),
    STRICTER_PAYROLL_REF: _object(
        ["format", "costCenter"],
        format=_FORMAT,
        costCenter={"type": "string", "pattern": "^[0-9]{4}$", "title": "Cost center"},
    ),
}

HEARTBEAT = DemoWorkflow(
    "Heartbeat",
    "Counts its beats in the store and says so in the log.",
    EMPTY_REF,
    [
        call("count", "store.increment", {"key": "heartbeats"}, "vars.beat"),
        label("show-beat", expr('"beat " & $string(vars.beat.value)')),
        call("say-so", "log.write", {"message": expr('"Beat number " & $string(vars.beat.value)')}),
        give_back({"beat": expr("vars.beat.value")}),
    ],
)

INVOICE_SYNC = DemoWorkflow(
    "Invoice sync",
    "Fetches a batch of invoices of one region, adds them up and keeps the report in the store.",
    INVOICE_REF,
    [
        label("begin", expr('"region " & payload.region')),
        call("batch", "store.increment", {"key": expr('"invoice-batch:" & payload.region')}, "vars.batch"),
        assign("fetch", numbers=expr("[1..payload.batchSize]"), total=0, lines=[]),
        for_each(
            "each-invoice",
            "vars.numbers",
            "number",
            [
                assign("price", amount=expr("19 + (number * 37 + vars.batch.value * 11) % 480")),
                assign("add-up", total=expr("vars.total + vars.amount")),
                call(
                    "add-line",
                    "transform.append_array",
                    {
                        "items": expr("vars.lines"),
                        "values": [{"number": expr("number"), "amount": expr("vars.amount")}],
                    },
                    "vars.appended",
                ),
                assign("keep-line", lines=expr("vars.appended.items[]")),
            ],
        ),
        assign(
            "report",
            report={
                "region": expr("payload.region"),
                "batch": expr("vars.batch.value"),
                "invoices": expr("payload.batchSize"),
                "total": expr("vars.total"),
            },
        ),
        call(
            "keep-report",
            "store.set",
            {"key": expr('"invoice-report:" & payload.region'), "value": expr("vars.report")},
        ),
        give_back(expr("vars.report")),
    ],
)

WEATHER = DemoWorkflow(
    "Weather of the day",
    "Looks at a made-up thermometer and goes one of two ways.",
    EMPTY_REF,
    [
        call("read", "store.increment", {"namespace": "weather", "key": "readings"}, "vars.reading"),
        assign("measure", celsius=expr("(vars.reading.value * 7) % 31 - 4")),
        either(
            "is-it-cold",
            "vars.celsius < 10",
            [label("cold", "wear a coat"), call("warn", "log.write", {"level": "warning", "message": "Wear a coat."})],
            [label("mild", "no coat needed"), call("tell", "log.write", {"message": "No coat needed."})],
        ),
        call("keep", "store.set", {"namespace": "weather", "key": "today", "value": expr("vars.celsius")}),
        give_back({"celsius": expr("vars.celsius")}),
    ],
)

STOCK_CHECK = DemoWorkflow(
    "Supplier stock check",
    "Reads what a supplier answers. Every third answer is cut off on the way, so every third run fails.",
    EMPTY_REF,
    [
        call("ask", "store.increment", {"namespace": "supplier", "key": "questions"}, "vars.question"),
        either(
            "was-it-cut-off",
            "vars.question.value % 3 = 2",
            [assign("half-an-answer", answer='{"article": "bell, brass", "inStock": 1')],
            [assign("answer", answer='{"article": "bell, brass", "inStock": 12}')],
        ),
        call("read-answer", "transform.parse_json", {"source": expr("vars.answer")}, "vars.stock"),
        call("keep-stock", "store.set", {"namespace": "supplier", "key": "stock", "value": expr("vars.stock.value")}),
        give_back(expr("vars.stock.value")),
    ],
)

DIGEST = DemoWorkflow(
    "Digest",
    "Collects what the other workflows left in the store into one text.",
    DIGEST_REF,
    [
        call("beats", "store.get", {"key": "heartbeats"}, "vars.beats"),
        call("report", "store.get", {"key": "invoice-report:eu"}, "vars.report"),
        call("weather", "store.get", {"namespace": "weather", "key": "today"}, "vars.weather"),
        call(
            "write",
            "transform.join_text",
            {
                "items": [
                    expr('"For " & payload.audience'),
                    expr('"heartbeats: " & (vars.beats.found ? $string(vars.beats.value) : "none")'),
                    expr('"invoices: " & (vars.report.found ? $string(vars.report.value.total) : "none")'),
                    expr('"temperature: " & (vars.weather.found ? $string(vars.weather.value) : "unknown")'),
                ],
                "delimiter": "; ",
            },
            "vars.digest",
        ),
        call("say-so", "log.write", {"message": expr("vars.digest.text")}),
        give_back({"text": expr("vars.digest.text")}),
    ],
)

PAYROLL = DemoWorkflow(
    "Payroll export",
    "Its second version asks for a cost center, which the schedule made for the first one does not name.",
    PAYROLL_REF,
    [
        call("count", "store.increment", {"namespace": "payroll", "key": "exports"}, "vars.export"),
        call("say-so", "log.write", {"message": expr('"Exported as " & payload.format')}),
        give_back({"export": expr("vars.export.value"), "format": expr("payload.format")}),
    ],
)
