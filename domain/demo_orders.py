"""The demo tenant's orders: workflows that events start, that wait, ask a person, call each other and write mails."""

from __future__ import annotations

from typing import Any

from domain.demo_workflows import DemoWorkflow, Json, assign, call, either, expr, give_back, label
from domain.workflows.payload_schemas import EMPTY_REF

ORDER_REF, PACKING_REF = "payload.Order.v1", "payload.Packing.v1"
PLACED, DELIVERED = "order.placed", "order.delivered"
LARGE = 600

_ORDER: Json = {
    "type": "object",
    "properties": {
        "orderId": {"type": "string", "minLength": 1, "maxLength": 40, "title": "Order"},
        "customer": {"type": "string", "minLength": 1, "maxLength": 80, "title": "Customer"},
        "total": {"type": "number", "minimum": 0, "title": "Total"},
    },
    "required": ["orderId", "customer", "total"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, Json] = {
    ORDER_REF: _ORDER,
    PACKING_REF: {**_ORDER, "properties": {"orderId": _ORDER["properties"]["orderId"]}, "required": ["orderId"]},
}
EVENT_TYPES = {
    PLACED: "A customer has placed an order.",
    DELIVERED: "The parcel of an order was handed over.",
}


def _call_workflow(step_id: str, key: str, given: Json, taken: Json) -> Json:
    step: Json = {"id": step_id, "type": "control.callWorkflow", "workflowKey": key}
    return step | {"inputMapping": given, "outputMapping": taken}


def _publish(step_id: str, name: str) -> Json:
    order = {"orderId": expr("orderId"), "customer": expr("customer"), "total": expr("total")}
    return call(step_id, "event.publish", {"name": name, "payload": order, "correlation_key": expr("orderId")})


_SHOP = DemoWorkflow(
    "Little shop",
    "Plays a customer: places an order, and a moment later says that it was delivered.",
    EMPTY_REF,
    [
        call("count", "store.increment", {"namespace": "shop", "key": "orders"}, "vars.order"),
        assign(
            "order",
            orderId=expr('"A-" & $string(vars.order.value)'),
            customer=expr('vars.order.value % 2 = 0 ? "Ada Lovelace" : "Grace Hopper"'),
            total=expr("(vars.order.value * 137) % 900 + 20"),
        ),
        _publish("place", PLACED),
        {"id": "on-its-way", "type": "time.wait", "config": {"mode": "duration", "durationMs": 20_000}},
        _publish("deliver", DELIVERED),
        give_back(expr("orderId")),
    ],
)

_PACKING = DemoWorkflow(
    "Pack an order",
    "Called for every order: gives it the next parcel number.",
    PACKING_REF,
    [
        call("parcel", "store.increment", {"namespace": "shop", "key": "parcels"}, "vars.parcel"),
        call("say-so", "log.write", {"message": expr('"Packed " & payload.orderId')}),
        give_back(expr('"P-" & $string(vars.parcel.value)')),
    ],
)

_ASK: Json = {
    "id": "ask",
    "type": "human.task",
    "config": {
        "taskType": "order approval",
        "title": expr('"Ship order " & payload.orderId & " for " & $string(payload.total) & " €?"'),
        "description": f"Orders above {LARGE} € are looked at before they are packed.",
        "contextData": {"Customer": expr("payload.customer"), "Total": expr("payload.total")},
        "timeoutMs": 24 * 3_600_000,
    },
}
_RECEIPT: Json = {
    "to": ["customer@carillon.localhost"],
    "subject": expr('"Your order " & payload.orderId & " has arrived"'),
    "text": expr('"Dear " & payload.customer & ", parcel " & vars.parcel & " was handed over. Thank you."'),
}

_FULFILMENT = DemoWorkflow(
    "Order fulfilment",
    "Starts with an order: asks about large ones, has it packed, waits for the delivery and writes a receipt.",
    ORDER_REF,
    [
        either(
            "is-it-large",
            f"payload.total > {LARGE}",
            [
                label("asking", "waits for approval"),
                _ASK,
                either(
                    "refused",
                    "task.answer.approved = false",
                    [label("no", "refused"), {**give_back("refused"), "id": "stop"}],
                    [],
                ),
            ],
            [],
        ),
        _call_workflow(
            "pack", "pack-an-order", {"orderId": expr("payload.orderId")}, {"parcel": expr("childRun.output")}
        ),
        label("packed", expr('"packed as " & vars.parcel')),
        {
            "id": "arrival",
            "type": "event.wait",
            "config": {"eventName": DELIVERED, "correlationKey": expr("payload.orderId"), "timeoutMs": 24 * 3_600_000},
        },
        call("receipt", "email.send", _RECEIPT) | {"onError": "continue"},
        label("done", "delivered"),
        give_back({"orderId": expr("payload.orderId"), "parcel": expr("vars.parcel")}),
    ],
)

# Called workflows come before those that call them.
WORKFLOWS: dict[str, DemoWorkflow] = {"packing": _PACKING, "fulfilment": _FULFILMENT, "shop": _SHOP}
TRIGGER: dict[str, Any] = {"type": "event", "eventName": PLACED}
