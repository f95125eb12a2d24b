"""Warehouse: counts stock and orders what is low. Its supplier is busy at times, so that retries can be seen."""

from __future__ import annotations

from zlib import crc32

from workers.runner.guests import Answer, Host, Request

ITEMS = ("bells", "clappers", "yokes", "ropes", "mallets")
KEY = "SUPPLIER_KEY"


def answer(request: Request, host: Host) -> Answer:
    """Both published versions: 1.1.0 calls `/api/count` by another name and adds the forecast."""
    match request.method, request.path:
        case "GET", "/api/health":
            return 200, {"ok": True, "region": host.config.get("region", "nowhere")}
        case "POST", "/api/count" | "/api/stock/count":
            return _count(request, host)
        case "POST", "/api/reorder":
            return _reorder(request, host)
        case "GET", "/api/forecast":
            return 200, {"low": [item for item in ITEMS if _chance(request, item) < 30]}
    return 404, {"error": f"Warehouse has no {request.method} {request.path}"}


def _count(request: Request, host: Host) -> Answer:
    asked = request.json or {}
    items = ITEMS if asked.get("full") else ITEMS[:3]
    counted = {item: _chance(request, item) for item in items}
    host.log(f"Counted {len(counted)} kinds of things")
    return 200, {"warehouse": asked.get("warehouse", "Lyon"), "counted": counted}


def _reorder(request: Request, host: Host) -> Answer:
    if KEY not in host.secrets:
        return 401, {"error": f"The supplier wants a key: set the secret {KEY} and grant cap:secrets.get"}
    if request.context.get("attempt") == 1 and _chance(request, "supplier") < 33:
        return 503, {"error": "The supplier is busy"}
    low = [item for item in ITEMS if _chance(request, item) < 40]
    return 200, {"ordered": low, "order": f"R-{_chance(request, 'order'):02}"}


def _chance(request: Request, what: str) -> int:
    """A number below 100 that is the same for every attempt of one call."""
    return crc32(f"{request.context.get('invocation_id')} {what}".encode()) % 100
