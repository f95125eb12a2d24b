"""A program that calls the API with a bearer token."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


@dataclass
class Caller:
    """Sends JSON with its token; `key` is the Idempotency-Key."""

    client: FlaskClient
    secret: str

    def get(self, path: str) -> TestResponse:
        return self.send("GET", path)

    def post(self, path: str, body: Any = None, key: str | None = None) -> TestResponse:
        return self.send("POST", path, body, {"Idempotency-Key": key} if key else {})

    def patch(self, path: str, body: Any) -> TestResponse:
        return self.send("PATCH", path, body)

    def delete(self, path: str) -> TestResponse:
        return self.send("DELETE", path)

    def send(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.secret}"} | (headers or {})
        if body is None:
            return self.client.open(f"/api{path}", method=method, headers=sent)
        return self.client.open(
            f"/api{path}", method=method, headers={"Content-Type": "application/json"} | sent, data=json.dumps(body)
        )


def problems_of(answer: TestResponse) -> dict[str, str]:
    """Path → code of every field error of a problem+json answer."""
    assert answer.content_type == "application/problem+json"
    return {problem["path"]: problem["code"] for problem in answer.json.get("errors", [])}
