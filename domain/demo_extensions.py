"""The example extensions: what the local runner executes, and the demo tenant may install."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


def _endpoint(method: str, path: str, schema: Json | None = None) -> Json:
    endpoint = {"method": method, "path": path, "handler": "main"}
    return endpoint | ({"requestSchema": schema} if schema else {})


def _manifest(name: str, version: str, description: str, capabilities: list[str], endpoints: list[Json]) -> Json:
    return {
        "name": name,
        "publisher": "Carillon",
        "version": version,
        "description": description,
        "runtime": "local-example@1",
        "capabilities": capabilities,
        "api": {"endpoints": endpoints},
    }


_COUNT: Json = {
    "type": "object",
    "properties": {
        "warehouse": {"enum": ["Lyon", "Porto", "Turku"], "title": "Warehouse", "default": "Lyon"},
        "full": {"type": "boolean", "title": "Count everything", "default": False},
    },
    "required": ["warehouse"],
    "additionalProperties": False,
}
_WAREHOUSE = "Counts stock and orders what is low."

WAREHOUSE = _manifest(
    "org.carillon.warehouse",
    "1.0.0",
    _WAREHOUSE,
    ["cap:log.emit", "cap:secrets.get"],
    [
        _endpoint("GET", "/api/health"),
        _endpoint("POST", "/api/count", _COUNT),
        _endpoint("POST", "/api/reorder"),
        _endpoint("GET", "/api/items/:sku"),
        _endpoint("DELETE", "/api/cache"),
    ],
)
# What there is to see in an upgrade: an endpoint by another name, a new one, and a capability to be granted.
NEWER_WAREHOUSE = _manifest(
    "org.carillon.warehouse",
    "1.1.0",
    _WAREHOUSE,
    ["cap:log.emit", "cap:secrets.get", "cap:http.fetch"],
    [
        _endpoint("GET", "/api/health"),
        _endpoint("POST", "/api/stock/count", _COUNT),
        _endpoint("POST", "/api/reorder"),
        _endpoint("GET", "/api/forecast"),
        _endpoint("GET", "/api/items/:sku"),
    ],
)
ECHO = _manifest(
    "org.carillon.echo",
    "1.0.0",
    "Answers what it was asked.",
    ["cap:secrets.get"],
    [_endpoint("GET", "/"), _endpoint("POST", "/"), _endpoint("POST", "/slow"), _endpoint("POST", "/fail")],
)

# By the module that runs them
MANIFESTS: tuple[tuple[str, Json], ...] = (("warehouse", WAREHOUSE), ("warehouse", NEWER_WAREHOUSE), ("echo", ECHO))
